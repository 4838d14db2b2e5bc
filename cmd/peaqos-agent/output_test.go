package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaiting: a command that is silent for a second says what it waits for; a quick one
// says nothing, and neither does one with --json.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			took time.Duration
			json bool
			want string
		}{
			{500 * time.Millisecond, false, ""},
			{1500 * time.Millisecond, false, "waiting for the orchestrator\n"},
			{1500 * time.Millisecond, true, ""},
		} {
			var errs bytes.Buffer
			a := &app{streams: streams{nil, nil, &errs}, json: c.json}
			stop := a.waiting("the orchestrator")
			time.Sleep(c.took)
			stop()
			if errs.String() != c.want {
				t.Errorf("after %s: %q, want %q", c.took, errs.String(), c.want)
			}
		}
	})
}

func TestSudoLine(t *testing.T) {
	got := sudoLine("bin/peaqos-agent", []string{"enroll", "--config", "my config.yaml", "--api-key-file", "key"})
	if want := "sudo bin/peaqos-agent enroll --config 'my config.yaml' --api-key-file key"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
