package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// busyNotice is how long a command waits for another one before it says so.
	busyNotice = time.Second
	// busyLimit is how long a command waits that cannot say so while it waits.
	busyLimit = 10 * time.Second
)

// underWay is the command that changes the store now.
type underWay struct {
	what  string // "an enrollment"
	since time.Time
}

// begin waits until no other command or reload changes the store, and returns the
// function that lets the next one start. what names this command to those that wait for
// it. A command that is canceled while it waits does not run: nobody would see its
// result. progress receives one line when the wait is not short; with nil the wait ends
// with status.CodeBusy instead. Other errors: that of the context.
func (a *Agent) begin(ctx context.Context, what string, progress func(string)) (end func(), err error) {
	select {
	case a.changing <- struct{}{}: // the usual case needs no timer
	default:
		if err := a.waitForOther(ctx, progress); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		a.changing.Unlock()
		return nil, context.Cause(ctx)
	}
	a.busy.Store(&underWay{what, time.Now()})
	return func() {
		a.busy.Store(nil)
		a.changing.Unlock()
	}, nil
}

func (a *Agent) waitForOther(ctx context.Context, progress func(string)) error {
	patience := busyNotice
	if progress == nil {
		patience = busyLimit
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case a.changing <- struct{}{}:
			return nil
		case <-ctx.Done():
			return &stepError{"waiting for " + a.busyWith(), context.Cause(ctx)}
		case <-timer.C:
			if progress == nil {
				return status.NewProblem(status.CodeBusy, a.busyWith())
			}
			progress("busy: " + a.busyWith() + "; waiting")
		}
	}
}

// busyWith names what changes the store now.
func (a *Agent) busyWith() string {
	if now := a.busy.Load(); now != nil {
		return fmt.Sprintf("%s is under way since %s", now.what, now.since.UTC().Format(time.RFC3339))
	}
	return "another command is under way"
}
