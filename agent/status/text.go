package status

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// missing is shown for a value that is unknown or empty.
const missing = "—"

// Text is the view for a terminal: a title, then per machine its labels and a table
// of its endpoints with local probe and server status, then the process's labels.
func (v View) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "peaqos-agent %s: %s\n", OrMissing(v.Version), v.Headline())
	for _, m := range v.Machines {
		b.WriteByte('\n')
		writeLabels(&b, m.labels(v.At))
		if len(m.Endpoints) > 0 {
			b.WriteByte('\n')
			writeTable(&b, m.table())
		}
	}
	b.WriteByte('\n')
	writeLabels(&b, v.labels())
	return b.String()
}

// Headline is a few words on readiness, with the state of the machine or a summary of
// several.
func (v View) Headline() string {
	ready := "not ready"
	if v.Ready {
		ready = "ready"
	}
	if len(v.Machines) == 1 {
		return ready + ", " + v.State
	}
	return ready + ", " + v.Summary
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
		durable = "NOT durable: the newest write may not survive a power cut"
	}
	durable += guard(v.Keystore.Protector)
	out := []label{{"Process", process}, {"Listener", listener}, {"Keystore", OrMissing(v.StoreDir) + ", " + durable}}
	for _, w := range v.Warnings {
		out = append(out, label{"Warning", w})
	}
	for _, r := range v.Reasons {
		if !v.shown(r) {
			out = append(out, label{"Amiss", strings.TrimPrefix(r.Machine+": ", ": ") + string(r.Code) + ": " + r.Text})
		}
	}
	return out
}

// guard describes what protects the store from someone who has a copy of its files.
func guard(protector string) string {
	switch protector {
	case "keyfile":
		return "; sealed by a key file beside it, so a full copy of it opens"
	case "passphrase":
		return "; sealed by a passphrase"
	case "credential":
		return "; sealed by a credential of systemd"
	}
	return ""
}

// shown reports whether a reason is already shown with its machine.
func (v View) shown(r Reason) bool {
	return slices.ContainsFunc(v.Machines, func(m MachineView) bool {
		return m.Name == r.Machine && r.Endpoint == "" && (CodeOf(m.Cause) == r.Code || CodeOf(m.Rotation) == r.Code)
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
	return []label{
		{"Machine", m.Name},
		{"State", state},
		{"Cause", cause},
		{"Effect", OrMissing(m.Effect)},
		{"Next", OrMissing(m.Next)},
		{"Rotation", rotation},
		{"Machine id", OrMissing(m.MachineID)},
		{"Agent id", OrMissing(m.AgentID)},
		{"Identity", OrMissing(m.IdentityRef)},
		{"Orchestrator", OrMissing(m.Orchestrator)},
		{"Heartbeat", m.Heartbeat.Pace()},
		{"Last accepted", m.Heartbeat.Last()},
		{"Next attempt", m.Heartbeat.NextIn(at)},
		{"Beats", m.Heartbeat.Tally()},
		{"Clock skew", FormatSkew(m.ClockSkewSeconds)},
		{"Controller key", key},
	}
}

// Pace is the interval of the heartbeats and their lease, "every 30 s, lease 90 s".
func (h HeartbeatView) Pace() string {
	if h.IntervalSeconds == nil || h.LeaseTTLSeconds == nil {
		return missing
	}
	return fmt.Sprintf("every %s, lease %s", FormatSeconds(*h.IntervalSeconds), FormatSeconds(*h.LeaseTTLSeconds))
}

// Last is the time and age of the last accepted heartbeat.
func (h HeartbeatView) Last() string {
	if h.LastSuccess == nil || h.LastSuccessAgeSeconds == nil {
		return missing
	}
	return fmt.Sprintf("%s (%s ago)", h.LastSuccess.Format(time.RFC3339), FormatSeconds(*h.LastSuccessAgeSeconds))
}

// NextIn is the time of the next heartbeat and how long that is from at. It includes
// the wait that the orchestrator asked for.
func (h HeartbeatView) NextIn(at time.Time) string {
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
		return "refused: " + string(e.Refused)
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
		return fmt.Sprintf("lapsed %s ago", FormatSeconds(-*e.LeaseLeft))
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

// FormatSkew formats a clock skew in seconds, local minus server; nil is unknown.
func FormatSkew(s *float64) string {
	if s == nil {
		return missing
	}
	return fmt.Sprintf("%+.1f s against the orchestrator", *s)
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

func writeLabels(b *strings.Builder, labels []label) {
	width := 0
	for _, l := range labels {
		width = max(width, utf8.RuneCountInString(l.name))
	}
	for _, l := range labels {
		fmt.Fprintf(b, "  %-*s  %s\n", width+1, l.name+":", l.value)
	}
}

// writeTable aligns the columns and draws a rule below the header row.
func writeTable(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("─", w)
	}
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		line := " "
		for i, cell := range row {
			line += " " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + " "
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
