package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSectionsMayBeEmpty: a section whose keys are all commented out is the default.
func TestSectionsMayBeEmpty(t *testing.T) {
	want := mustLoad(t, "")
	m := want.Machines
	if len(m) != 1 || m[0].Name != "main" || m[0].AgentLabel != "peaqos-agent@robot" || m[0].Register.MachineType != "edge-node" {
		t.Errorf("the default is %+v", want)
	}
	for _, text := range []string{
		"{}", "orchestrator:\nmachines:\nheartbeat:\n  # interval: 30s\n", "machines: []\n", "machines:\n  - {}\n", "machines:\n  - # one\n",
		"machines:\n  - endpoints:\n    register:\n      capabilities:\n      labels: # none\n",
		"log: {level: info}\n...\n", "log: {level: info}\r\n",
	} {
		if diff := cmp.Diff(want, mustLoad(t, text), sameConfig()); diff != "" {
			t.Errorf("%q is not the default:\n%s", text, diff)
		}
	}
}

// TestFileWithoutKeys: a file that exists must have a key. Each one is reported
// together with the problems of the environment.
func TestFileWithoutKeys(t *testing.T) {
	for text, want := range map[string]string{
		"\n": "is empty", " \r\n\t\n": "is empty", "\ufeff": "has no keys", "# nothing\n": "has no keys", "# cut": "has no keys",
		"---\n": "has no keys", "null\n": "has no keys", "---\n# nothing\n...\n": "has no keys",
		strings.Repeat("\x00", 64): "is not valid YAML",
	} {
		_, err := load(t, text, "PEAQOS_AGENT_LOG_LEVEL=loud")
		if err == nil || !strings.Contains(err.Error(), "c.yaml: "+want) && !strings.Contains(err.Error(), "c.yaml:1: "+want) ||
			!strings.Contains(err.Error(), "PEAQOS_AGENT_LOG_LEVEL: log.level: ") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, src := range []Source{{Path: path}, {defaultPath: path}, {Env: []string{"PEAQOS_AGENT_CONFIG=" + path}}} {
		if _, err := Load(src); err == nil || !strings.Contains(err.Error(), path+": is empty; ") {
			t.Errorf("%+v: got %v", src, err)
		}
	}
}

func TestFileCutOff(t *testing.T) {
	for text, want := range map[string]string{
		"log:\n  level: info":                    "c.yaml:2: the last line has no line break",
		"log:\n  level: info\n  # for":           "c.yaml:3: the last line has no line break",
		"log: {level: info}\nheartbeat:":         "c.yaml:2: the file ends here",
		"log: {level: info}\nheartbeat:\n\n":     "c.yaml:2: the file ends here",
		"machines:\n  -\n":                       "c.yaml:2: the file ends here",
		"machines:\n  - endpoints:\n      - -\n": "c.yaml:3: the file ends here",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"log: {level: info}", "machines: [{id: mach_1}]", "log:\n  level: \"info\"", "log:\n  level: info\n..."} {
		mustLoad(t, text)
	}
	whole, err := os.ReadFile("../../configs/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if part := string(whole[:n]); !strings.HasSuffix(part, "\n") && n > 0 {
			if _, err := load(t, part); err == nil {
				t.Errorf("minimal.yaml cut off after %q is accepted", part)
			}
		}
	}
}

// TestAnchors shows what anchors are for: similar machines.
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

// TestManyAliases: the size of what aliases expand to is bounded.
func TestManyAliases(t *testing.T) {
	text := "a: &a [" + strings.Repeat("{},", 60) + "]\nmachines: [" + strings.Repeat("{endpoints: *a},", 5000) + "]\n"
	start := time.Now()
	if _, err := load(t, text); err == nil {
		t.Error("5000 machines were accepted")
	}
	_, err := load(t, "log: {level: &l info}\nmachines:\n  - endpoints: &a ["+strings.Repeat("{},", 60)+"]\n"+
		strings.Repeat("  - endpoints: *a\n", 4000))
	var all *Error
	tooMany := func(p Problem) bool { return strings.Contains(p.Text, "more than 16384 endpoints") }
	if !errors.As(err, &all) || !slices.ContainsFunc(all.Problems, tooMany) {
		t.Error("4001 machines with 60 endpoints each were accepted")
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

// FuzzLoad checks that no file causes a panic or a hang, and that what Show writes
// of one that loads is loaded as an equal configuration.
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
	f.Add([]byte(`machines: [{register: {labels: {"a b": ": #", "=": "- ", y: "no", n: "0x1"}, capabilities: ["{", "&a", "!t", "1e3"]}}]`))
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
				t.Fatalf("not a clean *Error: %q", err)
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
