package status

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// stateEffect is what a state means for the machine when the cause adds nothing.
func stateEffect(s State) string {
	switch s {
	case Unenrolled:
		return "the machine is not live: nothing is sent until it is enrolled"
	case Idle:
		return "no heartbeat is sent, so leases expire; an endpoint that answers is published within seconds"
	case Online:
		return "the machine is live: every endpoint is published and its lease is renewed"
	case Degraded:
		return "the machine is live with the endpoints that answer; the others are omitted until they do"
	case Offline:
		return "no heartbeat is accepted, so leases expire; the token is kept and the agent keeps trying"
	case Rejected:
		return "the machine is not live: its token is kept and tried every 5 minutes"
	case Revoked:
		return "the machine is not live: its token is kept and tried once an hour"
	case Quarantined:
		return "the machine is not live: nothing is sent"
	case Locked:
		return "the machine is not live: its token is in a store that cannot be used"
	}
	return ""
}

// Effect is one sentence about what the machine's state means.
func Effect(m Machine) string {
	if m.Cause != nil {
		if effect := Lookup(m.Cause.Code).Effect; effect != "" {
			return effect
		}
	}
	if published := m.published(); m.State == Online && published < len(m.Endpoints) {
		return fmt.Sprintf("the machine is live with %d of %d endpoints; the next heartbeat publishes what answers of the others",
			published, len(m.Endpoints))
	}
	return stateEffect(m.State)
}

// published is the number of endpoints that an accepted heartbeat named: one that was added
// by a reload is not among them yet.
func (m Machine) published() int {
	n := 0
	for _, e := range m.Endpoints {
		if e.Published {
			n++
		}
	}
	return n
}

// NextCommand is the exact command that helps next, empty when there is nothing
// for a person to do. FILE and N are what only that person knows.
//
// It comes from the meaning of the machine's cause, in which {enroll} and {rotate}
// are these commands with the flags that this machine needs, and {health} is a
// request to the orchestrator.
func NextCommand(m Machine) string {
	if m.State == Online {
		return ""
	}
	command := nextTemplate(m)
	command = strings.ReplaceAll(command, "{enroll}", commandFor("peaqos-agent enroll", m))
	command = strings.ReplaceAll(command, "{rotate}", commandFor("peaqos-agent rotate", m))
	if strings.Contains(command, "{health}") {
		if m.Origin == "" {
			return "peaqos-agent config show"
		}
		command = strings.ReplaceAll(command, "{health}", healthCommand(m))
	}
	return command
}

// healthCommand asks the orchestrator for its health as the agent does: below the path
// of its URL, and with the same roots.
func healthCommand(m Machine) string {
	base, roots := m.Origin, ""
	if below, found := strings.CutPrefix(m.BaseURL, m.Origin); found && (below == "" || below[0] == '/') {
		base = m.BaseURL
	}
	if m.CAFile != "" {
		roots = "--cacert " + escape(m.CAFile) + " "
	}
	return "curl -i " + roots + base + "/api/v1/health"
}

func nextTemplate(m Machine) string {
	if len(m.Endpoints) == 0 && CodeOf(m.Cause) == CodeNothingUp {
		return "peaqos-agent config check"
	}
	if m.State == Idle || m.State == Degraded {
		for _, e := range m.Endpoints {
			if e.Refused == CodeAPIPolicyDenied {
				return Lookup(e.Refused).Command
			}
		}
	}
	var command string
	if m.Cause != nil {
		command = Lookup(m.Cause.Code).Command
	}
	switch {
	case command == "-":
		return ""
	case m.State == Rejected, m.State == Revoked:
		return "{rotate}"
	case command != "":
		return command
	case m.State == Unenrolled:
		return "{enroll}"
	case m.State == Locked:
		return "{rotate}"
	}
	return "{health}"
}

// commandFor adds the flags that the configuration does not make unnecessary.
func commandFor(command string, m Machine) string {
	words := []string{command}
	if m.Name != "main" && m.Name != "" {
		words = append(words, "--machine "+m.Name)
	}
	if m.MachineID == "" && m.IdentityRef == "" {
		words = append(words, "--identity-ref did:peaq:N")
	}
	return strings.Join(append(words, "--api-key-file FILE"), " ")
}

// commandWords matches a command of this program in a sentence, with what may come before
// it and the global flags that it already has. The third group are commands that change
// what only root or the agent's user may change; those of the service need root in any
// case, and no configuration.
const commandWords = `(^|[^/\w-])(sudo )?peaqos-agent ((?:enroll|rotate|unenroll|adopt|reset-identity|reload|run|doctor --fix|identity [a-z]+)\b)?` +
	`((?:status|doctor|(?:endpoints|agents|machines|config|presence) [a-z-]+)\b)?(service [a-z]+\b)?((?: --(?:config|keystore-dir) (?:'[^']*'|\S+))*)`

// commandPattern compiles commandWords when it is needed for the first time: each look at
// the state of an agent that is not ready needs it, and most commands never do.
var commandPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(commandWords) })

// Reader is who reads a text, and where.
type Reader struct {
	// Program is how the program is started; empty: peaqos-agent.
	Program string
	// Flags are the global flags that a command needs to use the same configuration and
	// store, such as "--config FILE".
	Flags string
	// StoreNeedsSudo and ServiceNeedsSudo: the reader may not change the store, or the
	// service, but may with sudo.
	StoreNeedsSudo, ServiceNeedsSudo bool
	// Root: the reader is root and did not come through sudo, which may not be installed.
	Root bool
}

// ForReader changes every command of this program in a text so that its reader can run it
// as printed.
func ForReader(text string, r Reader) string {
	if r.Root {
		text = strings.ReplaceAll(text, "sudo ", "")
	}
	if !strings.Contains(text, "peaqos-agent ") {
		return text
	}
	words := commandPattern()
	return words.ReplaceAllStringFunc(text, func(command string) string {
		m := words.FindStringSubmatch(command)
		before, sudo, store, other, service, flags := m[1], m[2], m[3], m[4], m[5], m[6]
		if store+other+service == "" {
			return command // not a command, or one that works everywhere
		}
		if (store != "" && r.StoreNeedsSudo) || (service != "" && service != "service status" && r.ServiceNeedsSudo) {
			sudo = "sudo "
		}
		if flags == "" && service == "" && r.Flags != "" {
			flags = " " + r.Flags
		}
		program := r.Program
		if program == "" {
			program = "peaqos-agent"
		}
		return before + sudo + program + " " + store + other + service + flags
	})
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
