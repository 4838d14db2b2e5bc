package config

import "net/netip"

// ScopeNearby is the scope of probe_url: loopback or private, nothing public.
const ScopeNearby = "nearby"

func AddressAllowed(scope string, a netip.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || isMetadata(a) {
		return false
	}
	if a.IsLoopback() {
		// A published lan, vpn or public address may well be this machine's own,
		// but the loopback address itself belongs to scope loopback alone.
		return scope == "loopback" || scope == ScopeNearby
	}
	near := a.IsPrivate() || carrierNAT().Contains(a)
	switch scope {
	case "loopback":
		return false
	case "lan", ScopeNearby:
		return near
	case "vpn", "public":
		return a.IsGlobalUnicast()
	}
	return false
}

// isMetadata names the metadata addresses that are not link-local already.
func isMetadata(a netip.Addr) bool {
	return a == netip.AddrFrom4([4]byte{100, 100, 100, 200}) || a == netip.AddrFrom4([4]byte{168, 63, 129, 16}) ||
		a == netip.MustParseAddr("fd00:ec2::254")
}

func carrierNAT() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }
