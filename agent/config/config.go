package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config is the complete, checked configuration. [Load] returns either a Config
// without problems or all the problems in it. It is never changed afterwards: a
// reload loads a new one, and the With methods return a changed copy.
//
// The field order is the order of configs/agent.yaml, and each field's comment
// is that file's text: meaning, unit, default, what is refused. The file and
// the texts of [Schema] are generated from these comments.
type Config struct {
	Orchestrator Orchestrator
	Network      Network
	// Machines are the machines this agent serves: one for a robot, many for a
	// gateway. There is always at least one.
	Machines  []Machine
	Heartbeat Heartbeat
	Presence  Presence
	Control   Control
	Keystore  Keystore
	Telemetry Telemetry
	Enroll    Enroll
	Log       Log

	// Path is the file that was read, empty when there was none.
	Path string
	// DropIns are the files in conf.d that were read, in their order.
	DropIns []string
	// Warnings are sentences for the log: accepted, but worth checking.
	Warnings []string

	origins map[string]origin // by concrete path, "machines[0].id"; see Show
}

// CommandFlags are the flags that another command needs to read the same file and to use
// the same store; "" for the default ones.
func (c *Config) CommandFlags() string {
	var flags []string
	add := func(name, path string) {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		flags = append(flags, name+" "+ShellWord(path))
	}
	if c.Path != "" && c.Path != DefaultPath {
		add("--config", c.Path)
	}
	if c.origins["keystore.dir"].kind == "flag" {
		add("--keystore-dir", c.Keystore.Dir)
	}
	return strings.Join(flags, " ")
}

// Given reports whether a key, such as "machines[0].agent_label", was set, rather than
// left at its default.
func (c *Config) Given(path string) bool {
	_, given := c.origins[path]
	return given
}

// ShellWord quotes a word for a shell, if it has to be.
func ShellWord(word string) string {
	if madeOf(word, 4<<10, lower+upper+digits+"._~-/:@%+=,") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// WithWarning returns a copy of the configuration with one more warning.
func (c *Config) WithWarning(text string) *Config {
	out := *c
	out.Warnings = append(slices.Clone(c.Warnings), text)
	return &out
}

// WithAllowedProviderKeys returns a copy of the configuration in which every
// machine has these allowed_provider_keys.
func (c *Config) WithAllowedProviderKeys(keys []string) *Config {
	out := *c
	out.Machines = slices.Clone(c.Machines)
	for i := range out.Machines {
		out.Machines[i].AllowedProviderKeys = slices.Clone(keys)
	}
	return &out
}

// Orchestrator is the Machine Markets API that this agent reports to.
type Orchestrator struct {
	// URL is the orchestrator's base URL, without /api/v1. User info, a query and
	// plain http to another host are refused. Default
	// https://orchestration.peaq.xyz. Restart to change.
	URL string
	// CAFile is a file of additional root certificates (PEM or DER) to trust next
	// to the system's. It is read whole or refused, and read again when it changes.
	// A proxy is taken from the usual variables (HTTPS_PROXY, NO_PROXY).
	CAFile string
	// ClientCertFile is the certificate (PEM, with its chain) for a gateway that
	// requires one. It is read again when it changes.
	ClientCertFile string
	// ClientKeyFile is the private key (PEM, without a passphrase) of
	// ClientCertFile: a secret file.
	ClientKeyFile string
	// AllowPlainHTTP permits http:// to a host that is not loopback. Without it
	// such a URL is refused, because every heartbeat carries the agent token.
	// Default false.
	AllowPlainHTTP bool
	// IdentityRefs is any or decimal: the accepted forms of an identity_ref. With
	// any, did:peaq:0x<address> is accepted as well and the orchestrator decides;
	// with decimal it is refused here. Default any.
	IdentityRefs string
}

// Network is about the connection to the orchestrator.
type Network struct {
	// Metered avoids what costs bytes and is not needed: the TLS handshake has no
	// post-quantum key share (1.2 KB less for each new connection, and a first packet
	// that fits through every middlebox). Default false.
	Metered bool
}

// Machine is one machine this agent serves; a robot has one, a gateway many.
type Machine struct {
	// Name is [a-z0-9-]{1,32}, default main, required from the second machine
	// on. It names the keystore record, the log field and the metric label, so
	// renaming it makes it another machine.
	Name string
	// ID is the orchestrator's machine id (mach_…). Give either it or IdentityRef;
	// with neither, pass one to enroll. Restart to change.
	ID string
	// IdentityRef is did:peaq:<decimal>, peaqos:machine:<decimal> or
	// did:peaq:0x<40 hex digits>. The decimal is a canonical uint256: no sign, no
	// leading zero. orchestrator.identity_refs can refuse the form with an address.
	IdentityRef string
	// IdentityRefFile is a file that holds the identity_ref on one line, in place
	// of that key. It is read once at start.
	IdentityRefFile string
	// AgentLabel is the agent's name on the orchestrator, default
	// peaqos-agent@<hostname>. A # and eight random characters are appended, so
	// that an interrupted enrollment can be found again.
	AgentLabel string
	// Register is used once, when enroll has to register the machine.
	Register Register
	// AllowedProviderKeys are the provider keys this agent may publish, fixed at
	// enrollment. Default: those of the endpoints below, which a list must include.
	AllowedProviderKeys []string
	// Endpoints are the runtimes on this machine; one per provider key.
	Endpoints []Endpoint
}

// Register holds what only the operator knows about the machine. It is used
// once, when enroll has to register the machine.
type Register struct {
	// DisplayName is the name shown to people. Default: the agent label.
	DisplayName string
	// OwnerID identifies the machine's owner. Default: the controller's address.
	OwnerID string
	// MachineType is the kind of machine. Default edge-node.
	MachineType string
	// RuntimeProfile is the platform of the machine's runtimes. Default
	// linux-native, in a container linux-docker.
	RuntimeProfile string
	// Capabilities are search terms for what the machine can do. Default none.
	Capabilities []string
	// SkillKeys are the keys of the catalogue's skills that this machine offers.
	// Default none.
	SkillKeys []string
	// Labels are key-value pairs. Default none.
	Labels map[string]string
}

// Endpoint is one runtime on the machine, for example a QVAC server.
type Endpoint struct {
	// ProviderKey is the kind of runtime (qvac, …): a name, not a secret,
	// [a-z0-9._-]{1,64}, unique among the machine's endpoints. Required.
	ProviderKey string
	// BaseURL is the origin to publish: scheme, host and port. A path, query or
	// user info is refused, because the orchestrator drops them. QVAC's default
	// port, 11434, is Ollama's as well: give one of them another. Required.
	BaseURL string
	// ProbeURL is the origin to probe when BaseURL cannot be reached from this
	// device (tunnel, port forward). Loopback or private addresses only. The Host
	// header remains that of BaseURL. Default: the BaseURL.
	ProbeURL string
	// ProbePath is the path that the probe requests with GET. Default /v1/models
	// for qvac, else /health.
	ProbePath string
	// ProbeTimeout is how long the runtime may take to respond to a probe, from
	// 100ms to half of the heartbeat interval; up to 3s is always accepted.
	// Default 3s.
	ProbeTimeout time.Duration
	// CAFile holds certificates (PEM or DER) that the probe of this endpoint
	// trusts in addition to the system's: the runtime's own or those of its CA.
	// Needs https. It is read again when it changes.
	CAFile string
	// AuthType is api-key, bearer or none: the authentication the runtime requires.
	// Default none.
	AuthType string
	// AuthTokenFile is a file with the secret that the local probe sends. Refused
	// with auth type none.
	AuthTokenFile string
	// ShareAuthToken sends that secret to the orchestrator in each heartbeat, so
	// that callers can be admitted. Refused for scope loopback. Default false.
	ShareAuthToken bool
	// ModelAlias is the model that must be listed for the endpoint to count as
	// up (qvac only). Empty: any 2xx response is enough.
	ModelAlias string
	// NetworkScope is loopback, lan, vpn or public: who can reach BaseURL, and
	// which addresses the probe may connect to. A BaseURL that contradicts it is
	// refused. Default loopback.
	NetworkScope string
}

// Heartbeat controls how often the agent reports and how long a lease lasts.
type Heartbeat struct {
	// Interval is the time between two heartbeats, 1s to 1h, or auto: a third of
	// the granted lease. More than half of LeaseTTL is refused. Default auto.
	Interval time.Duration // 0 is auto
	// LeaseTTL is the lease requested with every heartbeat, whole seconds from 3s
	// to 24h. A dead endpoint stays listed for at most that long. Default 90s.
	LeaseTTL time.Duration
}

// Presence reports to peaq's presence service that the machine is online: a service
// of its own, next to the heartbeats. It needs a controller key that is stored on
// this device, and only a machine that has opted in should use it.
type Presence struct {
	// Enabled turns it on. Without a stored controller key nothing is pushed, which
	// status shows. Default false. Restart to change.
	Enabled bool
	// URL is the presence service's base URL, without /api/v1. Plain http to another
	// host needs orchestrator.allow_plain_http. Default https://heartbeat.peaq.xyz.
	// Restart to change.
	URL string
	// Interval is the time between two pushes, 1s to 120s: the service takes a
	// machine for offline 180s after the last one. Default 60s. Restart to change.
	Interval time.Duration
	// MachineID is how the presence service names this machine, which is not
	// documented. Default: the decimal number of the machine's identity_ref. Refused
	// with several machines. Restart to change.
	MachineID string
}

// Control receives the orchestrator's notifications about purchases over a control
// socket and passes each of them to local programs, the hooks. Until every hook has
// got it, a notification is kept in a file below keystore.dir: at most 1000 of them
// and 1 MiB, later ones are dropped and counted.
type Control struct {
	// Enabled opens the control socket of each enrolled machine. Needs hooks. Default
	// false. Restart to change.
	Enabled bool
	// Hooks are the programs that get each notification with an HTTP POST: a
	// loopback URL such as http://127.0.0.1:8080/notify, or unix:/run/app.sock. At
	// most 8. A hook has 10s to respond with 2xx, else it is tried again, so it may
	// get a notification twice. Default none. Restart to change.
	Hooks []string
}

// Keystore is where the token is stored.
type Keystore struct {
	// Dir is the state directory; the keystore creates its own 0700 directory in
	// it. Default /var/lib/peaqos-agent. Restart to change.
	Dir string
	// Seal is auto, keyfile, passphrase or credential: the minimum protection of
	// the store key; stronger protection is kept. Auto is the passphrase when
	// PassphraseFile is set, else the key file, which protects against partial
	// copies only. Default auto. Restart to change.
	Seal string
	// PassphraseFile is a secret file with the store's passphrase; a trailing
	// newline is ignored. It may also hold a recovery passphrase. Restart to
	// change.
	PassphraseFile string
	// BindHost is auto, true or false: whether a copy of the store is refused on
	// other hardware, until adopt or reset-identity. Auto is true, but false in
	// a container. Default auto. Restart to change.
	BindHost string
	// Volatile accepts a store in memory (tmpfs, or an overlay over one), whose
	// token and controller key are lost at a restart. Default false. Restart to
	// change.
	Volatile bool
}

// Enroll lets the daemon enroll by itself, for sidecars that nobody logs in to.
type Enroll struct {
	// Auto lets run enroll a store that never held an identity, with the API key
	// from PEAQOS_API_KEY_FILE, which therefore stays on the device. Default false.
	// Restart to change.
	Auto bool
	// Ephemeral allows auto with storage that does not survive the container. Each
	// start enrolls a new agent and first revokes agents with the machine's
	// agent_label, which must be set and used by this machine alone. Default
	// false. Restart to change.
	Ephemeral bool
}

// Telemetry is the listener for metrics, health and status.
type Telemetry struct {
	// Listen is HOST:PORT; "" or off disables it. Any address but loopback needs
	// WebConfigFile or AllowPlain. Default 127.0.0.1:9757. Restart to change.
	Listen string // "" is off
	// AllowPlain permits a listener that other hosts can reach, unencrypted.
	// /status and the page remain limited to loopback. Default false. Restart to
	// change.
	AllowPlain bool
	// AllowedHosts are names by which a reverse proxy or a port forward reaches
	// the listener, without port: over loopback, requests for these names also get
	// /metrics, /healthz and /readyz. The machine's own names and addresses need no
	// entry. With a WebConfigFile that encrypts and authenticates, they get /status and
	// the page as well, from anywhere. Default none. Restart to change.
	AllowedHosts []string
	// WebConfigFile is a file in the format of Prometheus' exporters with
	// tls_server_config, basic_auth_users, or both. It is read again when it or a file
	// that it names changes. Default none. Restart to change the path.
	WebConfigFile string
}

// Log controls what is written to standard error.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string
	// Format is auto, json or console; auto is console on a terminal. Default
	// auto. Restart to change.
	Format string
}
