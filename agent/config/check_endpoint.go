package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

const providerKeyRule = "must be a short name of lower-case letters, digits, dots, hyphens and underscores, " +
	"beginning with a letter or digit (the orchestrator lower-cases it)"

func isProviderKey(key string) bool {
	return madeOf(key, 64, lower+digits+"._-") && !strings.ContainsAny(key[:1], "._-")
}

func checkEndpoints(m *Machine, path string, h Heartbeat) (f findings) {
	seen := map[string]int{}
	for j, e := range m.Endpoints {
		here := fmt.Sprintf("%s.endpoints[%d]", path, j)
		if first, twice := seen[e.ProviderKey]; twice && e.ProviderKey != "" {
			f.add(here+".provider_key", fmt.Sprintf(
				"is the same as that of endpoint %d; the orchestrator keeps one endpoint per provider key", first+1))
		}
		seen[e.ProviderKey] = j
		f = append(f, checkProviderKey(e, here)...)
		f = append(f, checkBaseURL(e, here)...)
		f = append(f, checkProbe(e, here)...)
		f = append(f, checkProbeTimeout(e, here, h)...)
		f = append(f, checkEndpointCA(e, here)...)
		f = append(f, checkEndpointAuth(e, here)...)
		if e.ModelAlias != "" && e.ProviderKey != "qvac" {
			f.add(here+".model_alias", "is looked up in a model list, which only provider_key qvac has; remove it")
		}
	}
	return f
}

func checkProviderKey(e Endpoint, here string) (f findings) {
	switch {
	case e.ProviderKey == "":
		f.add(here+".provider_key", "is required, such as qvac")
	case !isProviderKey(e.ProviderKey):
		f.add(here+".provider_key", providerKeyRule)
	}
	return f
}

func checkBaseURL(e Endpoint, here string) (f findings) {
	if e.BaseURL == "" {
		f.add(here+".base_url", "is required, such as http://127.0.0.1:11435")
		return f
	}
	u, fault := parseOrigin(e.BaseURL)
	if fault != "" {
		f.add(here+".base_url", fault)
		return f
	}
	if fault := scopeFault(e.NetworkScope, u.Hostname()); fault != "" {
		f.addUnless(here+".network_scope", here+".base_url", fault)
	}
	return f
}

func checkProbe(e Endpoint, here string) (f findings) {
	if e.ProbeURL != "" {
		u, fault := parseOrigin(e.ProbeURL)
		if fault == "" {
			fault = probeHostFault(u.Hostname())
		}
		if fault != "" {
			f.add(here+".probe_url", fault)
		}
	}
	u, err := url.Parse(e.ProbePath)
	if err != nil || !strings.HasPrefix(e.ProbePath, "/") || strings.HasPrefix(e.ProbePath, "//") ||
		u.Fragment != "" || strings.ContainsAny(e.ProbePath, " \\#") {
		f.add(here+".probe_path", "must be a path that begins with one /, such as /health")
	}
	return f
}

const (
	// DefaultProbeTimeout is endpoints[].probe_timeout when it is not set.
	DefaultProbeTimeout = 3 * time.Second

	minProbeTimeout = 100 * time.Millisecond
)

// checkProbeTimeout keeps a probe shorter than half of the interval, so that a
// heartbeat does not wait for it into the next one. The default is always accepted,
// so that a short lease needs no other key.
func checkProbeTimeout(e Endpoint, here string, h Heartbeat) (f findings) {
	every := h.Interval
	if every == 0 {
		every = max(h.LeaseTTL/3, MinInterval)
	}
	longest := max(every/2, DefaultProbeTimeout)
	if e.ProbeTimeout < minProbeTimeout || e.ProbeTimeout > longest {
		f.addUnless("heartbeat.lease_ttl", here+".probe_timeout", fmt.Sprintf(
			"must be from %s to %s, half of the heartbeat interval of %s, not %s; for a slower runtime raise heartbeat.lease_ttl",
			formatDuration(minProbeTimeout), formatDuration(longest), formatDuration(every), formatDuration(e.ProbeTimeout)))
	}
	return f
}

// checkEndpointCA requires https at the origin that is probed. The file itself is read
// by the probe: it may be mounted later.
func checkEndpointCA(e Endpoint, here string) (f findings) {
	probed := e.ProbeURL
	if probed == "" {
		probed = e.BaseURL
	}
	if e.CAFile != "" && !strings.HasPrefix(strings.ToLower(probed), "https:") {
		f.add(here+".ca_file", "is used with https only, but the origin that is probed is plain http")
	}
	return f
}

func checkEndpointAuth(e Endpoint, here string) (f findings) {
	if e.AuthTokenFile != "" && e.AuthType == "none" {
		f.add(here+".auth_token_file", "is not used with auth_type none; set auth_type to api-key or bearer")
	}
	switch {
	case !e.ShareAuthToken:
	case e.NetworkScope == "loopback":
		f.add(here+".share_auth_token", "is refused for network_scope loopback: no outside caller could use the token, so it is not sent")
	case e.AuthTokenFile == "":
		f.add(here+".share_auth_token", "needs auth_token_file: there is no token to share")
	}
	return f
}
