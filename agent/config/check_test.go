package config

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestIdentityRefs(t *testing.T) {
	const most = "115792089237316195423570985008687907853269984665640564039457584007913129639935" // 2^256-1
	for ref, ok := range map[string]bool{
		"did:peaq:0": true, "did:peaq:42": true, "peaqos:machine:42": true, "did:peaq:" + most: true,
		"did:peaq:" + most[:77] + "6": false, "did:peaq:1" + most: false, "did:peaq:00": false, "did:peaq:042": false, "did:peaq:+1": false, "did:peaq:-1": false,
		"did:peaq: 1": false, "did:peaq:1 ": false, "did:peaq:٤٢": false, "did:peaq:": false, "did:peaq:1e3": false, "did:peaq:0x2a": false,
		"DID:PEAQ:42": false, "did:peaq": false, "42": false, "peaqos:machine:": false, "did:ethr:42": false,
	} {
		if fault := identityRefFault(ref); (fault == "") != ok {
			t.Errorf("%q: %q", ref, fault)
		}
	}
}

// FuzzIdentityRef compares with the rule as the contract words it: prefix, digits
// without a leading zero, at most 2^256-1.
func FuzzIdentityRef(f *testing.F) {
	for _, s := range []string{"did:peaq:42", "peaqos:machine:0", "did:peaq:007", "did:peaq:0x1", "did:peaq:" + strings.Repeat("9", 78)} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^(?:did:peaq|peaqos:machine):(0|[1-9][0-9]*)$`)
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	f.Fuzz(func(t *testing.T, ref string) {
		want := false
		if m := form.FindStringSubmatch(ref); m != nil && !strings.HasSuffix(ref, "\n") {
			n, _ := new(big.Int).SetString(m[1], 10)
			want = n.Cmp(limit) < 0
		}
		if fault := identityRefFault(ref); (fault == "") != want {
			t.Errorf("%q: %q, want accepted: %t", ref, fault, want)
		}
	})
}

// TestScopes walks every kind of host through every scope; the letters are the
// scopes that take it: l loopback, n lan, v vpn, p public.
func TestScopes(t *testing.T) {
	hosts := map[string]string{
		"127.0.0.1": "l", "127.1.2.3": "l", "[::1]": "l", "[::ffff:127.0.0.1]": "l", "localhost": "l", "LOCALHOST": "l", "qvac.localhost": "l",
		"10.0.0.1": "nv", "172.16.0.1": "nv", "192.168.1.1": "nv", "[fd12::1]": "nv", "100.64.0.1": "nv", "[::ffff:10.0.0.1]": "nv",
		"8.8.8.8": "vp", "[2606:4700::1]": "vp", "172.32.0.1": "vp", "robot.example": "nvp", "qvac": "nvp", "robot_7.local": "nvp",
		"0.0.0.0": "", "[::]": "", "169.254.169.254": "", "[fe80::1]": "", "224.0.0.1": "", "[ff02::1]": "", "100.100.100.200": "", "168.63.129.16": "",
		"[fd00:ec2::254]": "", "[::ffff:169.254.169.254]": "", "2130706433": "", "0x7f.1": "", "127.1": "", "0177.0.0.1": "",
		"localhost.example": "nvp", "": "", "a b": "", "-x": "", "%00": "",
	}
	scopes := map[string]string{"l": "loopback", "n": "lan", "v": "vpn", "p": "public"}
	for host, takes := range hosts {
		for letter, scope := range scopes {
			_, err := load(t, fmt.Sprintf("machines: [{endpoints: [{provider_key: x, network_scope: %s, base_url: \"http://%s:8080\"}]}]", scope, host))
			if (err == nil) != strings.Contains(takes, letter) {
				t.Errorf("%s in scope %s: %v", host, scope, err)
			}
		}
		nearby := strings.ContainsAny(takes, "ln") // probe_url: loopback, private, or a name
		_, err := load(t, fmt.Sprintf("machines: [{endpoints: [{provider_key: x, base_url: \"http://127.0.0.1:1\", probe_url: \"http://%s:8080\"}]}]", host))
		if (err == nil) != nearby {
			t.Errorf("%s as probe_url: %v", host, err)
		}
	}
}

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

// TestOneProblemPerKey: a value that cannot be read is not also judged by the
// rules, and a missing key is not reported beside its wrong form.
func TestOneProblemPerKey(t *testing.T) {
	_, err := load(t, `
heartbeat: {interval: 80s, lease_ttl: soon}
machines: [{endpoints: [{provider_key: 7, base_url: 8, network_scope: here}]}]
`)
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four lines, got:\n%v", err)
	}
}

func TestDurationsReadBack(t *testing.T) {
	for text, want := range map[string]string{"90s": "90s", "1m30s": "90s", "60s": "1m", "2h": "2h", "1h30m": "90m", "1500ms": "1.5s", "24h": "24h"} {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatDuration(d); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
}

// FuzzEnvironment gives any key any value: no panic, and an error is a clean one
// that names a variable.
func FuzzEnvironment(f *testing.F) {
	keys := Schema()
	for i, v := range []string{"", "90s", "http://127.0.0.1:1", "did:peaq:42", "a=1,b=2", "a,b", "\x1b[2J", "\xff", "off", "[::1]:1", "https://u:p@h/"} {
		f.Add(uint8(i), v)
	}
	for i := range keys {
		f.Add(uint8(i), "x")
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		key := keys[int(which)%len(keys)]
		if strings.ContainsRune(value, 0) {
			return // no environment can hold it
		}
		c, err := Load(Source{Env: []string{key.Env + "=" + value}, Hostname: "robot", defaultPath: "/nowhere/config.yaml"})
		if err == nil {
			if got := mustLoad(t, c.Show(false)); got.Heartbeat != c.Heartbeat || got.Telemetry != c.Telemetry || got.Log != c.Log {
				t.Errorf("%s=%q does not read back", key.Env, value)
			}
			return
		}
		if !strings.HasPrefix(err.Error(), envPrefix) || strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), Deceptive) {
			t.Errorf("%s=%q: %q", key.Env, value, err)
		}
	})
}
