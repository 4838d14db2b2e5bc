package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// examineState looks at what the running agent reports, or at what the store holds.
func (f *Facts) examineState(r *Report) {
	f.examineListener(r)
	v := f.View
	if v == nil {
		return
	}
	if v.Keystore.Protector != "" && v.Keystore.Protector != "none" {
		r.add(OK, checkSeal, "protected by "+v.Keystore.Protector)
	}
	for _, reason := range v.Reasons {
		f.examineReason(r, reason)
	}
	enrolled := false
	for _, m := range v.Machines {
		enrolled = enrolled || m.State != string(status.Unenrolled)
		f.examineMachine(r, m)
	}
	switch {
	case f.running() && v.Version != f.Version:
		r.code(Warning, checkAgent, status.CodeOtherVersion, fmt.Sprintf("%s runs, this is %s", v.Version, f.Version))
	case f.running():
		r.add(OK, checkAgent, fmt.Sprintf("version %s, process %d", v.Version, v.PID))
	case enrolled:
		r.code(Problem, checkAgent, status.CodeNotRunning, "")
	}
}

// examineListener looks at the telemetry port.
func (f *Facts) examineListener(r *Report) {
	listen := f.Config.Telemetry.Listen
	switch {
	case listen == "":
		r.add(OK, checkTelemetry, "switched off")
	case f.Listener != nil:
		r.code(Problem, checkTelemetry, status.CodeTelemetryPort, status.Sanitize(f.Listener.Error()))
	case f.running() && f.View.Listener.Fault != "":
		r.code(Problem, checkTelemetry, status.CodeTelemetryPort, f.View.Listener.Fault)
	default:
		r.add(OK, checkTelemetry, listen)
	}
}

// examineReason turns a reason against readiness into a finding, unless it only repeats
// what a check of doctor's own has found.
func (f *Facts) examineReason(r *Report, reason status.Reason) {
	level := Problem
	switch reason.Code {
	case status.CodeFirstBeatPending, status.CodeStarting, status.CodePresencePending, status.CodeControlPending, status.CodeEndpointNotProbed:
		if !f.running() {
			return
		}
		level = Skipped
	case status.CodeNothingUp, status.CodeEndpointMissing, status.CodeMachineNotReady, status.CodeNoMachine:
		return // they sum up the endpoints
	case status.CodeNotRunning:
		return // the check of the agent reports it
	case status.CodeLeaseNone, status.CodeLeaseExpired:
		// A process that has just started has not sent a heartbeat, and one that sends none
		// has a cause of its own.
		if !f.running() || reason.Code == status.CodeLeaseNone {
			return
		}
	case status.CodeRotationPending, status.CodeRotationUnfinished, status.CodeHostDiffers, status.CodeConfigReload:
		level = Warning
	}
	if r.has(reason.Code) {
		return
	}
	text, next := reason.Text, f.nextOf(reason)
	if reason.Code == status.CodeLeaseExpired {
		next = "peaqos-agent endpoints check"
	}
	if before, advice, ok := strings.Cut(text, "; "); ok && f.locked(reason) {
		text, next = before, advice // what helps is part of the cause: it depends on the file
	}
	r.put(Finding{Check: checkOf(reason.Code), Machine: f.only(reason.Machine), Level: level, Code: reason.Code, Text: text, Next: next})
}

// locked reports whether a reason is why a store cannot be used.
func (f *Facts) locked(reason status.Reason) bool {
	return slices.ContainsFunc(f.View.Machines, func(m status.MachineView) bool {
		return m.Name == reason.Machine && m.State == string(status.Locked) && status.CodeOf(m.Cause) == reason.Code
	})
}

// nextOf is the command that helps with a reason.
func (f *Facts) nextOf(reason status.Reason) string {
	for _, m := range f.View.Machines {
		if m.Name == reason.Machine && status.CodeOf(m.Cause) == reason.Code && f.running() && m.Next != "" {
			return m.Next
		}
	}
	return f.nextFor(status.Degraded, &status.Cause{Code: reason.Code, Text: reason.Text})
}

// examineMachine looks at the token and the services of one machine.
func (f *Facts) examineMachine(r *Report, m status.MachineView) {
	if m.AgentID == "" {
		return
	}
	name := f.only(m.Name)
	state := status.State(m.State)
	switch {
	case f.running() && (state == status.Online || state == status.Degraded) && m.Heartbeat.LastSuccessAgeSeconds != nil:
		r.put(Finding{
			Check: checkToken, Machine: name, Level: OK,
			Text: "a heartbeat was accepted " + status.FormatSeconds(*m.Heartbeat.LastSuccessAgeSeconds) + " ago",
		})
	case r.failed(checkToken, name), state == status.Locked, state == status.Quarantined:
	case f.running() && m.Heartbeat.LastSuccessAgeSeconds != nil:
		r.put(Finding{
			Check: checkToken, Machine: name, Level: Skipped,
			Text: "the last accepted heartbeat was " + status.FormatSeconds(*m.Heartbeat.LastSuccessAgeSeconds) + " ago",
		})
	default:
		r.put(Finding{
			Check: checkToken, Machine: name, Level: Skipped,
			Text: "no heartbeat was accepted since the agent started, and doctor sends none: it would take a lease",
		})
	}
	switch {
	case m.Presence != nil && f.running() && m.Presence.Cause == nil:
		r.put(Finding{Check: checkPresence, Machine: name, Level: OK, Text: m.Presence.Line()})
	case f.Config.Presence.Enabled && !m.ControllerKeyOnDevice && !r.has(status.CodePresenceNoKey):
		r.code(Problem, checkPresence, status.CodePresenceNoKey, "")
	}
	if m.Control != nil && f.running() && m.Control.Cause == nil {
		r.put(Finding{Check: checkControl, Machine: name, Level: OK, Text: m.Control.Line()})
	}
}

// recently is how long ago an agent that still runs sent its last heartbeat, at most: the
// longest lease that a configuration asks for without being asked for it, several times.
const recently = 10 * time.Minute

// examineAccounts looks at what the orchestrator lists.
func (f *Facts) examineAccounts(r *Report) {
	for _, a := range f.Accounts {
		if a.Err != nil {
			r.problem(Problem, checkAgents, a.Err)
			continue
		}
		i := slices.IndexFunc(f.View.Machines, func(m status.MachineView) bool { return m.Name == a.Machine })
		m := f.View.Machines[i]
		f.examineOwnAgent(r, m, a)
		if m.Rotation == nil {
			f.examineOtherAgents(r, m, a)
		}
		f.examineLeases(r, m, a)
	}
}

func (f *Facts) examineOwnAgent(r *Report, m status.MachineView, a Account) {
	i := slices.IndexFunc(a.Agents, func(x sdk.MachineAgent) bool { return x.ID == m.AgentID })
	rotate := f.nextFor(status.Revoked, status.NewCause(status.CodeAPIAgentInactive, ""))
	switch {
	case i < 0:
		r.put(Finding{
			Check: checkToken, Machine: f.only(m.Name), Level: Problem, Code: status.CodeAPINotFound,
			Text: "the orchestrator does not list agent " + m.AgentID, Next: rotate,
		})
	case a.Agents[i].Status == sdk.AgentRevoked:
		if !r.has(status.CodeAPIAgentInactive) {
			r.put(Finding{
				Check: checkToken, Machine: f.only(m.Name), Level: Problem, Code: status.CodeAPIAgentInactive,
				Text: status.NewCause(status.CodeAPIAgentInactive, m.AgentID).Text, Next: rotate,
			})
		}
	default:
		// Which is an answer to what could not be checked without the key.
		r.Findings = slices.DeleteFunc(r.Findings, func(x Finding) bool {
			return x.Check == checkToken && x.Machine == f.only(m.Name) && x.Level == Skipped
		})
		r.put(Finding{Check: checkToken, Machine: f.only(m.Name), Level: OK, Text: "agent " + m.AgentID + " is active on the orchestrator"})
	}
}

// examineOtherAgents names the other active agents of the machine: they overwrite what
// this one publishes.
func (f *Facts) examineOtherAgents(r *Report, m status.MachineView, a Account) {
	var others []string
	level := Warning
	for _, x := range a.Agents {
		if x.ID == m.AgentID || x.Status == sdk.AgentRevoked {
			continue
		}
		text := status.Sanitize(x.ID) + " (" + status.Sanitize(x.Label) + ")"
		if seen, err := time.Parse(time.RFC3339Nano, x.LastSeenAt); err == nil {
			text += ", last heartbeat " + status.FormatDuration(f.Now.Sub(seen)) + " ago"
			if f.Now.Sub(seen) < recently {
				level = Problem
			}
		}
		others = append(others, text)
	}
	if len(others) == 0 {
		r.put(Finding{Check: checkAgents, Machine: f.only(m.Name), Level: OK, Text: "no other agent of this machine is active"})
		return
	}
	r.put(Finding{
		Check: checkAgents, Machine: f.only(m.Name), Level: level, Code: status.CodeOtherAgents,
		Text: status.NewCause(status.CodeOtherAgents, listed(others)).Text,
		Next: "peaqos-agent agents revoke ID --machine-id " + m.MachineID + " --api-key-file FILE, if you do not know it",
	})
}

// examineLeases compares what buyers see with the configured endpoints.
func (f *Facts) examineLeases(r *Report, m status.MachineView, a Account) {
	for _, e := range f.Endpoints {
		if e.Machine != m.Name {
			continue
		}
		i := slices.IndexFunc(a.Endpoints, func(x sdk.RuntimeEndpoint) bool { return x.ProviderKey == e.ProviderKey })
		if i < 0 {
			continue
		}
		listed := a.Endpoints[i]
		until, err := time.Parse(time.RFC3339Nano, listed.LeaseExpiresAt)
		left := until.Sub(f.Now.Add(-f.Reach.Skew))
		if err == nil && left < 0 && !r.has(status.CodeLeaseExpired) {
			r.put(Finding{
				Check: checkEndpoint, Machine: f.only(m.Name), Level: Problem, Code: status.CodeLeaseExpired,
				Text: fmt.Sprintf("the lease of endpoint %s expired %s ago, so buyers do not see it", e.ProviderKey, status.FormatDuration(-left)),
				Next: "peaqos-agent status",
			})
		}
		if listed.AgentID != "" && listed.AgentID != m.AgentID && m.Rotation == nil && !r.has(status.CodeEndpointContested) {
			r.put(Finding{
				Check: checkEndpoint, Machine: f.only(m.Name), Level: Problem, Code: status.CodeEndpointContested,
				Text: status.NewCause(status.CodeEndpointContested, e.ProviderKey+" at "+status.Sanitize(listed.EndpointBaseURL)+
					" of agent "+status.Sanitize(listed.AgentID)).Text,
				Next: "peaqos-agent agents list --api-key-file FILE",
			})
		}
	}
}

// checkOf is the check that a code belongs to.
func checkOf(code status.Code) string {
	text := string(code)
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
	}
	switch {
	case has("presence_"):
		return checkPresence
	case has("control_", "hook_"):
		return checkControl
	case has("rotation_"):
		return checkRotation
	case has("endpoint_", "lease_", "AGENT_POLICY", "no_endpoint"):
		return checkEndpoint
	case has("AGENT_", "NOT_FOUND"):
		return checkToken
	case code == status.CodeForeignHost, code == status.CodeHostDiffers:
		return checkHardware
	case code == status.CodeStoreSealed, code == status.CodeSealChanged:
		return checkSeal
	case has("store_", "keystore_", "not_enrolled", "enrollment_", "record_of"):
		return checkStore
	case code == status.CodeDNS:
		return checkNames
	case code == status.CodeProxy, code == status.CodeProxyVariable:
		return checkProxy
	case code == status.CodeClock:
		return checkClock
	case has("tls", "unknown_ca", "no_roots", "not_tls"):
		return checkTLS
	case code == status.CodeConnectionRefused, code == status.CodeNoRoute:
		return checkConnection
	case code == status.CodeTelemetryPort:
		return checkTelemetry
	case has("admin_", "config_", "starting", "first_beat", "another_"):
		return checkAgent
	}
	return checkOrchestrator
}
