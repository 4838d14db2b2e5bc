package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// frugalGC trades CPU time, of which a fleet needs little, for memory: ten thousand machines then
// fit into 64 MiB.
const frugalGC = 25

// sandboxFlags are the flags of the sandbox command.
type sandboxFlags struct {
	listen, admin, tlsDir              string
	apiKeyFile, state, scenario        string
	controllers, rpc                   []string
	leaseMax, challengeTTL, sessionTTL time.Duration
	quoteTTL                           time.Duration
	pairingNeedsKey, enforceRails      bool
	paging, identityRefs               string
	trustFirst, withRuntime            bool
	callLoopback                       bool
	keyed                              bool // an API key was given
}

func (a *app) sandboxCmd() *cobra.Command {
	var given sandboxFlags
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a local orchestrator for trying and testing",
		Long: "Runs a local orchestrator for trying and testing. It prints \"listening on URL\" when it is ready;\n" +
			"the page at that URL shows machines, leases and orders. For what it serves, what it assumes and the\n" +
			"faults it can inject, see: go doc github.com/peaqnetwork/peaqos-agent/sdk/sandbox",
		Example: `  peaqos-agent sandbox --with-runtime
  peaqos-agent sandbox --controller 0xADDRESS
  peaqos-agent sandbox --listen 0.0.0.0:8787 --tls ca --api-key-file key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if given.scenario == "list" {
				return a.listScenarios()
			}
			opts, err := a.sandboxOptions(&given)
			if err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(frugalGC)
			}
			if os.Getenv("GOMAXPROCS") == "" {
				runtime.SetDefaultGOMAXPROCS() // main set it to one
			}
			return a.serveSandbox(cmd.Context(), &given, opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&given.listen, "listen", "127.0.0.1:8787", "HOST:PORT; loopback only without --tls; port 0 picks a free port")
	f.StringVar(&given.apiKeyFile, "api-key-file", "", "file with the API key required for platform calls; without it the API is open")
	f.StringArrayVar(&given.controllers, "controller", nil,
		"0xADDRESS that controls every decimal identity, or ID=0xADDRESS for one (repeatable)")
	f.StringVar(&given.state, "state", "", "file that keeps the state across restarts")
	f.StringVar(&given.scenario, "scenario", "", "inject faults from the start: a scenario's name or file; \"list\" describes them")
	f.StringVar(&given.admin, "admin", "", "HOST:PORT on loopback for the admin interface: faults, scenarios, restarts, state")
	f.StringVar(&given.tlsDir, "tls", "", "serve https with a certificate authority created in this directory; allows other devices")
	f.DurationVar(&given.leaseMax, "lease-max", 0, "longest lease to grant")
	f.DurationVar(&given.challengeTTL, "challenge-ttl", 0, "lifetime of a challenge (default 5m)")
	f.DurationVar(&given.sessionTTL, "session-ttl", 0, "lifetime of a pairing token (default 24h)")
	f.DurationVar(&given.quoteTTL, "quote-ttl", 0, "lifetime of a market quote (default 10m)")
	f.BoolVar(&given.pairingNeedsKey, "pairing-needs-key", false, "also require the API key on pairing calls")
	f.BoolVar(&given.enforceRails, "enforce-rails", false, "reject a payment rail that the service does not list")
	f.StringVar(&given.paging, "paging", sandbox.PagingOffset,
		"offset: pages as on the real service, where items can come twice or be missed; sequence: stable pages")
	f.StringVar(&given.identityRefs, "identity-refs", sandbox.RefsAny, "any, or decimal: reject did:peaq:0xADDRESS")
	f.BoolVar(&given.trustFirst, "trust-first-signer", false,
		"without --controller: the first address that signs for an identity becomes its controller")
	f.BoolVar(&given.withRuntime, "with-runtime", false,
		"also start a runtime, and print the commands that enroll and run an agent with it; for a trial")
	f.BoolVar(&given.callLoopback, "call-loopback", false,
		"with --tls on a network address: also call endpoints on loopback addresses of this computer")
	f.StringArrayVar(&given.rpc, "rpc", nil,
		"CHAIN=URL of the JSON-RPC server for looking up payments, or URL for every chain (repeatable)")
	return cmd
}

// sandboxOptions converts the flags to options of the sandbox package.
func (a *app) sandboxOptions(given *sandboxFlags) ([]sandbox.Option, error) {
	opts, err := controllerOptions(given.controllers)
	if err != nil {
		return nil, err
	}
	key, err := a.apiKey(given.apiKeyFile)
	if err != nil {
		return nil, err
	}
	if err := given.checkListeners(!key.IsZero()); err != nil {
		return nil, err
	}
	if given.keyed = !key.IsZero(); given.keyed {
		opts = append(opts, sandbox.WithAPIKey(key.Reveal()))
	}
	opts = append(opts, sandbox.WithPaging(given.paging), sandbox.WithIdentityRefs(given.identityRefs))
	if given.trustFirst {
		opts = append(opts, sandbox.WithTrustFirstSigner())
	}
	if given.tlsDir != "" {
		host, _, _ := net.SplitHostPort(given.listen)
		opts = append(opts, sandbox.WithHosts(certificateNames(host)...))
	}
	if !given.callsLoopback() {
		opts = append(opts, sandbox.WithoutLoopbackCalls())
	}
	for _, d := range []struct {
		given  time.Duration
		option func(time.Duration) sandbox.Option
	}{
		{given.leaseMax, sandbox.WithLeaseMax},
		{given.challengeTTL, sandbox.WithChallengeTTL},
		{given.sessionTTL, sandbox.WithSessionTTL},
		{given.quoteTTL, sandbox.WithQuoteTTL},
	} {
		if d.given != 0 {
			opts = append(opts, d.option(d.given))
		}
	}
	if given.pairingNeedsKey {
		opts = append(opts, sandbox.WithPairingKey())
	}
	if given.enforceRails {
		opts = append(opts, sandbox.WithEnforcedRails())
	}
	for _, r := range given.rpc {
		chain, url, named := strings.Cut(r, "=")
		if !named || strings.Contains(chain, ":") {
			chain, url = "", r
		}
		opts = append(opts, sandbox.WithRPC(chain, url))
	}
	if given.state != "" {
		opts = append(opts, sandbox.WithStateFile(given.state))
	}
	if given.scenario != "" {
		script, err := scenarioGiven(given.scenario)
		if err != nil {
			return nil, err
		}
		opts = append(opts, sandbox.WithScenario(script))
	}
	return opts, nil
}

func controllerOptions(given []string) ([]sandbox.Option, error) {
	var opts []sandbox.Option
	for _, c := range given {
		ref, addr, named := strings.Cut(c, "=")
		if !named {
			ref, addr = "", c
		} else if !strings.Contains(ref, ":") {
			ref = "did:peaq:" + ref
		}
		if !isAddress(addr) || (ref != "" && config.IdentityRefFault(ref, "decimal") != "") {
			return nil, status.NewProblem(status.CodeController, fmt.Sprintf("%.100q", c))
		}
		opts = append(opts, sandbox.WithController(ref, addr))
	}
	return opts, nil
}

// isAddress reports whether text is 0x and 40 hex digits.
func isAddress(text string) bool {
	digits, ok := strings.CutPrefix(text, "0x")
	_, err := hex.DecodeString(digits)
	return ok && len(digits) == 40 && err == nil
}

// scenarioGiven returns a named scenario, or one from a file.
func scenarioGiven(given string) (sandbox.Script, error) {
	script, err := sandbox.Scenario(given)
	if err == nil {
		return script, nil
	}
	if _, statErr := os.Stat(given); errors.Is(statErr, os.ErrNotExist) {
		return script, scenarioProblem(err.Error(), "use one of these names or an existing file")
	}
	if script, err = sandbox.LoadScenario(given); err != nil {
		return script, scenarioProblem(err.Error(), "for the format see: go doc github.com/peaqnetwork/peaqos-agent/sdk/sandbox.Script")
	}
	return script, nil
}

func scenarioProblem(known, next string) error {
	return status.NewProblem(status.CodeScenario, known).Advise(next)
}

// listScenarios describes each named scenario in a paragraph.
func (a *app) listScenarios() error {
	type scenario struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	var all []scenario
	for _, name := range sandbox.ScenarioNames() {
		script, err := sandbox.Scenario(name)
		if err != nil {
			return err
		}
		all = append(all, scenario{name, script.Description})
	}
	if a.json {
		return a.list(all)
	}
	for _, s := range all {
		if _, err := fmt.Fprintf(a.out, "%s\n%s\n", s.Name, wrapped(s.Description, "  ", 88)); err != nil {
			return err
		}
	}
	return nil
}

// wrapped breaks a paragraph into indented lines of at most width characters.
func wrapped(text, indent string, width int) string {
	var out strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			out.WriteString(indent)
			column = len(indent)
		case column+1+len(word) > width:
			out.WriteString("\n" + indent)
			column = len(indent)
		default:
			out.WriteString(" ")
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String() + "\n"
}

// serveSandbox listens, prints the addresses, and serves until the context ends.
func (a *app) serveSandbox(ctx context.Context, given *sandboxFlags, opts []sandbox.Option) error {
	trial, err := given.newTrial()
	if err != nil {
		return err
	}
	defer trial.close()
	if trial.controller != "" && !given.trustFirst {
		opts = append(opts, sandbox.WithController("", trial.controller))
	}
	if trial.apiKey != "" {
		opts = append(opts, sandbox.WithAPIKey(trial.apiKey))
	}
	s, err := sandbox.Open(opts...)
	if err != nil {
		return status.NewProblem(status.CodeSandbox, err.Error())
	}
	servers, err := a.bindSandbox(given, s, trial)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(serveAll(ctx, servers), s.Close())
}
