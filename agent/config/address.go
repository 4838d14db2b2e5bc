package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ScopeNearby is the scope of probe_url: loopback or private, nothing public.
const ScopeNearby = "nearby"

// AddressAllowed reports whether an endpoint of this network scope may have the
// address a: "loopback", "lan", "vpn", "public" or [ScopeNearby]. An IPv6 address
// that embeds an IPv4 address is treated as that address. Link-local, multicast,
// metadata and all other special-purpose addresses are never allowed.
func AddressAllowed(scope string, a netip.Addr) bool {
	written := a.Unmap()
	a, ok := reached(a)
	if !ok || isMetadata(a) || isReserved(a) || a.IsLoopback() && !written.IsLoopback() {
		return false
	}
	if a.IsLoopback() {
		// A published lan, vpn or public address may well be this machine's own,
		// but the loopback address itself belongs to scope loopback alone.
		return scope == "loopback" || scope == ScopeNearby
	}
	near := a.IsPrivate() || carrierNAT().Contains(a)
	switch scope {
	case "lan", ScopeNearby:
		return near
	case "vpn":
		return true
	case "public":
		return !near
	}
	return false
}

// reached returns the address at which a connection to a ends: for the forms of IPv6
// that embed an IPv4 address, the embedded one. It is false for an address that
// embeds another one in turn.
func reached(a netip.Addr) (netip.Addr, bool) {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a, true
	}
	b := a.As16()
	embedded := func(at int, invert byte) netip.Addr {
		return netip.AddrFrom4([4]byte{b[at] ^ invert, b[at+1] ^ invert, b[at+2] ^ invert, b[at+3] ^ invert})
	}
	in := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(a) }
	switch {
	case a == netip.IPv6Loopback() || a == netip.IPv6Unspecified():
		return a, true
	case in("64:ff9b::/96"), in("::/96"), in("::ffff:0:0:0/96"): // NAT64, IPv4-compatible, IPv4-translated (SIIT)
		return embedded(12, 0), true
	case in("64:ff9b:1::/48"): // local NAT64: the place of the IPv4 address depends on the network's prefix length
		return a, false
	case in("2002::/16"): // 6to4
		return embedded(2, 0), true
	case in("2001::/32"): // Teredo
		return embedded(12, 0xff), true
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		return embedded(12, 0), true
	}
	return a, true
}

// isReserved recognizes the addresses that no endpoint can have: those of the IANA
// special-purpose registries that are not globally reachable, except for loopback,
// private and shared addresses.
func isReserved(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return true
	}
	prefixes := [...]string{
		"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	}
	prefixes6 := [...]string{"100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10"}
	chosen := prefixes[:]
	if a.Is6() {
		chosen = prefixes6[:]
	}
	for _, p := range chosen {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// isMetadata recognizes the cloud metadata addresses that are not link-local.
func isMetadata(a netip.Addr) bool {
	return a == netip.AddrFrom4([4]byte{100, 100, 100, 200}) || a == netip.AddrFrom4([4]byte{168, 63, 129, 16}) ||
		a == netip.AddrFrom4([4]byte{192, 0, 0, 192}) ||
		a == netip.MustParseAddr("fd00:ec2::254") || a == netip.MustParseAddr("fd20:ce::254")
}

// carrierNAT is the shared address space of RFC 6598.
func carrierNAT() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }

// IsLoopbackHost reports whether a host is loopback as far as its text shows: a
// loopback address, or localhost. A name below localhost is not: a resolver may ask
// DNS for it.
func IsLoopbackHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".") == "localhost"
}

// isLoopbackName is IsLoopbackHost for an endpoint, where a name below localhost counts
// as well: the address is checked again when the probe connects.
func isLoopbackName(host string) bool {
	return IsLoopbackHost(host) || strings.HasSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".localhost")
}

// isPlainRemote reports whether a URL is http to a host that is not loopback.
func isPlainRemote(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && !IsLoopbackHost(u.Hostname())
}

// parseBase parses an absolute http or https URL without user info, query and
// fragment. The fault never repeats the URL: it may hold a password.
func parseBase(text string) (u *url.URL, fault string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, "must not be empty"
	case err == nil && !isASCII(u.Hostname()):
		return nil, "has a host name with letters that DNS does not have; write it in its IDN form (xn--…)"
	case err != nil || u.Opaque != "" || !isHost(u.Hostname()):
		return nil, "must be a URL such as https://HOST or http://HOST:PORT"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must begin with https:// or http://"
	case u.User != nil:
		return nil, "must not hold a user name or password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, "must not have a query or fragment (? or #)"
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, "port must be 1 to 65535"
		}
	}
	return u, ""
}

// parseOrigin parses a URL that ends after host and port.
func parseOrigin(text string) (u *url.URL, fault string) {
	u, fault = parseBase(text)
	switch {
	case strings.HasPrefix(fault, "must not h"):
		return nil, fault + "; the orchestrator drops everything but scheme, host and port"
	case fault != "":
		return nil, fault
	case u.Path != "" && u.Path != "/":
		return nil, "must end after the host and port; the orchestrator drops a path (the probe's path goes into probe_path)"
	}
	return u, ""
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e })
}

// isHost reports whether text can be an address or a host name.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return madeOf(text, 253, lower+upper+digits+"._-") && !strings.ContainsAny(text[:1], ".-")
}

// isNumericHost recognizes a name that the system's resolver may read as an
// address, such as 2130706433 or 0x7f.1: nobody means that, but attackers do.
func isNumericHost(host string) bool {
	for part := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if part == "" {
			return false
		}
		set := digits
		if hex, ok := strings.CutPrefix(strings.ToLower(part), "0x"); ok {
			part, set = hex, hexDigits
		}
		if strings.Trim(part, set) != "" {
			return false
		}
	}
	return true
}

const numericHostFault = "has a numeric host that is not an IP address; write it as 127.0.0.1"

// scopeFault returns how a host contradicts its scope as far as its text shows,
// or ""; a name is checked by its address when the probe connects.
func scopeFault(scope, host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		switch {
		case isNumericHost(host):
			return numericHostFault
		case scope == "loopback" && !isLoopbackName(host):
			return "is not loopback, but network_scope is loopback; set network_scope to lan, vpn or public"
		case scope != "loopback" && isLoopbackName(host):
			return "is loopback, not reachable from other hosts, but network_scope is " + scope
		}
		return ""
	}
	a = a.Unmap().WithZone("")
	switch {
	case scope == "loopback" && !a.IsLoopback():
		return "is not a loopback address, but network_scope is loopback; set network_scope to lan, vpn or public"
	case scope != "loopback" && a.IsLoopback():
		return "is loopback, not reachable from other hosts, but network_scope is " + scope
	case scope == "public" && (a.IsPrivate() || carrierNAT().Contains(a)):
		return "is a private address, not reachable from the internet; set network_scope to lan or vpn"
	case scope == "lan" && AddressAllowed("public", a) && !AddressAllowed(scope, a):
		return "is a public address, but network_scope is lan; set network_scope to vpn or public"
	case !AddressAllowed(scope, a):
		return fmt.Sprintf(
			"has an address that scope %s does not allow (the agent never connects to link-local, metadata or multicast addresses)", scope)
	}
	return ""
}

// probeHostFault limits probe_url to nearby addresses; a name is checked again
// when the probe connects.
func probeHostFault(host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		if isNumericHost(host) {
			return numericHostFault
		}
		return ""
	}
	if !AddressAllowed(ScopeNearby, a.Unmap().WithZone("")) {
		return "must be a loopback or private address: the agent probes only this host or its local network"
	}
	return ""
}
