package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func TestLogForms(t *testing.T) {
	for _, c := range []struct {
		format   string
		terminal bool
		json     bool
	}{
		{"auto", false, true}, {"auto", true, false}, {"json", true, true}, {"console", false, false},
	} {
		t.Run(fmt.Sprintf("%s on a terminal %t", c.format, c.terminal), func(t *testing.T) {
			var out bytes.Buffer
			log, _ := newLogger(config.Log{Level: "info", Format: c.format}, &out, c.terminal, logState{})
			log.Info("enrolled", zap.String("code", "enrolled"), zap.String("machine", "main"))
			log.Debug("not for the level info")
			var fields map[string]any
			err := json.Unmarshal(out.Bytes(), &fields)
			if c.json != (err == nil) {
				t.Fatalf("got %s", out.String())
			}
			if c.json && (fields["code"] != "enrolled" || fields["level"] != "info" || fields["msg"] != "enrolled" || fields["machine"] != "main") {
				t.Errorf("got %v", fields)
			}
			if !c.json && !strings.Contains(out.String(), `Z  INFO  enrolled  {"code": "enrolled", "machine": "main"}`) {
				t.Errorf("got %q", out.String())
			}
			if strings.Count(out.String(), "\n") != 1 {
				t.Errorf("not one line: %q", out.String())
			}
		})
	}
}

// TestLogInjection logs what a malicious server may send, in both formats: in the
// message, a field, an error and a field of With.
func TestLogInjection(t *testing.T) {
	hostile := "no\n2026-11-24T00:00:00Z  INFO  all is well\r\x1b[2J\x00\u009b31m\u202egnp.exe\u2028\u200b\xff\U000e0001"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log, _ := newLogger(config.Log{Level: "debug", Format: format}, &out, false, logState{})
		log.With(zap.String("peer", hostile)).Warn("answered "+hostile, zap.String("text", hostile), zap.Error(errors.New(hostile)), zap.Strings("list", []string{hostile}))
		line, ok := strings.CutSuffix(out.String(), "\n")
		if !ok || strings.ContainsFunc(line, config.Deceptive) || strings.Contains(line, "\xff") {
			t.Errorf("%s: %q", format, out.String())
		}
		if !strings.Contains(line, `\u001b[2J`) || !strings.Contains(line, `\u202egnp`) || !strings.Contains(line, `\udb40\udc01`) {
			t.Errorf("%s: the characters are gone instead of escaped: %q", format, line)
		}
		if format == "json" {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			if want := strings.ToValidUTF8(hostile, "\ufffd"); fields["text"] != want {
				t.Errorf("text reads back as %q", fields["text"])
			}
		}
	}
}

// sentences are the messages of the JSON lines in out.
func sentences(t *testing.T, out *bytes.Buffer) []string {
	t.Helper()
	var got []string
	for line := range strings.Lines(out.String()) {
		var e struct {
			Msg      string
			Machine  string
			Repeated int
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Repeated > 0 {
			e.Msg += fmt.Sprintf(" (%d more)", e.Repeated)
		}
		got = append(got, strings.TrimSpace(e.Machine+" "+e.Msg))
	}
	return got
}

func TestLogRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		counted := map[string]int{}
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, logState{count: func(level string) { counted[level]++ }})
		robot, arm := log.With(zap.String("machine", "robot")), log.With(zap.String("machine", "arm"))
		failed := func(l *zap.Logger) { l.Warn("offline", zap.String("code", "timeout")) }

		for range 25 { // one a minute
			failed(robot)
			time.Sleep(time.Minute)
		}
		failed(arm) // another machine is other news
		robot.Warn("offline", zap.String("code", "dns"))
		robot.Info("online", zap.String("code", "online"))
		failed(robot) // bad after good is news, however soon
		failed(robot)
		robot.Info("online", zap.String("code", "online"))
		log.Warn("one warning", zap.String("code", "config_warning"))
		log.Warn("another warning", zap.String("code", "config_warning"))

		want := []string{
			"robot offline", "robot offline (9 more)", "robot offline (9 more)", "arm offline", "robot offline",
			"robot online", "robot offline", "robot online", "one warning", "another warning",
		}
		if diff := cmp.Diff(want, sentences(t, &out)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]int{"warn": 31, "info": 2}, counted); diff != "" {
			t.Errorf("counted: %s", diff)
		}
	})
}

func TestLogDebugIsNeverSuppressed(t *testing.T) {
	var out bytes.Buffer
	log, _ := newLogger(config.Log{Level: "debug", Format: "json"}, &out, false, logState{})
	for range 3 {
		log.Debug("beat", zap.String("code", "beat"))
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
}

func TestLogMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, logState{})
		for i := range 2 * maxRemembered {
			log.Warn(fmt.Sprint("event ", i))
			time.Sleep(limitWindow / maxPerWindow) // within the limit of a minute
		}
		if n := len(log.Core().(*quietCore).seen.seen); n != maxRemembered {
			t.Errorf("%d events remembered, want %d", n, maxRemembered)
		}
	})
}

// TestLogTellsTheNews: another cause or reason of a state is logged at once, as often
// as it changes; the same one is not repeated.
func TestLogTellsTheNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, logState{})
		offline := func(cause, why string) {
			log.Warn("offline: "+why, zap.String("code", "state_offline"), zap.String("machine", "robot"), zap.String("cause", cause), zap.String("why", why))
		}
		offline("server_error", "HTTP 502")
		offline("server_error", "HTTP 502")
		offline("middlebox", "a portal")
		offline("server_error", "HTTP 502") // the portal is out of date
		log.Warn("idle: nothing is up", zap.String("code", "state_idle"), zap.String("machine", "robot"))
		offline("server_error", "HTTP 502")
		offline("server_error", "HTTP 503")
		down := func(why string) {
			log.Warn("down", zap.String("code", "endpoint_down"), zap.String("machine", "robot"), zap.String("provider", "qvac"), zap.String("why", why))
		}
		down("refused")
		down("timeout")
		down("refused")
		down("refused")
		want := []string{
			"robot offline: HTTP 502", "robot offline: a portal", "robot offline: HTTP 502", "robot idle: nothing is up",
			"robot offline: HTTP 502", "robot offline: HTTP 503", "robot down", "robot down", "robot down",
		}
		if diff := cmp.Diff(want, sentences(t, &out)); diff != "" {
			t.Error(diff)
		}
	})
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *lockedBuffer) copy() *bytes.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.NewBuffer(bytes.Clone(b.out.Bytes()))
}

// TestLogFlood: whatever happens, a machine gets so many lines a minute; what was left
// out is counted, other machines are not affected, and within a minute the last line
// is right.
func TestLogFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written lockedBuffer // a timer writes
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &written, false, logState{})
		state := func(machine, name string) {
			log.Warn(name, zap.String("code", "state_"+name), zap.String("machine", machine), zap.String("why", strings.Repeat("X", 250_000)))
		}
		const minutes = 10
		sent := 0
		for i := range minutes * 60 * 5 {
			state("robot", []string{"offline", "idle", "degraded"}[i%3])
			sent++
			time.Sleep(200 * time.Millisecond)
		}
		state("robot", "locked")
		state("arm", "idle")
		if got := sentences(t, written.copy()); got[len(got)-1] != "arm idle" {
			t.Errorf("another machine's news is late: %s", got[len(got)-1])
		}
		time.Sleep(limitWindow)
		synctest.Wait()
		out := written.copy()
		got := sentences(t, out)
		if last := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, "robot") }); last[len(last)-1] != "robot locked" {
			t.Errorf("the last line about the machine is %q", last[len(last)-1])
		}
		if len(got) > (minutes+1)*(maxPerWindow+2) || len(got) < minutes*maxPerWindow {
			t.Errorf("%d lines in %d minutes", len(got), minutes)
		}
		if perLine := out.Len() / len(got); perLine > 2*maxField {
			t.Errorf("%d bytes a line", perLine)
		}
		left, lines := 0, 0
		for line := range strings.Lines(out.String()) {
			var e struct {
				Code    string
				LeftOut int `json:"left_out"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if left += e.LeftOut; e.Code != "log_limited" {
				lines++
			}
		}
		if left+lines != sent+2 {
			t.Errorf("%d left out and %d written of %d", left, lines, sent+2)
		}
	})
}

// TestLogStop: what is held back when the process ends is written.
func TestLogStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, logState{})
		for i := range 2 * maxPerWindow {
			log.Warn(fmt.Sprintf("offline: %d", i), zap.String("code", "state_offline"), zap.String("machine", "robot"))
		}
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		got := sentences(t, &out)
		if last := got[len(got)-1]; last != fmt.Sprintf("robot offline: %d", 2*maxPerWindow-1) {
			t.Errorf("the last line is %q", last)
		}
	})
}

func TestWithoutTimes(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "at 2026-11-28T07:00:00Z.": "at .", "2026-11-28T07:00:00Z": "", "2026-99-28T07:00:00Z": "2026-99-28T07:00:00Z",
	} {
		if got := withoutTimes(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// FuzzEscapeControls: one clean line comes out, and inside JSON it still means
// the same.
func FuzzEscapeControls(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb", "\x1b[2J", "\u202e\u200b\u2028", "\xff\xfe", "\U000e0001", `\`, `"`, "é\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range [][]byte{[]byte(s), quoted} {
			clean := escapeControls(line)
			if clean == nil {
				clean = line
			}
			if strings.ContainsFunc(string(clean), config.Deceptive) || !utf8.Valid(clean) {
				t.Fatalf("%q became %q", line, clean)
			}
		}
		if clean := escapeControls(quoted); clean != nil {
			var back string
			if err := json.Unmarshal(clean, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
				t.Errorf("%q came back as %q (%v)", s, back, err)
			}
		}
	})
}
