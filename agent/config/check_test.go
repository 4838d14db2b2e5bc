package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestHeartbeatBounds(t *testing.T) {
	for _, c := range []struct {
		interval, lease string
		ok              bool
	}{
		{"auto", "90s", true},
		{"45s", "90s", true},
		{"45001ms", "90s", false},
		{"1s", "3s", true},
		{"999ms", "3s", false},
		{"1h", "24h", true},
		{"3601s", "24h", false},
		{"auto", "2999ms", false},
		{"auto", "3s", true},
		{"auto", "24h", true},
		{"auto", "24h1s", false},
		{"auto", "auto", false},
		{"0s", "90s", false},
		{"0", "90s", false},
		{"-1s", "90s", false},
		{"1_0", "90s", false},
		{"1e3", "90s", false},
		{"", "90s", false},
		{"90 s", "90s", false},
	} {
		_, err := load(t, fmt.Sprintf("heartbeat: {interval: %q, lease_ttl: %q}", c.interval, c.lease))
		if (err == nil) != c.ok {
			t.Errorf("interval %s of lease %s: %v", c.interval, c.lease, err)
		}
	}
}

func TestListenerAddresses(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:9757": true, "127.9.9.9:0": true, "[::1]:9757": true, "localhost:9757": true, "[::ffff:127.0.0.1]:1": true, "": true,
		":9757": false, "0.0.0.0:9757": false, "[::]:9757": false, "192.168.1.2:9757": false, "robot.local:9757": false,
		"127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:70000": false, "127.0.0.1:09757": false, "::1:9757": false, "bad host:1": false,
	} {
		_, err := load(t, "telemetry: {listen: \""+listen+"\"}")
		if (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
	}
	if c := mustLoad(t, "telemetry: {listen: \":9757\", allow_plain: true}"); c.Telemetry.Listen != ":9757" {
		t.Errorf("got %+v", c.Telemetry)
	}
}

// TestOneProblemPerKey: a value that cannot be parsed is not reported by the rules
// as well, neither as wrong nor as missing.
func TestOneProblemPerKey(t *testing.T) {
	_, err := load(t, `
heartbeat: {interval: 80s, lease_ttl: soon}
machines: [{endpoints: [{provider_key: 7, base_url: 8, network_scope: here}]}]
`)
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four lines, got:\n%v", err)
	}
}

// TestProbeTimeoutBounds: a probe ends within half of the interval, or within 3s.
func TestProbeTimeoutBounds(t *testing.T) {
	for _, c := range []struct {
		timeout, interval, lease string
		ok                       bool
	}{
		{"3s", "auto", "3s", true},
		{"3001ms", "auto", "6s", false},
		{"100ms", "auto", "90s", true},
		{"99ms", "auto", "90s", false},
		{"15s", "auto", "90s", true},
		{"15001ms", "auto", "90s", false},
		{"30m", "1h", "2h", true},
		{"auto", "1h", "2h", false},
	} {
		_, err := load(t, fmt.Sprintf(`heartbeat: {interval: %s, lease_ttl: %s}
machines: [{endpoints: [{provider_key: x, base_url: "http://127.0.0.1:1", probe_timeout: %s}]}]`, c.interval, c.lease, c.timeout))
		if (err == nil) != c.ok {
			t.Errorf("probe_timeout %s, interval %s of lease %s: %v", c.timeout, c.interval, c.lease, err)
		}
	}
}

func TestEndpointCAFileNeedsHTTPS(t *testing.T) {
	for _, c := range []struct {
		base, probe string
		ok          bool
	}{
		{"https://127.0.0.1:1", "", true},
		{"HTTPS://127.0.0.1:1", "", true},
		{"http://127.0.0.1:1", "", false},
		{"http://127.0.0.1:1", "https://127.0.0.1:2", true},
		{"https://127.0.0.1:1", "http://127.0.0.1:2", false},
	} {
		_, err := load(t, fmt.Sprintf("machines: [{endpoints: [{provider_key: x, base_url: %q, probe_url: %q, ca_file: /etc/plant.pem}]}]", c.base, c.probe))
		if (err == nil) != c.ok {
			t.Errorf("base_url %s, probe_url %q: %v", c.base, c.probe, err)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for host, ok := range map[string]bool{
		"gateway.plant.example": true, "GATEWAY": true, "10.0.0.9": true, "fd00::1": true,
		"*.example": false, "": false, "gateway:9757": false, "http://gateway": false, "a b": false, ".example": false,
	} {
		_, err := load(t, fmt.Sprintf("telemetry: {allowed_hosts: [%q]}", host))
		if (err == nil) != ok {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// TestPresenceInterval: the bound of the presence contract, §5.
func TestPresenceInterval(t *testing.T) {
	for interval, ok := range map[string]bool{
		"1s": true, "60s": true, "120s": true, "2m": true,
		"0": false, "0s": false, "-1s": false, "-1": false, "999ms": false, "120001ms": false, "120.001s": false, "auto": false, "1h": false,
	} {
		c, err := load(t, fmt.Sprintf("presence: {interval: %q}", interval))
		if (err == nil) != ok {
			t.Errorf("%s: %v", interval, err)
		}
		if err == nil && c.Presence.Enabled {
			t.Error("presence is on by default")
		}
	}
}

func TestHooks(t *testing.T) {
	for hook, ok := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://127.0.0.1:8080/a/b": true, "http://[::1]:1/x": true, "http://localhost:1": true,
		"unix:/run/app.sock": true,
		"":                   false, "unix:": false, "unix:app.sock": false, "unix:/" + strings.Repeat("a", 107): false,
		"https://127.0.0.1:1": false, "http://192.168.1.2:1": false, "http://example.com": false, "http://0.0.0.0:1": false,
		"http://u:p@127.0.0.1:1": false, "http://127.0.0.1:1/?token=x": false, "/usr/bin/hook": false, "ftp://127.0.0.1": false,
		"http://127.0.0.1.example.com": false, "http://2130706433": false,
	} {
		_, err := load(t, fmt.Sprintf("control: {enabled: true, hooks: [%q]}", hook))
		if (err == nil) != ok {
			t.Errorf("%q: %v", hook, err)
		}
	}
	nine := strings.TrimSuffix(strings.Repeat("http://127.0.0.1:%d,", 9), ",")
	if _, err := load(t, "control: {hooks: ["+fmt.Sprintf(nine, 1, 2, 3, 4, 5, 6, 7, 8, 9)+"]}"); err == nil {
		t.Error("nine hooks are accepted")
	}
}
