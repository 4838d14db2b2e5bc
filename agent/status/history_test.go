package status_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

func trackerOf(machines ...string) *status.Tracker {
	cfg := &config.Config{}
	for _, name := range machines {
		cfg.Machines = append(cfg.Machines, config.Machine{Name: name})
	}
	return status.NewTracker(cfg, statustest.Now)
}

// TestEventsAreBounded: the last twenty events are kept, repeats are counted at the event
// that they repeat, and the text of an event has a limit.
func TestEventsAreBounded(t *testing.T) {
	tracker := trackerOf("main")
	for i := range 100 {
		for range 3 {
			tracker.Record(status.Event{At: statustest.Now.Add(time.Duration(i) * time.Second), Level: "info", Code: "endpoint_up", Text: fmt.Sprint(i)})
		}
	}
	tracker.Record(status.Event{At: statustest.Now.Add(-time.Hour), Level: "warn", Text: strings.Repeat("x", 10_000)})
	events := status.NewView(tracker.Snapshot(statustest.Now.Add(2*time.Minute), 0), "1", "/").Events
	if len(events) != 20 {
		t.Fatalf("%d events are kept", len(events))
	}
	if first := events[0]; first.Level != "warn" || len(first.Text) > 310 {
		t.Errorf("the latest event is %s with %d bytes", first.Level, len(first.Text))
	}
	if e := events[1]; e.Text != "99" || e.Count != 3 || e.AgeSeconds != 21 {
		t.Errorf("got %+v, want the event 99, three times, 21 s ago", e)
	}
	if last := events[19]; last.Text != "81" {
		t.Errorf("the oldest event is %s, want 81", last.Text)
	}
}

// TestRecentBeatsAreBounded: of each machine the last sixty heartbeats are kept, with the
// result, the age by the boot clock and how long they took.
func TestRecentBeatsAreBounded(t *testing.T) {
	tracker := trackerOf("main", "arm")
	tracker.Update("main", func(m *status.Machine) {
		for i := range 100 {
			m.AddBeat("success", time.Duration(i)*time.Second, 250*time.Millisecond)
		}
		m.AddBeat("timeout", 100*time.Second, 2*time.Minute)
	})
	v := status.NewView(tracker.Snapshot(statustest.Now, 130*time.Second), "1", "/")
	recent := v.Machines[0].Heartbeat.Recent
	if len(recent) != 60 || len(v.Machines[1].Heartbeat.Recent) != 0 {
		t.Fatalf("%d and %d heartbeats are kept", len(recent), len(v.Machines[1].Heartbeat.Recent))
	}
	if got, want := recent[58], (status.BeatView{AgeSeconds: 31, Seconds: 0.25, Result: "success"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := recent[59], (status.BeatView{AgeSeconds: 30, Seconds: 65.535, Result: "timeout"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := v.Machines[0].Heartbeat.Counts["success"]; n != 100 {
		t.Errorf("counted %d", n)
	}
}
