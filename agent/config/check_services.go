package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

const (
	// MaxPresenceInterval is the longest time between two presence pushes: the
	// service takes a machine for offline 180 s after the last one.
	MaxPresenceInterval = 120 * time.Second

	// maxHooks is how many hooks one configuration may have.
	maxHooks = 8

	// unixHook begins a hook that is a unix socket; its path follows.
	unixHook = "unix:"
)

func checkPresence(c *Config) (f findings) {
	p := c.Presence
	if p.Interval < time.Second || p.Interval > MaxPresenceInterval {
		f.add("presence.interval", fmt.Sprintf("must be from 1s to %ds, not %s: the presence service takes a machine for offline after 180s",
			MaxPresenceInterval/time.Second, formatDuration(p.Interval)))
	}
	u, fault := parseBase(p.URL)
	switch {
	case fault != "":
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api/v1"):
		fault = "must end before /api/v1, which the agent adds itself"
	case isPlainRemote(p.URL) && !c.Orchestrator.AllowPlainHTTP:
		fault = "is plain http to another host, where anyone on the network could answer; " +
			"use https, or set orchestrator.allow_plain_http: true"
	}
	if fault != "" {
		f.add("presence.url", fault)
	}
	if p.MachineID != "" && len(c.Machines) > 1 {
		f.add("presence.machine_id", "is for one machine, and there are several; each uses the number of its identity_ref")
	}
	return f
}

func checkControl(c Control) (f findings) {
	switch {
	case len(c.Hooks) > maxHooks:
		f.add("control.hooks", fmt.Sprintf("holds more than %d hooks", maxHooks))
	case c.Enabled && len(c.Hooks) == 0:
		f.addUnless("control.hooks", "control.enabled", "needs control.hooks: without a hook the notifications go nowhere")
	}
	for i, hook := range c.Hooks {
		if fault := hookFault(hook); fault != "" {
			f.add("control.hooks", fmt.Sprintf("item %d %s", i+1, fault))
			return f
		}
	}
	return f
}

// UnixHook returns the path of a hook that is a unix socket.
func UnixHook(hook string) (path string, ok bool) { return strings.CutPrefix(hook, unixHook) }

// hookFault limits hooks to this host: http to a loopback address, or a unix socket.
func hookFault(hook string) string {
	if path, ok := UnixHook(hook); ok {
		if !filepath.IsAbs(path) || len(path) > 107 { // the limit of the kernel
			return "must be unix: and an absolute path of at most 107 bytes, such as unix:/run/app.sock"
		}
		return ""
	}
	u, fault := parseBase(hook)
	switch {
	case fault != "":
		return fault
	case u.Scheme != "http":
		return "must be http: it does not leave this host"
	case !IsLoopbackHost(u.Hostname()):
		return "must be loopback, such as http://127.0.0.1:8080/notify, or unix:/run/app.sock: notifications do not leave this host"
	}
	return ""
}
