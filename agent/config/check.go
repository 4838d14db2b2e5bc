package config

import (
	"fmt"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of the time between two beats, and of the lease that may be requested.
const (
	MinInterval = time.Second
	MaxInterval = time.Hour
	minLease    = 3 * time.Second // a third of it is the shortest interval
	maxLease    = 24 * time.Hour
)

// check holds every rule that looks at a value's meaning or at two keys at once.
// A key that has a problem already is left alone by fault.
func (l *loader) check() {
	l.checkOrchestrator()
	names, ids, refs := map[string]string{}, map[string]string{}, map[string]string{}
	for i := range l.config.Machines {
		m, path := &l.config.Machines[i], "machines["+strconv.Itoa(i)+"]"
		l.checkName(i, m, path)
		l.checkIdentity(m, path)
		l.once(names, m.Name, path, "name")
		l.once(ids, m.ID, path, "id")
		l.once(refs, CanonicalRef(m.IdentityRef), path, "identity_ref")
		l.checkRegistration(m, path)
		l.checkEndpoints(m, path)
		if len(m.Endpoints) == 0 {
			l.warn("machine %s has no endpoints: it can be enrolled, but there is nothing to keep alive", m.Name)
		}
	}
	l.checkHeartbeat()
	l.checkKeystore()
	l.checkEnroll()
	l.checkTelemetry()
}

func (l *loader) checkKeystore() {
	k := l.config.Keystore
	if k.Dir == "" {
		l.fault("keystore.dir", "must not be empty; the token has to live somewhere")
	}
	if k.Seal == "passphrase" && k.PassphraseFile == "" {
		l.fault("keystore.seal", "is passphrase, but keystore.passphrase_file is not set")
	}
}

// checkEnroll wants to be told by which label an ephemeral store's predecessors
// are known: a container's host name is another one every time.
func (l *loader) checkEnroll() {
	e := l.config.Enroll
	if !e.Ephemeral {
		return
	}
	if !e.Auto {
		l.fault("enroll.ephemeral", "means nothing without enroll.auto: true")
	}
	for i := range l.config.Machines {
		path := "machines[" + strconv.Itoa(i) + "].agent_label"
		if _, given := l.origins[path]; !given {
			l.fault("enroll.ephemeral", path+" must be given with it: what carries that label is revoked at each start")
		}
	}
}

var machineName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func (l *loader) checkName(i int, m *Machine, path string) {
	switch {
	case i > 0 && m.Name == "":
		l.fault(path+".name", "is required from the second machine on; it tells the records apart")
	case !machineName.MatchString(m.Name):
		l.fault(path+".name", "must be 1 to 32 small letters, digits and hyphens")
	}
}

// once refuses what two machines may not share.
func (l *loader) once(seen map[string]string, value, path, key string) {
	if value == "" || l.bad[path+"."+key] {
		return
	}
	if first, twice := seen[value]; twice {
		l.fault(path+"."+key, fmt.Sprintf("is the same as that of %s; each machine is its own", first))
		return
	}
	seen[value] = path
}

// machineID is wide, because the orchestrator's ids are opaque; it keeps out what
// cannot stand in a URL's segment.
var machineID = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

func (l *loader) checkIdentity(m *Machine, path string) {
	switch {
	case m.ID == "":
	case strings.HasPrefix(m.ID, "did:") || strings.HasPrefix(m.ID, "peaqos:"):
		l.fault(path+".id", "is an identity, not the orchestrator's id (mach_…); give it as identity_ref")
	case !machineID.MatchString(m.ID):
		l.fault(path+".id", "must be the orchestrator's id of the machine (mach_…): letters, digits, - and _ only")
	}
	if m.IdentityRef == "" {
		return
	}
	if fault := identityRefFault(m.IdentityRef); fault != "" {
		l.fault(path+".identity_ref", fault)
		return
	}
	if m.ID == "" {
		return
	}
	key := ".identity_ref"
	if m.IdentityRefFile != "" {
		key = ".identity_ref_file"
	}
	l.fault(path+key, "id is given as well; keep one of the two, the other follows from it")
}

// identityRefFault holds the canonical form of contract §2.1: did:peaq: or
// peaqos:machine: and a decimal uint256 without sign or leading zero.
func identityRefFault(ref string) string {
	number, ok := strings.CutPrefix(ref, "did:peaq:")
	if !ok {
		number, ok = strings.CutPrefix(ref, "peaqos:machine:")
	}
	switch {
	case !ok:
		return "must be did:peaq:NUMBER or peaqos:machine:NUMBER"
	case strings.HasPrefix(number, "0x"):
		return "must end in the machine's decimal number; the form with an address (0x…) is no longer accepted by the orchestrator"
	case number == "" || strings.Trim(number, "0123456789") != "" || (number[0] == '0' && number != "0"):
		return "must end in a decimal number without sign, spaces or leading zeros"
	case len(number) > 78:
		return "has a number above 2^256-1"
	}
	if n, ok := new(big.Int).SetString(number, 10); !ok || n.BitLen() > 256 {
		return "has a number above 2^256-1"
	}
	return ""
}

func (l *loader) checkRegistration(m *Machine, path string) {
	if len(m.AgentLabel) > 200 {
		l.fault(path+".agent_label", "must not be longer than 200 bytes")
	}
	if strings.TrimSpace(m.AgentLabel) == "" {
		l.fault(path+".agent_label", "must not be blank")
	}
	if strings.TrimSpace(m.Register.MachineType) == "" {
		l.fault(path+".register.machine_type", "must not be empty; edge-node is the usual one")
	}
	for i, key := range m.AllowedProviderKeys {
		if !providerKey.MatchString(key) {
			l.fault(path+".allowed_provider_keys", fmt.Sprintf("item %d %s", i+1, providerKeyRule))
		}
	}
	if len(m.AllowedProviderKeys) == 0 {
		return
	}
	for _, e := range m.Endpoints {
		if e.ProviderKey != "" && !slices.Contains(m.AllowedProviderKeys, e.ProviderKey) {
			l.fault(path+".allowed_provider_keys", fmt.Sprintf("lacks %s, which an endpoint below has; the orchestrator would refuse its beats", quoteBrief(e.ProviderKey)))
		}
	}
}

func (l *loader) checkHeartbeat() {
	h := l.config.Heartbeat
	if h.LeaseTTL < minLease || h.LeaseTTL > maxLease || h.LeaseTTL%time.Second != 0 {
		l.fault("heartbeat.lease_ttl", fmt.Sprintf("must be whole seconds from %s to %s, not %s", formatDuration(minLease), formatDuration(maxLease), formatDuration(h.LeaseTTL)))
	}
	switch {
	case h.Interval == 0:
	case h.Interval < MinInterval || h.Interval > MaxInterval:
		l.fault("heartbeat.interval", fmt.Sprintf("must be auto or from %s to %s, not %s", formatDuration(MinInterval), formatDuration(MaxInterval), formatDuration(h.Interval)))
	case h.Interval > h.LeaseTTL/2 && !l.bad["heartbeat.lease_ttl"]:
		l.fault("heartbeat.interval", fmt.Sprintf("%s is more than half of heartbeat.lease_ttl (%s): one lost beat would let the lease lapse; lower it, or use auto",
			formatDuration(h.Interval), formatDuration(h.LeaseTTL)))
	}
}

// checkTelemetry wants loopback, or the word that plain is all right.
func (l *loader) checkTelemetry() {
	const path = "telemetry.listen"
	t := l.config.Telemetry
	if t.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(t.Listen)
	if err != nil {
		l.fault(path, `must be HOST:PORT such as 127.0.0.1:9757 or [::1]:9757, or "" for none`)
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		l.fault(path, "must end in a port from 0 to 65535")
		return
	}
	if host != "" && !hostLooksRight(host) {
		l.fault(path, "must begin with an address or a host name")
		return
	}
	if !IsLoopbackHost(host) && !t.AllowPlain {
		l.fault(path, "would let other hosts read it unencrypted; use 127.0.0.1, or set telemetry.allow_plain: true where the network is trusted")
	}
}
