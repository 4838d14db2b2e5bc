package config

import "time"

// Config is everything the agent was told, checked and frozen: [Load] returns
// either a Config without a fault or every fault in it. Nothing changes a
// Config afterwards; a reload makes a new one.
//
// The field order is the order of configs/agent.yaml, and each field's comment
// is that file's prose: meaning, unit, default, what is refused. The file and
// the texts of [Schema] are made from these comments.
type Config struct {
	Orchestrator Orchestrator
	// Machines are what this agent keeps alive: one for a robot, many for a
	// gateway. There is always at least one.
	Machines  []Machine
	Heartbeat Heartbeat
	Keystore  Keystore
	Telemetry Telemetry
	Enroll    Enroll
	Log       Log

	// Path is the file that was read, empty when everything came from the
	// environment.
	Path string
	// Warnings are sentences for the log: accepted, but worth a look.
	Warnings []string

	origins map[string]Origin // by concrete path, "machines[0].id"; see Show
}

// Orchestrator says where the Machine Markets API is.
type Orchestrator struct {
	// URL is the orchestrator's base URL, without /api/v1. User info, a query and
	// plain http to another host are refused. Default
	// https://orchestration.peaq.xyz. Restart to change.
	URL string
	// CAFile is an extra root certificate (PEM) trusted beside the system's. A
	// proxy comes from the usual environment (HTTPS_PROXY, NO_PROXY).
	CAFile string
	// AllowPlainHTTP permits http:// to a host that is not loopback. Without it
	// such a URL is refused: the agent token travels in every beat's body.
	AllowPlainHTTP bool
}

// Machine is one machine this agent keeps alive; a robot has one, a gateway many.
type Machine struct {
	// Name is [a-z0-9-]{1,32}, default main, required from the second machine
	// on. It names the keystore record, the log field and the metric label, so a
	// name that changes is another machine.
	Name string
	// ID is the orchestrator's machine id (mach_…). Either it or IdentityRef may
	// be given; with neither, enroll has to be told one. Restart to change.
	ID string
	// IdentityRef is did:peaq:<decimal> or peaqos:machine:<decimal>. The decimal
	// is a canonical uint256: no sign, no leading zero; did:peaq:0x… is refused.
	IdentityRef string
	// IdentityRefFile is a file that holds the identity_ref instead, one line, read
	// once at start.
	IdentityRefFile string
	// AgentLabel is how the agent is named on the server, default
	// peaqos-agent@<hostname>. What is sent ends in # and eight random
	// characters, so that an interrupted enrollment can be found again.
	AgentLabel string
	// Register is used once, when enroll has to register the machine.
	Register Register
	// AllowedProviderKeys is fixed at enrollment: provider keys this agent may
	// publish. Default: those of the endpoints below, which a list must contain.
	AllowedProviderKeys []string
	// Endpoints are the runtimes on this machine; one per provider key.
	Endpoints []Endpoint
}

// Register holds the fields of POST /machines that only a person knows.
type Register struct {
	// DisplayName is what people see. Default: the agent label.
	DisplayName string
	// OwnerID says whose machine it is. Default: the controller's address.
	OwnerID string
	// MachineType is the kind of machine. Default edge-node.
	MachineType string
	// RuntimeProfile is what the machine runs on. Default linux-native, in a
	// container linux-docker.
	RuntimeProfile string
	// Capabilities are words that searches can ask for. Default none.
	Capabilities []string
	// SkillKeys are the catalogue's skills this machine offers. Default none.
	SkillKeys []string
	// Labels are free pairs of text. Default none.
	Labels map[string]string
}

// Endpoint is one runtime on the machine, for example a QVAC server.
type Endpoint struct {
	// ProviderKey names the runtime's kind (qvac, …): a name, not a secret,
	// [a-z0-9._-]{1,64}, and only one endpoint may have it. Required.
	ProviderKey string
	// BaseURL is the origin to publish: scheme, host and port. A path, query or
	// user info is refused, because the orchestrator drops them. Required.
	BaseURL string
	// ProbeURL is the origin where the agent looks when BaseURL cannot be reached
	// from here (tunnel, port forward). Loopback or private only. Default: the
	// BaseURL.
	ProbeURL string
	// ProbePath is asked with GET. Default /v1/models for qvac, else /health.
	ProbePath string
	// AuthType is none, api-key or bearer: what the runtime asks of its callers.
	// Default none.
	AuthType string
	// AuthTokenFile holds the secret that the local probe sends. Refused with
	// auth type none.
	AuthTokenFile string
	// ShareAuthToken sends that secret to the orchestrator in each beat, so that
	// callers can be let in. Refused for scope loopback. Default false.
	ShareAuthToken bool
	// ModelAlias is the model that must be listed for the endpoint to count as
	// up (qvac only). Empty: any 2xx will do.
	ModelAlias string
	// NetworkScope is loopback, lan, vpn or public: who can reach BaseURL, and
	// which addresses the probe may dial. A BaseURL that contradicts it is
	// refused. Default loopback.
	NetworkScope string
}

// Heartbeat says how often the machine proves it is alive.
type Heartbeat struct {
	// Interval is the time between two beats, 1s to 1h, or auto: a third of the
	// granted lease. More than half of LeaseTTL is refused. Default auto.
	Interval time.Duration // 0 is auto
	// LeaseTTL is the lease asked for with every beat, whole seconds from 3s to
	// 24h. A dead endpoint stays listed for at most that long. Default 90s.
	LeaseTTL time.Duration
}

// Keystore says where the token lives.
type Keystore struct {
	// Dir is the state directory; the keystore makes its own 0700 directory in
	// it. Default /var/lib/peaqos-agent. Restart to change.
	Dir string
	// Seal is auto, keyfile, passphrase or credential: what has to guard the
	// store's key at least. A store that is guarded better stays so. Auto is the
	// passphrase when PassphraseFile is set, else the key file, which guards
	// against partial copies only. Default auto. Restart to change.
	Seal string
	// PassphraseFile is a secret file with the store's passphrase; one line end
	// at its end is no part of it. It may hold a recovery passphrase, too.
	// Restart to change.
	PassphraseFile string
	// BindHost is auto, true or false: whether a copy of the store is refused on
	// other hardware, until adopt or reset-identity. Auto is true, but false in
	// a container. Default auto. Restart to change.
	BindHost string
}

// Enroll lets the daemon enroll by itself, for sidecars that nobody logs in to.
type Enroll struct {
	// Auto lets run enroll a store that never held an identity, with the API key
	// from PEAQOS_API_KEY_FILE, which therefore stays on the device. Default false.
	// Restart to change.
	Auto bool
	// Ephemeral lets Auto use a store that does not outlive the container. Each
	// start is a new agent then, and revokes first whatever carries the machine's
	// agent_label, which must be given and be this machine's alone. Default false.
	// Restart to change.
	Ephemeral bool
}

// Telemetry is the one listener for metrics, health and status.
type Telemetry struct {
	// Listen is HOST:PORT; "" or off switches it off. Off loopback it needs
	// AllowPlain. Default 127.0.0.1:9757. Restart to change.
	Listen string // "" is off
	// AllowPlain permits a listener that other hosts can reach, unencrypted.
	// /status and the page stay on loopback all the same. Default false. Restart
	// to change.
	AllowPlain bool
}

// Log says how much is told on standard error.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string
	// Format is auto, json or console; auto is console on a terminal. Default
	// auto. Restart to change.
	Format string
}
