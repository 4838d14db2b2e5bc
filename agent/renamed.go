package agent

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// A machine that gets another name in the configuration keeps its record: the store has
// it under the previous name, for the same orchestrator and machine.

// renamedRecord is a record under a name that is not configured any more.
type renamedRecord struct {
	name   string
	record *keystore.Agent
}

// renamed returns the records of this machine under names that are not configured, the
// latest enrollment first. machineID and identityRef say which machine; both empty means
// that it is not known.
func (a *Agent) renamed(machine, machineID, identityRef string) []renamedRecord {
	if a.store.Condition() != nil || (machineID == "" && identityRef == "") {
		return nil
	}
	entries, err := os.ReadDir(a.store.Path())
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		base, ok := strings.CutPrefix(e.Name(), "agent-")
		name := strings.TrimSuffix(strings.TrimSuffix(base, ".a"), ".b")
		if !ok || name == base || name == machine || a.beaters[name] != nil || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
	}
	var out []renamedRecord
	for _, name := range names {
		r, err := a.store.Agent(name)
		if err == nil && r.Origin == a.origin && isMachine(r, machineID, identityRef) {
			out = append(out, renamedRecord{name, r})
		}
	}
	slices.SortFunc(out, func(x, y renamedRecord) int {
		return cmp.Or(y.record.EnrolledAt.Compare(x.record.EnrolledAt), strings.Compare(x.name, y.name))
	})
	return out
}

// isMachine reports whether a record is of the machine with this id or identity.
func isMachine(r *keystore.Agent, machineID, identityRef string) bool {
	if machineID != "" {
		return r.MachineID == machineID
	}
	return identityRef != "" && config.CanonicalRef(r.IdentityRef) == config.CanonicalRef(identityRef)
}

// takeOverRenamed gives a machine without a record the one that the store has under its
// previous name. The new record is stored before the previous one is dropped.
func (a *Agent) takeOverRenamed(b *beater, machineID, identityRef string) error {
	if _, err := a.store.Agent(b.name); !errors.Is(err, keystore.ErrNotFound) || a.store.EverHeld(b.name) {
		return nil
	}
	found := a.renamed(b.name, machineID, identityRef)
	if len(found) == 0 {
		return nil
	}
	if err := b.storeRecord(found[0].record); err != nil {
		return err
	}
	logEvent(a.log.Warn, status.CodeRecordRenamed, zap.String("machine", b.name), zap.String("previous_name", found[0].name))
	return a.store.DropAgent(found[0].name)
}

// settleRenamed revokes the agents of records of this machine that were left under other
// names, and drops the records. r is the record in use.
func (a *Agent) settleRenamed(ctx context.Context, e *enroller, r *keystore.Agent) error {
	for _, left := range a.renamed(e.machine.Name, r.MachineID, r.IdentityRef) {
		e.progress("the store also holds this machine under the name " + left.name + "; revoking its agents")
		if err := e.revokeOurs(ctx, r.MachineID, left.record.Attempts, agentsOf(left.record), agentsOf(r)...); err != nil {
			return err
		}
		if err := a.store.DropAgent(left.name); err != nil {
			return err
		}
	}
	return nil
}
