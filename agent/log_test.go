package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
			log, _ := newLogger(config.Log{Level: "info", Format: c.format}, &out, c.terminal, nil)
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
		log, _ := newLogger(config.Log{Level: "debug", Format: format}, &out, false, nil)
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
		log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, func(level string) { counted[level]++ })
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
	log, _ := newLogger(config.Log{Level: "debug", Format: "json"}, &out, false, nil)
	for range 3 {
		log.Debug("beat", zap.String("code", "beat"))
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
}

func TestLogMemoryIsBounded(t *testing.T) {
	var out bytes.Buffer
	log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &out, false, nil)
	for i := range 2 * maxRemembered {
		log.Warn(fmt.Sprint("event ", i))
	}
	if n := len(log.Core().(*quietCore).seen.seen); n != maxRemembered {
		t.Errorf("%d events remembered, want %d", n, maxRemembered)
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
