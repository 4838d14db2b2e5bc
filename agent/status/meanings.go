package status

import "slices"

// Meaning is what one code stands for. Status, log, /readyz, the page, the service
// manager's status line and the errors of commands all take their words from here.
type Meaning struct {
	Code Code
	// What happened, as a sentence without a full stop. Details are added after a
	// colon where the code is used.
	What string
	// Effect says what it means for the machine. Empty: what its state means.
	Effect string
	// Command is what a person should run next; a template, see [NextCommand]. Empty:
	// what helps in the machine's state. "-": nothing to run.
	Command string
	// Advice is what to do next for the person whose command failed. Empty: run Command.
	Advice string
	// Exit is the exit code of a command that fails with it.
	Exit Exit
}

// Lookup returns the meaning of a code. For one that is not in the table, such as
// a new code of the orchestrator, the meaning says only that.
func Lookup(code Code) Meaning {
	for _, table := range [][]Meaning{causes[:], storeProblems[:], apiErrors[:], problems[:], services[:], findings[:], events[:]} {
		for _, m := range table {
			if m.Code == code {
				return m
			}
		}
	}
	return Meaning{
		Code: code, What: "the orchestrator returned " + Sanitize(string(code)), Exit: ExitNetwork,
		Advice: "see what the orchestrator's documentation says about this code, then run the command again",
	}
}

// MeaningGroup is a group of codes that belong together.
type MeaningGroup struct {
	Title    string
	Meanings []Meaning
}

// Meanings returns every code that has a meaning, in groups, for documentation.
func Meanings() []MeaningGroup {
	return []MeaningGroup{
		{"Causes of a state, and reasons against readiness", slices.Clone(causes[:])},
		{"Problems of the store", slices.Clone(storeProblems[:])},
		{"Responses of the orchestrator", slices.Clone(apiErrors[:])},
		{"Problems of commands", slices.Clone(problems[:])},
		{"Presence, the control socket and its hooks", slices.Clone(services[:])},
		{"Findings of doctor", slices.Clone(findings[:])},
		{"Events in the log", slices.Clone(events[:])},
	}
}

// The tables hold constants only, so that they cost nothing at start.

// marketCommand shows what the orchestrator tells others of this machine.
const marketCommand = "peaqos-agent status --from-market --api-key-file FILE"

const tryAgain = "check orchestrator.url and the network, then run the command again; nothing is lost"

var causes = [...]Meaning{
	{
		Code: CodeStarting, What: "the agent is starting; the store is being opened", Command: "-",
		Effect: "nothing is sent until the store is open",
	},
	{Code: CodeNotEnrolled, What: "not enrolled yet", Command: "{enroll}", Advice: "run peaqos-agent enroll", Exit: ExitKeystore},
	{
		Code: CodeEnrollmentInterrupted, What: "an enrollment was interrupted", Command: "{enroll}", Advice: "run peaqos-agent enroll", Exit: ExitKeystore,
		Effect: "the machine is not live: the next enroll revokes what the interrupted one left and starts over",
	},
	{
		Code: CodeOtherOrchestrator, What: "the store is enrolled with another orchestrator", Command: "peaqos-agent config show --origin", Exit: ExitIdentity,
		Effect: "the machine is not live: the stored token is kept and not sent anywhere",
		Advice: "set orchestrator.url back, or use another keystore.dir",
	},
	{
		Code: CodeFirstBeatPending, What: "enrolled; waiting for the first heartbeat", Command: "-",
		Effect: "the machine is live after its first accepted heartbeat, within one interval",
	},
	{Code: CodeNothingUp, What: "no endpoint can be published", Command: "peaqos-agent endpoints check"},
	{Code: CodeEndpointMissing, What: "not every endpoint is published", Command: "peaqos-agent endpoints check"},
	{Code: CodeEndpointToken, What: "the token of an endpoint cannot be read", Command: "peaqos-agent endpoints check"},
	{
		Code: CodeTelemetryPort, What: "the telemetry listener is not available", Command: "peaqos-agent config show --origin",
		Effect: "the machine is live, but its metrics and health cannot be read; the address is tried again every 30 seconds",
	},
	{
		Code: CodeRotationPending, What: "the new agent is stored, but no heartbeat with its token was accepted yet", Command: "{rotate}", Exit: ExitPending,
		Advice: "start the runtime, then run peaqos-agent rotate again",
	},
	{
		Code: CodeRotationUnfinished, What: "the previous agent may still be active on the orchestrator", Command: "{rotate}", Exit: ExitPending,
		Advice: "run peaqos-agent rotate again to revoke it",
	},
	{
		Code: CodeRotationRefused, What: "the orchestrator rejected the new agent; the previous one stays in use", Command: "{rotate}",
		Advice: "run peaqos-agent rotate again", Exit: ExitRejected,
	},

	{
		Code: CodeEndpointContested, What: "the orchestrator has another address for an endpoint of this machine",
		Command: "peaqos-agent agents list --api-key-file FILE",
		Effect:  "buyers may be sent to the other address: another agent of this machine, or somebody with its token, publishes it",
	},
	{
		Code: CodeServerDisagrees, What: "the orchestrator does not reach an endpoint that answers here", Command: marketCommand,
		Effect: "the machine is live, but buyers see the endpoint as the orchestrator does",
	},
	{
		Code: CodeMarketMissing, What: "the orchestrator does not list an endpoint that this machine publishes", Command: marketCommand,
		Effect: "buyers do not find the endpoint; the next accepted heartbeat should list it",
	},
	{
		Code: CodeMarketExpired, What: "the orchestrator's lease of an endpoint has expired, and ours has not", Command: "timedatectl status",
		Effect: "buyers do not find the endpoint; one of the two clocks may be wrong",
	},
	{
		Code: CodeMarketStale, What: "the orchestrator lists an endpoint that this machine does not publish", Command: "peaqos-agent agents list --api-key-file FILE",
		Effect: "buyers may be sent to an endpoint that is gone, until its lease expires; another agent may publish it",
	},

	{
		Code: CodeRetryAfter, What: "the orchestrator asked to wait", Command: "-", Exit: ExitNetwork,
		Effect: "the agent waits as the orchestrator asked, then sends heartbeats again; leases may expire in the meantime",
		Advice: "wait as long as it asked, then run the command again",
	},
	{
		Code: CodeRateLimited, What: "the orchestrator limits the rate of requests, and named no wait that can be read", Command: "-", Exit: ExitNetwork,
		Effect: "heartbeats are rejected for now, so leases expire; the agent keeps trying", Advice: "run the command again later; nothing is lost",
	},
	{
		Code: CodeGateway, What: "a gateway in front of the orchestrator responded with an error", Command: "{health}", Exit: ExitNetwork,
		Effect: "heartbeats do not reach the orchestrator, so leases expire; the agent keeps trying", Advice: "run the command again later; nothing is lost",
	},
	{Code: CodeServerError, What: "the orchestrator failed", Command: "{health}", Advice: "run the command again later; nothing is lost", Exit: ExitNetwork},
	{Code: CodeMalformedResponse, What: "the orchestrator's response is not in the API's format", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{
		Code: CodeMiddlebox, What: "a login page, proxy or gateway responded instead of the orchestrator", Command: "{health}", Exit: ExitNetwork,
		Effect: "heartbeats do not reach the orchestrator, so leases expire; the agent keeps trying", Advice: tryAgain,
	},
	{Code: CodeProxy, What: "the request did not get through the proxy", Command: "{health}", Advice: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, then run the command again", Exit: ExitNetwork},
	{
		Code: CodeClock, What: "the device's clock is wrong", Command: "timedatectl status", Exit: ExitNetwork,
		Effect: "no connection can be trusted while the clock is wrong; heartbeats continue and succeed once it is right",
		Advice: "set the clock, then run the command again",
	},
	{Code: CodeTLS, What: "the orchestrator's certificate cannot be verified", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeTLSExpired, What: "the orchestrator's certificate has expired, or the device's clock is ahead", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeTLSNotYet, What: "the orchestrator's certificate is not valid yet, and the device's clock is synchronized", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeTLSName, What: "the certificate belongs to another host", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{
		Code: CodeUnknownCA, What: "the orchestrator's certificate is signed by an unknown authority", Command: "peaqos-agent config show --origin", Exit: ExitNetwork,
		Advice: "behind an intercepting proxy or with a private CA, set orchestrator.ca_file",
	},
	{
		Code: CodeNoRoots, What: "this system has no root certificates, so no server can be verified", Command: "peaqos-agent config show --origin", Exit: ExitNetwork,
		Advice: "install ca-certificates, mount a bundle and set SSL_CERT_FILE, or set orchestrator.ca_file",
	},
	{
		Code: CodeTLSVersion, What: "the server speaks no TLS version that is safe (1.2 or newer)", Command: "{health}", Exit: ExitNetwork,
		Advice: "update the TLS settings of the server or the gateway in front of it",
	},
	{
		Code: CodeTLSHandshake, What: "the TLS handshake failed", Command: "{health}", Exit: ExitNetwork,
		Advice: "check the TLS settings of the server: it must offer TLS 1.2 or newer with ECDHE and AES-GCM or ChaCha20",
	},
	{
		Code: CodeTLSSilent, What: "the TLS handshake got no response", Command: "{health}", Exit: ExitNetwork,
		Advice: "check what is between this machine and the orchestrator: a firewall or middlebox may drop TLS; then run the command again",
	},
	{
		Code: CodeTLSClientCert, What: "the server requires a client certificate", Command: "peaqos-agent config show --origin", Exit: ExitNetwork,
		Advice: "set orchestrator.client_cert_file and orchestrator.client_key_file",
	},
	{
		Code: CodeClientCertFile, What: "the client certificate cannot be used", Command: "peaqos-agent config check", Exit: ExitConfig,
		Effect: "nothing is sent until the files can be used; they are read again before every heartbeat",
		Advice: "check orchestrator.client_cert_file and orchestrator.client_key_file: PEM, the key without a passphrase and readable by the agent only",
	},
	{
		Code: CodeCAFile, What: "orchestrator.ca_file cannot be used", Command: "peaqos-agent config check", Exit: ExitConfig,
		Effect: "nothing is sent until the file can be used; it is read again before every heartbeat",
		Advice: "check the path and its mode, and that it holds certificates in PEM or DER and nothing else",
	},
	{
		Code: CodeProxyVariable, What: "a proxy variable cannot be used", Command: "peaqos-agent config check", Exit: ExitConfig,
		Effect: "nothing is sent, because the way around the proxy is not used unasked",
		Advice: "correct the variable in the environment of the agent, or unset it, then start the agent again",
	},
	{Code: CodeNotTLS, What: "the server does not speak TLS", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeDNS, What: "the orchestrator's name cannot be resolved", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeTimeout, What: "the orchestrator did not respond in time", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeConnectionRefused, What: "the connection to the orchestrator was refused", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeNoRoute, What: "there is no route to the orchestrator", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},
	{Code: CodeNetwork, What: "the orchestrator cannot be reached", Command: "{health}", Advice: tryAgain, Exit: ExitNetwork},

	{Code: CodeNoMachine, What: "no machine is configured"},
	{Code: CodeMachineNotReady, What: "a machine is not ready, and readiness requires every machine"},
	{Code: CodeAdminSocket, What: "the admin socket is not available, so commands cannot reach this agent"},
	{Code: CodeKeystoreNotDurable, What: "the last write to the store may not survive a power cut"},
	{Code: CodeConfigReload, What: "the last configuration was rejected; the previous one is still in use"},
	{
		Code: CodeOtherIdentity, What: "the store holds the identity of another machine", Exit: ExitIdentity,
		Advice: "use another keystore.dir, or add --force to replace the identity in this one",
	},
	{Code: CodeNoEndpoint, What: "no endpoint is configured", Exit: ExitConfig, Advice: "add one under machines[].endpoints, or name the configuration with --config FILE"},
	{Code: CodeEndpointNotProbed, What: "the endpoint was not probed yet"},
	{Code: CodeEndpointDown, What: "the endpoint is down"},
	{Code: CodeEndpointRefused, What: "the orchestrator rejected the endpoint"},
	{Code: CodeLeaseNone, What: "the endpoint has no lease: no heartbeat that named it was accepted since the agent started"},
	{Code: CodeLeaseExpired, What: "the lease of the endpoint expired"},
}

var storeProblems = [...]Meaning{
	{
		Code: CodeForeignHost, What: "the store was made on other hardware", Command: "peaqos-agent adopt", Exit: ExitKeystore,
		Effect: "the machine is not live: nothing is sent until you run adopt (same machine, new hardware) or reset-identity (a copy)",
		Advice: "run peaqos-agent adopt if this is the same machine with new hardware, or peaqos-agent reset-identity if this is a copy",
	},
	{Code: CodeStoreSealed, What: "the store cannot be unsealed", Command: "{rotate}", Exit: ExitKeystore, Advice: "run peaqos-agent rotate with an API key"},
	{Code: CodeStoreDamaged, What: "the store is damaged", Command: "{rotate}", Exit: ExitKeystore, Advice: "run peaqos-agent rotate with an API key"},
	{
		Code: CodeStoreUnreadable, What: "the store cannot be read at the moment", Command: "-", Exit: ExitKeystore,
		Effect: "the machine is not live; nothing in the store is lost or was changed",
		Advice: "make the file readable; the agent then continues on its own",
	},
	{
		Code: CodeSealChanged, What: "the seal of the store was changed from outside", Command: "-", Exit: ExitKeystore,
		Effect: "the machine is not live; the changed seal is not used",
		Advice: "restore seal.a and seal.b from a backup of this store; without one, run peaqos-agent rotate with an API key",
	},
	{
		Code: CodeLostKeyNeeded, What: "other records in the store need its lost key", Command: "-", Exit: ExitKeystore,
		Advice: "restore the passphrase, credential or seal files; or give the records up with --replace-lost-key",
	},
	{
		Code: CodeStoreNewer, What: "the store was written by a newer version of peaqos-agent", Command: "-", Exit: ExitKeystore,
		Advice: "install the newer peaqos-agent again",
	},
	{Code: CodeStoreUnusable, What: "the store directory cannot be used", Command: "-", Exit: ExitKeystore, Advice: "fix keystore.dir, or set another directory"},
	{Code: CodeStoreInUse, What: "another process is using the store", Exit: ExitRunning, Advice: "stop the other process, or use another keystore.dir"},
	{
		Code: CodeStoreVolatile, What: "the store does not survive a restart, so it is not used", Exit: ExitConfig,
		Advice: "set keystore.dir to a directory on a disk, or accept the loss with keystore.volatile: true",
	},
	{Code: CodeStoreNotDurable, What: "the store is not durable, so no token was requested", Exit: ExitKeystore, Advice: "check the disk under keystore.dir, then run the command again"},
	{
		Code: CodeJournalOfOther, What: "an enrollment with another orchestrator was interrupted", Exit: ExitIdentity,
		Advice: "run enroll with the previous orchestrator first, or reset the store with peaqos-agent reset-identity",
	},
	{
		Code: CodeControllerKeyExists, What: "the store already holds another controller key", Exit: ExitKeystore,
		Advice: "export it first with peaqos-agent identity export FILE, then run peaqos-agent reset-identity",
	},
	{
		Code: CodeNoControllerKey, What: "no controller key is stored on this device", Exit: ExitKeystore,
		Advice: "store one with peaqos-agent identity import or identity new",
	},
	{
		Code: CodeControllerKeyHere, What: "the store holds a controller key, and this may be its only copy", Exit: ExitUsage,
		Advice: "export it with peaqos-agent identity export FILE, then add --forget-controller-key",
	},
}

var apiErrors = [...]Meaning{
	{
		Code: CodeUnknownCode, What: "the orchestrator refused the request with a code that is not valid", Exit: ExitNetwork,
		Command: "{health}", Advice: "check that orchestrator.url is the orchestrator's, then run the command again",
	},
	{
		Code: CodeAPIAuthRequired, What: "the orchestrator does not accept the API key", Exit: ExitRejected,
		Advice: "check the key in --api-key-file, and that it belongs to this orchestrator",
	},
	{
		Code: CodeAPIAuthInvalid, What: "the orchestrator does not accept the API key", Exit: ExitRejected,
		Advice: "check the key in --api-key-file, and that it belongs to this orchestrator",
	},
	{Code: CodeAPIAgentAuthRequired, What: "the orchestrator rejected the agent token", Command: "{rotate}", Exit: ExitRejected, Advice: rotateWithKey},
	{Code: CodeAPIAgentAuthInvalid, What: "the orchestrator rejected the agent token", Command: "{rotate}", Exit: ExitRejected, Advice: rotateWithKey},
	{Code: CodeAPIAgentAuthExpired, What: "the agent token has expired", Command: "{rotate}", Exit: ExitRejected, Advice: rotateWithKey},
	{Code: CodeAPIAgentInactive, What: "the agent was revoked on the orchestrator", Command: "{rotate}", Exit: ExitRejected, Advice: rotateWithKey},
	{
		Code: CodeAPIPolicyDenied, What: "an endpoint's provider key is not among those allowed at enrollment", Command: "{rotate}", Exit: ExitNetwork,
		Advice: "run peaqos-agent rotate with an API key to enroll with the provider keys of the configuration",
	},
	{
		Code: CodeAPIValidation, What: "the orchestrator rejected the request as invalid", Command: "peaqos-agent endpoints check", Exit: ExitNetwork,
		Advice: "check the values you gave and the configuration, then run the command again",
	},
	{
		Code: CodeAPINotFound, What: "the orchestrator does not know this machine or agent", Command: "{rotate}", Exit: ExitNetwork,
		Advice: "check --machine-id, or give --identity-ref to look the machine up",
	},
	{
		Code: CodeAPIMachineNotActive, What: "the machine is not active on the orchestrator (draft, blocked or archived)", Command: "peaqos-agent status --check live", Exit: ExitNetwork,
		Advice: "ask the machine's owner to activate it on the orchestrator",
	},
	{
		Code: CodeAPIMachineNotActivated, What: "the machine's identity is not verified on the orchestrator", Command: "peaqos-agent status --check live", Exit: ExitNetwork,
		Advice: "ask the machine's owner to activate it on the orchestrator",
	},
	{
		Code: CodeAPIIdentityExists, What: "a machine with this identity exists already, but is not listed for this API key", Exit: ExitNetwork,
		Advice: "ask the owner for its id and give --machine-id mach_…",
	},
	{
		Code: CodeAPIIdentityImmutable, What: "the identity of a registered machine cannot be changed", Exit: ExitNetwork,
		Advice: "check --machine-id and --identity-ref",
	},
	{
		Code: CodeAPIProofRequired, What: "the orchestrator wants a signature of a controller", Exit: ExitNetwork,
		Advice: "give --controller-key-file FILE or --sign-with prompt",
	},
	{
		Code: CodeAPIProofInvalid, What: "the orchestrator does not accept the controller's signature", Exit: ExitNetwork,
		Advice: "check that --controller-key-file holds the key of a controller of this identity",
	},
	{
		Code: CodeAPIProofExpired, What: "the challenge expired before its signature arrived", Exit: ExitNetwork,
		Advice: "run the command again; if it happens again, check the device's clock and the speed of the connection",
	},
	{
		Code: CodeAPIIdentityUnavailable, What: "the orchestrator cannot look up this identity", Exit: ExitNetwork,
		Advice: "check that the identity exists on peaq and has a controller, then run the command again; the sandbox learns controllers from --controller",
	},
}

const rotateWithKey = "run peaqos-agent rotate with an API key"

var problems = [...]Meaning{
	{Code: CodeFailed, What: "the command failed", Exit: ExitFailed},
	{Code: CodeInterrupted, What: "interrupted", Exit: ExitInterrupted},
	{Code: CodeUsage, What: "the command line is not valid", Exit: ExitUsage},
	{Code: CodeValidation, What: "a value is not valid", Exit: ExitUsage, Advice: "correct the value and run the command again"},
	{Code: CodeConfig, What: "the configuration is not valid", Exit: ExitConfig, Advice: "fix the configuration, then run peaqos-agent config check"},
	{Code: CodeOrchestratorURL, What: "orchestrator.url is not valid", Exit: ExitConfig, Advice: "set it to https://HOST"},
	{
		Code: CodeReloadNeedsRestart, What: "this change needs a restart; nothing was applied", Exit: ExitConfig,
		Advice: "restart the agent: sudo systemctl restart peaqos-agent",
	},
	{Code: CodeNotPermitted, What: "this user may not do this", Exit: ExitNotPermitted, Advice: "run the command with sudo"},
	{Code: CodeNotRunning, What: "no agent is running on this store", Exit: ExitNotRunning, Advice: "start it: sudo peaqos-agent service start"},
	{Code: CodeBusy, What: "busy", Exit: ExitPending, Advice: "run the command again when that has ended"},
	{
		Code: CodeUntrustedSocket, What: "another user serves the agent's socket; nothing was sent to it", Exit: ExitNotPermitted,
		Advice: "put keystore.dir where only root and the agent's user can write, and end the other process",
	},
	{
		Code: CodeBadRequest, What: "the request on the admin socket cannot be read", Exit: ExitFailed,
		Advice: "use the same version of peaqos-agent for the command and the service",
	},
	{
		Code: CodeOtherAgent, What: "the running agent is configured for another orchestrator than this command", Exit: ExitIdentity,
		Advice: "set orchestrator.url in the agent's configuration and restart it, which a first enroll with --write-config does; or give that configuration with --config",
	},

	{Code: CodeUnknownMachine, What: "the configuration has no such machine", Exit: ExitUsage, Advice: "give --machine with one of the names under machines"},
	{Code: CodeIdentityMissing, What: "no machine given", Exit: ExitConfig, Advice: "give --machine-id mach_… or --identity-ref did:peaq:NUMBER"},
	{Code: CodeIdentityRef, What: "--identity-ref is not an identity", Exit: ExitUsage, Advice: "write did:peaq:NUMBER, did:peaq:0xADDRESS or peaqos:machine:NUMBER"},
	{Code: CodeMachineNotListed, What: "no machine with this identity is listed for this API key", Exit: ExitNetwork, Advice: "check the identity, or give --machine-id"},
	{Code: CodeMachineNotActive, What: "the machine is not active on the orchestrator", Exit: ExitNetwork, Advice: "ask its owner to set it active, then run enroll again"},
	{
		Code: CodeEnrolledAlready, What: "this device is already enrolled", Exit: ExitIdentity,
		Advice: "run peaqos-agent unenroll first, or add --force to replace the identity in this store",
	},
	{
		Code: CodeEnrollmentLost, What: "the enrollment response was lost; an agent may exist", Exit: ExitNetwork,
		Advice: "run the command again: it revokes what was left and starts over",
	},
	{
		Code: CodeTokenNotStored, What: "an agent was enrolled, but its token could not be stored", Exit: ExitKeystore,
		Advice: "run the command again: the agent is revoked and replaced",
	},
	{Code: CodeNotLive, What: "enrolled, but not live yet", Exit: ExitNetwork, Advice: "run peaqos-agent status"},
	{Code: CodeNotConfirmed, What: "this permanently deletes the identity of this device", Exit: ExitUsage, Advice: "add --yes to confirm"},
	{Code: CodeAgentUnknown, What: "the machine has no such agent; nothing was revoked", Exit: ExitNetwork, Advice: "list the machine's agents with peaqos-agent agents list; also check --machine-id"},
	{Code: CodeGrant, What: "this is not a grant", Exit: ExitUsage, Advice: "make one with peaqos-agent enroll --grant-out -"},
	{Code: CodeGrantOfOther, What: "the grant is for another orchestrator or machine, and was not stored", Exit: ExitIdentity, Advice: "set orchestrator.url to the grant's"},
	{Code: CodeGrantNotDelivered, What: "the grant could not be written", Exit: ExitFailed, Advice: "fix the cause, then run the command again"},
	{Code: CodeOneMachine, What: "a grant is for one machine", Exit: ExitUsage, Advice: "give a configuration with one machine"},
	{
		Code: CodeProviderKeys, What: "no provider keys given", Exit: ExitUsage,
		Advice: "give --provider-key qvac, or the robot's configuration with --config FILE; the list is fixed at enrollment",
	},

	{Code: CodeAPIKeyMissing, What: "the platform API key is required", Exit: ExitSecret, Advice: "give --api-key-file FILE, or PEAQOS_API_KEY_FILE"},
	{Code: CodeAPIKeyFile, What: "the API key file must hold one line of printable characters", Exit: ExitSecret, Advice: "write only the key into it"},
	{
		Code: CodeControllerKeyMissing, What: "registering a machine requires the signature of its controller", Exit: ExitSecret,
		Advice: "give --controller-key-file FILE or --sign-with prompt; or --machine-id if the machine exists under another account",
	},
	{Code: CodeControllerKeyFile, What: "the controller key cannot be read", Exit: ExitSecret, Advice: "check the file"},
	{Code: CodePassphraseFile, What: "a Web3 key file needs its passphrase", Exit: ExitSecret, Advice: "give --passphrase-file FILE"},
	{
		Code: CodeWrongPassphrase, What: "the passphrase is wrong", Exit: ExitSecret,
		Advice: "check the file in --passphrase-file; accented letters can be written in several Unicode normal forms, of which only one fits",
	},
	{Code: CodeSecretFile, What: "a secret file cannot be used", Exit: ExitSecret, Advice: "check its path, owner and mode"},
	{Code: CodeWeb3File, What: "the Web3 key file cannot be read", Exit: ExitSecret, Advice: "give a Web3 key file of version 3, or 0x and 64 hex digits"},
	{Code: CodeMemory, What: "not enough free memory to decrypt the key file", Exit: ExitKeystore, Advice: "convert the file once on a larger computer, or use a light Web3 file"},
	{Code: CodeTerminal, What: "refusing to write a secret to a terminal", Exit: ExitUsage, Advice: "name a file or use a pipe"},
	{Code: CodeFileExists, What: "the file already exists", Exit: ExitUsage, Advice: "give another name"},
	{Code: CodeFile, What: "cannot create the file", Exit: ExitFailed, Advice: "check the directory and its mode"},

	{
		Code: CodeChallengeRefused, What: "the challenge was not signed", Exit: ExitNetwork,
		Advice: "check --identity-ref and --controller-key-file",
	},
	{Code: CodeChallengeFile, What: "the file is not a challenge", Exit: ExitUsage, Advice: "give a JSON object with all the fields of a challenge"},
	{
		Code: CodeSignature, What: "not an EIP-191 signature of this text", Exit: ExitUsage,
		Advice: "sign the text byte for byte (personal_sign) and paste the signature",
	},
	{Code: CodeSigner, What: "the signature is from another key, or of another text", Exit: ExitUsage, Advice: "sign exactly the text shown, with the controller's key"},
	{Code: CodeNoSignature, What: "no signature was given; nothing was sent", Exit: ExitUsage, Advice: "run the command again and paste the signature"},
	{Code: CodeNotInteractive, What: "--sign-with prompt cannot be combined with --json", Exit: ExitUsage, Advice: "drop --json, or give --controller-key-file"},

	{Code: CodeNoSystemd, What: "systemd is not running here", Exit: ExitFailed, Advice: "start peaqos-agent run from this machine's service manager"},
	{
		Code: CodeNoSystemdCreds, What: "systemd-creds was not found", Exit: ExitFailed,
		Advice: "install systemd 250 or newer, or protect the store with keystore.passphrase_file",
	},
	{Code: CodePackagedUnit, What: "the service belongs to a package", Exit: ExitUsage, Advice: "start it with peaqos-agent service start; to remove it, remove the package"},
	{Code: CodeService, What: "the service command failed", Exit: ExitFailed},
	{Code: CodeSystemd, What: "a systemd command failed", Exit: ExitFailed, Advice: "see systemd's message above and systemd-creds(1)"},
	{Code: CodeSealedAlready, What: "the store is already sealed by a systemd credential; nothing was changed", Exit: ExitUsage},
	{Code: CodeCredential, What: "the credential cannot be decrypted on this machine; nothing was changed", Exit: ExitKeystore, Advice: "try the other of --tpm2 and --host-key"},

	{Code: CodeSandbox, What: "the sandbox cannot start", Exit: ExitUsage, Advice: "fix the flag or the file it names"},
	{Code: CodeListen, What: "the address cannot be used", Exit: ExitUsage, Advice: "give another address, or port 0"},
	{Code: CodeScenario, What: "the scenario cannot be run", Exit: ExitUsage, Advice: "list them with --scenario list"},
	{
		Code: CodeController, What: "--controller is neither 0xADDRESS nor ID=0xADDRESS", Exit: ExitUsage,
		Advice: "give the address that peaqos-agent identity new or identity show prints",
	},
	{Code: CodeTLSDir, What: "cannot create the certificate", Exit: ExitUsage, Advice: "check the directory, or empty it to start over"},
}

var events = [...]Meaning{
	{Code: CodeStarted, What: "started"},
	{Code: CodeStopped, What: "stopped; leases expire on their own"},
	{Code: CodeStoreWait, What: "another process is using the store; waiting for it"},
	{Code: CodePanic, What: "a request to the telemetry listener failed; the agent continues"},
	{Code: CodeConfigWarning, What: "a configuration value is accepted, but deserves a look"},
	{Code: CodeReloaded, What: "the configuration was reloaded"},
	{Code: CodeReloadRefused, What: "the new configuration was rejected; the current one stays in use"},
	{Code: CodeTelemetryListening, What: "the telemetry listener is available"},
	{Code: CodeTelemetryWebConfig, What: "telemetry.web_config_file was changed and cannot be used; the previous one stays in use"},
	{Code: CodeTelemetryWebReloaded, What: "telemetry.web_config_file was read again"},
	{Code: CodeLogLimited, What: "there were too many events in a minute; some lines were left out of the log"},
	{Code: CodeNetworkChanged, What: "a network link or an address came up; what failed is tried again soon"},
	{Code: CodeClockJump, What: "the wall clock was set; heartbeat timing is not affected"},
	{Code: CodeIntervalClamped, What: "the heartbeat interval was shortened to half of the granted lease"},
	{Code: CodeEndpointUp, What: "the endpoint responds"},
	{
		Code: CodeEndpointMismatch, What: "the endpoint responds, but as another runtime than provider_key names, or without a model",
		Effect: "it is published as configured, and buyers may find something else there", Command: "peaqos-agent endpoints discover",
	},
	{Code: CodeEnrolled, What: "enrolled"},
	{Code: CodeUnenrolled, What: "the token was deleted"},
	{Code: CodeAutoEnroll, What: "enroll.auto did not succeed yet"},
	{Code: CodeOrphanRevoked, What: "revoked an unused agent of this device"},
	{Code: CodeOtherAgents, What: "the machine has other active agents, which may publish other addresses"},
	{Code: CodeRecordRenamed, What: "the record of this machine under its previous name was taken over"},
	{Code: CodeRotated, What: "enrolled a new agent to replace the current one"},
	{Code: CodeRotationProven, What: "the new token was accepted"},
	{Code: CodeRotationNotStored, What: "the result of a rotation could not be stored"},
	{Code: CodePresenceOnline, What: "the presence service accepts the pushes"},
	{Code: CodeOptInSigned, What: "an opt-in or opt-out was signed with the controller key"},
	{Code: CodeControlConnected, What: "the control socket is open"},
	{Code: CodeHookRecovered, What: "the hook accepts notifications again"},
	{Code: CodeIdentityReset, What: "all identity data was deleted"},
	{Code: CodeChallengeSigned, What: "a challenge was signed with the controller key"},
	{Code: CodeControllerKeyStored, What: "a controller key was stored"},
	{Code: CodeControllerKeyExported, What: "the controller key was exported"},
	{Code: CodeHostAdopted, What: "the store now belongs to this host"},
	{Code: CodeHostLearned, What: "the stored host facts were updated"},
	{Code: CodeHostDiffers, What: "the only known fact about the hardware differs; this may be a copy of another machine's disk"},
	{Code: CodeStoreTightened, What: "files of the store were open to other users; their mode was corrected"},
	{Code: CodeStoreReadable, What: "the store can be read again"},
	{Code: CodeHostNotBound, What: "the store could not be bound to this host; it will be at the next start"},
	{Code: CodeKeystoreFallback, What: "one copy of a record is damaged; using the other"},
	{Code: CodeKeystoreHealed, What: "the damaged copy was restored"},
	{Code: CodeKeystoreResealed, What: "the store was resealed"},
	{Code: CodeKeystoreWeaker, What: "the store is protected less than keystore.seal requires, and could not be resealed"},
	{Code: CodeResealed, What: "the store was resealed with a systemd credential"},
	{Code: CodeForeignBytes, What: "a server sent bytes that no request asked for; they were dropped and the connection was closed"},
	{Code: CodeLibraryLog, What: "a library wrote to the standard logger; the text was dropped"},
	{Code: CodeTrustRead, What: "the files of trust have changed and were read again"},
	{Code: CodeTrustKept, What: "a file of trust has changed and cannot be used; its previous content stays in use"},
	{Code: CodeSmallHello, What: "large TLS hellos are lost on this network; connecting without the post-quantum key share"},
	{Code: CodeReuseLimit, What: "idle connections end early on this network; connecting again for each heartbeat after a while"},
}
