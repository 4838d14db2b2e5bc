package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Script is a sequence of faults: rules that select requests, and steps that happen at a time.
// Times count from the start of the script; with Repeat they start over after each period. In a
// file a script is JSON with camelCase names and durations as strings ("1m30s"); an unknown name is
// an error.
type Script struct {
	Name        string
	Description string        // one paragraph, for people
	Seed        uint64        // of the random numbers; the same seed gives the same run
	Repeat      time.Duration // 0: no repetition
	Rules       []Rule
	Steps       []Step
}

// Rule injects a fault into the requests that it selects. If several rules select a request, the
// first one applies.
type Rule struct {
	Method string // "" = any
	// Path is a pattern without /api/v1: * matches one segment, ** at the end the rest;
	// "" = any.
	Path        string
	From, Until time.Duration // since the start of the script; Until 0 = no end
	Skip        int           // the first Skip matching requests are left alone
	Every       int           // of those after, every n-th is selected; 0 = all
	Limit       int           // the most requests selected in one period; 0 = no limit
	Chance      float64       // probability, 0 to 1; 0 = always
	Fault       Fault
}

// Step changes the server itself. Do is one of [Steps].
type Step struct {
	At    time.Duration
	Do    string
	Value time.Duration // for lease-max and clock
}

// Steps lists what a step can do: revoke-agents revokes every agent, pause-pairings pauses every
// pairing, restart closes every socket and stream and keeps the state, restart-empty discards it,
// close-sockets closes the control sockets, flood-sockets writes 10,000 unknown messages to each,
// lease-max limits leases to Value (0: back to the
// default), clock shifts the server's clock by Value, registry-down makes everything that verifies an
// identity fail (see [Server.SetRegistry]) until registry-up, contest-endpoints shows every endpoint
// of an agent as one of another agent elsewhere (see [Server.SetContested]) until settle-endpoints.
func Steps() []string {
	return []string{
		"revoke-agents", "pause-pairings", "restart", "restart-empty", "close-sockets", "flood-sockets", "lease-max", "clock", "registry-down", "registry-up",
		"contest-endpoints", "settle-endpoints",
	}
}

// LoadScenario reads a script from a file.
func LoadScenario(file string) (Script, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Script{}, fmt.Errorf("sandbox: the scenario cannot be read: %w", err)
	}
	return parseScript(b)
}

func parseScript(b []byte) (Script, error) {
	var f scriptFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Script{}, fmt.Errorf("sandbox: the scenario is not valid: %w", err)
	}
	if d.More() {
		return Script{}, fmt.Errorf("sandbox: the scenario is not valid: unexpected data after the object")
	}
	script := f.script()
	return script, script.check()
}

// check rejects a script that cannot be run.
func (s *Script) check() error {
	for i, r := range s.Rules {
		if r.Chance < 0 || r.Chance > 1 {
			return fmt.Errorf("sandbox: rule %d of the scenario: chance must be between 0 and 1", i+1)
		}
		if _, err := path.Match(r.Path, ""); err != nil {
			return fmt.Errorf("sandbox: rule %d of the scenario: %q is not a path pattern", i+1, r.Path)
		}
		if err := r.Fault.check(); err != nil {
			return fmt.Errorf("sandbox: rule %d of the scenario: %w", i+1, err)
		}
	}
	for i, step := range s.Steps {
		if !slices.Contains(Steps(), step.Do) {
			return fmt.Errorf("sandbox: step %d of the scenario: unknown step %q; valid steps: %s", i+1, step.Do, strings.Join(Steps(), ", "))
		}
	}
	return nil
}

// matches reports whether a rule selects a request, not considering its chance and counts.
func (r *Rule) matches(method, urlPath string, at time.Duration) bool {
	if at < r.From || (r.Until > 0 && at >= r.Until) || (r.Method != "" && !strings.EqualFold(r.Method, method)) {
		return false
	}
	urlPath = strings.TrimPrefix(urlPath, prefix)
	if r.Path == "" || r.Path == "**" {
		return true
	}
	if head, ok := strings.CutSuffix(r.Path, "/**"); ok {
		parts := strings.Split(urlPath, "/")
		n := strings.Count(head, "/") + 1
		if len(parts) < n {
			return false
		}
		match, _ := path.Match(head, strings.Join(parts[:n], "/"))
		return match
	}
	match, _ := path.Match(r.Path, urlPath)
	return match
}
