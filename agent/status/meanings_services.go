package status

// services are the meanings of the codes of presence, the control socket and the hooks.
var services = [...]Meaning{
	{Code: CodePresencePending, What: "no presence push was sent yet", Command: "-"},
	{
		Code: CodePresenceNoKey, What: "presence is on, but no controller key is stored on this device, so nothing is pushed",
		Effect:  "the presence service shows the machine as offline; heartbeats are not affected",
		Command: "peaqos-agent identity import FILE",
	},
	{
		Code: CodePresenceNoMachine, What: "presence is on, but the machine's number is unknown, so nothing is pushed",
		Command: "peaqos-agent config show --origin",
	},
	{Code: CodePresenceKey, What: "the stored controller key cannot be read, so nothing is pushed to the presence service", Command: "peaqos-agent identity show"},
	{Code: CodePresenceUnreachable, What: "the presence service cannot be reached", Command: "peaqos-agent presence status"},
	{Code: CodePresenceServer, What: "the presence service failed", Command: "peaqos-agent presence status"},
	{Code: CodePresenceRetryAfter, What: "the presence service asked to wait", Command: "-"},
	{
		Code: CodePresenceMiddlebox, What: "a login page, proxy or gateway responded instead of the presence service",
		Command: "peaqos-agent presence status",
	},
	{
		Code: CodePresenceNotAccepted, What: "the presence service did not accept the push: check the device's clock, and that the machine has opted in",
		Command: "peaqos-agent presence status",
	},
	{Code: CodePresenceRejected, What: "the presence service rejected the push", Command: "peaqos-agent presence status"},

	{Code: CodeControlPending, What: "the control socket was not opened yet", Command: "-"},
	{Code: CodeControlUnreachable, What: "the control socket cannot be opened", Command: "{health}"},
	{Code: CodeControlClosed, What: "the control socket was closed", Command: "-"},
	{Code: CodeControlRetryAfter, What: "the orchestrator asked to wait before the control socket is opened again", Command: "-"},
	{Code: CodeControlRejected, What: "the orchestrator rejected the control socket", Command: "peaqos-agent status"},
	{Code: CodeControlMessage, What: "a message on the control socket was not passed on", Command: "-"},
	{Code: CodeQueueFull, What: "the queue of notifications is full, so new ones are dropped", Command: "peaqos-agent status"},
	{Code: CodeQueueNotDurable, What: "the queue of notifications does not survive a crash", Command: "peaqos-agent config show --origin"},
	{Code: CodeHookFailing, What: "a hook does not accept a notification, which is kept and tried again", Command: "peaqos-agent config show --origin"},

	{Code: CodeDeployment, What: "the deployment cannot be used", Exit: ExitUsage, Advice: "give --deployment with one that has an MCR, such as peaq-mainnet, or --mcr-url"},
	{
		Code: CodeMCR, What: "the MCR service did not give a usable response", Exit: ExitNetwork,
		Advice: "check the network and --mcr-url, then run the command again",
	},
	{
		Code: CodeMCRMismatch, What: "the MCR service belongs to other contracts than the deployment; nothing was signed", Exit: ExitNetwork,
		Advice: "check --deployment and --mcr-url",
	},
	{
		Code: CodeMCRRejected, What: "the MCR service rejected the request", Exit: ExitRejected,
		Advice: "check the machine's number, and that the key belongs to its owner or controller",
	},
	{
		Code: CodeOptInUnknown, What: "it is not known whether the MCR service took the change", Exit: ExitPending,
		Advice: "run peaqos-agent presence status later; run the command again if it did not",
	},
	{
		Code: CodePresenceCheck, What: "the presence service did not give a usable response", Exit: ExitNetwork,
		Advice: "check the network and presence.url, then run the command again",
	},
}
