package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// held is what a store contains, read from a copy, so that nothing is repaired before
// the agent itself has read it.
type held struct {
	agent  string            // the active agent's id
	label  string            // its name
	tokens map[string][]byte // SHA-256 of each token, by agent id
	names  []string          // every agent name that the store can revoke
	err    error             // why there is no record
}

// look reads a copy of the store.
func (w *world) look() (held, error) {
	dir, err := w.faults.newDir()
	if err != nil {
		return held{}, err
	}
	defer os.RemoveAll(dir)
	if err := copyFiles(filepath.Join(w.state, "keystore"), filepath.Join(dir, "keystore")); err != nil {
		return held{}, err
	}
	s, err := keystore.Open(w.faults.ctx, dir, w.options)
	if err != nil {
		return held{}, err
	}
	defer s.Close()
	h := held{tokens: map[string][]byte{}}
	if i, err := s.Intent("main"); err == nil {
		h.names = append(h.names, i.Label)
	}
	a, err := s.Agent("main")
	if err != nil {
		h.err = err
		return h, nil
	}
	h.agent, h.label = a.AgentID, a.Label
	h.names = append(append(h.names, a.Label), a.Attempts...)
	h.keep(a.AgentID, a.Token)
	if p := a.Pending; p != nil {
		h.names = append(h.names, p.Label)
		h.keep(p.AgentID, p.Token)
	}
	return h, nil
}

func (h *held) keep(agent string, token keystore.Secret) {
	sum := sha256.Sum256(token.Reveal())
	h.tokens[agent] = sum[:]
}

// copyFiles copies the regular files of a directory; a missing one is empty.
func copyFiles(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle checks the world after a fault. acked reports that a token was acknowledged
// before the fault: then a new enrollment means that it was lost.
//
// First the store as the fault left it: it must name every active agent. Then
// enroll: it must end, at the first try, with exactly one active agent, whose name
// and token are in the store, and which sends heartbeats.
func (w *world) settle(acked bool) (finding, error) {
	left, err := w.look()
	if err != nil {
		return finding{}, err
	}
	var f finding
	note := func(count *int, format string, a ...any) {
		*count++
		if f.why == "" {
			f.why = fmt.Sprintf(format, a...)
		}
	}
	for _, a := range w.active() {
		if !slices.Contains(left.names, a.Label) && !slices.Contains(w.elsewhere, a.Label) {
			note(&f.lost, "agent %s is active, and the store does not name it (%v)", a.Label, left.err)
		}
	}
	began := w.sandbox.Now()
	again := w.again
	if again == nil {
		again = w.enrollArgs()
	}
	o, err := w.runCommand(nil, again...)
	if err != nil {
		return f, err
	}
	if o.Exit != 0 {
		note(&f.manual, "enroll after the fault: %s", o)
		if o, err = w.runCommand(nil, again...); err != nil {
			return f, err
		}
	}
	if o.Exit != 0 {
		note(&f.halves, "a second enroll failed as well: %s", o)
		return f, nil
	}
	if acked && o.Report.Changed {
		note(&f.lost, "a token was acknowledged, and enroll had to request another one (%v)", left.err)
	}
	active := w.active()
	if len(active) != 1 {
		f.orphans += max(0, len(active)-1)
		note(&f.halves, "%d active agents after enroll", len(active))
		return f, nil
	}
	return f, w.sameAsStore(&f, o.Report, active[0], note, func(a sandbox.Agent) bool { return !a.LastSeenAt.Before(began) })
}

// sameAsStore compares the one active agent with the store and the report.
func (w *world) sameAsStore(
	f *finding, r lab.Report, a sandbox.Agent, note func(*int, string, ...any), beats func(sandbox.Agent) bool,
) error {
	now, err := w.look()
	if err != nil {
		return err
	}
	switch {
	case now.err != nil:
		note(&f.halves, "the store after enroll: %v", now.err)
	case now.agent != a.ID || now.label != a.Label || r.AgentID != a.ID:
		note(&f.halves, "agent %s is active, the store holds %s, enroll reports %s", a.ID, now.agent, r.AgentID)
	case string(now.tokens[a.ID]) != string(a.TokenHash[:]):
		note(&f.halves, "the store's token is not the active agent's")
	case !r.Live || !beats(a):
		note(&f.halves, "agent %s sends no heartbeats: %s", a.ID, r.Reason)
	}
	return nil
}
