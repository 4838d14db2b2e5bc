package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

const (
	autoEnrollFirst = 10 * time.Second // wait after the first failure, doubled by each further one
	autoEnrollMost  = 15 * time.Minute
)

// autoEnroll is the task behind enroll.auto: it enrolls every machine whose record
// the store never held, until that is done. A store that was unenrolled stays so.
func (a *Agent) autoEnroll(ctx context.Context) error {
	wait := autoEnrollFirst
	for {
		done := true
		for _, m := range a.cfg.Machines {
			done = a.autoEnrollOne(ctx, m.Name) && done
		}
		if done {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait + rand.N(wait)):
		}
		wait = min(2*wait, autoEnrollMost)
	}
}

// autoEnrollOne reports whether there is nothing left to do for a machine.
func (a *Agent) autoEnrollOne(ctx context.Context, machine string) bool {
	m, _ := a.state.Machine(machine)
	if m.State != status.Unenrolled || status.CodeOf(m.Cause) == status.CodeOtherOrchestrator || a.store.EverHeld(machine) {
		return true
	}
	b := a.beaters[machine]
	if p := a.volatile(); p != nil && !a.cfg.Enroll.Ephemeral {
		b.settle(status.Unenrolled, &status.Cause{Code: p.Code, Text: p.Error()})
		return true // mounting a volume takes a restart
	}
	key, err := a.opts.APIKey()
	if err == nil && key.IsZero() {
		err = noAPIKey("enroll.auto")
	}
	if err == nil {
		_, err = a.Enroll(ctx, EnrollRequest{Machine: machine, APIKey: key, predecessors: a.cfg.Enroll.Ephemeral}, func(line string) {
			a.log.Info(line, code(status.CodeAutoEnroll), zap.String("machine", machine))
		})
	}
	if ctx.Err() != nil || err == nil {
		return true
	}
	p := Explain(err)
	b.settle(status.Unenrolled, &status.Cause{Code: p.Code, Text: "enroll.auto did not succeed yet: " + p.Error()})
	return false
}

// volatile says why the store does not outlive this container or boot; nil when it
// does.
func (a *Agent) volatile() *status.Problem {
	medium, path := a.store.FileSystem(), a.store.Path()
	if !a.store.Volatile() && medium != "overlay" && !(keystore.InContainer("/") && sameDevice("/", path)) {
		return nil
	}
	return status.NewProblem(status.CodeStoreVolatile, fmt.Sprintf("%s is on %s, not on a volume", path, medium)).
		Advise("mount a volume at " + a.cfg.Keystore.Dir + ", or set enroll.ephemeral: true")
}

func sameDevice(a, b string) bool {
	var x, y syscall.Stat_t
	return syscall.Stat(a, &x) == nil && syscall.Stat(b, &y) == nil && x.Dev == y.Dev
}

// revokePredecessors revokes the living agents of the machine that carry our label:
// those of earlier lives of an ephemeral store, which remembers nothing.
func (e *enroller) revokePredecessors(ctx context.Context, machineID string) error {
	agents, err := e.api.MachineAgents.List(ctx, machineID)
	if err != nil {
		return err
	}
	ours := regexp.MustCompile("^" + regexp.QuoteMeta(e.machine.AgentLabel) + "#[a-z2-7]{8}$")
	agents = slices.DeleteFunc(agents, func(a sdk.MachineAgent) bool { return !ours.MatchString(a.Label) })
	var ids []string
	for _, a := range agents {
		ids = append(ids, a.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	return e.revokeOurs(ctx, machineID, nil, ids)
}
