package agent

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestLogNamesTheMachine: the lines of many devices in one place can be told apart. Every
// line of a machine has its ids as soon as they are known, a line of the process those of
// the only machine, and an id that a line has already is not written twice.
func TestLogNamesTheMachine(t *testing.T) {
	one := &config.Config{Machines: []config.Machine{{Name: "main", ID: "mach_1"}}}
	two := &config.Config{Machines: []config.Machine{{Name: "main", ID: "mach_1"}, {Name: "arm", ID: "mach_2"}}}
	for _, c := range []struct {
		name, agentID    string
		cfg              *config.Config
		fields           []zap.Field
		machine, agentIn string
	}{
		{"not enrolled", "", one, []zap.Field{zap.String("machine", "main")}, "mach_1", ""},
		{"enrolled", "magt_1", one, []zap.Field{zap.String("machine", "main")}, "mach_1", "magt_1"},
		{"the process", "magt_1", one, nil, "mach_1", "magt_1"},
		{"the process of several", "magt_1", two, nil, "", ""},
		{"another machine", "magt_1", two, []zap.Field{zap.String("machine", "arm")}, "mach_2", ""},
		{"an id of its own", "magt_1", one, []zap.Field{zap.String("machine", "main"), zap.String("agent_id", "magt_9")}, "mach_1", "magt_9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := status.NewTracker(c.cfg, time.Now())
			state.Update("main", func(m *status.Machine) { m.AgentID = c.agentID })
			var out bytes.Buffer
			log, _ := newLogger(config.Log{Level: "debug", Format: "json"}, &out, false, logStateOf(state))
			log.Warn("something", c.fields...)
			log.Debug("something", c.fields...)
			log.With(c.fields...).Info("something else")
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 3 {
				t.Fatalf("%d lines: %s", len(lines), out.String())
			}
			for _, line := range lines[:2] {
				checkIDs(t, line, c.machine, c.agentIn)
			}
			if c.name == "an id of its own" {
				return // With's own fields are written first; no caller gives it an id
			}
			checkIDs(t, lines[2], c.machine, c.agentIn)
		})
	}
}

func checkIDs(t *testing.T, line, machineID, agentID string) {
	t.Helper()
	var got struct {
		MachineID string `json:"machine_id"`
		AgentID   string `json:"agent_id"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	if got.MachineID != machineID || got.AgentID != agentID || strings.Count(line, `"agent_id"`) > 1 {
		t.Errorf("%s\nwant machine %q, agent %q, each once", line, machineID, agentID)
	}
}

// TestLogRecordsEvents: what has a code is kept for the page, whatever the level of the
// log; the counter of lines follows that level.
func TestLogRecordsEvents(t *testing.T) {
	state := status.NewTracker(&config.Config{Machines: []config.Machine{{Name: "main"}}}, time.Now())
	var out bytes.Buffer
	log, _ := newLogger(config.Log{Level: "error", Format: "json"}, &out, false, logStateOf(state))
	log.Info("online", zap.String("code", "state_online"), zap.String("machine", "main"))
	log.Warn("down: \x1b[2J", zap.String("code", "endpoint_down"), zap.String("machine", "main"), zap.String("provider", "qvac"))
	log.Info("no code")
	log.Debug("debug", zap.String("code", "probe"))
	log.Error("rejected", zap.String("code", "state_rejected"), zap.String("machine", "main"))

	s := state.Snapshot(time.Now(), 0)
	var got []string
	for _, e := range s.Events {
		got = append(got, e.Level+" "+string(e.Code)+" "+e.Machine+" "+e.Provider+" "+e.Text)
	}
	want := []string{"info state_online main  online", `warn endpoint_down main qvac down: \u001b[2J`, "error state_rejected main  rejected"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d lines in a log of errors: %s", n, out.String())
	}
	if m := s.Process.LogMessages; m["error"] != 1 || m["info"] != 0 || m["warn"] != 0 {
		t.Errorf("counted %v", m)
	}
}
