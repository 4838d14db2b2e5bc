package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// MinInterval is the shortest time between two heartbeats.
	MinInterval = time.Second
	// MaxInterval is the longest time between two heartbeats.
	MaxInterval = time.Hour

	minLease = 3 * time.Second // a third of it is the shortest interval
	maxLease = 24 * time.Hour
)

// finding is what a rule has against the value of a key.
type finding struct {
	key    string // concrete path
	text   string // the end of a sentence that begins with the key
	unless string // drop it if this key has a problem already, because it depends on that value
}

type findings []finding

func (f *findings) add(key, text string) { *f = append(*f, finding{key: key, text: text}) }

func (f *findings) addUnless(other, key, text string) {
	*f = append(*f, finding{key: key, text: text, unless: other})
}

// checkConfig applies every rule about the meaning of a value or a combination of
// keys. given reports whether a key was set, by its concrete path. A value that
// could not be parsed is its default here; the caller drops what is found about it.
func checkConfig(c *Config, given func(path string) bool) findings {
	f := checkOrchestrator(c.Orchestrator)
	names, ids, refs := map[string]string{}, map[string]string{}, map[string]string{}
	for i := range c.Machines {
		m, path := &c.Machines[i], "machines["+strconv.Itoa(i)+"]"
		f = append(f, checkName(m, i, path)...)
		f = append(f, checkIdentity(m, path, c.Orchestrator.IdentityRefs)...)
		f.addRepeated(names, m.Name, path, "name")
		f.addRepeated(ids, m.ID, path, "id")
		f.addRepeated(refs, CanonicalRef(m.IdentityRef), path, "identity_ref")
		f = append(f, checkRegistration(m, path)...)
		f = append(f, checkEndpoints(m, path, c.Heartbeat)...)
	}
	f = append(f, checkHeartbeat(c.Heartbeat)...)
	f = append(f, checkPresence(c)...)
	f = append(f, checkControl(c.Control)...)
	f = append(f, checkKeystore(c.Keystore)...)
	f = append(f, checkEnroll(c, given)...)
	f = append(f, checkTelemetry(c.Telemetry)...)
	return append(f, checkAllowedHosts(c.Telemetry)...)
}

// addRepeated finds what two machines must not share.
func (f *findings) addRepeated(seen map[string]string, value, path, key string) {
	if value == "" {
		return
	}
	if first, twice := seen[value]; twice {
		f.add(path+"."+key, fmt.Sprintf("is the same as that of %s; machines must differ", first))
		return
	}
	seen[value] = path
}

// ruleWarnings lists what is accepted, but worth checking.
func ruleWarnings(c *Config) []string {
	var out []string
	if isPlainRemote(c.Orchestrator.URL) {
		out = append(out, "orchestrator.url is plain http (orchestrator.allow_plain_http): "+
			"anyone on the network can read the agent token")
	}
	for i, m := range c.Machines {
		for j, e := range m.Endpoints {
			target := cmp.Or(e.ProbeURL, e.BaseURL)
			if e.AuthTokenFile != "" && isPlainRemote(target) && (e.NetworkScope == "public" || e.NetworkScope == "vpn") {
				out = append(out, fmt.Sprintf("machines[%d].endpoints[%d] sends its token over plain http to %s: "+
					"anyone on the way can read it; use https", i, j, target))
			}
		}
		if len(m.Endpoints) == 0 {
			out = append(out, fmt.Sprintf("machine %s has no endpoints: it can be enrolled, but there is nothing to publish", m.Name))
		}
	}
	return out
}

// normalize removes the slashes at the end of the URLs of a checked configuration.
func normalize(c *Config) {
	c.Orchestrator.URL = strings.TrimRight(c.Orchestrator.URL, "/")
	c.Presence.URL = strings.TrimRight(c.Presence.URL, "/")
	for i := range c.Machines {
		for j := range c.Machines[i].Endpoints {
			e := &c.Machines[i].Endpoints[j]
			e.BaseURL, e.ProbeURL = strings.TrimSuffix(e.BaseURL, "/"), strings.TrimSuffix(e.ProbeURL, "/")
		}
	}
}

// checkOrchestrator requires https, or http where nobody else can listen.
func checkOrchestrator(o Orchestrator) (f findings) {
	u, fault := parseBase(o.URL)
	switch {
	case fault != "":
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api/v1"):
		fault = "must end before /api/v1, which the agent adds itself"
	case isPlainRemote(o.URL) && !o.AllowPlainHTTP:
		fault = "is plain http to another host, which would show the agent token to the network; " +
			"use https, or set orchestrator.allow_plain_http: true"
	}
	if fault != "" {
		f.add("orchestrator.url", fault)
	}
	switch {
	case o.ClientCertFile != "" && o.ClientKeyFile == "":
		f.add("orchestrator.client_cert_file", "needs orchestrator.client_key_file, the private key of that certificate")
	case o.ClientCertFile == "" && o.ClientKeyFile != "":
		f.add("orchestrator.client_key_file", "needs orchestrator.client_cert_file, the certificate of that key")
	}
	return f
}

func checkName(m *Machine, index int, path string) (f findings) {
	switch {
	case index > 0 && m.Name == "":
		f.add(path+".name", "is required from the second machine on; it distinguishes their records")
	case !madeOf(m.Name, 32, lower+digits+"-"):
		f.add(path+".name", "must be 1 to 32 lower-case letters, digits and hyphens")
	}
	return f
}

func checkIdentity(m *Machine, path, accept string) (f findings) {
	switch {
	case m.ID == "":
	case strings.HasPrefix(m.ID, "did:") || strings.HasPrefix(m.ID, "peaqos:"):
		f.add(path+".id", "is an identity, not the orchestrator's id (mach_…); give it as identity_ref")
	case IDFault(m.ID) != "":
		f.add(path+".id", IDFault(m.ID))
	}
	if m.IdentityRef == "" {
		return f
	}
	if fault := IdentityRefFault(m.IdentityRef, accept); fault != "" {
		f.add(path+".identity_ref", fault)
		return f
	}
	if m.ID != "" {
		key := path + ".identity_ref"
		if m.IdentityRefFile != "" {
			key += "_file"
		}
		f.add(key, "id is given as well; keep one of the two, the other follows from it")
	}
	return f
}

// IDFault returns why a text is not an id of the orchestrator, as the end of a sentence,
// or "". Ids are opaque; this keeps out what a segment of a URL cannot hold.
func IDFault(id string) string {
	if !madeOf(id, 128, lower+upper+digits+"._~-") || id == "." || id == ".." {
		return "must be the orchestrator's id of the machine (mach_…): letters, digits, - and _ only"
	}
	return ""
}

func checkRegistration(m *Machine, path string) (f findings) {
	if fault := LabelFault(m.AgentLabel); fault != "" {
		f.add(path+".agent_label", fault)
	}
	if strings.TrimSpace(m.Register.MachineType) == "" {
		f.add(path+".register.machine_type", "must not be empty; edge-node is the usual one")
	}
	for i, key := range m.AllowedProviderKeys {
		if !isProviderKey(key) {
			f.add(path+".allowed_provider_keys", fmt.Sprintf("item %d %s", i+1, providerKeyRule))
		}
	}
	if len(m.AllowedProviderKeys) == 0 {
		return f
	}
	for _, e := range m.Endpoints {
		if e.ProviderKey != "" && !slices.Contains(m.AllowedProviderKeys, e.ProviderKey) {
			f.add(path+".allowed_provider_keys", fmt.Sprintf(
				"does not include %s, which an endpoint uses; the orchestrator would refuse its heartbeats", quoteBrief(e.ProviderKey)))
		}
	}
	return f
}

func checkHeartbeat(h Heartbeat) (f findings) {
	const interval, lease = "heartbeat.interval", "heartbeat.lease_ttl"
	if h.LeaseTTL < minLease || h.LeaseTTL > maxLease || h.LeaseTTL%time.Second != 0 {
		f.add(lease, fmt.Sprintf("must be whole seconds from %s to %s, not %s",
			formatDuration(minLease), formatDuration(maxLease), formatDuration(h.LeaseTTL)))
	}
	switch {
	case h.Interval == 0:
	case h.Interval < MinInterval || h.Interval > MaxInterval:
		f.add(interval, fmt.Sprintf("must be auto or from %s to %s, not %s",
			formatDuration(MinInterval), formatDuration(MaxInterval), formatDuration(h.Interval)))
	case h.Interval > h.LeaseTTL/2:
		f.addUnless(lease, interval, fmt.Sprintf(
			"%s is more than half of heartbeat.lease_ttl (%s): one lost heartbeat would let the lease expire; lower it, or use auto",
			formatDuration(h.Interval), formatDuration(h.LeaseTTL)))
	}
	return f
}

func checkKeystore(k Keystore) (f findings) {
	if k.Dir == "" {
		f.add("keystore.dir", "must not be empty; the token is stored there")
	}
	if k.Seal == "passphrase" && k.PassphraseFile == "" {
		f.add("keystore.seal", "is passphrase, but keystore.passphrase_file is not set")
	}
	return f
}

// checkEnroll requires an explicit label for an ephemeral store, by which its
// predecessors are recognized: a container has another host name every time.
func checkEnroll(c *Config, given func(path string) bool) (f findings) {
	if !c.Enroll.Ephemeral {
		return nil
	}
	if !c.Enroll.Auto {
		f.add("enroll.ephemeral", "has no effect without enroll.auto: true")
	}
	for i := range c.Machines {
		if path := "machines[" + strconv.Itoa(i) + "].agent_label"; !given(path) {
			f.add("enroll.ephemeral", path+" must be given with it: agents with that label are revoked at each start")
		}
	}
	return f
}

// checkTelemetry requires loopback, a web configuration (whether that encrypts is seen
// when it is read), or the explicit permission to be plain.
func checkTelemetry(t Telemetry) (f findings) {
	const path = "telemetry.listen"
	if t.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(t.Listen)
	if err != nil {
		f.add(path, `must be HOST:PORT such as 127.0.0.1:9757 or [::1]:9757, or "" for none`)
		return f
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || strconv.FormatUint(n, 10) != port:
		f.add(path, "must end in a port from 0 to 65535")
	case host != "" && !isHost(host):
		f.add(path, "must begin with an address or a host name")
	case !IsLoopbackHost(host) && !t.AllowPlain && t.WebConfigFile == "":
		f.add(path, "would let other hosts read it unencrypted; use 127.0.0.1, encrypt it with telemetry.web_config_file, "+
			"or set telemetry.allow_plain: true where the network is trusted")
	}
	return f
}

// checkAllowedHosts requires whole names without a port, which is ignored anyway.
func checkAllowedHosts(t Telemetry) (f findings) {
	for i, host := range t.AllowedHosts {
		if _, err := netip.ParseAddr(host); err != nil && !isHost(host) {
			f.add("telemetry.allowed_hosts", fmt.Sprintf(
				"item %d must be a host name or an address without port, such as robot.example; wildcards are not supported", i+1))
		}
	}
	return f
}

// Character sets for madeOf.
const (
	digits    = "0123456789"
	lower     = "abcdefghijklmnopqrstuvwxyz"
	upper     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexDigits = digits + "abcdefABCDEF"
)

// madeOf reports whether text has 1 to most bytes, all of them among chars (ASCII).
func madeOf(text string, most int, chars string) bool {
	return text != "" && len(text) <= most && strings.Trim(text, chars) == ""
}
