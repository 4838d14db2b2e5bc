package doctor

import (
	"context"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Facts is everything that a diagnosis is made from.
type Facts struct {
	Version string
	Reader  status.Reader // of the commands that are printed
	Now     time.Time
	User    int // who runs this
	// Config is nil when the configuration is not valid; ConfigError is why.
	Config      *config.Config
	ConfigError error
	// Writable says how another user could change the configuration or ca_file.
	Writable []string
	Unit     Unit

	Environment []status.Problem // warnings of agent.CheckEnvironment
	KeyFile     *status.Problem  // why the API key that the environment names cannot be read
	Variable    *status.Problem  // a proxy variable that cannot be used
	NoRoots     bool             // the system has no root certificates
	Store       keystore.Survey
	// View is the state of the running agent, or without one what the store holds; nil when
	// there is no store or ViewError says why it was not read.
	View      *status.View
	ViewError *status.Problem
	AllowList []string // endpoints that the orchestrator will refuse, as far as the store knows
	Listener  error    // why the telemetry port is not free, without a running agent
	Reach     agent.Reach
	Endpoints []Endpoint
	Accounts  []Account // with an API key: one for each enrolled machine
}

// Endpoint is one configured endpoint and what its probe found.
type Endpoint struct {
	Machine string
	config.Endpoint
	agent.Finding
}

// Account is what the orchestrator lists of one machine.
type Account struct {
	Machine   string
	Err       *status.Problem
	Agents    []sdk.MachineAgent
	Endpoints []sdk.RuntimeEndpoint
}

// Unit is the systemd unit of the agent; zero without systemd or without a unit.
type Unit struct {
	Path    string
	Text    string
	Current string // as this version would write it
	DropIns []DropIn
	// Failing says that the service does not stay up; empty: it does, or is stopped.
	Failing  string
	Restarts int
}

// DropIn is a file that changes the unit.
type DropIn struct{ Path, Text string }

// Request says what to gather. Everything but Version may be empty.
type Request struct {
	Version  string
	APIKey   sdk.Secret
	KeyFile  *status.Problem // why there is no APIKey, although the environment names one
	Writable []string
	Unit     Unit
	// StatusOverHTTP reads the state of an agent whose admin socket this user may not use.
	StatusOverHTTP func(context.Context) (status.View, error)
	// Recognize says what responds at an endpoint, if it is not what the configuration calls
	// it, beyond what the probe shows.
	Recognize func(context.Context, config.Endpoint) string
	// Budget bounds the request to the orchestrator; 0 is 10 s.
	Budget time.Duration
	// Reader is who reads the commands that are printed.
	Reader status.Reader
	// HostRoot is where the facts of the host are read, / when empty.
	HostRoot string
}

// Gather collects the facts about a configuration that is valid. It makes, changes and
// publishes nothing.
func Gather(ctx context.Context, cfg *config.Config, req Request) Facts {
	f := Facts{
		Version: req.Version, Reader: req.Reader, Now: time.Now(), User: os.Geteuid(), Config: cfg, KeyFile: req.KeyFile, Writable: req.Writable, Unit: req.Unit,
		NoRoots: connect.NoSystemRoots(),
	}
	var err error
	if f.Environment, err = agent.CheckEnvironment(cfg); err != nil {
		f.Variable = agent.Explain(err)
	}
	f.Store = keystore.Look(cfg.Keystore.Dir)
	f.gatherState(ctx, req)
	if !f.running() && !f.notPermitted() && cfg.Telemetry.Listen != "" {
		f.Listener = telemetry.CheckListen(cfg.Telemetry)
	}
	budget := req.Budget
	if budget == 0 {
		budget = 10 * time.Second
	}
	asking, cancel := context.WithTimeout(ctx, budget)
	f.Reach = agent.AskHealth(asking, cfg, req.Version)
	cancel()
	for _, m := range cfg.Machines {
		for _, e := range m.Endpoints {
			found := agent.CheckEndpoint(ctx, e)
			if found.Notice == "" && req.Recognize != nil {
				found.Notice = req.Recognize(ctx, e)
			}
			f.Endpoints = append(f.Endpoints, Endpoint{m.Name, e, found})
		}
	}
	if !req.APIKey.IsZero() && f.View != nil && f.Reach.Cause == nil {
		f.gatherAccounts(ctx, req)
	}
	return f
}

// notPermitted reports whether this user may not look at the store or ask the agent.
func (f *Facts) notPermitted() bool {
	var unsafe *keystore.UnsafeError
	return f.ViewError != nil && f.ViewError.Code == status.CodeNotPermitted || errors.Is(f.Store.Err, os.ErrPermission) ||
		f.User != 0 && errors.As(f.Store.Err, &unsafe) && unsafe.Dir && unsafe.Problem == keystore.FileWrongOwner
}

// running reports whether an agent runs on the store.
func (f *Facts) running() bool { return f.View != nil && f.View.PID != 0 }

// gatherState reads the state of the running agent. Without one the store is opened as
// the status command does, but only if that changes nothing: opening corrects modes.
func (f *Facts) gatherState(ctx context.Context, req Request) {
	failed := func(err error) { f.ViewError = agent.Explain(err) }
	admin, err := agent.FindAdmin(ctx, f.Config)
	switch {
	case admin != nil:
		view, err := admin.Status(ctx)
		if err != nil {
			failed(err)
			return
		}
		f.View = &view
		f.gatherAllowList(ctx, admin)
	case err != nil:
		failed(err)
		if req.StatusOverHTTP != nil {
			if view, err := req.StatusOverHTTP(ctx); err == nil {
				f.View, f.ViewError = &view, nil
			}
		}
	case f.Store.Err != nil:
		failed(f.Store.Err)
	case !f.Store.Exists:
		if _, err := agent.StoreExists(f.Config); err != nil {
			failed(err)
		}
	case f.Store.Exists && len(f.Store.Reachable())+len(f.Store.Interrupted()) == 0:
		ag, err := agent.New(ctx, f.Config, agent.Options{Version: req.Version, NoAdmin: true, HostRoot: req.HostRoot})
		if err != nil {
			failed(err)
			return
		}
		view := ag.View()
		f.gatherAllowList(ctx, ag)
		if err := ag.Close(); err != nil {
			failed(err)
		}
		f.View = &view
	}
}

// gatherAllowList compares the endpoints with what the store was enrolled for.
func (f *Facts) gatherAllowList(ctx context.Context, owner identities) {
	if ids, err := owner.Identities(ctx); err == nil {
		f.AllowList = agent.AllowListWarnings(f.Config, ids)
	}
}

// identities is the owner of a store: *agent.Admin, the running agent, or *agent.Agent in
// this process.
type identities interface {
	Identities(context.Context) ([]agent.Identity, error)
}

// gatherAccounts reads what the orchestrator lists of each enrolled machine.
func (f *Facts) gatherAccounts(ctx context.Context, req Request) {
	api, err := agent.NewClient(f.Config, req.Version, req.APIKey)
	for _, m := range f.View.Machines {
		if m.MachineID == "" || m.AgentID == "" {
			continue
		}
		a := Account{Machine: m.Name}
		if err == nil {
			a.Agents, err = agent.ListAgents(ctx, api, m.MachineID)
		}
		if err == nil {
			var page *sdk.Page[sdk.RuntimeEndpoint]
			if page, err = api.RuntimeEndpoints.List(ctx, m.MachineID, sdk.ListOptions{}); err == nil {
				a.Endpoints = page.Items
			}
		}
		if err != nil {
			a.Err = agent.Explain(err)
		}
		f.Accounts = append(f.Accounts, a)
	}
}

// https reports whether the orchestrator is reached over TLS.
func (f *Facts) https() bool {
	u, err := url.Parse(f.Config.Orchestrator.URL)
	return err == nil && u.Scheme == "https"
}

// invalid is the list of what is wrong with the configuration; nil for another error.
func (f *Facts) invalid() *config.Error {
	var invalid *config.Error
	if errors.As(f.ConfigError, &invalid) {
		return invalid
	}
	return nil
}
