package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// grant makes a grant as an operator does, on a computer without a store.
func (l *life) grant(hand func(Grant) error) (EnrollResult, error) {
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		l.t.Fatal(err)
	}
	return MakeGrant(context.Background(), l.cfg, Options{Version: "test", Transport: l.server.Transport()},
		EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey), Controller: key}, hand, func(string) {})
}

func (l *life) mustGrant() Grant {
	l.t.Helper()
	var document []byte
	if _, err := l.grant(func(g Grant) (err error) { document, err = g.Document(); return err }); err != nil {
		l.t.Fatal(err)
	}
	g, err := ParseGrant(document)
	if err != nil {
		l.t.Fatal(err)
	}
	return g
}

func (l *life) take(g Grant, force bool) (EnrollResult, error) {
	return l.agent.TakeGrant(context.Background(), GrantRequest{Grant: g, Force: force}, func(string) {})
}

func TestGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		first := l.mustGrant()
		l.want(status.Unenrolled, "not_enrolled")
		r, err := l.take(first, false)
		if err != nil || !r.Changed || !r.Live || r.IdentityRef != "did:peaq:42" {
			t.Fatalf("take: %+v, %v", r, err)
		}
		l.onlyActive(r.AgentID)
		if again, err := l.take(first, false); err != nil || again.Changed || again.AgentID != r.AgentID {
			t.Errorf("take again: %+v, %v", again, err)
		}
		second := l.mustGrant()
		if _, err := l.take(second, false); Explain(err).Code != "enrolled_already" {
			t.Errorf("another grant: %v", err)
		}
		forced, err := l.take(second, true)
		if err != nil || !forced.Changed || !forced.Live {
			t.Errorf("another grant with --force: %+v, %v", forced, err)
		}
		l.reopen()
		if m := l.status(); m.AgentID != forced.AgentID || status.CodeOf(m.Rotation) != "rotation_unfinished" {
			t.Errorf("after a restart: %s, %+v", m.AgentID, m.Rotation)
		}
		l.mustRotate() // has the API key, and completes what the grant began
		l.onlyActive(forced.AgentID)
		l.completeElsewhere(forced.AgentID)
	})
}

// completeElsewhere replaces the agent by a grant again and completes that without an API key.
func (l *life) completeElsewhere(old string) {
	l.t.Helper()
	third, err := l.take(l.mustGrant(), true)
	if err != nil {
		l.t.Fatal(err)
	}
	ids, err := l.agent.Identities(l.t.Context())
	if err != nil || ids[0].ReplacedAgentID != old {
		l.t.Errorf("replaced: %+v, %v; want %s", ids, err, old)
	}
	complete := func(revoked string) (RotateResult, error) {
		return l.agent.Rotate(l.t.Context(), RotateRequest{Revoked: revoked}, discard)
	}
	if _, err := complete(third.AgentID); Explain(err).Code != "validation" {
		l.t.Errorf("the agent in use as the revoked one: %v", err)
	}
	for _, changes := range []bool{true, false} {
		if r, err := complete(old); err != nil || r.Changed != changes || r.AgentID != third.AgentID {
			l.t.Errorf("complete: %+v, %v; want changed %v", r, err, changes)
		}
	}
	if m := l.status(); m.Rotation != nil {
		l.t.Errorf("rotation %+v", m.Rotation)
	}
}

// TestGrantNotDelivered: whatever fails after the enrollment, no agent stays active.
func TestGrantNotDelivered(t *testing.T) {
	for name, fault := range map[string]*sandbox.Fault{"broken pipe": nil, "response lost": {Lost: true}, "response cut": {CutAfter: 50}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				if fault != nil {
					l.server.SetFault(onPath("/enrollment", *fault))
				}
				_, err := l.grant(func(Grant) error { return errors.New("broken pipe") })
				if err == nil || len(l.activeAgents()) != 0 {
					t.Errorf("%v; active %+v", err, l.activeAgents())
				}
			})
		})
	}
}

func TestGrantNeedsProviderKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t)
		defer func() { l.close() }()
		if _, err := l.grant(nil); Explain(err).Code != "provider_keys" {
			t.Errorf("a grant without provider keys: %v", err)
		}
	})
}

func TestParseGrant(t *testing.T) {
	good := `{"kind":"peaqos-agent-grant/1","orchestrator":"https://o.example","machine_id":"mach_1",` +
		`"identity_ref":"did:peaq:42","agent_id":"agent_1","label":"a#bcdefghi","allowed_provider_keys":["qvac"],` +
		`"enrolled_at":"2026-01-01T00:00:00Z","agent_token":"canary-token"}`
	if _, err := ParseGrant([]byte(good)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseGrant([]byte(strings.Replace(good, "did:peaq:42", "did:peaq:"+testSigner, 1))); err != nil {
		t.Errorf("an identity with an address: %v", err)
	}
	for _, change := range [][2]string{
		{`grant/1`, `grant/2`},
		{`https://o.example`, `https://o.example/x`},
		{`https://o.example`, ``},
		{`mach_1`, `a b`},
		{`agent_1`, ``},
		{`canary-token`, ``},
		{`canary-token`, "canary\\ntoken"},
		{`did:peaq:42`, `did:peaq:007`},
		{`a#b`, `a\u202e#b`},
		{`a#bcdefghi`, `somebody-elses-agent`},
		{`a#bcdefghi`, `a#BCDEFGHI`},
		{`a#bcdefghi`, ` #bcdefghi`},
		{`a#bcdefghi`, strings.Repeat("a", 201) + `#bcdefghi`},
		{`agent_1`, `..`},
		{`agent_1`, `a/b`},
		{`mach_1`, "a\u001b[31m"},
		{`"qvac"`, `"QVAC"`},
		{`"qvac"`, `"a b"`},
		{`2026-01-01T00:00:00Z`, `9999-12-31T23:59:59-23:59`},
		{`{`, `[`},
	} {
		_, err := ParseGrant([]byte(strings.Replace(good, change[0], change[1], 1)))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q for %q: %v", change[1], change[0], err)
		}
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add([]byte(`{"kind":"peaqos-agent-grant/1","orchestrator":"https://o.example","machine_id":"m","agent_id":"a","agent_token":"t"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		g, err := ParseGrant(document)
		if err != nil {
			return
		}
		if g.record.Token.IsZero() || g.record.AgentID == "" || g.record.MachineID == "" || g.record.Origin == "" {
			t.Errorf("accepted with a member missing: %q", document)
		}
		again, err := g.Document()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseGrant(again); err != nil {
			t.Errorf("its own document is refused: %v", err)
		}
	})
}

// TestGrantOfAnotherOrigin: its token would be sent to the configured orchestrator.
func TestGrantOfAnotherOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		g := l.mustGrant()
		g.record.Origin = "https://elsewhere.example"
		if _, err := l.take(g, true); Explain(err).Code != "grant_of_another_origin" {
			t.Errorf("take: %v", err)
		}
		l.want(status.Unenrolled, "not_enrolled")
	})
}

// TestGrantRevokesByID: the label of a grant decides nothing about other agents.
func TestGrantRevokesByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		g := l.mustGrant()
		victim := "victim#aaaaaaaa"
		api, err := newClient(l.cfg, l.server.Transport(), "test", sdk.NewSecret(testAPIKey))
		if err != nil {
			t.Fatal(err)
		}
		other, err := api.MachineAgents.Enroll(context.Background(), g.record.MachineID, sdk.EnrollMachineAgent{Label: sdk.Some(victim)})
		if err != nil {
			t.Fatal(err)
		}
		agentID := g.record.AgentID
		g.record.Label = victim
		if _, err := l.take(g, false); err != nil {
			t.Fatal(err)
		}
		r := l.mustRotate()
		if len(r.Revoked) != 1 || r.Revoked[0] != agentID {
			t.Errorf("revoked %v, want %s", r.Revoked, agentID)
		}
		if len(l.activeAgents()) != 2 || len(r.OtherAgents) != 1 || r.OtherAgents[0].AgentID != other.ID {
			t.Errorf("active %+v, named %+v", l.activeAgents(), r.OtherAgents)
		}
	})
}

// TestLabelsOfGrants: a label that no device would accept is refused before anything is
// spent; one with a zero-width non-joiner passes everywhere.
func TestLabelsOfGrants(t *testing.T) {
	for label, good := range map[string]bool{
		"\u0631\u0628\u0627\u062a\u200c\u0647\u0627": true, "a\u200db": true, "a\nb": false, "a\u202eb": false, " ": false,
		strings.Repeat("a", 200): true, strings.Repeat("a", 201): false, "a\xff": false, "a\u2028b": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			key, err := keystore.ParseKey([]byte(testKey))
			if err != nil {
				t.Fatal(err)
			}
			var document []byte
			req := EnrollRequest{IdentityRef: "did:peaq:42", AgentLabel: label, APIKey: sdk.NewSecret(testAPIKey), Controller: key}
			_, err = MakeGrant(context.Background(), l.cfg, Options{Version: "test", Transport: l.server.Transport()}, req,
				func(g Grant) (err error) { document, err = g.Document(); return err }, discard)
			if !good {
				if err == nil || len(l.server.Agents("")) != 0 {
					t.Errorf("%q: %v, %d agents", label, err, len(l.server.Agents("")))
				}
				if _, err := l.agent.Enroll(context.Background(), req, discard); err == nil || len(l.server.Agents("")) != 0 {
					t.Errorf("%q: enroll: %v", label, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%q: %v", label, err)
			}
			g, err := ParseGrant(document)
			if err != nil {
				t.Fatalf("%q: %v", label, err)
			}
			if r, err := l.take(g, false); err != nil || !r.Live {
				t.Errorf("%q: %v", label, err)
			}
		})
	}
}
