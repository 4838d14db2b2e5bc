package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// checkOrchestrator wants https, or http where nobody listens in.
func (l *loader) checkOrchestrator() {
	const path = "orchestrator.url"
	o := &l.config.Orchestrator
	u, fault := parseBase(o.URL)
	switch {
	case fault != "":
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api/v1"):
		fault = "must end before /api/v1, which the agent adds itself"
	case u.Scheme == "http" && !IsLoopbackHost(u.Hostname()) && !o.AllowPlainHTTP:
		fault = "is plain http to another host, which would show the agent token to the network; use https, or set orchestrator.allow_plain_http: true"
	}
	if fault != "" {
		l.fault(path, fault)
		return
	}
	if u.Scheme == "http" && !IsLoopbackHost(u.Hostname()) {
		l.warn("orchestrator.url is plain http (orchestrator.allow_plain_http): whoever sees the traffic has the agent token")
	}
	o.URL = strings.TrimRight(o.URL, "/")
}

// parseBase takes an absolute http or https URL without user info, query and
// fragment. The fault never repeats the URL: it may hold a password.
func parseBase(text string) (*url.URL, string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, "must not be empty"
	case err != nil || u.Opaque != "" || !hostLooksRight(u.Hostname()):
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
			return nil, "has no port from 1 to 65535 after the colon"
		}
	}
	return u, ""
}

// parseOrigin takes a URL that ends after host and port.
func parseOrigin(text string) (*url.URL, string) {
	u, fault := parseBase(text)
	switch {
	case strings.HasPrefix(fault, "must not h"):
		return nil, fault + "; the orchestrator drops everything but scheme, host and port"
	case fault != "":
		return nil, fault
	case u.Path != "" && u.Path != "/":
		return nil, "must end after the host and port; the orchestrator drops a path (probe_path is for the probe's)"
	}
	return u, ""
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$`)

func hostLooksRight(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostName.MatchString(host)
}

// IsLoopbackHost can tell from the text alone: a loopback address or a name that
// resolvers must map to one (RFC 6761).
func IsLoopbackHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// numericHost is a name that the system's resolver may read as an address, such
// as 2130706433 or 0x7f.1: nobody means that, but attackers do.
var numericHost = regexp.MustCompile(`^(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+))*\.?$`)

// scopeFault says where a host contradicts its scope as far as its text tells;
// names are judged by address when the probe dials.
func scopeFault(scope, host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		switch {
		case numericHost.MatchString(host):
			return "has a host made of numbers that is no address; write it as 127.0.0.1"
		case scope == "loopback" && !IsLoopbackHost(host):
			return "is another host, but network_scope is loopback; set network_scope to lan, vpn or public"
		case scope != "loopback" && IsLoopbackHost(host):
			return "is loopback, which nobody else reaches, but network_scope is " + scope
		}
		return ""
	}
	a = a.Unmap().WithZone("")
	switch {
	case scope == "loopback" && !a.IsLoopback():
		return "is not a loopback address, but network_scope is loopback; set network_scope to lan, vpn or public"
	case scope != "loopback" && a.IsLoopback():
		return "is loopback, which nobody else reaches, but network_scope is " + scope
	case scope == "public" && (a.IsPrivate() || carrierNAT().Contains(a)):
		return "is a private address, which the public does not reach; set network_scope to lan or vpn"
	case scope == "lan" && AddressAllowed("public", a) && !AddressAllowed(scope, a):
		return "is a public address, but network_scope is lan; set network_scope to vpn or public"
	case !AddressAllowed(scope, a):
		return fmt.Sprintf("has an address that scope %s does not allow (link-local, metadata, multicast and the like are never dialled)", scope)
	}
	return ""
}

// probeHostFault keeps probe_url nearby; a name is checked again when dialled.
func probeHostFault(host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		if numericHost.MatchString(host) {
			return "has a host made of numbers that is no address; write it as 127.0.0.1"
		}
		return ""
	}
	if !AddressAllowed(ScopeNearby, a.Unmap().WithZone("")) {
		return "must be a loopback or private address: it is where the agent looks on this machine or beside it"
	}
	return ""
}
