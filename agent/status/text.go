package status

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// missing is shown for a value that is unknown or empty.
const missing = "—"

// TextOptions say how [View.Text] lays out the view. The zero value is the short form
// without wrapping and without color.
type TextOptions struct {
	// All adds everything that is known to the few lines that say how the agent is.
	All bool
	// Width is the width of the terminal in columns; 0 means lines are not wrapped.
	Width int
	// Color marks the state with the colors of ANSI terminals.
	Color bool
	// ASCII replaces what is not ASCII, for terminals that do not show UTF-8.
	ASCII bool
}

// Text is the view for a terminal. The short form has a headline and for each machine
// its cause, effect, next command and endpoints; the long form adds everything else.
// No value in it can move the cursor or start a line of its own.
func (v View) Text(o TextOptions) string {
	w := writer{TextOptions: o}
	w.line("peaqos-agent " + escape(OrMissing(v.Version)) + ": " + v.headline(o))
	for _, m := range v.Machines {
		if o.All || len(v.Machines) > 1 {
			w.line("")
		}
		if o.All {
			w.labels(m.labels(v.At))
			w.endpoints(m)
			continue
		}
		if len(v.Machines) == 1 {
			w.labels(append(m.shortLabels(), v.warningsAndProblems(false)...))
			return w.text.String()
		}
		w.line(escape(m.Name) + ": " + o.paint(m.State) + since(m, v.At))
		w.labels(m.shortLabels())
	}
	w.line("")
	if o.All {
		w.labels(v.labels())
	} else {
		w.labels(v.warningsAndProblems(false))
	}
	return strings.TrimRight(w.text.String(), "\n") + "\n"
}

// headline is a few words on readiness, with the state of the one machine or a
// summary of several.
func (v View) headline(o TextOptions) string {
	ready := "not ready"
	switch {
	case v.PID == 0:
		ready = "not running"
	case v.Ready:
		ready = "ready"
	}
	if len(v.Machines) != 1 {
		return ready + ", " + escape(v.Summary)
	}
	return ready + ", " + o.paint(v.State) + since(v.Machines[0], v.At)
}

// Headline is the headline for other places than a terminal.
func (v View) Headline() string { return v.headline(TextOptions{}) }

// Line is the whole state in one line, for a terminal.
func (v View) Line(o TextOptions) string {
	w := writer{TextOptions: o}
	w.line(v.headline(o))
	return w.text.String()
}

// since says how long a machine has been in its state, " for 3 min 0 s".
func since(m MachineView, at time.Time) string {
	if m.Since == nil {
		return ""
	}
	return " for " + FormatDuration(max(at.Sub(*m.Since), 0))
}

// shortLabels are the lines of the short form.
func (m MachineView) shortLabels() []label {
	var out []label
	if m.Cause != nil {
		out = append(out, label{"Cause", string(m.Cause.Code) + ": " + m.Cause.Text})
	}
	if m.Rotation != nil {
		out = append(out, label{"Rotation", m.Rotation.Text})
	}
	out = append(out, label{"Effect", OrMissing(m.Effect)})
	if m.Next != "" {
		out = append(out, label{nextLabel, m.Next})
	}
	for _, e := range m.Endpoints {
		out = append(out, label{"Endpoint", e.line()})
	}
	return append(out, m.serviceLabels()...)
}

// line is an endpoint in one line.
func (e EndpointView) line() string {
	text := e.ProviderKey + " at " + e.BaseURL + ": "
	switch {
	case e.Probe == nil:
		text += "not probed yet"
	case e.Up:
		text += "up"
	default:
		text += "down (" + e.Probe.Fault + ")"
	}
	switch {
	case e.Refused != "":
		text += ", rejected by the orchestrator (" + string(e.Refused) + ")"
	case e.LeaseLeft == nil:
		text += ", not published"
	case *e.LeaseLeft <= 0:
		text += ", lease " + e.Left()
	default:
		text += ", lease ends in " + e.Left()
	}
	if e.ServerStatus != "" {
		text += ", " + e.ServerStatus + " on the orchestrator"
	}
	if e.ServerFault != "" {
		text += " (" + e.ServerFault + ")"
	}
	if e.Notice != "" {
		text += "; but " + e.Notice
	}
	return text
}

type label struct{ name, value string }

func (v View) labels() []label {
	process := "not running"
	if v.PID != 0 {
		process = fmt.Sprintf("pid %d, up %s", v.PID, FormatSeconds(v.UptimeSeconds))
	}
	listener := OrMissing(v.Listener.Address)
	switch {
	case v.Listener.Fault != "":
		listener = v.Listener.Fault
	case v.Listener.Address == "" && v.PID != 0:
		listener = "switched off"
	}
	durable := "durable"
	switch {
	case v.Keystore.Volatile:
		durable = "IN MEMORY: lost at a restart"
	case !v.Keystore.Durable:
		durable = "NOT durable: the last write may not survive a power cut"
	}
	durable += guard(v.Keystore.Protector)
	out := []label{{"Process", process}, {"Listener", listener}, {"Keystore", OrMissing(v.StoreDir) + ", " + durable}}
	return append(out, v.warningsAndProblems(true)...)
}

// warningsAndProblems are what deserves a second look, and every reason that is not
// shown with its machine; those of endpoints only when asked for.
func (v View) warningsAndProblems(endpoints bool) []label {
	var out []label
	for _, w := range v.Warnings {
		out = append(out, label{"Warning", w})
	}
	for _, r := range v.Reasons {
		if !v.shown(r) && (endpoints || r.Endpoint == "") {
			out = append(out, label{"Problem", strings.TrimPrefix(r.Machine+": ", ": ") + string(r.Code) + ": " + r.Text})
		}
	}
	return out
}

// guard describes what protects the store from someone who has a copy of its files.
func guard(protector string) string {
	switch protector {
	case "keyfile":
		return "; sealed by a key file stored next to it (a full copy can be opened)"
	case "passphrase":
		return "; sealed by a passphrase"
	case "credential":
		return "; sealed by a systemd credential"
	}
	return ""
}

// shown reports whether a reason is already shown with its machine.
func (v View) shown(r Reason) bool {
	return slices.ContainsFunc(v.Machines, func(m MachineView) bool {
		return (m.Name == r.Machine || r.Machine == "") && r.Endpoint == "" &&
			(CodeOf(m.Cause) == r.Code || CodeOf(m.Rotation) == r.Code || m.showsService(r.Code))
	})
}

func (m MachineView) labels(at time.Time) []label {
	state := m.State
	if m.Since != nil {
		state += " since " + m.Since.Format(time.RFC3339)
	}
	cause := missing
	if m.Cause != nil {
		cause = string(m.Cause.Code) + ": " + m.Cause.Text
	}
	key := "not on this device"
	if m.ControllerKeyOnDevice {
		key = "on this device"
	}
	rotation := missing
	if m.Rotation != nil {
		rotation = m.Rotation.Text
	}
	labels := []label{
		{"Machine", m.Name},
		{"State", state},
		{"Cause", cause},
		{"Effect", OrMissing(m.Effect)},
		{nextLabel, OrMissing(m.Next)},
		{"Rotation", rotation},
		{"Machine id", OrMissing(m.MachineID)},
		{"Agent id", OrMissing(m.AgentID)},
		{"Identity", OrMissing(m.IdentityRef)},
		{"Orchestrator", OrMissing(m.Orchestrator)},
		{"Interval", m.Heartbeat.Pace()},
		{"Last accepted", m.Heartbeat.last()},
		{"Next attempt", m.Heartbeat.nextIn(at)},
		{"Heartbeats", m.Heartbeat.Tally()},
		{"Clock skew", FormatSkew(m.ClockSkewSeconds)},
		{"Controller key", key},
	}
	return append(labels, m.serviceLabels()...)
}

// Pace is the interval of the heartbeats and their lease, "every 30 s, lease 90 s".
func (h HeartbeatView) Pace() string {
	if h.IntervalSeconds == nil || h.LeaseTTLSeconds == nil {
		return missing
	}
	return fmt.Sprintf("every %s, lease %s", FormatSeconds(*h.IntervalSeconds), FormatSeconds(*h.LeaseTTLSeconds))
}

// last is the time and age of the last accepted heartbeat.
func (h HeartbeatView) last() string {
	if h.LastSuccess == nil || h.LastSuccessAgeSeconds == nil {
		return missing
	}
	return fmt.Sprintf("%s (%s ago)", h.LastSuccess.Format(time.RFC3339), FormatSeconds(*h.LastSuccessAgeSeconds))
}

// nextIn is the time of the next heartbeat and how long that is from at. It includes
// the wait that the orchestrator asked for.
func (h HeartbeatView) nextIn(at time.Time) string {
	if h.NextAttempt == nil {
		return missing
	}
	text := fmt.Sprintf("%s (in %s)", h.NextAttempt.Format(time.RFC3339), FormatDuration(max(h.NextAttempt.Sub(at), 0)))
	if h.RetryAfterSeconds > 0 {
		text += fmt.Sprintf(", the orchestrator asked for %s", FormatSeconds(h.RetryAfterSeconds))
	}
	return text
}

// Tally is the number of this process's heartbeats by result, without the zeros.
func (h HeartbeatView) Tally() string {
	text := fmt.Sprintf("%d accepted", h.Counts["success"])
	for _, result := range HeartbeatResults()[1:] {
		if n := h.Counts[result]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, result)
		}
	}
	if h.ConsecutiveFailures > 0 {
		text += fmt.Sprintf("; %d failed in a row", h.ConsecutiveFailures)
	}
	return text
}

func (m MachineView) table() [][]string {
	rows := [][]string{{"Endpoint", "Base URL", "Local probe", "Server status", "Lease left"}}
	for _, e := range m.Endpoints {
		rows = append(rows, []string{e.ProviderKey, e.BaseURL, e.localProbe(), e.serverStatus(), e.Left()})
	}
	return rows
}

// localProbe is the result and age of the last local probe.
func (e EndpointView) localProbe() string {
	switch {
	case e.Probe == nil:
		return missing
	case e.Up && e.Notice != "":
		return fmt.Sprintf("up, %s ago: but %s", FormatSeconds(e.Probe.AgeSeconds), e.Notice)
	case e.Up:
		return fmt.Sprintf("up, %s ago", FormatSeconds(e.Probe.AgeSeconds))
	}
	return fmt.Sprintf("down, %s ago: %s", FormatSeconds(e.Probe.AgeSeconds), e.Probe.Fault)
}

// serverStatus is what the server reported with the last accepted heartbeat, and the
// age of that.
func (e EndpointView) serverStatus() string {
	switch {
	case e.Refused != "":
		return "rejected: " + string(e.Refused)
	case e.ServerStatus == "" || e.VerdictAge == nil:
		return missing
	case e.ServerFault != "":
		return fmt.Sprintf("%s, %s ago: %s", e.ServerStatus, FormatSeconds(*e.VerdictAge), e.ServerFault)
	}
	return fmt.Sprintf("%s, %s ago", e.ServerStatus, FormatSeconds(*e.VerdictAge))
}

// Left is the remaining time of the lease by the local clock.
func (e EndpointView) Left() string {
	switch {
	case e.LeaseLeft == nil:
		return missing
	case *e.LeaseLeft <= 0:
		return fmt.Sprintf("expired %s ago", FormatSeconds(-*e.LeaseLeft))
	}
	return FormatSeconds(*e.LeaseLeft)
}

// LeaseLow is the remaining time, in seconds, below which a lease is short: one third,
// which is what a missed heartbeat leaves.
func (e EndpointView) LeaseLow() float64 {
	if e.LeaseSeconds == nil {
		return 0
	}
	return *e.LeaseSeconds / 3
}

// FormatSkew formats a clock skew in seconds, local minus server; nil is unknown. It is
// measured in whole seconds.
func FormatSkew(s *float64) string {
	if s == nil {
		return missing
	}
	ours := time.Duration(*s * float64(time.Second))
	switch {
	case ours.Abs() < time.Second:
		return "none (less than 1 s)"
	case ours < 0:
		return FormatDuration(-ours) + " behind the orchestrator's clock"
	}
	return FormatDuration(ours) + " ahead of the orchestrator's clock"
}

// FormatSeconds formats a number of seconds like [FormatDuration].
func FormatSeconds(s float64) string { return FormatDuration(time.Duration(s * float64(time.Second))) }

// OrMissing returns s, or a dash for an empty string.
func OrMissing(s string) string {
	if s == "" {
		return missing
	}
	return s
}
