package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestBadFiles loads one file per rule and compares all its problems with the .txt
// file next to it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d bad files (%v)", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			_, err := Load(Source{Path: f, Hostname: "robot"})
			var all *Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("Load gives %v, want an *Error", err)
			}
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, strings.TrimSuffix(f, ".yaml")+".txt", strings.ReplaceAll(all.Error(), here+"/", "")+"\n")
			for _, p := range all.Problems {
				checkTone(t, p)
			}
		})
	}
}

// checkTone checks the form of a problem: a place, no secret, no full stop, one line.
func checkTone(t *testing.T, p Problem) {
	t.Helper()
	text := p.String()
	if strings.Contains(text, "canary") {
		t.Errorf("a secret is repeated: %s", text)
	}
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("the form is wrong: %q", text)
	}
	if p.File == "" || p.Line == 0 || p.Text == "" {
		t.Errorf("the place or the text is missing: %+v", p)
	}
}

func TestProblemsAreSortedByPlace(t *testing.T) {
	_, err := load(t, "log: {level: x}\nheartbeat:\n  lease_ttl: 5\n  interval: 5\n",
		"PEAQOS_AGENT_KEYSTORE_DIR=~/x", "PEAQOS_AGENT_HEARTBEAT_INTERVAL=7")
	var all *Error
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range all.Problems {
		keys = append(keys, p.Key)
	}
	want := []string{"log.level", "heartbeat.lease_ttl", "heartbeat.interval", "keystore.dir"}
	if !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v\n%v", keys, want, err)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"interval", "lease_ttl", "listen", "allow_plain"}
	for given, want := range map[string]string{
		"intervall": "interval", "intreval": "interval", "lease-ttl": "lease_ttl", "lsiten": "listen", "allowplain": "allow_plain",
		"interv": "interval", "listening": "listen", "colour": "", "x": "", "": "", strings.Repeat("interval", 40): "",
	} {
		if got := nearest(given, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestErrorMarshalsToItsProblems(t *testing.T) {
	_, err := load(t, "log: {level: loud}\nheartbeat: {interval: 80s\n")
	got, jsonErr := json.Marshal(map[string]any{"problems": err})
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	var back struct{ Problems []map[string]any }
	if err := json.Unmarshal(got, &back); err != nil || len(back.Problems) != 1 {
		t.Fatalf("got %s, %v", got, err)
	}
	for _, name := range []string{"file", "line", "column", "key", "text"} {
		if _, ok := back.Problems[0][name]; !ok {
			t.Errorf("%s is missing in %s", name, got)
		}
	}
}

// TestWarningsOfABadFile: warnings are reported in addition to the problems.
func TestWarningsOfABadFile(t *testing.T) {
	_, err := load(t, "log: {level: loud}\n", "PEAQOS_AGENT_COLOUR=blue")
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != 1 || len(all.Warnings) != 1 {
		t.Errorf("got %+v", all)
	}
}
