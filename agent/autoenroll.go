package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const (
	autoEnrollFirst = 10 * time.Second // wait after the first failure; each further one doubles it
	autoEnrollMost  = 15 * time.Minute
)

// autoEnroll is the task of enroll.auto: it retries until every machine is enrolled
// that has never been in this store. A machine that was unenrolled stays unenrolled.
func (a *Agent) autoEnroll(ctx context.Context) error {
	wait := autoEnrollFirst
	var quick quickRetries
	early := false
	for {
		done := true
		for _, m := range a.cfg.Machines {
			done = a.autoEnrollOne(ctx, m.Name) && done
		}
		if done {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		now := time.Now()
		quick.attempted(now, early, false)
		if early = a.waitForRetry(ctx, now.Add(wait+rand.N(wait)), &quick); !early {
			wait = min(2*wait, autoEnrollMost)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// waitForRetry waits until a time, or until an earlier one that a link, an address or
// the clock brings forward; early reports which. It ends with the context.
func (a *Agent) waitForRetry(ctx context.Context, until time.Time, quick *quickRetries) (early bool) {
	for {
		next := until
		early = false
		if soon := quick.due(time.Now()); !soon.IsZero() && soon.Before(until) {
			next, early = soon, true
		}
		select {
		case <-ctx.Done():
			return early
		case <-time.After(time.Until(next)):
			return early
		case <-a.changes:
			quick.event(time.Now().Add(rand.N(time.Second)))
		}
	}
}

// autoEnrollOne tries to enroll one machine and reports whether nothing is left to do
// for it.
func (a *Agent) autoEnrollOne(ctx context.Context, machine string) bool {
	m, _ := a.state.Machine(machine)
	if m.State != status.Unenrolled || status.CodeOf(m.Cause) == status.CodeOtherOrchestrator || a.store.EverHeld(machine) {
		return true
	}
	b := a.beaters[machine]
	if p := a.volatile(); p != nil && !a.cfg.Enroll.Ephemeral {
		b.setState(status.Unenrolled, &status.Cause{Code: p.Code, Text: p.Error()})
		return true // mounting a volume requires a restart
	}
	key, err := a.opts.APIKey()
	if err == nil && key.IsZero() {
		err = status.NewProblem(status.CodeAPIKeyMissing, "enroll.auto is on, but PEAQOS_API_KEY_FILE is not set").
			Advise("set it to the file with the API key, then restart the agent")
	}
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, commandLimit)
		defer cancel()
		_, err = a.Enroll(limited, EnrollRequest{Machine: machine, APIKey: key, predecessors: a.cfg.Enroll.Ephemeral}, func(line string) {
			a.log.Info(line, code(status.CodeAutoEnroll), zap.String("machine", machine))
		})
	}
	if ctx.Err() != nil || err == nil {
		return true
	}
	p := Explain(err)
	if p.Code == status.CodeControllerKeyMissing { // a daemon has no flags to give
		forDaemon := *p
		p = forDaemon.Advise("register the machine once with peaqos-agent enroll or enroll --grant-out, " +
			"or store its controller key with peaqos-agent identity import")
	}
	a.log.Warn(status.Lookup(status.CodeAutoEnroll).What+": "+p.Message, code(status.CodeAutoEnroll), zap.String("machine", machine),
		zap.String("cause", string(p.Code)), zap.String("why", sentence(p.Message, p.Detail)))
	b.setState(status.Unenrolled, &status.Cause{Code: p.Code, Text: status.Lookup(status.CodeAutoEnroll).What + ": " + p.Error()})
	return false
}

// volatile returns why the store does not outlive this container or boot; nil if it
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
