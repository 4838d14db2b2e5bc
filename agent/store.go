package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// boundHost returns the facts that bind the store to this host, nil if it is not to be
// bound. A container sees the hardware of its host, which may be another at each start.
func boundHost(bind, root string) *keystore.Host {
	if bind == "false" || (bind != "true" && keystore.InContainer(root)) {
		return nil
	}
	return keystore.GatherHost(root)
}

// openStore opens the store and takes its lock. A store that another process holds and
// a directory that cannot be used are errors. A record that cannot be unsealed is not:
// that shows when it is read.
func (a *Agent) openStore(ctx context.Context) error {
	k := a.cfg.Keystore
	if err := mounted(cmp.Or(a.opts.HostRoot, "/"), k.Dir); err != nil {
		return err
	}
	store, err := keystore.Open(ctx, k.Dir, keystore.Options{
		Seal: k.Seal, PassphraseFile: k.PassphraseFile, Host: boundHost(k.BindHost, cmp.Or(a.opts.HostRoot, "/")),
		Volatile: k.Volatile || a.cfg.Enroll.Ephemeral,
		LockWait: a.opts.LockWait, OnLockWait: a.logStoreWait, Observe: a.observeStore,
	})
	a.store = store
	if err == nil {
		return nil
	}
	return explainOpen(err, k.Dir)
}

// bind stores the facts of this host with the first record of a store, so that a copy
// made before the next start is recognized.
func (a *Agent) bind() {
	a.markStore()
	if err := a.store.AdoptHost(); err != nil {
		logEvent(a.log.Warn, status.CodeHostNotBound, zap.Error(err))
	}
}

// markStore updates the state with the store's protector, whether it is in memory,
// whether it may be a copy, and whether it holds a controller key.
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

// load passes the record of one machine to its beater. If there is none that can be
// used, it sets the machine's state and cause instead.
func (a *Agent) load(b *beater) {
	a.markStore()
	record, err := a.store.Agent(b.name)
	switch {
	case err == nil && record.Origin == a.origin:
		b.setRecord(record)
		return
	case err == nil:
		b.setRecord(nil)
		b.setState(status.Unenrolled, status.NewCause(status.CodeOtherOrchestrator,
			fmt.Sprintf("it is enrolled with %s, the configuration names %s", record.Origin, a.origin)))
		return
	}
	b.setRecord(nil)
	if facts, ferr := a.store.AgentFacts(b.name); ferr == nil {
		b.identify(facts)
	}
	switch {
	case errors.Is(err, keystore.ErrNotFound):
		b.setState(status.Unenrolled, a.whyUnenrolled(b))
	case errors.Is(err, keystore.ErrForeignHost):
		a.setUnusable(b, status.Quarantined, err)
	default:
		a.setUnusable(b, status.Locked, err)
		if errors.Is(err, keystore.ErrUnreadable) {
			select {
			case a.locked <- struct{}{}:
			default:
			}
		}
	}
}

// storeRetry is how often the daemon tries again to read a store that cannot be read.
const storeRetry = 10 * time.Second

// retryStore loads the record of every machine that is locked because its store cannot
// be read, as soon as it can be: the disk or the mode of the file may be repaired while
// the agent runs. It ends with the context.
func (a *Agent) retryStore(ctx context.Context) error {
	timer := time.NewTimer(storeRetry)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.locked:
			timer.Reset(storeRetry)
			continue
		case <-timer.C:
		}
		for name, b := range a.beaters {
			if m, _ := a.state.Machine(name); status.CodeOf(m.Cause) != status.CodeStoreUnreadable {
				continue
			}
			timer.Reset(storeRetry)
			end, err := a.begin(ctx, "another try to read the store", nil)
			if err != nil {
				return err
			}
			if _, err := a.store.Agent(name); !errors.Is(err, keystore.ErrUnreadable) {
				logEvent(a.log.Info, status.CodeStoreReadable, zap.String("machine", name))
				a.load(b)
			}
			end()
		}
	}
}

// mismatch reports that a record belongs to another machine than the configuration
// names; empty if it does not. The record stays in use until the device is enrolled
// again.
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
	return "the store holds " + have + ", which stays in use, but the configuration names " + want +
		"; run peaqos-agent enroll --force to replace it"
}

// whyUnenrolled distinguishes a machine that is not enrolled from one whose enrollment
// was interrupted.
func (a *Agent) whyUnenrolled(b *beater) *status.Cause {
	intent, err := a.store.Intent(b.name)
	if err == nil {
		return status.NewCause(status.CodeEnrollmentInterrupted, "started at "+intent.StartedAt.UTC().Format(time.RFC3339))
	}
	m := b.configured()
	if renamed := a.renamed(b.name, m.ID, m.IdentityRef); len(renamed) > 0 {
		return status.NewCause(status.CodeNotEnrolled, "the store holds this machine under the name "+renamed[0].name+
			", which is not configured any more; peaqos-agent run and enroll take it over")
	}
	return status.NewCause(status.CodeNotEnrolled, "waiting for peaqos-agent enroll")
}

// ViewWithoutStore is the status of a configuration whose store does not exist yet.
// Nothing is made to find that out.
func ViewWithoutStore(cfg *config.Config, version string) status.View {
	now := time.Now()
	state := status.NewTracker(cfg, now)
	state.UpdateProcess(func(p *status.Process) { p.Flags = cfg.CommandFlags() })
	for _, m := range cfg.Machines {
		state.Update(m.Name, func(s *status.Machine) {
			s.SetState(status.Unenrolled, status.NewCause(status.CodeNotEnrolled, "there is no store in "+cfg.Keystore.Dir+" yet"), now)
		})
	}
	return status.NewView(state.Snapshot(now, 0), version, cfg.Keystore.Dir)
}

// mounted is an error if keystore.dir is on a file system of its own that is not mounted.
// A store that is made there now would be a second one.
func mounted(root, dir string) error {
	point := keystore.Unmounted(root, dir)
	if point == "" {
		return nil
	}
	return status.NewProblem(status.CodeStoreUnusable, point+" is in /etc/fstab and is not mounted; the store is expected there").
		Advise("mount it with sudo mount " + point + ", then run peaqos-agent service start")
}

// StoreExists reports whether there is a store in keystore.dir, without making one.
// Error: why that cannot be determined.
func StoreExists(cfg *config.Config) (bool, error) {
	if err := mounted("/", cfg.Keystore.Dir); err != nil {
		return false, err
	}
	_, err := os.Lstat(filepath.Join(cfg.Keystore.Dir, "keystore"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// setUnusable sets a machine to a state in which its store cannot be used, and logs why.
func (a *Agent) setUnusable(b *beater, s status.State, err error) {
	p := Explain(err)
	b.setState(s, &status.Cause{Code: p.Code, Text: sentence(p.Message, p.Next)})
	a.log.Error("the store cannot be used", code(p.Code), zap.String("machine", b.name),
		zap.String("why", p.Message), zap.String("next", p.Next))
}

// Close releases the store.
func (a *Agent) Close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}
