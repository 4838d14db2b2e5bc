package status

import (
	"fmt"
	"strings"
	"time"
)

// Readiness is the answer of /readyz: whether the machine can be used through
// the orchestrator right now, and every problem, even when it can.
type Readiness struct {
	Ready   bool     `json:"ready"`
	State   string   `json:"state"` // of the machine; of the worst one when there are several
	Reasons []Reason `json:"reasons"`
}

// Reason is one problem. Machine and Endpoint say where, both empty
// for the process itself; Code is stable, Text a sentence for people.
type Reason struct {
	Machine  string `json:"machine,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Code     Code   `json:"code"`
	Text     string `json:"text"`
}

// Ready judges a snapshot. A machine is ready when at least one endpoint has a
// running lease, by our own boot clock since the accepted beat that named it,
// and answered its last probe; the server's clock and its verdicts have no
// part in it. With several machines all of them must be ready.
func Ready(s Snapshot) Readiness {
	r := Readiness{Ready: len(s.Machines) > 0, Reasons: processReasons(s.Process)}
	if len(s.Machines) == 0 {
		r.add("", "", CodeNoMachine, Lookup(CodeNoMachine).What)
	}
	for _, m := range s.Machines {
		live := false
		for _, e := range m.Endpoints {
			live = live || e.live(s.SinceBoot)
		}
		if !live && len(s.Machines) > 1 {
			r.add(m.Name, "", CodeMachineNotReady, fmt.Sprintf("machine %s is not ready, and readiness needs every machine", m.Name))
		}
		r.Ready = r.Ready && live
		r.State = worse(r.State, string(m.State))
		r.Reasons = append(r.Reasons, machineReasons(m, s.SinceBoot)...)
	}
	return r
}

func (r *Readiness) add(machine, endpoint string, code Code, text string) {
	r.Reasons = append(r.Reasons, Reason{machine, endpoint, code, text})
}

// reasonOf is a reason of the process itself.
func reasonOf(code Code, detail string) Reason {
	c := NewCause(code, detail)
	return Reason{Code: c.Code, Text: c.Text}
}

// live is the claim that readiness rests on: published, and up just now.
func (e Endpoint) live(sinceBoot time.Duration) bool {
	return e.Probed && e.Up && e.LeaseLeft(sinceBoot) > 0
}

// Disagrees reports whether the orchestrator sees an endpoint otherwise than as live, while
// it is live here.
func (e Endpoint) Disagrees(sinceBoot time.Duration) bool {
	return e.live(sinceBoot) && e.ServerStatus != "" && e.ServerStatus != "active"
}

// processReasons are the problems of the process itself; none makes a machine unready.
func processReasons(a Process) []Reason {
	reasons := []Reason{}
	if a.ListenerFault != "" {
		reasons = append(reasons, reasonOf(CodeTelemetryPort, a.ListenerFault))
	}
	if a.AdminFault != "" {
		reasons = append(reasons, reasonOf(CodeAdminSocket, a.AdminFault))
	}
	if !a.KeystoreDurable {
		reasons = append(reasons, reasonOf(CodeKeystoreNotDurable, ""))
	}
	if a.HostDiffers != "" {
		reasons = append(reasons, reasonOf(CodeHostDiffers, a.HostDiffers))
	}
	if !a.ReloadOK {
		reasons = append(reasons, reasonOf(CodeConfigReload, ""))
	}
	return reasons
}

// machineReasons lists the machine's cause and each endpoint that is not live.
// A cause that only sums up the endpoints below it is left out.
func machineReasons(m Machine, sinceBoot time.Duration) []Reason {
	var reasons []Reason
	if c := m.Cause; c != nil && c.Code != CodeTelemetryPort && (c.Code != CodeNothingUp && c.Code != CodeEndpointMissing || len(m.Endpoints) == 0) {
		reasons = append(reasons, Reason{Machine: m.Name, Code: c.Code, Text: c.Text})
	}
	if m.Mismatch != "" {
		reasons = append(reasons, Reason{Machine: m.Name, Code: CodeOtherIdentity, Text: m.Mismatch})
	}
	if r := m.Rotation; r != nil {
		reasons = append(reasons, Reason{Machine: m.Name, Code: r.Code, Text: r.Text})
	}
	for _, c := range serviceCauses(m) {
		reasons = append(reasons, Reason{Machine: m.Name, Code: c.Code, Text: c.Text})
	}
	if len(m.Endpoints) == 0 && CodeOf(m.Cause) != CodeNothingUp {
		reasons = append(reasons, Reason{Machine: m.Name, Code: CodeNoEndpoint, Text: Lookup(CodeNoEndpoint).What})
	}
	for _, e := range m.Endpoints {
		for _, c := range endpointCauses(e, sinceBoot) {
			reasons = append(reasons, Reason{m.Name, e.ProviderKey, c.Code, c.Text})
		}
	}
	return reasons
}

// endpointCauses says why an endpoint is not live: its probe, its publication,
// or both.
func endpointCauses(e Endpoint, sinceBoot time.Duration) []Cause {
	var causes []Cause
	left := e.LeaseLeft(sinceBoot)
	switch {
	case !e.Probed:
		causes = append(causes, Cause{CodeEndpointNotProbed, fmt.Sprintf("endpoint %s was not probed yet", e.ProviderKey)})
	case !e.Up && left > 0:
		causes = append(causes, Cause{CodeEndpointDown, fmt.Sprintf(
			"endpoint %s is down (%s); it stays listed for %s more, until its lease expires", e.ProviderKey, e.ProbeFault, FormatDuration(left))})
	case !e.Up:
		causes = append(causes, Cause{CodeEndpointDown, fmt.Sprintf("endpoint %s is down (%s)", e.ProviderKey, e.ProbeFault)})
	}
	switch {
	case e.Refused != "":
		causes = append(causes, Cause{CodeEndpointRefused, fmt.Sprintf(
			"endpoint %s was rejected by the orchestrator: %s (%s)", e.ProviderKey, Lookup(e.Refused).What, Sanitize(string(e.Refused)))})
	case !e.Published:
		causes = append(causes, Cause{CodeLeaseNone, fmt.Sprintf(
			"endpoint %s has no lease: no heartbeat that named it was accepted since the agent started", e.ProviderKey)})
	case left <= 0:
		causes = append(causes, Cause{CodeLeaseExpired, fmt.Sprintf("the lease of endpoint %s expired %s ago", e.ProviderKey, FormatDuration(-left))})
	case e.Disagrees(sinceBoot):
		causes = append(causes, Cause{CodeServerDisagrees, strings.TrimSuffix(fmt.Sprintf(
			"endpoint %s answers here and is %s on the orchestrator (%s)", e.ProviderKey, e.ServerStatus, e.ServerFault), " ()")})
	}
	return causes
}

// worse is the more severe of two states, by how much a person has to do about it.
func worse(a, b string) string {
	order := []State{Online, Idle, Degraded, Offline, Unenrolled, Locked, Rejected, Revoked, Quarantined}
	for i := len(order) - 1; i >= 0; i-- {
		if c := string(order[i]); c == a || c == b {
			return c
		}
	}
	return b
}

// FormatDuration writes a duration for people: to the tenth below ten seconds would be
// noise, so whole seconds, then minutes, hours and days.
func FormatDuration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	sign := ""
	if s < 0 {
		sign, s = "-", -s
	}
	switch {
	case s < 120:
		return fmt.Sprintf("%s%d s", sign, s)
	case s < 2*60*60:
		return fmt.Sprintf("%s%d min %d s", sign, s/60, s%60)
	case s < 48*60*60:
		return fmt.Sprintf("%s%d h %d min", sign, s/3600, s/60%60)
	}
	return fmt.Sprintf("%s%d d %d h", sign, s/86400, s/3600%24)
}
