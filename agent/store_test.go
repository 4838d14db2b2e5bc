package agent

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestNoAdminSocket: heartbeats do not depend on the admin socket.
func TestNoAdminSocket(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(t.TempDir(), "missing"))
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.close()
		l.admin = true
		l.open()
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		if r := status.Ready(l.agent.snapshot()); !r.Ready || len(r.Reasons) != 1 || r.Reasons[0].Code != "admin_socket" {
			t.Errorf("%+v", r)
		}
	})
}

// TestReloadNamesTheMachine: after a reload the next command has the identity of the new
// configuration.
func TestReloadNamesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.reloading(func(c *config.Config) { c.Machines[0].IdentityRef = "did:peaq:42" })
		if _, err := l.agent.reloadNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		m := l.status()
		if next := status.NextCommand(m); m.IdentityRef != "did:peaq:42" || strings.Contains(next, "--identity-ref") {
			t.Errorf("%q, next %s", m.IdentityRef, next)
		}
	})
}

// TestReloadReadsTheRootAgain: a renewed CA certificate has the same file name.
func TestReloadReadsTheRootAgain(t *testing.T) {
	l := newLife(t)
	defer l.close()
	l.close()
	l.cfg.Orchestrator.CAFile = filepath.Join(t.TempDir(), "root.pem")
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(l.cfg.Orchestrator.CAFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), l.cfg, Options{Version: "test", NoAdmin: true, Reload: func() (*config.Config, error) { return l.cfg, nil }})
	if err != nil {
		t.Fatal(err)
	}
	l.agent = a
	before := a.transport
	if _, err := a.reloadNow(t.Context()); err != nil || a.transport == before {
		t.Errorf("the file was not read again: %v", err)
	}
	if err := os.WriteFile(l.cfg.Orchestrator.CAFile, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.reloadNow(t.Context()); Explain(err).Code != "ca_file" {
		t.Errorf("%v", err)
	}
}

// TestRecordOfAnotherMachine: if the configuration names another machine than the store
// holds, that is reported, and heartbeats continue.
func TestRecordOfAnotherMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		r := l.mustEnroll()
		l.cfg.Machines[0].ID = "mach_other"
		l.reopen()
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		ready := status.Ready(l.agent.snapshot())
		if len(ready.Reasons) != 1 || ready.Reasons[0].Code != "another_identity" || !strings.Contains(ready.Reasons[0].Text, r.MachineID) {
			t.Errorf("%+v", ready)
		}
	})
}

// TestStoreOpenToOtherUsers: the store is closed to them, with one warning.
func TestStoreOpenToOtherUsers(t *testing.T) {
	l := newLife(t)
	l.close()
	dir := filepath.Join(l.cfg.Keystore.Dir, "keystore")
	for path, mode := range map[string]os.FileMode{dir: 0o775, filepath.Join(dir, "lock"): 0o664} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	a, err := New(t.Context(), l.cfg, Options{NoAdmin: true, Transport: l.server.Transport(), LogTo: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if strings.Count(log.String(), "store_tightened") != 1 {
		t.Errorf("want one warning: %s", log.String())
	}
}

// TestUnreadableStore: a store that cannot be read is neither replaced nor used, and
// the running daemon uses it as soon as it can be read.
func TestUnreadableStore(t *testing.T) {
	for _, record := range []string{"agent-main", "seal"} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			agent := l.mustEnroll().AgentID
			l.close()
			slots := []string{}
			for _, slot := range []string{".a", ".b"} {
				slots = append(slots, filepath.Join(l.cfg.Keystore.Dir, "keystore", record+slot))
			}
			for _, path := range slots {
				if err := errors.Join(os.Rename(path, path+".moved"), os.Mkdir(path, 0o700)); err != nil {
					t.Fatal(err)
				}
			}
			l.open()
			l.start()
			time.Sleep(time.Minute)
			l.want(status.Locked, status.CodeStoreUnreadable)
			if _, err := l.rotate(); Explain(err).Code != status.CodeStoreUnreadable {
				t.Errorf("%s: rotate: %v", record, err)
			}
			_, err := l.enroll(func(r *EnrollRequest) { r.Force, r.ReplaceLostKey = true, true })
			if Explain(err).Code != status.CodeStoreUnreadable {
				t.Errorf("%s: enroll --force: %v", record, err)
			}
			for _, path := range slots {
				if err := errors.Join(os.Remove(path), os.Rename(path+".moved", path)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(storeRetry + time.Minute)
			l.want(status.Online, "")
			l.onlyActive(agent)
		})
	}
}
