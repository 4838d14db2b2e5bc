package agent

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// auto sets up an agent with enroll.auto and a stored controller key. The store of a test
// may be on any medium; with ephemeral it is used in any case.
func auto(t *testing.T, ephemeral bool) *life {
	l := newLife(t, "demo")
	l.close()
	l.cfg.Enroll = config.Enroll{Auto: true, Ephemeral: ephemeral}
	l.cfg.Machines[0].IdentityRef, l.cfg.Machines[0].AgentLabel = "did:peaq:42", "sidecar"
	l.apiKey = func() (sdk.Secret, error) { return sdk.NewSecret(testAPIKey), nil }
	l.open()
	l.importKey()
	return l
}

func (l *life) importKey() {
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.agent.PutController(l.t.Context(), key); err != nil {
		l.t.Fatal(err)
	}
}

// durable reports whether the agent considers the test's directory durable.
func (l *life) durable() bool { return l.agent.volatile() == nil }

func TestAutoEnroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, false)
		defer func() { l.close() }()
		durable := l.durable()
		l.start()
		time.Sleep(5 * time.Minute)
		if !durable {
			l.want(status.Unenrolled, "store_volatile")
			if c := l.status().Cause; !strings.Contains(c.Text, "mount a volume at "+l.cfg.Keystore.Dir) || len(l.server.Agents("")) != 0 {
				t.Errorf("cause %+v, agents %+v", c, l.server.Agents(""))
			}
			return
		}
		l.want(status.Online, "")
		agent := l.status().AgentID
		l.onlyActive(agent)
		l.reopen()
		l.start()
		time.Sleep(5 * time.Minute)
		l.onlyActive(agent)
		if _, err := l.unenroll(nil); err != nil {
			t.Fatal(err)
		}
		l.reopen() // an unenrolled machine does not enroll itself again
		l.start()
		time.Sleep(time.Hour)
		l.want(status.Unenrolled, "not_enrolled")
		if len(l.activeAgents()) != 0 {
			t.Errorf("active: %+v", l.activeAgents())
		}
	})
}

// TestAutoEnrollEphemeral: each start of an ephemeral store revokes the agents of earlier
// starts, and no others.
func TestAutoEnrollEphemeral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, true)
		defer func() { l.close() }()
		l.start()
		time.Sleep(time.Minute)
		first := l.status().AgentID
		l.close()
		others := newLife(t, "demo") // two agents of another device, one with almost our label
		others.server = l.server
		others.reopen()
		for _, label := range []string{"another", "sidecar-2"} {
			if _, err := others.enroll(func(r *EnrollRequest) { r.AgentLabel, r.Force = label, true; r.IdentityRef = "did:peaq:42" }); err != nil {
				t.Fatal(err)
			}
		}
		others.close()
		before := len(l.activeAgents())
		l.cfg.Keystore.Dir = t.TempDir() // the container was replaced
		l.open()
		l.importKey()
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		second := l.status().AgentID
		if second == first || second == "" {
			t.Errorf("agent %q after %q", second, first)
		}
		if active := l.activeAgents(); len(active) != before {
			t.Errorf("active: %+v; want the first one replaced and the others left alone", active)
		}
		for _, a := range l.activeAgents() {
			if a.ID == first {
				t.Error("the predecessor is still active")
			}
		}
	})
}

// TestAutoEnrollRefusesMemory: a store that does not outlive the container would mean a
// new agent at each start.
func TestAutoEnrollRefusesMemory(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "peaqos-agent-test-") // tmpfs on every Linux
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, false)
		defer func() { l.close() }()
		l.cfg.Keystore.Dir = dir
		l.reopen()
		l.start()
		time.Sleep(24 * time.Hour)
		l.want(status.Unenrolled, "store_volatile")
		c := l.status().Cause
		if !strings.Contains(c.Text, "mount a volume at "+dir) || !strings.Contains(c.Text, "tmpfs") || len(l.server.Agents("")) != 0 {
			t.Errorf("cause %+v, agents %+v", c, l.server.Agents(""))
		}
	})
}

// TestAutoEnrollWaits: failures are reported, and retried at growing intervals.
func TestAutoEnrollWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, true)
		defer func() { l.close() }()
		var asked atomic.Int64
		down := func(r *http.Request) *sandbox.Fault {
			if strings.HasSuffix(r.URL.Path, "/machines") {
				asked.Add(1)
				return &sandbox.Fault{Drop: true}
			}
			return nil
		}
		l.server.SetFault(down)
		l.start()
		time.Sleep(24 * time.Hour)
		if n := asked.Load(); n < 24*60/30 || n > 24*60/15+10 {
			t.Errorf("asked %d times in a day, want once in 15 to 30 minutes", n)
		}
		if m := l.status(); m.State != status.Unenrolled || !strings.Contains(m.Cause.Text, "enroll.auto did not succeed yet") {
			t.Errorf("%s: %+v", m.State, m.Cause)
		}
		l.server.SetFault(nil)
		time.Sleep(time.Hour)
		l.want(status.Online, "")
	})
}

func TestAutoEnrollWithoutKey(t *testing.T) {
	for name, source := range map[string]func() (sdk.Secret, error){
		"none":       func() (sdk.Secret, error) { return sdk.Secret{}, nil },
		"unreadable": func() (sdk.Secret, error) { return sdk.Secret{}, errors.New("the file is gone") },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := auto(t, true)
			defer func() { l.close() }()
			l.apiKey = source
			l.reopen()
			l.start()
			time.Sleep(time.Minute)
			if m := l.status(); m.State != status.Unenrolled || !strings.Contains(m.Cause.Text, "enroll.auto") {
				t.Errorf("%s: %s, %+v", name, m.State, m.Cause)
			}
		})
	}
}
