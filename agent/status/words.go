package status

import (
	"fmt"
	"strings"
	"time"
)

// The words that are the same everywhere: what a state means for the user, and
// the one command that helps. Status, log, /readyz, the page and the service
// manager's status line all take them from here.

// Effect is one sentence about what the machine's state means.
func Effect(m Machine) string {
	cause := CodeOf(m.Cause)
	switch m.State {
	case Unenrolled:
		if cause == "record_of_another_origin" {
			return "the machine is not live: the stored token is kept, and sent nowhere"
		}
		return "the machine is not live: nothing is sent until it is enrolled"
	case Idle:
		if cause == "first_beat_pending" {
			return "the machine goes live with its first accepted beat, within one interval"
		}
		return "no beat is sent, so leases lapse by themselves; an endpoint that answers is published within seconds"
	case Online:
		return "the machine is live: every endpoint is published and its lease is kept running"
	case Degraded:
		if cause == "telemetry_port" {
			return "the machine is live, but its metrics and health cannot be read; the port is tried again every 30 seconds"
		}
		return "the machine is live with the endpoints that answer; the others are left out until they do"
	case Offline:
		return effectOffline(cause)
	case Rejected:
		return "the machine is not live: its token is kept and tried every 5 minutes"
	case Revoked:
		return "the machine is not live: its token is kept and tried once an hour"
	case Quarantined:
		return "the machine is not live: nothing is sent until somebody says what it is: adopt for the same machine with new hardware, reset-identity for a copy"
	case Locked:
		return "the machine is not live: without its store there is no token to beat with"
	}
	return ""
}

func effectOffline(cause string) string {
	switch cause {
	case "retry_after":
		return "the agent waits as long as it was asked to, then beats again; leases may lapse meanwhile"
	case "clock":
		return "no connection can be trusted while the clock is wrong; beats go on, and succeed once it is right"
	case "middlebox":
		return "the token is not taken to the orchestrator; leases lapse by themselves, and the agent goes on trying"
	}
	return "no beat is accepted, so leases lapse by themselves; the token is kept, and the agent goes on trying"
}

// NextCommand is the exact command that helps next, empty when there is nothing
// for a person to do. FILE and N stand for what only that person knows.
func NextCommand(m Machine) string {
	cause := CodeOf(m.Cause)
	switch m.State {
	case Unenrolled:
		if cause == "record_of_another_origin" {
			return "peaqos-agent config show --origin"
		}
		return enrollCommand(m)
	case Locked:
		if cause == "store_newer" {
			return "" // a newer program opens it; this one has no verb for it
		}
		return rotateCommand(m)
	case Quarantined:
		return "peaqos-agent adopt" // the effect names the other one
	case Rejected, Revoked:
		return rotateCommand(m)
	case Idle, Degraded:
		return nextForEndpoints(m, cause)
	case Offline:
		return nextOffline(m, cause)
	}
	return ""
}

func nextForEndpoints(m Machine, cause string) string {
	switch {
	case cause == "first_beat_pending":
		return ""
	case cause == "telemetry_port":
		return "peaqos-agent config show --origin"
	case len(m.Endpoints) == 0:
		return "peaqos-agent config check"
	}
	for _, e := range m.Endpoints {
		// The list of allowed provider keys is fixed at enrollment.
		if e.Refused == "AGENT_POLICY_DENIED" {
			return rotateCommand(m)
		}
	}
	return "peaqos-agent endpoints check"
}

func nextOffline(m Machine, cause string) string {
	switch cause {
	case "retry_after":
		return ""
	case "clock":
		return "timedatectl status"
	case "unknown_ca":
		return "peaqos-agent config show --origin"
	case "endpoint_token", "VALIDATION_ERROR", "AGENT_POLICY_DENIED":
		return "peaqos-agent endpoints check"
	case "MACHINE_NOT_ACTIVATED", "MACHINE_NOT_ACTIVE":
		return "peaqos-agent status --check live" // the owner's move: this says when it worked
	}
	if m.Origin == "" {
		return "peaqos-agent config show"
	}
	return "curl -i " + m.Origin + "/api/v1/health"
}

// enrollCommand names only what the configuration does not know already.
func enrollCommand(m Machine) string { return commandFor("peaqos-agent enroll", m) }

// rotateCommand replaces the agent and its token, whatever has become of them.
func rotateCommand(m Machine) string { return commandFor("peaqos-agent rotate", m) }

func commandFor(verb string, m Machine) string {
	words := []string{verb}
	if m.Name != "main" && m.Name != "" {
		words = append(words, "--machine "+m.Name)
	}
	if m.MachineID == "" && m.IdentityRef == "" {
		words = append(words, "--identity-ref did:peaq:N")
	}
	return strings.Join(append(words, "--api-key-file FILE"), " ")
}

// Summary is the whole snapshot in one sentence: of the one machine its state
// with since and cause, of several how many are in which state.
func Summary(s Snapshot) string {
	if len(s.Machines) == 1 {
		return sentence(s.Machines[0])
	}
	count := map[State]int{}
	for _, m := range s.Machines {
		count[m.State]++
	}
	var parts []string
	for _, c := range States() {
		if count[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[c], c))
		}
	}
	return fmt.Sprintf("%d machines: %s", len(s.Machines), strings.Join(parts, ", "))
}

// sentence is one machine's state in one sentence.
func sentence(m Machine) string {
	why := Effect(m)
	if m.Cause != nil {
		why = m.Cause.Text
	}
	return fmt.Sprintf("%s since %s: %s", m.State, m.Since.UTC().Format(time.RFC3339), why)
}
