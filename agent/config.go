package agent

import "time"

// Config is everything the agent was told, checked and frozen: [Load] returns
// either a Config without a fault or every fault in it. Nothing changes a
// Config afterwards; a reload makes a new one.
//
// The field order is the order of configs/agent.yaml, and each field's comment
// is that file's prose: meaning, unit, default, what is refused.
type Config struct {
	Orchestrator Orchestrator
	Machines     []Machine // at least one
	Heartbeat    HeartbeatConfig
	Keystore     KeystoreConfig
	Telemetry    TelemetryConfig
	Enroll       EnrollConfig
	Log          LogConfig

	// Path is the file that was read, empty when everything came from the
	// environment.
	Path string
	// Warnings are sentences for the log: accepted, but worth a look.
	Warnings []string
}

// Orchestrator says where the Machine Markets API is.
type Orchestrator struct {
	// URL is the orchestrator's base URL, without /api/v1.
	// Default https://orchestration.peaq.xyz. Restart to change.
	URL string
	// CAFile is an extra root certificate (PEM) trusted beside the system's.
	CAFile string
	// AllowPlainHTTP permits http:// to a host that is not loopback. Without it
	// such a URL is refused: the agent token travels in every beat's body.
	AllowPlainHTTP bool
}

// Machine is one machine this agent keeps alive; a robot has one, a gateway many.
type Machine struct {
	// Name is [a-z0-9-]{1,32}, default "main", required from the second machine
	// on. It names the keystore record, the log field and the metric label.
	Name string
	// ID is the orchestrator's machine id (mach_…). Either it or IdentityRef may
	// be given; with neither, enroll has to be told one.
	ID string
	// IdentityRef is did:peaq:<decimal> or peaqos:machine:<decimal>; in the file
	// it may stand in identity_ref_file instead, which Load has then read.
	IdentityRef string
	// AgentLabel is how the agent is named on the server, default
	// peaqos-agent@<hostname>. What is sent ends in # and eight random
	// characters, so that an interrupted enrollment can be found again.
	AgentLabel string
	// Register is used once, when enroll has to register the machine.
	Register Register
	// AllowedProviderKeys is fixed at enrollment: provider keys this agent may
	// publish. Default: those of Endpoints.
	AllowedProviderKeys []string
	// Endpoints are the runtimes on this machine; one per provider key.
	Endpoints []Endpoint
}

// Register holds the fields of POST /machines that only a person knows.
type Register struct {
	DisplayName    string // default: the agent label
	OwnerID        string // default: the controller's address
	MachineType    string // default: edge-node
	RuntimeProfile string // default: linux-native, in a container linux-docker
	Capabilities   []string
	SkillKeys      []string
	Labels         map[string]string
}

// Endpoint is one runtime on the machine, for example a QVAC server.
type Endpoint struct {
	// ProviderKey names the runtime's kind (qvac, …). A name, not a secret.
	ProviderKey string
	// BaseURL is the origin to publish: scheme, host and port. A path, query or
	// user info is refused, because the orchestrator drops them.
	BaseURL string
	// ProbeURL is where the agent looks when BaseURL cannot be reached from here
	// (tunnel, port forward). Loopback or private only. Default BaseURL.
	ProbeURL string
	// ProbePath is asked with GET. Default /v1/models for qvac, else /health.
	ProbePath string
	// AuthType is none, api-key or bearer. Default none.
	AuthType string
	// AuthTokenFile holds the secret that the local probe sends.
	AuthTokenFile string
	// ShareAuthToken sends that secret to the orchestrator in each beat, so that
	// callers can be let in. Refused for scope loopback.
	ShareAuthToken bool
	// ModelAlias is the model that must be listed for the endpoint to count as
	// up (qvac only). Empty: any 2xx will do.
	ModelAlias string
	// NetworkScope is loopback, lan, vpn or public: who can reach BaseURL, and
	// which addresses the probe may dial. Default loopback.
	NetworkScope string
}

// HeartbeatConfig says how often the machine proves it is alive.
type HeartbeatConfig struct {
	// Interval is the time between two beats, 1 s to 1 h; 0 (auto, the default)
	// is a third of the granted lease. More than half of LeaseTTL is refused.
	Interval time.Duration
	// LeaseTTL is the lease asked for with every beat, whole seconds from 3 s to
	// 24 h. Default 90 s.
	LeaseTTL time.Duration
}

// KeystoreConfig says where the token lives and how it is sealed.
type KeystoreConfig struct {
	// Dir is the state directory; the keystore makes its own 0700 directory in
	// it. Default /var/lib/peaqos-agent. Restart to change.
	Dir string
	// Seal is auto, keyfile, passphrase or credential. Auto is the key file unless a
	// passphrase file is configured; it never picks something weaker than the
	// store was written with.
	Seal string
	// PassphraseFile protects the store's key with a passphrase.
	PassphraseFile string
	// BindHost is auto, on or off: refuse to beat with a copied store on other
	// hardware. Auto is off in containers.
	BindHost string
}

// TelemetryConfig is the one listener for metrics, health and status.
type TelemetryConfig struct {
	// Listen is HOST:PORT, default 127.0.0.1:9757; "" switches it off. Off
	// loopback it needs AllowPlain. Restart to change.
	Listen string
	// AllowPlain permits a listener that other hosts can reach, unencrypted.
	// /status and the page stay on loopback all the same.
	AllowPlain bool
}

// EnrollConfig lets run enroll by itself, for sidecars.
type EnrollConfig struct {
	// Auto lets run enroll a store that never held an identity, with the API key
	// of the environment. The key then stays where it was mounted.
	Auto bool
	// Ephemeral permits Auto on storage that a restart forgets; predecessors of
	// this agent are revoked first.
	Ephemeral bool
}

// LogConfig says how much is told on standard error.
type LogConfig struct {
	Level  string // debug, info, warn or error; default info
	Format string // auto, json or console; auto is console on a terminal
}
