package main

import (
	"strings"
	"testing"
)

// TestUnitText: the command line is read back by systemd as it was given.
func TestUnitText(t *testing.T) {
	for _, c := range []struct {
		words []string
		dir   string
		want  string
		paths string
	}{
		{[]string{"/usr/local/bin/peaqos-agent", "run"}, "/var/lib/peaqos-agent", "ExecStart=/usr/local/bin/peaqos-agent run", ""},
		{[]string{"/opt/my robot/a", "run"}, "/var/lib/peaqos-agent/x", `ExecStart="/opt/my robot/a" run`, ""},
		{[]string{"/opt/50%/a", "run"}, "/var/lib/peaqos-agent", `ExecStart="/opt/50%%/a" run`, ""},
		{[]string{`/opt/a"b\c/a`, "run"}, "/var/lib/peaqos-agent", `ExecStart="/opt/a\"b\\c/a" run`, ""},
		{
			[]string{"/opt/$a/a", "--config", "/etc/$HOME/c d.yaml", "run"},
			"/data/agent 1",
			`ExecStart=/opt/$a/a --config "/etc/$$HOME/c d.yaml" run`, `ReadWritePaths="/data/agent 1"`,
		},
		{[]string{"/opt/a;b", "run"}, "/var/lib/peaqos-agents", `ExecStart="/opt/a;b" run`, "ReadWritePaths=/var/lib/peaqos-agents"},
	} {
		text, err := unitFor(c.words, c.dir)
		if err != nil || !strings.Contains(text, "\n"+c.want+"\n") {
			t.Errorf("%q: %v, want %s", c.words, err, c.want)
		}
		if got := strings.Contains(text, "\nReadWritePaths="); got != (c.paths != "") || !strings.Contains(text, c.paths) {
			t.Errorf("%s: want %q", c.dir, c.paths)
		}
		if !strings.Contains(text, ourUnit) {
			t.Error("the unit is not recognized as ours")
		}
	}
	for _, words := range [][]string{{"/opt/a\nExecStartPre=/bin/sh", "run"}, {"/opt/a", "--config", "/etc/\u202e"}} {
		if _, err := unitFor(words, "/var/lib/peaqos-agent"); err == nil {
			t.Errorf("%q was accepted", words)
		}
	}
	for _, dir := range []string{"/home", "/root", "/tmp/x", "/var/tmp/x"} {
		if _, err := unitFor([]string{"/usr/bin/a", "run"}, dir); err == nil {
			t.Errorf("%s was accepted", dir)
		}
	}
}

// TestChangedUnit: only for the unit as it is shipped is the file the whole configuration.
func TestChangedUnit(t *testing.T) {
	const shipped = "Environment=GOMEMLIMIT=48MiB\nExecStart={ path=/usr/bin/peaqos-agent ; argv[]=/usr/bin/peaqos-agent run ; ignore_errors=no ; pid=460 }\n"
	for properties, want := range map[string]bool{
		shipped: false,
		strings.Replace(shipped, "48MiB", "48MiB PEAQOS_AGENT_HEARTBEAT_INTERVAL=5s", 1):     true,
		strings.Replace(shipped, "peaqos-agent run", "peaqos-agent --config /data/a run", 1): true,
		shipped + "EnvironmentFiles=/etc/default/peaqos-agent (ignore_errors=yes)\n":         true,
	} {
		if changedUnit(properties) != want {
			t.Errorf("%q: want %t", properties, want)
		}
	}
}

// TestServiceState: a crash loop is not a running service.
func TestServiceState(t *testing.T) {
	for properties, c := range map[string]struct {
		running bool
		text    string
	}{
		"LoadState=not-found\nActiveState=inactive\nSubState=dead\n":                                               {false, "not installed"},
		"LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n":                    {true, "is running"},
		"LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=7\n":                    {true, "restarted it 7 times"},
		"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=41\n":        {false, "again and again: 41 restarts, last result exit-code"},
		"LoadState=loaded\nActiveState=activating\nSubState=start\nResult=success\nNRestarts=0\n":                  {false, "is starting"},
		"LoadState=loaded\nActiveState=activating\nSubState=start\nResult=success\nNRestarts=3\n":                  {false, "again and again"},
		"LoadState=loaded\nActiveState=activating\nSubState=auto-restart-queued\nResult=exit-code\nNRestarts=12\n": {false, "again and again"},
		"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=0\n":                   {false, "has failed, result exit-code"},
		"LoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\n":                     {false, "installed but not running"},
	} {
		v := readService(properties)
		if v.Running != c.running || !strings.Contains(v.text(), c.text) {
			t.Errorf("%q: %+v %q, want %q", properties, v, v.text(), c.text)
		}
	}
}
