package config

import (
	"fmt"
	"net/netip"
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

// TestSpecialAddresses: no address of a special-purpose registry is public, and an IPv6
// address is judged by the IPv4 address in it.
func TestSpecialAddresses(t *testing.T) {
	for text, want := range map[string]struct{ public, vpn bool }{
		"64:ff9b::a9fe:a9fe": {}, "2002:a9fe:a9fe::1": {}, "0.1.2.3": {}, "192.0.0.192": {}, "240.0.0.1": {}, "198.18.0.1": {},
		"255.255.255.255": {}, "fd20:ce::254": {}, "fd00:ec2::254": {}, "100.100.100.200": {}, "2001:db8::1": {}, "2001::1": {}, "100::1": {},
		"64:ff9b:1::1": {}, "::a9fe:a9fe": {}, "fe80::1": {}, "fec0::1": {}, "203.0.113.1": {}, "2002:7f00:1::1": {}, "64:ff9b::7f00:1": {},
		"2a00:1:2:3:0:5efe:a9fe:a9fe": {}, "3fff::1": {}, "5f00::1": {},
		"8.8.8.8": {true, true}, "2a00:1450::1": {true, true}, "64:ff9b::808:808": {true, true}, "fd12::1": {true, true}, "10.0.0.1": {true, true},
	} {
		a := netip.MustParseAddr(text)
		if got := AddressAllowed("public", a); got != want.public {
			t.Errorf("public %s: %t", text, got)
		}
		if got := AddressAllowed("vpn", a); got != want.vpn {
			t.Errorf("vpn %s: %t", text, got)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST.": true, "127.0.0.2": true, "::1": true, "evil.localhost": false, "localhost.evil": false} {
		if got := IsLoopbackHost(host); got != want {
			t.Errorf("%s is loopback: %t", host, got)
		}
	}
}
