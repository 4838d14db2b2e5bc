package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEmptyIsAllowed(t *testing.T) {
	want := mustLoad(t, "")
	if m := want.Machines; len(m) != 1 || m[0].Name != "main" || m[0].AgentLabel != "peaqos-agent@robot" || m[0].Register.MachineType != "edge-node" {
		t.Errorf("the default is %+v", want)
	}
	for _, text := range []string{
		"# nothing\n", "---\n", "{}", "\ufeff", "null\n", "orchestrator:\nmachines:\nheartbeat:\n  # interval: 30s\n", "machines: []\n", "machines:\n  - {}\n",
		"machines:\n  -\n", "machines:\n  - endpoints:\n    register:\n      capabilities:\n      labels:\n", "log: {level: info}\n...\n",
	} {
		if diff := cmp.Diff(want, mustLoad(t, text), sameConfig()); diff != "" {
			t.Errorf("%q is not the default:\n%s", text, diff)
		}
	}
}

// TestAnchors shows what anchors are for: machines that are alike.
func TestAnchors(t *testing.T) {
	c := mustLoad(t, `
machines:
  - &first
    name: a
    register: {machine_type: arm}
    endpoints: &runtime
      - &qvac {provider_key: qvac, base_url: &url "http://127.0.0.1:11434"}
  - <<: *first
    name: b
  - name: c
    endpoints:
      - <<: [*qvac, {probe_path: /from-the-list, model_alias: llm}]
        probe_path: /mine
  - name: d
    endpoints: *runtime
`)
	if len(c.Machines) != 4 || c.Machines[1].Name != "b" || c.Machines[1].Register.MachineType != "arm" {
		t.Fatalf("got %+v", c.Machines)
	}
	for _, m := range c.Machines {
		if len(m.Endpoints) != 1 || m.Endpoints[0].BaseURL != "http://127.0.0.1:11434" {
			t.Errorf("machine %s has %+v", m.Name, m.Endpoints)
		}
	}
	if e := c.Machines[2].Endpoints[0]; e.ProbePath != "/mine" || e.ModelAlias != "llm" {
		t.Errorf("a merge must not win over the key itself: %+v", e)
	}
	c.Machines[0].Endpoints[0].ProbePath = "/changed"
	if c.Machines[3].Endpoints[0].ProbePath == "/changed" {
		t.Error("machines share memory because they shared an anchor")
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := "orchestrator: {ca_file: ca.pem}\nkeystore: {dir: ./store}\nmachines: [{identity_ref_file: ref}]\n"
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.WriteFile(filepath.Join(dir, "ref"), []byte(" did:peaq:42 \n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if c.Orchestrator.CAFile != dir+"/ca.pem" || c.Keystore.Dir != dir+"/store" || c.Machines[0].IdentityRef != "did:peaq:42" {
		t.Errorf("got %+v", c)
	}
}

func TestDerivedDefaults(t *testing.T) {
	c := mustLoad(t, `
machines:
  - endpoints:
      - {provider_key: qvac, base_url: "http://127.0.0.1:1/"}
      - {provider_key: other, base_url: "http://[::1]:2"}
      - {provider_key: name, base_url: "http://runtime.localhost:3"}
      - {provider_key: far, base_url: "https://robot.example", network_scope: public, probe_url: "http://sidecar:80/"}
heartbeat: {lease_ttl: 1h30m}
telemetry: {listen: off}
`)
	e := c.Machines[0].Endpoints
	got := []any{e[0].BaseURL, e[0].ProbePath, e[1].ProbePath, e[1].AuthType, e[2].NetworkScope, e[3].ProbeURL, c.Heartbeat, c.Telemetry.Listen}
	want := []any{"http://127.0.0.1:1", "/v1/models", "/health", "none", "loopback", "http://sidecar:80", Heartbeat{LeaseTTL: 90 * time.Minute}, ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestListenerAddresses(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:9757": true, "127.9.9.9:0": true, "[::1]:9757": true, "localhost:9757": true, "[::ffff:127.0.0.1]:1": true, "": true,
		":9757": false, "0.0.0.0:9757": false, "[::]:9757": false, "192.168.1.2:9757": false, "robot.local:9757": false,
		"127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:70000": false, "127.0.0.1:09757": false, "::1:9757": false, "bad host:1": false,
	} {
		_, err := load(t, "telemetry: {listen: \""+listen+"\"}")
		if (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
	}
	if c := mustLoad(t, "telemetry: {listen: \":9757\", allow_plain: true}"); c.Telemetry.Listen != ":9757" {
		t.Errorf("got %+v", c.Telemetry)
	}
}

func TestOrchestratorURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://orchestration.peaq.xyz": true, "https://HOST.example:8443/prefix/": true, "http://127.0.0.1:8080": true, "http://localhost": true, "http://[::1]:1": true,
		"http://10.0.0.1": false, "http://localhost.example": false, "https://": false, "https:orchestration.peaq.xyz": false, "orchestration.peaq.xyz": false,
		"https://h.example?x=1": false, "https://h.example#x": false, "https://h.example?": false, "https://h.example:0": false, "": false, "https://h example": false,
	} {
		_, err := load(t, "orchestrator: {url: \""+url+"\"}")
		if (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestWorldWritableFileIsWarnedOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o602)); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{Path: path})
	if err != nil || !strings.Contains(strings.Join(c.Warnings, " "), "chmod o-w") {
		t.Errorf("got %v, %v", c, err)
	}
}

// TestMergesDoNotMultiply: sixteen levels that each merge the one below sixteen
// times would be 16^16 merges.
func TestMergesDoNotMultiply(t *testing.T) {
	text := "a0: &a0 {level: debug}\n"
	for i := range 16 {
		text += fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 16))
	}
	start := time.Now()
	_, err := load(t, text+"log: {<<: *a16}\n")
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != 17 {
		t.Errorf("want the 17 helpers to be unknown keys and log to be good, got %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
}

// TestManyAliases bounds what a short file can make of itself.
func TestManyAliases(t *testing.T) {
	text := "a: &a [" + strings.Repeat("{},", 60) + "]\nmachines: [" + strings.Repeat("{endpoints: *a},", 5000) + "]\n"
	start := time.Now()
	if _, err := load(t, text); err == nil {
		t.Error("5000 machines were taken")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestSyntaxErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]int{
		"log:\n  level: info\nmachines:\n  - name: a\n   id: b\n": 5,
		"log:\n  level: \"info\nkeystore: {}\n":                   2,
		"keystore: {}\nlog: {level: info\n":                       2,
		"log:\n  level: info: debug\n":                            2,
		"log: *nowhere\n":                                         1,
	} {
		_, err := load(t, text)
		var all *Error
		if !errors.As(err, &all) || all.Problems[0].Line != want {
			t.Errorf("%q: got %v, want line %d", text, err, want)
		}
	}
}

// FuzzLoad wants two things of any file: no panic and no hang, and of one that
// loads, that Show writes it so that it loads as the same again.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../../configs/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("a: &a {<<: *a}\nlog: {<<: [*a, *a], level: !!str info, ? [x] : y}"))
	f.Add([]byte("machines: &m [{endpoints: [{provider_key: \"\\u2028\", base_url: \"http://127.0.0.1:1\"}]}, *m]"))
	f.Add([]byte("machines: [{register: {labels: {\"a b\": \": #\", \"=\": \"- \", y: \"no\", n: \"0x1\"}, capabilities: [\"{\", \"&a\", \"!t\", \"1e3\"]}}]"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Source{Path: path, Hostname: "robot"})
		var all *Error
		if err != nil {
			if !errors.As(err, &all) || len(all.Problems) == 0 || strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), Deceptive) {
				t.Fatalf("not a clean ConfigError: %q", err)
			}
			return
		}
		again := filepath.Join(dir, "again.yaml")
		if err := os.WriteFile(again, []byte(c.Show(true)), 0o600); err != nil {
			t.Fatal(err)
		}
		back, err := Load(Source{Path: again, Hostname: "robot"})
		if err != nil {
			t.Fatalf("what Show wrote does not load: %v\n%s", err, c.Show(true))
		}
		if diff := cmp.Diff(c, back, sameConfig()); diff != "" {
			t.Fatalf("Show changed the configuration:\n%s\n%s", diff, c.Show(true))
		}
	})
}
