package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func stateFile(t *testing.T) string { return filepath.Join(t.TempDir(), "state.json") }

// knowledge returns the state of the server as JSON.
func knowledge(t *testing.T, s *sandbox.Server) string {
	t.Helper()
	text, err := json.MarshalIndent([]any{s.Machines(), s.Agents(""), s.Endpoints(""), s.Events(""), s.Beats()}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStateFileSurvivesARestart(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	a := r.enroll(r.machine())
	r.beat(a.beat(with(entry("qvac", "http://127.0.0.1:1"), "authToken", "s3cret"))).ok(200)
	gone := r.machine()
	r.call("DELETE", "/machines/"+gone, nil).ok(204)
	pending := r.draft("did:peaq:9")
	cursor := r.get("/machines?limit=1")
	want := knowledge(t, r.s)
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), a.token) {
		t.Error("the state file holds an agent's token")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state file's mode is %v", info.Mode())
	}

	again := newHarness(t, sandbox.WithStateFile(file))
	again.made = r.made
	if diff := cmp.Diff(want, knowledge(t, again.s)); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
	again.beat(a.beat()).ok(200)             // the token is still valid
	again.post("/machines", pending).ok(201) // and so is a challenge
	again.post("/machines", pending).fails("MACHINE_IDENTITY_PROOF_INVALID")
	again.post("/machines", again.draft("did:peaq:1001")).fails("MACHINE_IDENTITY_EXISTS")
	again.post("/machines", again.draft("did:peaq:1002")).ok(201) // its machine is archived
	if next, more := cursor.body["nextCursor"].(string); more {
		again.get("/machines?cursor=" + next).ok(200)
	}
	again.machine()
}

// TestStateIsSavedBeforeTheResponse kills the server without a shutdown after each change.
func TestStateIsSavedBeforeTheResponse(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	id := r.machine()
	a := r.enroll(id)
	again := newHarness(t, sandbox.WithStateFile(file)) // the first one was not closed
	if n := len(again.s.Agents(id)); n != 1 {
		t.Fatalf("%d agents after a kill, want 1", n)
	}
	again.beat(a.beat()).ok(200)
}

// TestHeartbeatsAreSavedASecondLater: heartbeats need not be on disk before the response, but soon after.
func TestHeartbeatsAreSavedASecondLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := stateFile(t)
		r := newHarness(t, sandbox.WithStateFile(file))
		a := r.enroll(r.machine())
		kept := func() uint64 { return newHarness(t, sandbox.WithStateFile(file)).s.Beats() }
		r.beat(a.beat()).ok(200)
		if n := kept(); n != 0 {
			t.Errorf("%d heartbeats in the file at once", n)
		}
		time.Sleep(2 * time.Second)
		r.beat(a.beat()).ok(200)
		if n := kept(); n != 2 {
			t.Errorf("%d heartbeats in the file two seconds later, want 2", n)
		}
	})
}

func TestStateFileWithConcurrentChanges(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	id := r.machine()
	a := r.enroll(id)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				r.call("PUT", fmt.Sprintf("/machines/%s/runtime-endpoints/p%d-%d", id, i, j), object{"endpointBaseUrl": "http://h"}).ok(201)
				r.beat(a.beat()).ok(200)
				// A change that was confirmed is in the file, no matter which call wrote it.
				text, err := os.ReadFile(file)
				if err != nil || !strings.Contains(string(text), fmt.Sprintf(`"p%d-%d"`, i, j)) {
					t.Errorf("p%d-%d was confirmed but is not in the file (%v)", i, j, err)
				}
			}
		})
	}
	wg.Wait()
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	again := newHarness(t, sandbox.WithStateFile(file))
	if n := len(again.s.Endpoints(id)); n != 81 || again.s.Beats() != 80 {
		t.Errorf("%d endpoints and %d heartbeats, want 81 and 80", n, again.s.Beats())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 1 {
		t.Errorf("beside the state file there is %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) != 0 {
		t.Errorf("temporary files stay: %v", left)
	}
}

// TestDamagedStateFile: a file that cannot be read completely is never overwritten.
func TestDamagedStateFile(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	r.enroll(r.machine())
	r.machine()
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(m object)) string {
		var m object
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		out, _ := json.Marshal(m)
		return string(out)
	}
	rows := func(m object) []any { return m["machines"].([]any) }
	for name, text := range map[string]string{
		"empty":           "",
		"zeros":           strings.Repeat("\x00", len(good)),
		"cut":             string(good[:len(good)/2]),
		"null":            "null",
		"an empty object": "{}",
		"another version": edit(func(m object) { m["version"] = 1 }),
		"no session key":  edit(func(m object) { m["sessionKey"] = "" }),
		"a null row":      edit(func(m object) { rows(m)[0] = nil }),
		"a row twice":     edit(func(m object) { m["machines"] = append(rows(m), rows(m)[1]) }),
		"rows in another order": edit(func(m object) {
			rows(m)[0], rows(m)[1] = rows(m)[1], rows(m)[0]
		}),
		"a row without an id":     edit(func(m object) { delete(rows(m)[0].(object), "id") }),
		"a row without a value":   edit(func(m object) { delete(rows(m)[0].(object), "v") }),
		"a table of a wrong type": edit(func(m object) { m["agents"] = "x" }),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := sandbox.Open(sandbox.WithStateFile(file)); err == nil || !strings.Contains(err.Error(), "move it away") {
				t.Errorf("opened %v with %v", s, err)
			}
			if after, _ := os.ReadFile(file); string(after) != text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestStateFileThatCannotBeWritten(t *testing.T) {
	if _, err := sandbox.Open(sandbox.WithStateFile(filepath.Join(t.TempDir(), "no", "such", "place"))); err == nil {
		t.Error("a place that does not exist was accepted")
	}
	if _, err := sandbox.Open(sandbox.WithStateFile(t.TempDir())); err == nil {
		t.Error("a directory was accepted")
	}
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, sandbox.WithStateFile(filepath.Join(dir, "state.json")))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r.machine()
	if got := r.get("/readiness").ok(200); got.str("status") != "not_ready" || got.str("checks.1.status") != "fail" {
		t.Errorf("readiness says %s", got.text)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.machine()
	if got := r.get("/readiness").ok(200); got.str("status") != "ready" {
		t.Errorf("after the place is back, readiness says %s", got.text)
	}
}

func TestRestart(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	a := r.enroll(r.machine())
	r.s.Restart(true)
	r.beat(a.beat()).ok(200)
	r.s.Forget()
	r.beat(a.beat()).fails("NOT_FOUND")
	r.get("/machines/" + a.machine).fails("NOT_FOUND")
	if n := len(newHarness(t, sandbox.WithStateFile(file)).s.Machines()); n != 0 {
		t.Errorf("%d machines in the file after a restart that lost the state", n)
	}
}
