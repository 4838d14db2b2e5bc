package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestScopes tries every kind of host with every scope; the letters are the
// scopes that accept it: l loopback, n lan, v vpn, p public.
func TestScopes(t *testing.T) {
	hosts := map[string]string{
		"127.0.0.1": "l", "127.1.2.3": "l", "[::1]": "l", "[::ffff:127.0.0.1]": "l", "localhost": "l", "LOCALHOST": "l", "qvac.localhost": "l",
		"10.0.0.1": "nv", "172.16.0.1": "nv", "192.168.1.1": "nv", "[fd12::1]": "nv", "100.64.0.1": "nv", "[::ffff:10.0.0.1]": "nv",
		"8.8.8.8": "vp", "[2606:4700::1]": "vp", "172.32.0.1": "vp", "robot.example": "nvp", "qvac": "nvp", "robot_7.local": "nvp",
		"0.0.0.0": "", "[::]": "", "169.254.169.254": "", "[fe80::1]": "", "224.0.0.1": "", "[ff02::1]": "",
		"100.100.100.200": "", "168.63.129.16": "",
		"[fd00:ec2::254]": "", "[::ffff:169.254.169.254]": "", "2130706433": "", "0x7f.1": "", "127.1": "", "0177.0.0.1": "",
		"[64:ff9b::a9fe:a9fe]": "", "[64:ff9b::7f00:1]": "", "[64:ff9b::808:808]": "vp", "[64:ff9b:1::1]": "", "[2002:a9fe:a9fe::1]": "",
		"[2002:808:808::1]": "vp", "[2001:0:808:808::5601:5601]": "", "[::a9fe:a9fe]": "", "[::ffff:0:a9fe:a9fe]": "",
		"[2606:4700::5efe:a9fe:a9fe]": "", "[2606:4700::200:5efe:a9fe:a9fe]": "", "0.1.2.3": "", "192.0.0.192": "", "192.0.2.1": "",
		"240.0.0.1": "", "255.255.255.255": "", "198.18.0.1": "", "[fd20:ce::254]": "", "[2001:db8::1]": "", "[100::1]": "", "[fec0::1]": "",
		"localhost.example": "nvp", "": "", "a b": "", "-x": "", "%00": "",
	}
	scopes := map[string]string{"l": "loopback", "n": "lan", "v": "vpn", "p": "public"}
	for host, takes := range hosts {
		for letter, scope := range scopes {
			_, err := load(t, fmt.Sprintf(
				"machines: [{endpoints: [{provider_key: x, network_scope: %s, base_url: \"http://%s:8080\"}]}]", scope, host))
			if (err == nil) != strings.Contains(takes, letter) {
				t.Errorf("%s in scope %s: %v", host, scope, err)
			}
		}
		nearby := strings.ContainsAny(takes, "ln") // probe_url: loopback, private, or a name
		_, err := load(t, fmt.Sprintf(
			"machines: [{endpoints: [{provider_key: x, base_url: \"http://127.0.0.1:1\", probe_url: \"http://%s:8080\"}]}]", host))
		if (err == nil) != nearby {
			t.Errorf("%s as probe_url: %v", host, err)
		}
	}
}

func TestOrchestratorURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://orchestration.peaq.xyz": true, "https://HOST.example:8443/prefix/": true,
		"http://127.0.0.1:8080": true, "http://localhost": true, "http://[::1]:1": true,
		"http://10.0.0.1": false, "http://localhost.example": false, "https://": false,
		"https:orchestration.peaq.xyz": false, "orchestration.peaq.xyz": false,
		"https://h.example?x=1": false, "https://h.example#x": false, "https://h.example?": false,
		"https://h.example:0": false, "": false, "https://h example": false,
	} {
		_, err := load(t, "orchestrator: {url: \""+url+"\"}")
		if (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestLoopbackHosts: a name below .localhost is resolved like any other.
func TestLoopbackHosts(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST.": true, "127.0.0.2": true, "::1": true, "evil.localhost": false, "localhost.evil": false} {
		if got := IsLoopbackHost(host); got != want {
			t.Errorf("%s is loopback: %t", host, got)
		}
	}
}
