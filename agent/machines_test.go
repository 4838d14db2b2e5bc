package agent

import (
	"context"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// register registers a machine as an operator does, on a computer without a store.
func (l *life) register(cfg *config.Config, change func(*EnrollRequest)) (RegisterResult, error) {
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		l.t.Fatal(err)
	}
	req := EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey), Controller: key}
	if change != nil {
		change(&req)
	}
	return RegisterMachine(context.Background(), cfg, Options{Version: "test", Transport: l.server.Transport()}, req, func(string) {})
}

// TestRegisterMachine: the machine is active, no agent is enrolled, and a second time
// nothing changes.
func TestRegisterMachine(t *testing.T) {
	l := newLife(t, "demo")
	defer func() { l.close() }()
	r, err := l.register(l.cfg, nil)
	if err != nil || !r.Changed || r.Status != "active" || r.IdentityRef != "did:peaq:42" || r.DisplayName != "peaqos-agent@did:peaq:42" {
		t.Fatalf("%+v, %v", r, err)
	}
	again, err := l.register(l.cfg, func(req *EnrollRequest) { req.Controller, req.DisplayName = nil, "another" })
	if err != nil || again.Changed || again.MachineID != r.MachineID || again.DisplayName != r.DisplayName {
		t.Errorf("again: %+v, %v", again, err)
	}
	if agents := l.server.Agents(r.MachineID); len(agents) != 0 {
		t.Errorf("agents: %+v", agents)
	}
	l.want(status.Unenrolled, "not_enrolled")

	api, err := newClient(l.cfg, l.server.Transport(), "test", sdk.NewSecret(testAPIKey))
	if err != nil {
		t.Fatal(err)
	}
	machines, err := ListMachines(t.Context(), api)
	if err != nil || len(machines) != 1 || machines[0].ID != r.MachineID {
		t.Errorf("%+v, %v", machines, err)
	}
	for what, change := range map[string]func(*EnrollRequest){
		"api_key_missing":        func(req *EnrollRequest) { req.APIKey = sdk.Secret{} },
		"controller_key_missing": func(req *EnrollRequest) { req.Controller, req.IdentityRef = nil, "did:peaq:43" },
		"validation":             func(req *EnrollRequest) { req.DisplayName = "a\nb" },
	} {
		if _, err := l.register(l.cfg, change); string(Explain(err).Code) != what {
			t.Errorf("%v, want %s", err, what)
		}
	}
}

// TestNamesOfOtherMachines: what is made for another device is named after it, not after
// the computer that makes it, unless a name was given.
func TestNamesOfOtherMachines(t *testing.T) {
	labeled, err := config.Load(config.Source{Env: []string{"PEAQOS_AGENT_MACHINE_AGENT_LABEL=robot-8", "PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	plain := newLife(t, "demo")
	defer func() { plain.close() }()
	for _, c := range []struct {
		cfg          *config.Config
		label, given string
		display      string
		agent        string // what its label begins with
	}{
		{plain.cfg, "", "", "peaqos-agent@did:peaq:42", "peaqos-agent@did:peaq:42#"},
		{plain.cfg, "robot-7", "", "peaqos-agent@robot-7", "robot-7#"},
		{plain.cfg, "robot-7", "Robot 7", "Robot 7", "robot-7#"},
		{plain.cfg, "peaqos-agent@arm", "", "peaqos-agent@arm", "peaqos-agent@arm#"},
		{labeled, "", "", "peaqos-agent@robot-8", "robot-8#"},
	} {
		l := newLife(t, "demo")
		names := func(req *EnrollRequest) { req.AgentLabel, req.DisplayName = c.label, c.given }
		r, err := l.register(c.cfg, names)
		if err != nil || r.DisplayName != c.display {
			t.Errorf("%+v: registered as %q, %v", c, r.DisplayName, err)
		}
		cfg := c.cfg.WithAllowedProviderKeys([]string{"demo"})
		req := EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey)}
		names(&req)
		var label string
		_, err = MakeGrant(t.Context(), cfg, Options{Version: "test", Transport: l.server.Transport()}, req,
			func(g Grant) error { label = g.record.Label; return nil }, func(string) {})
		if err != nil || !strings.HasPrefix(label, c.agent) {
			t.Errorf("%+v: the agent is %q, %v", c, label, err)
		}
		l.close()
	}
}

// TestDisplayNameOfThisMachine: on the device itself the agent label is the default.
func TestDisplayNameOfThisMachine(t *testing.T) {
	for want, change := range map[string]func(*EnrollRequest){
		"Robot 7": func(req *EnrollRequest) { req.DisplayName, req.AgentLabel = "Robot 7", "robot-7" },
		"robot-7": func(req *EnrollRequest) { req.AgentLabel = "robot-7" },
	} {
		l := newLife(t, "demo")
		if _, err := l.enroll(change); err != nil {
			t.Fatal(err)
		}
		if machines := l.server.Machines(); len(machines) != 1 || machines[0].DisplayName != want {
			t.Errorf("%+v, want %s", machines, want)
		}
		l.close()
	}
}
