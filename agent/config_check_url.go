package agent

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
	case u.Scheme == "http" && !isLoopbackHost(u.Hostname()) && !o.AllowPlainHTTP:
		fault = "is plain http to another host, which would show the agent token to the network; use https, or set orchestrator.allow_plain_http: true"
	}
	if fault != "" {
		l.fault(path, fault)
		return
	}
	if u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
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

// isLoopbackHost can tell from the text alone: a loopback address or a name that
// resolvers must map to one (RFC 6761).
func isLoopbackHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// numericHost is a name that the system's resolver may read as an address, such
// as 2130706433 or 0x7f.1: nobody means that, but attackers do.
var numericHost = regexp.MustCompile(`^(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+))*\.?$`)

var providerKey = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

const providerKeyRule = "must be a short name of small letters, digits, dots, hyphens and underscores (the orchestrator lower-cases it)"

func (l *loader) checkEndpoints(m *Machine, path string) {
	seen := map[string]int{}
	for j := range m.Endpoints {
		e, here := &m.Endpoints[j], fmt.Sprintf("%s.endpoints[%d]", path, j)
		if first, twice := seen[e.ProviderKey]; twice && e.ProviderKey != "" {
			l.fault(here+".provider_key", fmt.Sprintf("is the same as that of endpoint %d; the orchestrator keeps one endpoint per provider key", first+1))
		}
		seen[e.ProviderKey] = j
		l.checkProviderKey(e, here)
		l.checkBaseURL(e, here)
		l.checkProbe(e, here)
		l.checkEndpointAuth(e, here)
		if e.ModelAlias != "" && e.ProviderKey != "qvac" {
			l.fault(here+".model_alias", "is looked up in a model list, which only provider_key qvac has; remove it")
		}
	}
}

func (l *loader) checkProviderKey(e *Endpoint, here string) {
	switch {
	case e.ProviderKey == "":
		l.fault(here+".provider_key", "is required, such as qvac")
	case !providerKey.MatchString(e.ProviderKey):
		l.fault(here+".provider_key", providerKeyRule)
	}
}

func (l *loader) checkBaseURL(e *Endpoint, here string) {
	if e.BaseURL == "" {
		l.fault(here+".base_url", "is required, such as http://127.0.0.1:11434")
		return
	}
	u, fault := parseOrigin(e.BaseURL)
	if fault == "" && !l.bad[here+".network_scope"] {
		fault = scopeFault(e.NetworkScope, u.Hostname())
	}
	if fault != "" {
		l.fault(here+".base_url", fault)
		return
	}
	e.BaseURL = strings.TrimSuffix(e.BaseURL, "/")
}

// scopeFault says where a host contradicts its scope as far as its text tells;
// names are judged by address when the probe dials.
func scopeFault(scope, host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		switch {
		case numericHost.MatchString(host):
			return "has a host made of numbers that is no address; write it as 127.0.0.1"
		case scope == "loopback" && !isLoopbackHost(host):
			return "is another host, but network_scope is loopback; set network_scope to lan, vpn or public"
		case scope != "loopback" && isLoopbackHost(host):
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
	case scope == "lan" && dialAllowed("public", a) && !dialAllowed(scope, a):
		return "is a public address, but network_scope is lan; set network_scope to vpn or public"
	case !dialAllowed(scope, a):
		return fmt.Sprintf("has an address that scope %s does not allow (link-local, metadata, multicast and the like are never dialled)", scope)
	}
	return ""
}

func (l *loader) checkProbe(e *Endpoint, here string) {
	if e.ProbeURL != "" {
		u, fault := parseOrigin(e.ProbeURL)
		if fault == "" {
			fault = probeHostFault(u.Hostname())
		}
		if fault != "" {
			l.fault(here+".probe_url", fault)
		} else {
			e.ProbeURL = strings.TrimSuffix(e.ProbeURL, "/")
		}
	}
	if u, err := url.Parse(e.ProbePath); err != nil || !strings.HasPrefix(e.ProbePath, "/") || strings.HasPrefix(e.ProbePath, "//") ||
		u.Fragment != "" || strings.ContainsAny(e.ProbePath, " \\#") {
		l.fault(here+".probe_path", "must be a path that begins with one /, such as /health")
	}
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
	if !dialAllowed(scopeNearby, a.Unmap().WithZone("")) {
		return "must be a loopback or private address: it is where the agent looks on this machine or beside it"
	}
	return ""
}

func (l *loader) checkEndpointAuth(e *Endpoint, here string) {
	if e.AuthTokenFile != "" && e.AuthType == "none" {
		l.fault(here+".auth_token_file", "is not used with auth_type none; set auth_type to api-key or bearer")
	}
	switch {
	case !e.ShareAuthToken:
	case e.NetworkScope == "loopback":
		l.fault(here+".share_auth_token", "is refused for network_scope loopback: nobody outside could use the token, so it must not leave")
	case e.AuthTokenFile == "":
		l.fault(here+".share_auth_token", "needs auth_token_file: there is no token to share")
	}
}
