package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

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
