package sdk

import (
	"cmp"
	"errors"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Requirement is something that a program needs the environment to configure, see
// [FromEnv].
type Requirement string

// The requirements, and the variables that must be set for each.
const (
	RequireOrchestration Requirement = "orchestration" // PEAQOS_ORCHESTRATION_URL; PEAQOS_API_KEY for most calls
	RequireMCR           Requirement = "mcr"           // a deployment with an MCR, or PEAQOS_MCR_API_URL
	RequireChain         Requirement = "chain"         // PEAQOS_RPC_URL
	RequireSigner        Requirement = "signer"        // PEAQOS_PRIVATE_KEY
)

// Env is the configuration that peaqOS clients read from the environment
// (mcr contract §1.2). Its printed form holds no secret.
type Env struct {
	OrchestrationURL string // PEAQOS_ORCHESTRATION_URL
	APIKey           Secret // PEAQOS_API_KEY, else PEAQOS_ORCH_API_KEY
	RPCURL           Secret // PEAQOS_RPC_URL; its path or query may be a key
	SVMRPCURL        Secret // PEAQOS_SVM_RPC_URL
	PrivateKey       Secret // PEAQOS_PRIVATE_KEY
	Deployment       Deployment
	MCRURL           string          // PEAQOS_MCR_API_URL, else the deployment's; empty when it has none
	Legacy           LegacyContracts // the six addresses of release 0.2.0
	Warnings         []string        // settings that have no effect, or look wrong
}

// FromEnv reads the environment. All errors are reported together, each with the name of
// its variable; errors.As finds the first *ConfigError. An empty variable is the same as an
// unset one, and white space around a value is removed, except around keys. An API key that no
// header can hold, such as one with a newline at its end, is an error. The variables
// of the requirements must be set; all others are optional, and checked if they are set.
func FromEnv(required ...Requirement) (*Env, error) {
	r := envReader{}
	e := &Env{
		OrchestrationURL: r.base("PEAQOS_ORCHESTRATION_URL"),
		RPCURL:           NewSecret(r.url("PEAQOS_RPC_URL")),
		SVMRPCURL:        NewSecret(r.url("PEAQOS_SVM_RPC_URL")),
		MCRURL:           r.base("PEAQOS_MCR_API_URL"),
		APIKey:           NewSecret(os.Getenv("PEAQOS_API_KEY")),
		PrivateKey:       r.key("PEAQOS_PRIVATE_KEY"),
	}
	name := "PEAQOS_API_KEY"
	if e.APIKey.IsZero() {
		name = "PEAQOS_ORCH_API_KEY"
		e.APIKey = NewSecret(os.Getenv(name))
	}
	if why := unsendable(strings.Trim(e.APIKey.Reveal(), " \t")); why != "" {
		r.fault(name, why)
	}
	r.deployment(e)
	r.legacy(e)
	for _, need := range required {
		r.require(need, e)
	}
	e.Warnings = r.warnings
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	return e, nil
}

// String is the part that may be printed: hosts, and whether keys are set.
func (e Env) String() string {
	return "sdk.Env(orchestration " + hostOnly(e.OrchestrationURL) + ", api key " + isSet(e.APIKey) + ", rpc " +
		hostOnly(e.RPCURL.Reveal()) +
		", private key " + isSet(e.PrivateKey) + ", deployment " + e.Deployment.ID + ", mcr " + hostOnly(e.MCRURL) + ")"
}

// GoString is String.
func (e Env) GoString() string { return e.String() }

// LogValue makes slog print String.
func (e Env) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText is String.
func (e Env) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Client makes a client of the orchestrator, with the API key if there is one. Errors:
// *ConfigError if PEAQOS_ORCHESTRATION_URL is not set.
func (e *Env) Client(opts ...Option) (*Client, error) {
	if !e.APIKey.IsZero() {
		opts = append([]Option{WithAPIKey(e.APIKey)}, opts...)
	}
	return New(e.OrchestrationURL, opts...)
}

// MCR makes a client of the MCR. Errors: *ConfigError if the deployment has none and
// PEAQOS_MCR_API_URL is not set.
func (e *Env) MCR(opts ...Option) (*MCR, error) { return NewMCR(e.MCRURL, opts...) }

// Chain makes a reader of the deployment's contracts. Errors: *ConfigError if
// PEAQOS_RPC_URL is not set.
func (e *Env) Chain(opts ...Option) (*Chain, error) {
	return NewChain(e.RPCURL.Reveal(), e.Deployment, opts...)
}

type envReader struct {
	faults   []error
	warnings []string
}

func (r *envReader) fault(name, message string) {
	r.faults = append(r.faults, &ConfigError{name, message})
}

func (r *envReader) get(name string) string { return strings.Trim(os.Getenv(name), " \t\r\n\v\f") }

// url reads an http or https URL. Any part of it may be a key, so errors do not repeat it.
func (r *envReader) url(name string) string {
	value := r.get(name)
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		r.fault(name, "must be a URL with http or https and a host")
	}
	return value
}

// base reads the URL of a service, which has no key in it.
func (r *envReader) base(name string) string {
	value := r.get(name)
	if value == "" {
		return ""
	}
	var fault *ConfigError
	if _, err := parseBase(value); errors.As(err, &fault) {
		r.fault(name, fault.Message)
	}
	return value
}

// key reads a private key: 0x and 64 hex digits, above 0 and below the curve's order.
func (r *envReader) key(name string) Secret {
	value := os.Getenv(name)
	if value == "" {
		return Secret{}
	}
	order, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	n := new(big.Int)
	if len(value) == 66 && isHex(value) {
		n.SetString(value[2:], 16)
	}
	if n.Sign() == 0 || n.Cmp(order) >= 0 {
		r.fault(name, "must be a private key: 0x and 64 hex digits, above 0 and below the curve's order")
	}
	return NewSecret(value)
}

func (r *envReader) deployment(e *Env) {
	id := cmp.Or(r.get("PEAQOS_DEPLOYMENT_ID"), DefaultDeployment)
	d, err := LookupDeployment(id)
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	e.Deployment = d
	if e.MCRURL != "" {
		r.warnings = append(r.warnings, "PEAQOS_MCR_API_URL is used instead of the MCR of "+id+"; clients of release 0.12.1 ignore it")
		return
	}
	e.MCRURL = d.MCRURL
}

// legacy reads the addresses of release 0.2.0, which later Python clients ignore.
func (r *envReader) legacy(e *Env) {
	any := false
	for _, v := range []struct {
		name string
		to   *string
	}{
		{"IDENTITY_REGISTRY_ADDRESS", &e.Legacy.IdentityRegistry},
		{"IDENTITY_STAKING_ADDRESS", &e.Legacy.IdentityStaking},
		{"EVENT_REGISTRY_ADDRESS", &e.Legacy.EventRegistry},
		{"MACHINE_NFT_ADDRESS", &e.Legacy.MachineNFT},
		{"DID_REGISTRY_ADDRESS", &e.Legacy.DIDRegistry},
		{"BATCH_PRECOMPILE_ADDRESS", &e.Legacy.BatchPrecompile},
	} {
		value := r.get(v.name)
		switch {
		case value == "":
			continue
		case !isAddress(value):
			r.fault(v.name, "must be an address: 0x and 40 hex digits")
		case strings.Trim(value[2:], "0") == "":
			r.fault(v.name, "must not be the zero address")
		case !checksumFits(value):
			r.warnings = append(r.warnings, v.name+" fails its checksum")
		}
		*v.to, any = value, true
	}
	if any {
		r.warnings = append(
			r.warnings,
			"addresses of release 0.2.0 are set: only LegacyMachine uses them, all other reads use the deployment "+e.Deployment.ID,
		)
	}
}

func (r *envReader) require(need Requirement, e *Env) {
	missing := func(name string) { r.fault(name, "is required for "+string(need)+" and is not set") }
	switch {
	case need == RequireOrchestration && e.OrchestrationURL == "":
		missing("PEAQOS_ORCHESTRATION_URL")
	case need == RequireChain && e.RPCURL.IsZero():
		missing("PEAQOS_RPC_URL")
	case need == RequireSigner && e.PrivateKey.IsZero():
		missing("PEAQOS_PRIVATE_KEY")
	case need == RequireMCR && e.MCRURL == "" && e.Deployment.ID != "":
		r.fault("PEAQOS_DEPLOYMENT_ID", "is "+e.Deployment.ID+", which has no MCR; set PEAQOS_MCR_API_URL or another deployment")
	}
}

// hostOnly returns the parts of a URL that cannot be a key.
func hostOnly(raw string) string {
	u, err := url.Parse(raw)
	if raw == "" || err != nil {
		return "unset"
	}
	return u.Scheme + "://" + u.Host
}

func isSet(s Secret) string {
	if s.IsZero() {
		return "unset"
	}
	return wire.Redacted
}
