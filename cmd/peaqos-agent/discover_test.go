package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveBodies serves fixed bodies by path and returns HOST:PORT.
func serveBodies(t *testing.T, bodies map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func ollamaBodies() map[string]string {
	return map[string]string{
		"/": "Ollama is running", "/api/tags": `{"models":[{"name":"llama3.2:latest","digest":"a80c"}]}`, "/api/version": `{"version":"0.5.1"}`,
		"/v1/models": `{"object":"list","data":[{"id":"llama3.2:latest","object":"model","created":1,"owned_by":"library"}]}`,
	}
}

// command runs a command line and returns its exit code and what it printed.
func command(t *testing.T, args ...string) (exit int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	exit = execute(t.Context(), streams{&bytes.Buffer{}, &o, &e}, args, nil)
	return exit, o.String(), e.String()
}

// TestDiscoverAndWrite: what is found is printed as it belongs into the configuration, and
// added to it once.
func TestDiscoverAndWrite(t *testing.T) {
	host := serveBodies(t, ollamaBodies())
	file := filepath.Join(t.TempDir(), "c.yaml")
	before := "# mine\nlog: {level: warn}\n\nmachines:\n  - endpoints:\n      - provider_key: other # keep\n        base_url: http://127.0.0.1:1\n"
	if err := os.WriteFile(file, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	exit, out, errs := command(t, "endpoints", "discover", "--host", host, "--config", file)
	want := fmt.Sprintf("      - provider_key: ollama\n        base_url: http://%s\n        probe_path: /api/tags\n", host)
	if exit != 0 || !strings.Contains(out, want) || !strings.Contains(out, "Ollama 0.5.1") || !strings.Contains(out, "model llama3.2:latest") {
		t.Fatalf("exit %d\n%s%s", exit, out, errs)
	}
	exit, out, errs = command(t, "endpoints", "discover", "--host", host, "--config", file, "--write")
	if exit != 0 || !strings.Contains(out, "Added to "+file+": ollama\n") {
		t.Fatalf("exit %d\n%s%s", exit, out, errs)
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != before+want {
		t.Errorf("%v, the file is now\n%s", err, after)
	}
	info, err := os.Stat(file)
	if backup, readErr := os.ReadFile(file + ".bak"); err != nil || info.Mode().Perm() != 0o640 || readErr != nil || string(backup) != before {
		t.Errorf("mode %v, %v; backup %q, %v", info.Mode(), err, backup, readErr)
	}
	exit, out, errs = command(t, "endpoints", "discover", "--host", host, "--config", file, "--write", "--json")
	if exit == 0 || !strings.Contains(errs, `"no_endpoint"`) {
		t.Errorf("a second time: exit %d\n%s%s", exit, out, errs)
	}
	var found discovery
	_, out, _ = command(t, "endpoints", "discover", "--host", host, "--config", file, "--json")
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found.Items) != 1 || found.Items[0].ConfiguredAs != "ollama" || found.Items[0].Notice != "" {
		t.Errorf("%v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestDiscoverRefuses: a file that would not be valid afterwards is not changed.
func TestDiscoverRefuses(t *testing.T) {
	host := serveBodies(t, ollamaBodies())
	file := filepath.Join(t.TempDir(), "c.yaml")
	before := "machines:\n  - allowed_provider_keys: [qvac]\n"
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, out, errs := command(t, "endpoints", "discover", "--host", host, "--config", file, "--write")
	if exit != 3 || !strings.Contains(errs, "c.yaml:") || !strings.Contains(errs, "allowed_provider_keys") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != before {
		t.Errorf("%v, the file is now\n%s", err, after)
	}
	if exit, _, errs := command(t, "endpoints", "discover", "--host", "http://x"); exit != 1 || !strings.Contains(errs, "not a host name") {
		t.Errorf("exit %d\n%s", exit, errs)
	}
}

// TestConfiguredAsQVAC: an Ollama that is configured as qvac is reported by every command
// that looks at it.
func TestConfiguredAsQVAC(t *testing.T) {
	host := serveBodies(t, ollamaBodies())
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "orchestrator: {url: \"" + startSandbox(t).URL + "\"}\nkeystore: {dir: none}\n" +
		"machines: [{endpoints: [{provider_key: qvac, base_url: \"http://" + host + "\"}]}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"endpoints", "check"}, {"endpoints", "discover", "--host", host}, {"config", "check", "--online"}, {"config", "check", "--online", "--json"},
	} {
		exit, out, errs := command(t, append(args, "--config", file)...)
		if exit != 0 || !strings.Contains(out, "it answers like Ollama, not like QVAC: set provider_key ollama and probe_path /api/tags") {
			t.Errorf("%q: exit %d\n%s%s", args, exit, out, errs)
		}
	}
}

// TestCheckOnline: the orchestrator and the endpoints are requested, and what does not
// respond decides the exit code. Nothing is created.
func TestCheckOnline(t *testing.T) {
	host := serveBodies(t, map[string]string{"/health": "{}"})
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	write := func(orchestrator, endpoint string) {
		text := "orchestrator: {url: \"" + orchestrator + "\"}\nkeystore: {dir: none}\n" +
			"machines: [{endpoints: [{provider_key: own, base_url: \"http://" + endpoint + "\"}]}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := startSandbox(t).URL
	for _, c := range []struct {
		orchestrator, endpoint string
		exit                   int
		says                   string
	}{
		{good, host, 0, "Orchestrator  " + good + ": responds\nEndpoint      own at http://" + host + ": up"},
		{good, "127.0.0.1:1", 2, "own at http://127.0.0.1:1: down"},
		{"http://127.0.0.1:1", host, 2, "Orchestrator  http://127.0.0.1:1: "},
		{"http://" + host, host, 2, "Orchestrator  http://" + host + ": "}, // a web server, but no orchestrator
	} {
		write(c.orchestrator, c.endpoint)
		exit, out, errs := command(t, "config", "check", "--online", "--config", file)
		if exit != c.exit || !strings.Contains(out, c.says) {
			t.Errorf("exit %d, without %q:\n%s%s", exit, c.says, out, errs)
		}
		var check configCheck
		exit, out, errs = command(t, "config", "check", "--online", "--json", "--config", file)
		if err := json.Unmarshal([]byte(out), &check); err != nil || exit != c.exit || !check.OK || check.Online == nil || len(check.Online.Endpoints) != 1 {
			t.Errorf("%v, exit %d\n%s%s", err, exit, out, errs)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("it left %q, %v", left, err)
	}
}
