package agent

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func defaults() *Config {
	return &Config{
		Orchestrator: Orchestrator{URL: "https://orchestration.peaq.xyz"},
		Heartbeat:    HeartbeatConfig{LeaseTTL: 90 * time.Second},
		Keystore:     KeystoreConfig{Dir: "/var/lib/peaqos-agent"},
		Telemetry:    TelemetryConfig{Listen: "127.0.0.1:9757"},
		Log:          LogConfig{Level: "info", Format: "auto"},
	}
}

// complete fills what follows from other settings.
func (l *loader) complete() {
	if len(l.cfg.Machines) == 0 {
		l.cfg.Machines = []Machine{{}}
	}
	host, _ := os.Hostname()
	for i := range l.cfg.Machines {
		m := &l.cfg.Machines[i]
		if m.Name == "" && i == 0 {
			m.Name = "main"
		}
		if m.AgentLabel == "" {
			m.AgentLabel = "peaqos-agent@" + host
		}
		for j := range m.Endpoints {
			e := &m.Endpoints[j]
			e.AuthType, e.NetworkScope = firstOf(e.AuthType, "none"), firstOf(e.NetworkScope, "loopback")
			if e.ProbePath == "" {
				e.ProbePath = "/health"
				if e.ProviderKey == "qvac" {
					e.ProbePath = "/v1/models"
				}
			}
		}
	}
}

var machineName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// check applies every rule that takes more than one value, or one value's sense.
func (l *loader) check() {
	c := l.cfg
	l.checkOrchestrator(c.Orchestrator)
	if h := c.Heartbeat; h.LeaseTTL < 3*time.Second || h.LeaseTTL > 24*time.Hour || h.LeaseTTL%time.Second != 0 {
		l.problem("heartbeat.lease_ttl", "%s is not whole seconds from 3s to 24h", h.LeaseTTL)
	} else if h.Interval != 0 && (h.Interval < minInterval || h.Interval > maxInterval) {
		l.problem("heartbeat.interval", "%s is not between 1s and 1h", h.Interval)
	} else if h.Interval > h.LeaseTTL/2 {
		l.problem("heartbeat.interval", "%s is more than half of heartbeat.lease_ttl (%s): one lost beat would end the lease", h.Interval, h.LeaseTTL)
	}
	if !filepath.IsAbs(c.Keystore.Dir) {
		l.problem("keystore.dir", "%q is not an absolute path: a daemon has no directory of its own", c.Keystore.Dir)
	}
	l.checkListen(c.Telemetry)
	names := map[string]bool{}
	for i, m := range c.Machines {
		where := fmt.Sprintf("machines[%d]", i)
		if !machineName.MatchString(m.Name) {
			l.problem(where+".name", "%.60q is not of the form [a-z0-9-]{1,32}, and is needed from the second machine on", m.Name)
		}
		if names[m.Name] {
			l.problem(where+".name", "%q stands twice", m.Name)
		}
		names[m.Name] = true
		if m.ID != "" && m.IdentityRef != "" {
			l.problem(where, "give id or identity_ref, not both: the id alone says which machine")
		}
		if m.IdentityRef != "" && !ValidIdentityRef(m.IdentityRef) {
			l.problem(where+".identity_ref", "%.100q is neither did:peaq:NUMBER nor peaqos:machine:NUMBER", m.IdentityRef)
		}
		keys := map[string]bool{}
		for j, e := range m.Endpoints {
			at := fmt.Sprintf("%s.endpoints[%d]", where, j)
			if keys[e.ProviderKey] {
				l.problem(at+".provider_key", "%q stands twice: one endpoint per provider key", e.ProviderKey)
			}
			keys[e.ProviderKey] = true
			l.checkEndpoint(at, e)
		}
	}
}

func (l *loader) checkOrchestrator(o Orchestrator) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		l.problem("orchestrator.url", "must be http:// or https:// with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.problem("orchestrator.url", "must hold no user, query or fragment")
	case u.Scheme == "http" && !o.AllowPlainHTTP && !isLoopback(u.Hostname()):
		l.problem("orchestrator.url", "plain http to %s would send the token unencrypted: use https, or set orchestrator.allow_plain_http", u.Hostname())
	}
}

func (l *loader) checkListen(t TelemetryConfig) {
	if t.Listen == "" {
		return
	}
	host, _, err := net.SplitHostPort(t.Listen)
	if err != nil {
		l.problem("telemetry.listen", "%.60q is not HOST:PORT", t.Listen)
	} else if !isLoopback(host) && !t.AllowPlain {
		l.problem("telemetry.listen", "%q can be reached from other hosts, unencrypted: set telemetry.allow_plain if that is meant", t.Listen)
	}
}

func (l *loader) checkEndpoint(at string, e Endpoint) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`).MatchString(e.ProviderKey) {
		l.problem(at+".provider_key", "%.60q is not a lower-case name such as qvac", e.ProviderKey)
	}
	l.checkOrigin(at+".base_url", e.BaseURL)
	if e.ProbeURL != "" {
		l.checkOrigin(at+".probe_url", e.ProbeURL)
		if u, err := url.Parse(e.ProbeURL); err == nil {
			if a, err := netip.ParseAddr(u.Hostname()); err == nil && !dialAllowed(scopeNearby, a.Unmap()) {
				l.problem(at+".probe_url", "%s is neither loopback nor private", a)
			}
		}
	}
	if !strings.HasPrefix(e.ProbePath, "/") || strings.ContainsAny(e.ProbePath, "#\r\n ") {
		l.problem(at+".probe_path", "%.60q must begin with / and hold no space or fragment", e.ProbePath)
	}
	if err := oneOf(e.AuthType, "none", "api-key", "bearer"); err != nil {
		l.problem(at+".auth_type", "%s", err)
	}
	if err := oneOf(e.NetworkScope, "loopback", "lan", "vpn", "public"); err != nil {
		l.problem(at+".network_scope", "%s", err)
	} else if u, err := url.Parse(e.BaseURL); err == nil && e.NetworkScope == "loopback" && u.Hostname() != "" && !isLoopback(u.Hostname()) {
		l.problem(at+".network_scope", "loopback, but %s is not: say lan, vpn or public", u.Hostname())
	}
	if e.ShareAuthToken && e.NetworkScope == "loopback" {
		l.problem(at+".share_auth_token", "a token for a loopback endpoint helps nobody outside: remove it or change network_scope")
	}
	if e.ShareAuthToken && e.AuthTokenFile == "" {
		l.problem(at+".share_auth_token", "needs auth_token_file")
	}
}

// checkOrigin: scheme, host and port, because the orchestrator drops the rest.
func (l *loader) checkOrigin(where, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		l.problem(where, "must be http:// or https:// with a host")
	case u.User != nil:
		l.problem(where, "must hold no user or password: use auth_token_file")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		l.problem(where, "must be scheme, host and port alone: the orchestrator drops a path")
	}
}

// identityFile reads the identity from a file, where it is mounted.
func (l *loader) identityFile(where, path string, m *Machine) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 4096 {
		l.problem(where, "cannot be read: %v", err)
		return
	}
	m.IdentityRef = strings.TrimSpace(string(b))
}

// ValidIdentityRef reports whether ref is did:peaq:<decimal> or
// peaqos:machine:<decimal>, the number canonical and below 2^256.
func ValidIdentityRef(ref string) bool {
	digits, ok := strings.CutPrefix(decimalRef(ref), "did:peaq:")
	if !ok || digits == "" || len(digits) > 78 || (digits[0] == '0' && len(digits) > 1) || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	n, ok := new(big.Int).SetString(digits, 10)
	return ok && n.BitLen() <= 256
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
