package agent

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func onPath(suffix string, f sandbox.Fault) func(*http.Request) *sandbox.Fault {
	return func(r *http.Request) *sandbox.Fault {
		if strings.HasSuffix(r.URL.Path, suffix) {
			return &f
		}
		return nil
	}
}

func TestEnrollTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer l.close()
		first := l.mustEnroll()
		if !first.Registered || first.MachineID == "" || first.IdentityRef != "did:peaq:42" {
			t.Errorf("first enroll: %+v", first)
		}
		second := l.mustEnroll()
		if second.Changed || second.AgentID != first.AgentID || !second.Live {
			t.Errorf("second enroll: %+v", second)
		}
		if n := len(l.server.Agents("")); n != 1 {
			t.Errorf("the server has %d agents, want one", n)
		}
	})
}

// TestEnrollWithoutControllerKey: for a registered machine the API key is enough.
func TestEnrollWithoutControllerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		machine := l.mustEnroll().MachineID
		l.close()
		for name, change := range map[string]func(*EnrollRequest){
			"by identity":   func(r *EnrollRequest) { r.Controller = nil },
			"by machine id": func(r *EnrollRequest) { r.Controller, r.IdentityRef, r.MachineID = nil, "", machine },
		} {
			other := newLife(t, "demo")
			other.server = l.server
			if err := other.agent.Close(); err != nil {
				t.Fatal(err)
			}
			other.open()
			if r, err := other.enroll(change); err != nil || r.MachineID != machine || r.Registered {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			other.close()
		}
	})
}

// TestEnrollResponseLost: the server enrolled an agent and its response was lost. The
// next enroll revokes exactly that agent.
func TestEnrollResponseLost(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"lost": {Lost: true}, "cut": {CutAfter: 40}, "garbage": {Status: 200, ContentType: "application/json", Body: "{"},
		"no code": {Status: 403, ContentType: "application/json", Body: `{"error": {"code": "not a code", "message": "m"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				l.server.SetFault(onPath("/enrollment", fault))
				if _, err := l.enroll(nil); err == nil {
					t.Fatal("enroll succeeded without a response")
				}
				l.server.SetFault(nil)

				// A process that starts now reports what happened and does not enroll on its own.
				if err := l.agent.Close(); err != nil {
					t.Fatal(err)
				}
				l.open()
				l.want(status.Unenrolled, "enrollment_interrupted")

				r := l.mustEnroll()
				active := l.activeAgents()
				if len(active) != 1 || active[0].ID != r.AgentID || !r.Live {
					t.Errorf("active agents %+v after %+v", active, r)
				}
			})
		})
	}
}

func TestEnrollForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer l.close()
		first := l.mustEnroll()
		second, err := l.enroll(func(r *EnrollRequest) { r.Force = true })
		if err != nil || !second.Changed || second.AgentID == first.AgentID {
			t.Fatalf("enroll --force: %+v, %v", second, err)
		}
		if active := l.activeAgents(); len(active) != 1 || active[0].ID != second.AgentID {
			t.Errorf("active agents: %+v, want only the new one", active)
		}
	})
}

func TestEnrollDryRunSpendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer l.close()
		r, err := l.enroll(func(r *EnrollRequest) { r.DryRun = true })
		if err != nil || r.DryRun == nil || r.DryRun.Register == nil || r.DryRun.StoreProved == l.agent.store.Volatile() {
			t.Fatalf("dry run: %+v, %v", r, err)
		}
		if len(l.server.Machines()) != 0 || len(l.server.Agents("")) != 0 {
			t.Error("a dry run created something")
		}
	})
}

func TestEnrollNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer l.close()
		l.runtime.off.Store(true)
		r := l.mustEnroll()
		if !r.Changed || r.Live || r.Reason == "" || r.LeaseExpiresAt != nil {
			t.Errorf("enroll with the runtime down: %+v", r)
		}
	})
}

// TestGatewayClock: a gateway writes a Date of its own, or the device's clock is wrong. A
// challenge has expired only if both say so.
func TestGatewayClock(t *testing.T) {
	for name, c := range map[string]struct {
		skew    time.Duration // of the Date header
		expires time.Duration // from now, by our clock; 0 is the sandbox's own
		want    status.Code
	}{
		"ten minutes ahead":             {10 * time.Minute, 0, ""},
		"ten minutes behind":            {-10 * time.Minute, 0, ""},
		"our clock is two years ahead":  {-2 * 365 * 24 * time.Hour, -2*365*24*time.Hour + 5*time.Minute, ""},
		"our clock is two years behind": {2 * 365 * 24 * time.Hour, 2*365*24*time.Hour + 5*time.Minute, ""},
		"expired by both":               {0, -time.Minute, "challenge_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				w := l.rewrite(nil)
				w.become(0, func(_ *http.Request, item map[string]any) {
					if _, ok := item["challengeId"]; ok && c.expires != 0 {
						item["expiresAt"] = time.Now().Add(c.expires).UTC().Format(time.RFC3339)
					}
				})
				l.server.SetFault(onPath("/challenges", sandbox.Fault{Skew: c.skew}))
				_, err := l.enroll(nil)
				if (err == nil) != (c.want == "") || err != nil && Explain(err).Code != c.want {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// TestEnrollRefusals: each failure has its exit code and message, and nothing is lost.
func TestEnrollRefusals(t *testing.T) {
	otherKey := func(r *EnrollRequest) {
		key, err := keystore.ParseKey([]byte("0x" + strings.Repeat("22", 32)))
		if err != nil {
			t.Fatal(err)
		}
		r.Controller = key
	}
	identityExists := sandbox.Fault{Status: 409, Code: "MACHINE_IDENTITY_EXISTS"}
	for _, c := range []struct {
		name   string
		change func(*EnrollRequest)
		fault  func(*http.Request) *sandbox.Fault
		exit   status.Exit
		code   status.Code
	}{
		{"no API key", func(r *EnrollRequest) { r.APIKey = sdk.Secret{} }, nil, status.ExitSecret, "api_key_missing"},
		{"wrong API key", func(r *EnrollRequest) { r.APIKey = sdk.NewSecret("wrong") }, nil, status.ExitRejected, "AUTH_INVALID"},
		{"wrong controller", otherKey, nil, status.ExitNetwork, "challenge_refused"},
		{"no identity", func(r *EnrollRequest) { r.IdentityRef = "" }, nil, status.ExitConfig, "identity_missing"},
		{"unknown machine", func(r *EnrollRequest) { r.IdentityRef, r.MachineID = "", "mach_none" }, nil, status.ExitNetwork, "NOT_FOUND"},
		{"new machine without a key", func(r *EnrollRequest) { r.Controller = nil }, nil, status.ExitSecret, "controller_key_missing"},
		{"identity of another account", nil, onPath("/machines", identityExists), status.ExitNetwork, "MACHINE_IDENTITY_EXISTS"},
		{"orchestrator down", nil, always(&sandbox.Fault{Drop: true}), status.ExitNetwork, "network"},
		{"garbage", nil, always(&sandbox.Fault{Status: 200, Body: "<html>"}), status.ExitNetwork, "middlebox"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer l.close()
				l.server.SetFault(postOnly(c.fault))
				_, err := l.enroll(c.change)
				if err == nil {
					t.Fatal("no error")
				}
				p := Explain(err)
				if p.Exit != c.exit || p.Code != c.code || p.Message == "" {
					t.Errorf("exit %d, code %s: %s; want exit %d, code %s", p.Exit, p.Code, p, c.exit, c.code)
				}
				if strings.Contains(p.Error(), testAPIKey) || strings.Contains(p.Error(), testKey[2:]) {
					t.Errorf("%q contains a secret", p.Error())
				}
				if _, err := l.agent.store.Agent("main"); !errors.Is(err, keystore.ErrNotFound) {
					t.Errorf("a record was stored: %v", err)
				}
				l.server.SetFault(nil)
				if r := l.mustEnroll(); !r.Live || len(l.activeAgents()) != 1 {
					t.Errorf("enroll without the fault: %+v", r)
				}
			})
		})
	}
}

// postOnly does not apply a fault of POST /machines to the list of machines.
func postOnly(f func(*http.Request) *sandbox.Fault) func(*http.Request) *sandbox.Fault {
	if f == nil {
		return nil
	}
	return func(r *http.Request) *sandbox.Fault {
		if r.Method == http.MethodGet && f(r) != nil && f(r).Code == "MACHINE_IDENTITY_EXISTS" {
			return nil
		}
		return f(r)
	}
}

// TestRecordOfAnotherOrigin: a token is never sent to another orchestrator.
func TestRecordOfAnotherOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		if err := l.agent.Close(); err != nil {
			t.Fatal(err)
		}
		l.cfg.Orchestrator.URL = "http://127.0.0.1:2"
		l.open()
		defer l.close()
		l.want(status.Unenrolled, "record_of_another_origin")
		if _, err := l.enroll(nil); err == nil || Explain(err).Exit != status.ExitIdentity {
			t.Errorf("enroll over a record of another origin: %v", err)
		}
		before := l.server.Beats()
		l.start()
		time.Sleep(10 * time.Minute)
		if l.server.Beats() != before {
			t.Error("the token was sent to another origin")
		}
	})
}

// TestEnrollShowsWhatIsSigned: the text is shown before it is signed.
func TestEnrollShowsWhatIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		text, shown := "", ""
		l.rewrite(func(r *http.Request, item map[string]any) {
			if strings.HasSuffix(r.URL.Path, "/challenges") {
				text, _ = item["message"].(string)
			}
		})
		key, err := keystore.ParseKey([]byte(testKey))
		if err != nil {
			t.Fatal(err)
		}
		req := EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey), Controller: key}
		if _, err := l.agent.Enroll(t.Context(), req, func(line string) { shown += line + "\n" }); err != nil {
			t.Fatal(err)
		}
		if text == "" || !strings.Contains(shown, strings.ReplaceAll(text, "\n", "\n  ")) {
			t.Errorf("%q is not in %q", text, shown)
		}
	})
}
