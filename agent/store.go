package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// boundHost are the facts that bind the store to this host, nil when it is not to
// be bound. A container's hardware is its host's, and may change at every start.
func boundHost(bind, root string) *keystore.Host {
	if bind == "false" || (bind != "true" && keystore.InContainer(root)) {
		return nil
	}
	return keystore.GatherHost(root)
}

// openStore takes the lock. A store that somebody else holds, or a directory that
// cannot be used at all, is an error; a record that cannot be unsealed is not,
// it shows when it is read.
func (a *Agent) openStore(ctx context.Context) error {
	k := a.cfg.Keystore
	store, err := keystore.Open(ctx, k.Dir, keystore.Options{
		Seal: k.Seal, PassphraseFile: k.PassphraseFile, Host: boundHost(k.BindHost, firstOf(a.opts.HostRoot, "/")),
		Volatile: k.Volatile || a.cfg.Enroll.Ephemeral, LockWait: a.opts.LockWait, OnLockWait: a.logStoreWait, Observe: a.observeStore,
	})
	a.store = store
	if err == nil {
		return nil
	}
	return explainOpen(err, k.Dir)
}

// bind remembers this host with the first record of a store, so that a copy which
// is made before the next start is known as one, too.
func (a *Agent) bind() {
	a.markStore()
	if err := a.store.AdoptHost(); err != nil {
		a.log.Warn("the store could not be bound to this host; it will be at the next start", code(status.CodeHostNotBound), zap.Error(err))
	}
}

// markStore shows what is in the store besides records, and what guards it.
func (a *Agent) markStore() {
	held, protector := a.store.HasControllerKey(), a.store.Protector().String()
	volatile, differs := a.store.Volatile(), strings.Join(a.store.HostDiffers(), ", ")
	a.state.UpdateProcess(func(s *status.Process) {
		s.KeystoreProtector, s.KeystoreVolatile, s.HostDiffers = protector, volatile, differs
	})
	for _, m := range a.cfg.Machines {
		a.state.Update(m.Name, func(s *status.Machine) { s.ControllerKey = held })
	}
}

// load takes over what the store holds for one machine, or says why it cannot.
func (a *Agent) load(b *beater) {
	a.markStore()
	record, err := a.store.Agent(b.name)
	switch {
	case err == nil && record.Origin == a.origin:
		b.adopt(record)
		return
	case err == nil:
		b.adopt(nil)
		b.settle(status.Unenrolled, status.NewCause(status.CodeOtherOrchestrator, fmt.Sprintf("it is enrolled with %s, the configuration names %s", record.Origin, a.origin)))
		return
	}
	b.adopt(nil)
	if facts, ferr := a.store.AgentFacts(b.name); ferr == nil {
		b.identify(facts)
	}
	switch {
	case errors.Is(err, keystore.ErrNotFound):
		b.settle(status.Unenrolled, a.whyUnenrolled(b.name))
	case errors.Is(err, keystore.ErrForeignHost):
		a.settleUnusable(b, status.Quarantined, err)
	default:
		a.settleUnusable(b, status.Locked, err)
	}
}

// mismatch says that a record is of another machine than the configuration names;
// empty when it is not. It is kept alive all the same: it is who we are until
// somebody enrolls anew.
func mismatch(m config.Machine, r *keystore.Agent) string {
	if r == nil {
		return ""
	}
	want, have := m.ID, r.MachineID
	if want == "" {
		want, have = config.CanonicalRef(m.IdentityRef), config.CanonicalRef(r.IdentityRef)
	}
	if want == "" || have == "" || want == have {
		return ""
	}
	return "the store holds " + have + ", which is kept alive, but the configuration names " + want + "; run peaqos-agent enroll --force to become that one"
}

// identify fills in who the machine is from facts that need no key, for a store
// that cannot be used.
func (b *beater) identify(facts *keystore.Agent) {
	b.state.Update(b.name, func(m *status.Machine) {
		m.MachineID, m.IdentityRef, m.Origin = facts.MachineID, facts.IdentityRef, facts.Origin
	})
}

// whyUnenrolled tells a store that never held a token from one whose enrollment
// was interrupted.
func (a *Agent) whyUnenrolled(machine string) *status.Cause {
	intent, err := a.store.Intent(machine)
	if err != nil {
		return status.NewCause(status.CodeNotEnrolled, "waiting for peaqos-agent enroll")
	}
	return status.NewCause(status.CodeEnrollmentInterrupted, "started at "+intent.StartedAt.UTC().Format(time.RFC3339))
}

func (a *Agent) settleUnusable(b *beater, c status.State, err error) {
	p := Explain(err)
	b.settle(c, &status.Cause{Code: p.Code, Text: sentence(p.Message, p.Next)})
	a.log.Error("the store cannot be used", code(p.Code), zap.String("machine", b.name), zap.String("why", p.Message), zap.String("next", p.Next))
}

// Close lets go of the store.
func (a *Agent) Close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}
