package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/peaqnetwork/peaqos-agent/agent/discover"
	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// sameJSON returns the script command json NAME [stderr] [first]: the JSON that was just
// printed must be that in testdata/json/NAME.json, but for what differs between two runs.
// With first, only the first item of a list counts.
func sameJSON(dir string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: json NAME [stderr] [first]")
		}
		stream := "stdout"
		if slices.Contains(args, "stderr") {
			stream = "stderr"
		}
		got, err := steadyJSON(ts.ReadFile(stream), ts.Getenv("WORK"), slices.Contains(args, "first"))
		ts.Check(err)
		path := filepath.Join(dir, args[0]+".json")
		if golden.Updating() {
			ts.Check(os.WriteFile(path, []byte(got), 0o644))
			return
		}
		want, err := os.ReadFile(path)
		ts.Check(err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			ts.Fatalf("%s is not up to date (go test ./cmd/peaqos-agent -run TestScripts/json -update writes it):\n%s", path, diff)
		}
	}
}

// steadyJSON writes one JSON document in a form that is the same in every run: keys in
// order, numbers as 0, and without times, ids, ports, versions and long texts.
func steadyJSON(text, work string, first bool) (string, error) {
	var tree any
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&tree); err != nil {
		return "", err
	}
	if items, ok := tree.(map[string]any)["items"].([]any); ok && first {
		tree.(map[string]any)["items"] = items[:1]
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(steady(tree, work))
	return b.String(), err
}

func steady(tree any, work string) any {
	switch v := tree.(type) {
	case map[string]any:
		for key, below := range v {
			v[key] = steady(below, work)
			switch key {
			case "version", "go", "os", "arch":
				v[key] = strings.ToUpper(key)
			case "runtime_profile":
				v[key] = "PROFILE"
			case "events": // how many there are, and which was the last, is a matter of time
				if events := v[key].([]any); len(events) > 0 {
					event := events[0].(map[string]any)
					event["code"], event["text"], event["level"] = "CODE", "TEXT", "LEVEL"
					v[key] = events[:1]
				}
			case "agent_label", "display_name":
				v[key] = regexp.MustCompile(`@.*`).ReplaceAllString(v[key].(string), "@HOST")
			}
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i], work)
		}
	case float64:
		return 0
	case string:
		return steadyText(v, work)
	}
	return tree
}

func steadyText(text, work string) string {
	text = strings.ReplaceAll(text, work, "WORK")
	for _, change := range [][2]string{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`\b(mach|magt|mchal)_[a-z0-9]{6,}`, "${1}_…"},
		{`#[a-z2-7]{8}\b`, "#…"},
		{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"},
		{`0x[0-9a-f]{130}`, "0xSIGNATURE"},
		{`0x[0-9a-fA-F]{40}`, "0xADDRESS"},
		{`\bfor \d+ s\b|\b\d+ s\b`, "N s"},
	} {
		text = regexp.MustCompile(change[0]).ReplaceAllString(text, change[1])
	}
	if len(text) > 1000 {
		return text[:40] + "…"
	}
	return text
}

// TestJSONOfOtherCommands: the commands that need systemd, and the demo.
func TestJSONOfOtherCommands(t *testing.T) {
	for name, print := range map[string]func(*app) error{
		"service-start": func(a *app) error { return a.controlled("started", true) },
		"service-seal":  func(a *app) error { return a.showRecovery("words") },
		"service-status": func(a *app) error {
			return a.result(readService("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=3\n"))
		},
		"demo": func(a *app) error { return a.result(demoSummary([]demoStep{{"enroll", 1.5, "enrolled"}}, 3, 1)) },
		"endpoints-discover": func(a *app) error {
			return a.result(discovery{Items: []discovered{{
				Runtime: discover.Runtime{BaseURL: "http://127.0.0.1:11434"}, ModelAlias: "m", ConfiguredAs: "ollama",
			}}, File: "c.yaml", Added: []string{"ollama"}})
		},
		"doctor": func(a *app) error {
			return a.result(doctor.Report{
				Version: "0.0.0", Findings: []doctor.Finding{
					{Check: "clock", Level: doctor.OK, Text: "agrees with the orchestrator's"},
					{Check: "agent", Machine: "main", Level: doctor.Problem, Code: status.CodeNotRunning, Text: "no agent is running", Next: "start it"},
				},
				Fixed: []string{"a mode"},
				Network: &doctor.Network{
					Contacts: []doctor.Contact{{Host: "127.0.0.1:1", For: "orchestrator", Reached: "127.0.0.1:1"}}, Listeners: []doctor.Listener{{Address: "127.0.0.1:2", For: "telemetry"}},
				},
			})
		},
		"sandbox": func(a *app) error {
			return a.result(sandboxAddresses{URL: "http://127.0.0.1:1", Notes: []string{"a note"}, Commands: []string{"peaqos-agent run"}})
		},
	} {
		var out bytes.Buffer
		if err := print(&app{streams: streams{nil, &out, nil}, json: true}); err != nil {
			t.Fatal(err)
		}
		got, err := steadyJSON(out.String(), "", false)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "json", name+".json"), got)
	}
}

// TestJSONVocabulary: every command has its JSON in a golden file, and all of them use
// one name for one thing.
func TestJSONVocabulary(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "json", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	words, used := vocabulary(), map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(raw, &tree); err != nil {
			t.Fatal(file, err)
		}
		if filepath.Base(file) == "config-show.json" {
			continue // its names are the keys of the configuration
		}
		eachName(tree, func(name string) {
			used[name] = true
			if words[name] == "" {
				t.Errorf("%s: %q is not in the vocabulary", file, name)
			}
		})
	}
	for name := range words {
		if !used[name] {
			t.Errorf("%q is in the vocabulary, and no command uses it", name)
		}
	}
	for _, name := range commandNames((&app{}).root()) {
		if slices.Contains([]string{"run", "help"}, name) || strings.HasPrefix(name, "service ") {
			continue // run logs; the actions of the service are alike
		}
		file := filepath.Join("testdata", "json", strings.ReplaceAll(name, " ", "-")+".json")
		if !slices.Contains(files, file) {
			t.Errorf("%s has no golden file %s", name, file)
		}
	}
}

// eachName calls f with every name in a document, without those that are data: results
// that are counted.
func eachName(tree any, f func(string)) {
	switch v := tree.(type) {
	case map[string]any:
		for name, below := range v {
			f(name)
			if !slices.Contains([]string{"counts", "connections", "messages", "deliveries", "labels"}, name) {
				eachName(below, f)
			}
		}
	case []any:
		for _, below := range v {
			eachName(below, f)
		}
	}
}
