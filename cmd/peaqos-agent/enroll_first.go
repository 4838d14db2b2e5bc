package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/discover"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// The first contact: enroll on a machine that has no configuration yet. With
// --write-config the flags are the configuration; on a terminal the same is asked.

// prepareConfig writes the configuration of a machine that has none, from the flags or
// from the answers of a person. Otherwise it changes nothing.
func (a *app) prepareConfig(ctx context.Context, req *agent.EnrollRequest, flags *enrollFlags) error {
	path, exists := config.Source{Path: a.config, Env: a.env}.File()
	if flags.writeConfig {
		endpoints, err := givenEndpoints(flags.endpoints)
		if err != nil {
			return err
		}
		return a.writeFirst(ctx, path, req, flags, endpoints)
	}
	if len(flags.endpoints) > 0 {
		return usageProblem("--endpoint is for a new configuration", "add --write-config, or write the endpoint into "+path)
	}
	asks := path == config.DefaultPath && a.mayAsk() && onlyDefaults(path)
	if exists && !asks || flags.grant != "" || flags.grantOut != "" || req.DryRun {
		return nil
	}
	// Without a file, the environment may be the configuration.
	cfg, err := config.Load(config.Source{NoFile: true, Env: a.env, Flags: a.flags()})
	if err != nil {
		return err
	}
	m := cfg.Machines[0]
	switch {
	case path == config.DefaultPath && len(m.Endpoints) > 0:
		return nil
	case a.mayAsk():
		return a.askFirst(ctx, cfg, path, req, flags)
	case path != config.DefaultPath, req.MachineID == "" && req.IdentityRef == "" && m.ID == "" && m.IdentityRef == "" && m.IdentityRefFile == "":
		return status.NewProblem(status.CodeConfig, config.NoFileText(path)).
			Advise("write it, or create it here: add --identity-ref did:peaq:NUMBER (or --machine-id mach_…), " +
				"--endpoint KEY=URL, and --write-config; on a terminal, enroll asks for all of this")
	}
	return nil
}

// givenEndpoints reads the values of --endpoint.
func givenEndpoints(given []string) ([]config.Endpoint, error) {
	var out []config.Endpoint
	for _, text := range given {
		e, fault := endpointOf(text)
		if fault == "" {
			fault = config.EndpointsFault(append(out, e))
		}
		if fault != "" {
			return nil, usageProblem("--endpoint "+fmt.Sprintf("%.100q", text)+" "+fault, "write it as --endpoint qvac=http://127.0.0.1:11435")
		}
		out = append(out, e)
	}
	return out, nil
}

// endpointOf reads KEY=URL, or KEY=URL,MODEL, and fills in the probe path of a runtime
// that is known. fault is the end of a sentence.
func endpointOf(text string) (e config.Endpoint, fault string) {
	key, rest, found := strings.Cut(text, "=")
	base, alias, _ := strings.Cut(rest, ",")
	if !found {
		return e, "is not KEY=URL"
	}
	if fault := config.ProviderKeyFault(key); fault != "" {
		return e, "has a provider key that " + fault
	}
	return config.Endpoint{
		ProviderKey: key, BaseURL: base, ProbePath: discover.ProbePath(key), ModelAlias: alias, NetworkScope: scopeOf(base),
	}, ""
}

// scopeOf is the network scope of an endpoint, as far as its URL tells it.
func scopeOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || config.IsLoopbackHost(u.Hostname()) {
		return "loopback"
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && config.AddressAllowed("public", addr) {
		return "public"
	}
	return "lan"
}

// onlyDefaults reports whether a configuration file sets nothing, as the one that a
// package installs: the machine has no configuration yet.
func onlyDefaults(path string) bool {
	none, c, err := withoutAndWith(path)
	return err == nil && config.FileText(c) == config.FileText(none)
}

// withoutAndWith loads the defaults, and a configuration file over them.
func withoutAndWith(path string) (none, c *config.Config, err error) {
	if c, err = config.Load(config.Source{Path: path}); err != nil {
		return nil, nil, err
	}
	none, err = config.Load(config.Source{NoFile: true})
	return none, c, err
}

// writeFirst writes a new configuration file, in the place of one that sets nothing; one
// that has the same text already is fine. A running agent, which waits for its enrollment, reads it again.
func (a *app) writeFirst(ctx context.Context, path string, req *agent.EnrollRequest, flags *enrollFlags, endpoints []config.Endpoint) error {
	text := config.FileText(a.firstConfig(req, endpoints))
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == text:
		return nil
	case err == nil && onlyDefaults(path):
		if !a.canWrite(path) {
			return a.needsRoot(path, req, flags, endpoints)
		}
	case err == nil:
		return status.NewProblem(status.CodeFileExists, path+" has another text, and was not changed").
			Advise("drop --write-config to use it as it is; peaqos-agent endpoints discover --write adds a runtime to it")
	case errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) && !a.canWrite(path):
		return a.needsRoot(path, req, flags, endpoints)
	case !errors.Is(err, os.ErrNotExist):
		return a.cannotWrite(path, err)
	}
	if err := a.replaceConfig(path, old, []byte(text)); err != nil {
		return err
	}
	a.progress("wrote " + path)
	cfg, err := a.read()
	if err != nil {
		return err
	}
	admin, err := agent.FindAdmin(ctx, cfg)
	if err != nil || admin == nil {
		return nil // enroll itself reports what is wrong with it
	}
	if path == config.DefaultPath && serviceActive(ctx) && changesDefaults(path) {
		return a.restartWaiting()
	}
	_, err = admin.Reload(ctx)
	return err
}

// changesDefaults reports whether an agent that runs with the defaults must be restarted
// to use the file, as for another orchestrator.
func changesDefaults(path string) bool {
	none, c, err := withoutAndWith(path)
	if err != nil {
		return false
	}
	_, restart := config.Diff(none, c)
	return len(restart) > 0
}

// serviceActive reports whether the agent runs as the service.
func serviceActive(ctx context.Context) bool {
	if !systemdRuns() {
		return false
	}
	v, err := showService(ctx)
	return err == nil && v.Running
}

// restartWaiting restarts the service, which waits for its enrollment.
func (a *app) restartWaiting() error {
	s, err := systemdService(systemd.Unit())
	if err != nil {
		return err
	}
	a.progress("restarting the service with the new configuration")
	return s.Restart()
}

// firstConfig is the configuration that the flags describe: only what is not a default.
func (a *app) firstConfig(req *agent.EnrollRequest, endpoints []config.Endpoint) *config.Config {
	c := &config.Config{Machines: []config.Machine{{ID: req.MachineID, Endpoints: endpoints}}}
	if req.MachineID == "" {
		c.Machines[0].IdentityRef = req.IdentityRef
	}
	c.Orchestrator.URL, c.Keystore.Volatile = a.url, a.volatile
	if a.dir != "" {
		c.Keystore.Dir = a.dir
		if absolute, err := filepath.Abs(a.dir); err == nil {
			c.Keystore.Dir = absolute // a path in the file starts at the file's directory
		}
	}
	return c
}

// canWrite reports whether this user may create the file, and the store beside it.
func (a *app) canWrite(path string) bool {
	dir := a.dir
	if dir == "" {
		if cfg, err := config.Load(config.Source{NoFile: true, Env: a.env}); err == nil {
			dir = cfg.Keystore.Dir
		}
	}
	return writable(filepath.Dir(path)) && writable(dir)
}

// writable reports whether this user may write in a directory, or in the nearest one
// above it that exists.
func writable(dir string) bool {
	for {
		_, err := os.Stat(dir)
		if err == nil || dir == filepath.Dir(dir) {
			return unix.Access(dir, unix.W_OK) == nil
		}
		dir = filepath.Dir(dir)
	}
}

// needsRoot is the problem of an ordinary user; it contains the command to run instead.
func (a *app) needsRoot(path string, req *agent.EnrollRequest, flags *enrollFlags, endpoints []config.Endpoint) error {
	p := status.NewProblem(status.CodeNotPermitted, path+" and the store belong to root; nothing was written or sent")
	return p.Advise("run:\nsudo " + a.enrollLine(path, req, flags, endpoints))
}

// enrollLine is the command that does without questions what was asked. The global flags
// --config and --keystore-dir are added where the error is printed.
func (a *app) enrollLine(path string, req *agent.EnrollRequest, flags *enrollFlags, endpoints []config.Endpoint) string {
	words := []string{"peaqos-agent enroll"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag+" "+config.ShellWord(value))
		}
	}
	file := func(flag, name string) {
		if name != "" && name != "-" {
			if absolute, err := filepath.Abs(name); err == nil {
				name = absolute
			}
		}
		add(flag, name)
	}
	if a.config == "" && path != config.DefaultPath {
		add("--config", path)
	}
	add("--orchestrator-url", a.url)
	add("--machine-id", req.MachineID)
	if req.MachineID == "" {
		add("--identity-ref", req.IdentityRef)
	}
	for _, e := range endpoints {
		spec := e.ProviderKey + "=" + e.BaseURL
		if e.ModelAlias != "" {
			spec += "," + e.ModelAlias
		}
		add("--endpoint", spec)
	}
	file("--api-key-file", flags.apiKeyFile)
	file("--controller-key-file", flags.controllerFile)
	add("--sign-with", flags.signWith)
	return strings.Join(append(words, "--write-config"), " ")
}

// askFirst asks for what the flags do not say, shows the configuration, and writes it if
// the person agrees.
func (a *app) askFirst(ctx context.Context, cfg *config.Config, path string, req *agent.EnrollRequest, flags *enrollFlags) error {
	k := a.asker()
	what := path + " sets nothing yet."
	if !onlyDefaults(path) {
		what = "No configuration file was found (looked at " + path + ")."
	}
	k.say("%s\nA few questions, then it is written and this machine is enrolled. Ctrl-C ends this.\n", what)
	if err := a.askOrchestrator(k, cfg); err != nil {
		return err
	}
	if err := a.askIdentity(k, cfg, req); err != nil {
		return err
	}
	if err := a.askKeys(ctx, k, req, flags); err != nil {
		return err
	}
	endpoints, err := a.askEndpoints(ctx, k)
	if err != nil {
		return err
	}
	k.say("\n%s:\n\n%s", path, indented(config.FileText(a.firstConfig(req, endpoints)), "  "))
	if !a.canWrite(path) {
		return a.needsRoot(path, req, flags, endpoints)
	}
	yes, err := k.yes("Write it, and enroll this machine?")
	if err != nil {
		return err
	}
	if !yes {
		return status.NewProblem(status.CodeInterrupted, "nothing was written or sent").
			Advise("to do the same without questions, run:\n" + a.enrollLine(path, req, flags, endpoints))
	}
	return a.writeFirst(ctx, path, req, flags, endpoints)
}

// askOrchestrator asks for the orchestrator's URL.
func (a *app) askOrchestrator(k *asker, cfg *config.Config) error {
	if a.url != "" {
		return nil
	}
	preset := cfg.Orchestrator.URL
	answer, err := k.ask("Orchestrator", preset, func(text string) string {
		_, err := config.Load(config.Source{NoFile: true, Env: a.env, Flags: map[string]string{"orchestrator.url": text}})
		var bad *config.Error
		if errors.As(err, &bad) {
			return bad.Problems[0].Text
		}
		return ""
	})
	if answer != preset {
		a.url = answer
	}
	return err
}

// askIdentity asks which machine this is.
func (a *app) askIdentity(k *asker, cfg *config.Config, req *agent.EnrollRequest) error {
	m := cfg.Machines[0]
	if req.MachineID != "" || req.IdentityRef != "" || m.ID != "" || m.IdentityRef != "" {
		return nil
	}
	k.say("\nThe machine's identity is a DID: \"peaqos activate\" of the peaq CLI creates it, and shows its number.\n" +
		"With neither a DID nor an API key, leave this empty: a sandbox on this computer needs none.")
	answer, err := k.ask("Identity (did:peaq:NUMBER), or the machine's ID (mach_…)", "", func(text string) string {
		switch {
		case text == "" || strings.HasPrefix(text, "mach_") && config.IDFault(text) == "":
			return ""
		case strings.HasPrefix(text, "mach_"):
			return "the ID " + config.IDFault(text)
		}
		if fault := config.IdentityRefFault(text, cfg.Orchestrator.IdentityRefs); fault != "" {
			return "the identity " + fault
		}
		return ""
	})
	switch {
	case err != nil:
		return err
	case answer == "":
		return status.NewProblem(status.CodeIdentityMissing, "nothing was written or sent").
			Advise("try it on this computer: peaqos-agent sandbox --with-runtime prints the commands; or peaqos-agent demo, which installs nothing")
	case strings.HasPrefix(answer, "mach_"):
		req.MachineID = answer
	default:
		req.IdentityRef = answer
	}
	return nil
}

// askKeys asks where the keys are: the API key unless the orchestrator is open, the
// controller's unless the machine is registered.
func (a *app) askKeys(ctx context.Context, k *asker, req *agent.EnrollRequest, flags *enrollFlags) error {
	cfg, err := config.Load(config.Source{NoFile: true, Env: a.env, Flags: a.flags()})
	if err != nil {
		return err
	}
	client := func(key sdk.Secret) (*sdk.Client, error) { return agent.NewClient(cfg, version, key) }
	api, err := client(sdk.Secret{})
	if err != nil {
		return err
	}
	_, err = api.Machines.List(ctx, sdk.ListOptions{Limit: sdk.Some(1)})
	var refused *sdk.APIError
	required := errors.As(err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden)
	if err != nil && !required {
		return err
	}
	key := sdk.Secret{}
	if required {
		if name, _, _, _ := config.APIKeyFromEnv(a.env); name == "" && flags.apiKeyFile == "" {
			k.say("\nThe orchestrator requires the API key of your peaq account, once: it is not stored.")
			if flags.apiKeyFile, err = k.ask("File with the API key", "", secretFileFault); err != nil {
				return err
			}
		}
		if key, err = a.apiKey(flags.apiKeyFile); err != nil {
			return err
		}
	} else {
		k.say("\nThis orchestrator requires no API key.")
	}
	if req.IdentityRef == "" || flags.controllerFile != "" || flags.signWith != "" {
		return nil
	}
	if api, err = client(key); err != nil {
		return err
	}
	_, err = agent.FindMachine(ctx, api, req.IdentityRef)
	var p *status.Problem
	switch {
	case err == nil:
		k.say("%s is registered: no controller key is needed.", req.IdentityRef)
		return nil
	case !errors.As(err, &p) || p.Code != status.CodeMachineNotListed:
		return err
	}
	k.say("\n%s is not registered yet. Its controller's key signs that once, and is not stored.\n"+
		"Leave this empty to sign elsewhere, for example in a wallet.", req.IdentityRef)
	flags.controllerFile, err = k.ask("File with the controller's key", "", func(path string) string {
		if path == "" {
			return ""
		}
		return secretFileFault(path)
	})
	if flags.controllerFile == "" {
		flags.signWith = "prompt"
	}
	return err
}

// secretFileFault is why a file with a secret cannot be used, as a sentence.
func secretFileFault(path string) string {
	if path == "" {
		return "give the path of a file"
	}
	b, err := keystore.ReadSecretFile(path)
	clear(b)
	if err == nil {
		return ""
	}
	p := agent.Explain(err)
	return strings.Trim(p.Message+": "+p.Detail, ": ") + "; " + p.Next
}

// askEndpoints asks which of the runtimes on this machine to publish.
func (a *app) askEndpoints(ctx context.Context, k *asker) ([]config.Endpoint, error) {
	k.say("\nLooking for runtimes on this machine …")
	found := toAdd(compared(&config.Config{}, discover.Find(ctx, discover.Candidates(telemetry.Listening()))), nil)
	for i, e := range found {
		model := ""
		if e.ModelAlias != "" {
			model = ", model " + e.ModelAlias
		}
		k.say("  %d  %s at %s%s", i+1, e.ProviderKey, e.BaseURL, model)
	}
	question, preset := "Which to publish? Numbers, or KEY=URL; empty for none yet", ""
	switch len(found) {
	case 0:
		question = "None was found. To publish one, write KEY=URL, such as qvac=http://127.0.0.1:11435; empty for none yet"
	case 1:
		question, preset = "Publish it? Its number, KEY=URL for another, or none", "1"
	}
	var chosen []config.Endpoint
	_, err := k.ask(question, preset, func(answer string) (fault string) {
		chosen, fault = chooseEndpoints(answer, found)
		return fault
	})
	return chosen, err
}

// chooseEndpoints reads an answer: numbers and KEY=URL, separated by spaces or commas.
func chooseEndpoints(answer string, found []config.Endpoint) (chosen []config.Endpoint, fault string) {
	if answer == "none" {
		return nil, ""
	}
	for _, word := range strings.FieldsFunc(answer, func(c rune) bool { return c == ' ' || c == ',' }) {
		e, fault := config.Endpoint{}, ""
		if n, err := strconv.Atoi(word); err != nil {
			e, fault = endpointOf(word)
		} else if n >= 1 && n <= len(found) {
			e = found[n-1]
		} else {
			fault = "is not one of the numbers"
		}
		if fault != "" {
			return nil, fmt.Sprintf("%.100q %s", word, fault)
		}
		chosen = append(chosen, e)
	}
	return chosen, config.EndpointsFault(chosen)
}

// showNext prints what to run after an enrollment.
func (a *app) showNext(ctx context.Context, cfg *config.Config) error {
	if a.json {
		return nil
	}
	next := "peaqos-agent run"
	admin, err := agent.FindAdmin(ctx, cfg)
	switch {
	case err == nil && admin != nil:
		next = "peaqos-agent status"
	case systemdRuns():
		next = "peaqos-agent service install"
		if unitInstalled() {
			next = "peaqos-agent service start"
		} else if flags := a.globalFlags(); flags != "" {
			next += " " + flags
		}
	}
	_, err = fmt.Fprintf(a.out, "Next: %s\n", status.ForReader(next, a.reader()))
	return err
}
