package status_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestStatusGolden holds the text and the JSON of every situation.
func TestStatusGolden(t *testing.T) {
	for name, s := range statustest.Situations() {
		t.Run(name, func(t *testing.T) {
			v := status.NewView(s, "1.2.3", "/var/lib/peaqos-agent")
			golden.Check(t, filepath.Join("testdata", name+".txt"), v.Text())
			raw, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", name+".json"), string(raw)+"\n")
		})
	}
}

// TestStatusTravels: the verb shows what the daemon sent, so the JSON has to
// hold everything that the text needs.
func TestStatusTravels(t *testing.T) {
	for name, s := range statustest.Situations() {
		t.Run(name, func(t *testing.T) {
			sent := status.NewView(s, "1.2.3", "/var/lib/peaqos-agent")
			raw, err := json.Marshal(sent)
			if err != nil {
				t.Fatal(err)
			}
			var got status.View
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent, got); diff != "" {
				t.Errorf("the view changed on its way:\n%s", diff)
			}
			if diff := cmp.Diff(sent.Text(), got.Text()); diff != "" {
				t.Errorf("the text changed on its way:\n%s", diff)
			}
		})
	}
}

// TestStatusNames: snake_case names, whole UTC seconds, and no key that could
// hold a secret.
func TestStatusNames(t *testing.T) {
	s := statustest.Situations()["degraded"]
	s.At = s.At.In(time.FixedZone("far", 5*60*60)).Add(123 * time.Millisecond)
	raw, err := json.Marshal(status.NewView(s, "1.2.3", "/var/lib/peaqos-agent"))
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	eachKey(tree, func(key string) {
		if strings.ToLower(key) != key || strings.ContainsAny(key, "- ") {
			t.Errorf("key %q is not snake_case", key)
		}
		for _, bad := range []string{"token", "secret", "passphrase", "api_key", "private"} {
			if strings.Contains(key, bad) {
				t.Errorf("key %q sounds like a secret", key)
			}
		}
	})
	if at := tree.(map[string]any)["at"]; at != "2026-03-01T12:00:00Z" {
		t.Errorf("at is %v", at)
	}
}

func eachKey(tree any, f func(string)) {
	switch v := tree.(type) {
	case map[string]any:
		for key, below := range v {
			f(key)
			eachKey(below, f)
		}
	case []any:
		for _, below := range v {
			eachKey(below, f)
		}
	}
}

// TestStatusTextIsAligned: every label of a block begins its value in the same
// column, and no line ends in a space.
func TestStatusTextIsAligned(t *testing.T) {
	for name, s := range statustest.Situations() {
		column := -1
		for _, line := range strings.Split(status.NewView(s, "1.2.3", "/s").Text(), "\n")[1:] {
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %q ends in a space", name, line)
			}
			label, value, ok := strings.Cut(line, ":  ")
			if !ok || strings.Contains(strings.TrimSpace(label), "  ") {
				column = -1
				continue
			}
			at := len(label) + 3 + len(value) - len(strings.TrimLeft(value, " "))
			if column >= 0 && at != column {
				t.Errorf("%s: %q begins at column %d, the line above at %d", name, line, at, column)
			}
			column = at
		}
	}
}
