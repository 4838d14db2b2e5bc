package status_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestStatusPictures: what a terminal of 80 and of 60 columns shows in each situation,
// with colors and without UTF-8.
func TestStatusPictures(t *testing.T) {
	names := []string{"online", "degraded", "offline", "unenrolled", "rejected", "quarantined", "services-failing", "no-daemon"}
	for width, file := range map[int]string{80: "pictures.80.txt", 60: "pictures.60.txt"} {
		var b strings.Builder
		for _, name := range names {
			v := status.NewView(statustest.Situations()[name], "1.2.3", "/var/lib/peaqos-agent")
			b.WriteString(strings.Repeat("=", width) + "\n" + v.Text(status.TextOptions{Width: width}))
		}
		golden.Check(t, filepath.Join("testdata", file), b.String())
	}
	v := status.NewView(statustest.Situations()["degraded"], "1.2.3", "/var/lib/peaqos-agent")
	golden.Check(t, filepath.Join("testdata", "pictures.ascii.txt"), v.Text(status.TextOptions{Width: 80, All: true, ASCII: true}))
	golden.Check(t, filepath.Join("testdata", "pictures.color.txt"), v.Text(status.TextOptions{Width: 80, Color: true}))
}

// TestShortStatusIsShort: without anything that deserves a second look, one machine with
// one endpoint takes at most six lines.
func TestShortStatusIsShort(t *testing.T) {
	for name, s := range statustest.Situations() {
		v := status.NewView(s, "1.2.3", "/s")
		if len(v.Machines) != 1 || len(v.Machines[0].Endpoints) > 1 || len(v.Warnings) > 0 || v.Machines[0].Presence != nil || v.Machines[0].Rotation != nil {
			continue
		}
		text := v.Text(status.TextOptions{})
		if lines := strings.Count(text, "\n") - strings.Count(text, "\n  Problem:"); lines > 6 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// TestNextCanBeCopied: a command that does not fit is broken so that a shell reads it as
// one.
func TestNextCanBeCopied(t *testing.T) {
	s := statustest.Situations()["unenrolled"]
	want := status.NewView(s, "1.2.3", "/s").Machines[0].Next
	for _, all := range []bool{false, true} {
		_, text, _ := strings.Cut(status.NewView(s, "1.2.3", "/s").Text(status.TextOptions{Width: 60, All: all}), "Next:")
		var command []string
		for line := range strings.Lines(text) {
			part, more := strings.CutSuffix(strings.TrimSpace(line), `\`)
			command = append(command, strings.Fields(part)...)
			if !more {
				break
			}
		}
		if got := strings.Join(command, " "); got != want || !strings.Contains(text, "\\\n") {
			t.Errorf("all %t: %q, want %q, in\n%s", all, got, want, text)
		}
	}
}

// TestForReader: every command in a text gets what its reader needs to run it there.
func TestForReader(t *testing.T) {
	user := status.Reader{Flags: "--config c.yaml", StoreNeedsSudo: true, ServiceNeedsSudo: true}
	local := status.Reader{Program: "bin/peaqos-agent"}
	for _, c := range []struct {
		text   string
		reader status.Reader
		want   string
	}{
		{"peaqos-agent status", status.Reader{}, "peaqos-agent status"},
		{"peaqos-agent status", user, "peaqos-agent status --config c.yaml"},
		{"run peaqos-agent rotate again", user, "run sudo peaqos-agent rotate --config c.yaml again"},
		{"start it: sudo peaqos-agent service start", user, "start it: sudo peaqos-agent service start"},
		{"peaqos-agent service start", user, "sudo peaqos-agent service start"},
		{"peaqos-agent service status", user, "peaqos-agent service status"},
		{"peaqos-agent enroll --config /etc/c.yaml --api-key-file FILE", user, "sudo peaqos-agent enroll --config /etc/c.yaml --api-key-file FILE"},
		{"peaqos-agent enroll --config 'a b' --keystore-dir s", user, "sudo peaqos-agent enroll --config 'a b' --keystore-dir s"},
		{"peaqos-agent agents revoke magt_1 --machine-id m", local, "bin/peaqos-agent agents revoke magt_1 --machine-id m"},
		{"see journalctl -u peaqos-agent -e", user, "see journalctl -u peaqos-agent -e"},
		{"restart the agent: sudo systemctl restart peaqos-agent", user, "restart the agent: sudo systemctl restart peaqos-agent"},
		{"run bin/peaqos-agent status", local, "run bin/peaqos-agent status"},
		{"peaqos-agent service start, or peaqos-agent run", user, "sudo peaqos-agent service start, or sudo peaqos-agent run --config c.yaml"},
		{"peaqos-agent identity export FILE", user, "sudo peaqos-agent identity export --config c.yaml FILE"},
		{"sudo systemctl restart peaqos-agent, or sudo peaqos-agent reload", status.Reader{Root: true}, "systemctl restart peaqos-agent, or peaqos-agent reload"},
		{"see sudo journalctl -u peaqos-agent -e", status.Reader{Root: true}, "see journalctl -u peaqos-agent -e"},
		{"curl -i https://h/api/v1/health", user, "curl -i https://h/api/v1/health"},
	} {
		if got := status.ForReader(c.text, c.reader); got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
		if got := status.ForReader(c.want, c.reader); got != c.want {
			t.Errorf("%s: twice gives %q", c.text, got)
		}
	}
}

// TestEffectCounts: an endpoint that a reload has added is not published yet.
func TestEffectCounts(t *testing.T) {
	s := statustest.Situations()["online"]
	m := s.Machines[0]
	if got := status.Effect(m); !strings.Contains(got, "every endpoint is published") {
		t.Error(got)
	}
	m.Endpoints = append(m.Endpoints, status.Endpoint{ProviderKey: "new"})
	if got := status.Effect(m); !strings.Contains(got, "1 of 2 endpoints") {
		t.Error(got)
	}
}
