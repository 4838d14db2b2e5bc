package agent

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// What is done for other machines than this one, from any computer and without a store.

// ListMachines returns the machines of the account. It reads all pages of the list, as
// often as needed to be sure that none was missed.
func ListMachines(ctx context.Context, api *sdk.Client) ([]sdk.Machine, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupLimit, errLookupTime)
	defer cancel()
	first, err := api.Machines.List(ctx, sdk.ListOptions{Limit: sdk.Some(lookupPage)})
	if err != nil {
		return nil, lookupFault(ctx, err)
	}
	machines := first.Items
	if first.NextCursor != "" {
		all := func(ctx context.Context, o sdk.ListOptions) func(func(sdk.Machine, error) bool) {
			return api.Machines.All(ctx, o)
		}
		if machines, err = complete(ctx, all, func(m sdk.Machine) string { return m.ID }); err != nil {
			return nil, err
		}
	}
	for i := range machines {
		if _, err := checkMachine(&machines[i]); err != nil {
			return nil, err
		}
	}
	return machines, nil
}

// Market returns what the orchestrator lists of a machine, compared with what own
// believes unless that is nil. Errors: those of the API.
func Market(ctx context.Context, cfg *config.Config, api *sdk.Client, machineID string, own *status.MachineView) (status.Market, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupLimit, errLookupTime)
	defer cancel()
	m, err := api.Machines.Get(ctx, machineID)
	if err == nil {
		m, err = checkMachine(m)
	}
	if err != nil {
		return status.Market{}, lookupFault(ctx, err)
	}
	first, err := api.RuntimeEndpoints.List(ctx, machineID, sdk.ListOptions{Limit: sdk.Some(lookupPage)})
	if err != nil {
		return status.Market{}, lookupFault(ctx, err)
	}
	endpoints := first.Items
	if first.NextCursor != "" {
		all := func(ctx context.Context, o sdk.ListOptions) func(func(sdk.RuntimeEndpoint, error) bool) {
			return api.RuntimeEndpoints.All(ctx, machineID, o)
		}
		if endpoints, err = complete(ctx, all, func(e sdk.RuntimeEndpoint) string { return e.ProviderKey }); err != nil {
			return status.Market{}, err
		}
	}
	now := first.Meta.Date
	if now.IsZero() {
		now = time.Now()
	}
	market := status.Market{
		MachineID: m.ID, IdentityRef: m.IdentityRef, DisplayName: status.Sanitize(m.DisplayName), Orchestrator: cfg.Orchestrator.URL,
		Status: status.Sanitize(string(m.Status)), At: now.UTC().Truncate(time.Second), Reasons: []status.Reason{}, Endpoints: []status.MarketEndpoint{},
	}
	for _, e := range endpoints {
		market.Endpoints = append(market.Endpoints, marketEndpoint(e, now))
	}
	if own != nil {
		market.Compare(*own, func(a, b string) bool { return normalized(a) == normalized(b) })
	}
	return market, nil
}

func marketEndpoint(e sdk.RuntimeEndpoint, now time.Time) status.MarketEndpoint {
	out := status.MarketEndpoint{
		ProviderKey: status.Sanitize(e.ProviderKey), BaseURL: status.Sanitize(e.EndpointBaseURL), NetworkScope: status.Sanitize(e.NetworkScope),
		AgentID: status.Sanitize(e.AgentID), ServerStatus: status.Sanitize(string(e.Status)),
	}
	if until := plausibleTime(e.LeaseExpiresAt, now); !until.IsZero() {
		left := until.Sub(now).Round(time.Second).Seconds()
		out.LeaseExpiresAt, out.LeaseLeft = status.OptionalTime(until), &left
	}
	return out
}

// RegisterResult is the result of [RegisterMachine].
type RegisterResult struct {
	Changed     bool   `json:"changed"` // it was not registered before
	MachineID   string `json:"machine_id"`
	IdentityRef string `json:"identity_ref"`
	DisplayName string `json:"display_name"`
	Status      string `json:"status"`
}

// RegisterMachine finds a machine by its identity, or registers and activates it, and
// enrolls no agent. Errors: those of an enrollment.
func RegisterMachine(ctx context.Context, cfg *config.Config, opts Options, req EnrollRequest, progress func(string)) (RegisterResult, error) {
	e, err := remoteEnroller(ctx, cfg, opts, req, "machines register", progress)
	if err != nil {
		return RegisterResult{}, err
	}
	e.machine.ID = "" // that of the machine configured here
	intent := e.intent(req)
	machine, err := e.findOrRegister(ctx, req, intent)
	if err != nil {
		return RegisterResult{}, err
	}
	r := RegisterResult{
		Changed: e.report.Registered, MachineID: machine.ID, IdentityRef: machine.IdentityRef,
		DisplayName: status.Sanitize(machine.DisplayName), Status: status.Sanitize(string(machine.Status)),
	}
	return r, nil
}

// registerBody is the registration of a machine, with the names of the configuration.
type registerBody struct {
	IdentityRef    string            `json:"identity_ref"`
	DisplayName    string            `json:"display_name"`
	OwnerID        string            `json:"owner_id"`
	MachineType    string            `json:"machine_type"`
	RuntimeProfile string            `json:"runtime_profile"`
	Capabilities   []string          `json:"capabilities,omitempty"`
	SkillKeys      []string          `json:"skill_keys,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
}

func registerBodyOf(c sdk.CreateMachine) *registerBody {
	return &registerBody{
		c.IdentityRef.Value(), c.DisplayName, c.OwnerID, c.MachineType, c.RuntimeProfile,
		c.Capabilities.Value(), c.SkillKeys.Value(), c.Labels.Value(),
	}
}

// remoteEnroller returns an enroller for another machine than this computer: without a
// store, and with the settings of the first configured machine.
func remoteEnroller(ctx context.Context, cfg *config.Config, opts Options, req EnrollRequest, command string, progress func(string)) (*enroller, error) {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil {
		return nil, err
	}
	var transport http.RoundTripper = opts.Transport
	if transport == nil {
		transport = newTransport(cfg, zap.NewNop())
	}
	api, err := newClient(cfg, transport, opts.Version, req.APIKey)
	if err != nil {
		return nil, err
	}
	if req.APIKey.IsZero() && requiresKey(ctx, api) {
		return nil, noAPIKey(command)
	}
	if err := checkNames(req); err != nil {
		return nil, err
	}
	e := &enroller{
		machine: cfg.Machines[0], origin: origin, api: api, log: zap.NewNop(),
		state: status.NewTracker(cfg, time.Now()), progress: progress,
	}
	if !cfg.Given("machines[0].agent_label") {
		e.machine.AgentLabel = "" // it would name this computer
	}
	return e, nil
}

// labelFor is the label of the agent of a machine, without what makes it unique. An agent
// for another machine is named after its identity, not after this computer.
func (e *enroller) labelFor(req EnrollRequest, identityRef string) string {
	return cmp.Or(req.AgentLabel, e.machine.AgentLabel, labelPrefix+identityRef)
}

// displayName is the name of a machine that is registered. One for another machine says
// that this program has made it.
func (e *enroller) displayName(req EnrollRequest, identityRef string) string {
	label := e.labelFor(req, identityRef)
	if e.store == nil && !strings.HasPrefix(label, labelPrefix) {
		label = labelPrefix + label
	}
	return cmp.Or(req.DisplayName, e.machine.Register.DisplayName, label)
}

// labelPrefix begins the labels that this program chooses.
const labelPrefix = "peaqos-agent@"
