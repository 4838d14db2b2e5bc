package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestBadFiles loads one file per rule and compares everything that is said about
// it with the .txt beside it.
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
				t.Fatalf("Load gives %v, want a ConfigError", err)
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

// checkTone holds the manners of an error: a place, no secret, no full stop, one
// line.
func checkTone(t *testing.T, p Problem) {
	t.Helper()
	text := p.String()
	if strings.Contains(text, "canary") {
		t.Errorf("a secret is repeated: %s", text)
	}
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("the form is wrong: %q", text)
	}
	if p.Path == "" || p.Line == 0 || p.Text == "" {
		t.Errorf("it is not said where or what: %+v", p)
	}
}

func TestProblemsAreSortedByPlace(t *testing.T) {
	_, err := load(t, "log: {level: x}\nheartbeat:\n  lease_ttl: 5\n  interval: 5\n", "PEAQOS_AGENT_KEYSTORE_DIR=~/x", "PEAQOS_AGENT_HEARTBEAT_INTERVAL=7")
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

func TestFileFaults(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ path, want string }{
		{dir + "/none.yaml", "cannot be read: no such file or directory"},
		{dir, "cannot be read: is a directory"},
	} {
		_, err := Load(Source{Path: c.path, Env: []string{"PEAQOS_AGENT_LOG_LEVEL=loud"}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "PEAQOS_AGENT_LOG_LEVEL: log.level: ") {
			t.Errorf("%s: got %v, want both %q and the variable's fault", c.path, err, c.want)
		}
	}
	_, err := load(t, "#"+strings.Repeat("x", maxConfigFile))
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
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
