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

// auto sets up an agent that enrolls by itself, with a stored controller key. The
// store of a test may lie on any medium, so ephemeral decides whether it is used.
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

// durable reports whether the test's own directory counts as a place that lasts.
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
		l.onlyLiving(agent)
		l.reopen()
		l.start()
		time.Sleep(5 * time.Minute)
		l.onlyLiving(agent)
		if _, err := l.unenroll(nil); err != nil {
			t.Fatal(err)
		}
		l.reopen() // one who was told to leave does not come back by itself
		l.start()
		time.Sleep(time.Hour)
		l.want(status.Unenrolled, "not_enrolled")
		if len(l.activeAgents()) != 0 {
			t.Errorf("living: %+v", l.activeAgents())
		}
	})
}

// TestAutoEnrollEphemeral: every life begins without memory and ends its
// predecessors, and nobody else.
func TestAutoEnrollEphemeral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, true)
		defer func() { l.close() }()
		l.start()
		time.Sleep(time.Minute)
		first := l.status().AgentID
		l.close()
		others := newLife(t, "demo") // two agents of somebody else, one with nearly our label
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
		if living := l.activeAgents(); len(living) != before {
			t.Errorf("living: %+v; want the first one replaced and the others left alone", living)
		}
		for _, a := range l.activeAgents() {
			if a.ID == first {
				t.Error("the predecessor lives")
			}
		}
	})
}

// TestAutoEnrollRefusesMemory: a store that is gone with the container would be a
// new agent at every start.
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
		if c := l.status().Cause; !strings.Contains(c.Text, "mount a volume at "+dir) || !strings.Contains(c.Text, "tmpfs") || len(l.server.Agents("")) != 0 {
			t.Errorf("cause %+v, agents %+v", c, l.server.Agents(""))
		}
	})
}

// TestAutoEnrollWaits: failures are said, and tried again ever more seldom.
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
