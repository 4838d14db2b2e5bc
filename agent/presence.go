package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// clockStepLimit is by how much the wall clock must be set for a push to be sent again
// with the new time.
const clockStepLimit = 5 * time.Second

// pusher reports one machine to the presence service: signed pushes with the controller
// key of the store, on a grid of its own. It reads the state of the machine and writes
// only its own part of it.
type pusher struct {
	name  string // of the machine
	conf  config.Presence
	state *status.Tracker
	log   *zap.Logger
	boot  func() time.Duration
	wall  func() time.Time // what goes into sentAt
	start time.Time        // anchor of the grid
	// controller reads the controller key. The caller wipes it.
	controller func() (*keystore.Signer, error)
	push       func(context.Context, sdk.PresencePush) (*sdk.PresenceResult, error)

	fails pushFailures
	steps stepWatch
}

// newPusher makes the presence task of one machine.
func (a *Agent) newPusher(machine string, transport http.RoundTripper) (*pusher, error) {
	client, err := sdk.NewPresence(a.cfg.Presence.URL,
		sdk.WithHTTPClient(&http.Client{Transport: transport}), sdk.WithUserAgent("peaqos-agent/"+a.opts.Version))
	if err != nil {
		return nil, err
	}
	return &pusher{
		name: machine, conf: a.cfg.Presence, state: a.state, log: a.log, boot: a.boot, wall: time.Now, start: time.Now(),
		controller: a.store.Controller, push: client.Push,
	}, nil
}

func (p *pusher) loop() string { return "presence/" + p.name }

// run pushes until the context ends. It sends nothing on the way out.
func (p *pusher) run(ctx context.Context, dog *watchdog) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // zero: not planned, because something is missing
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		now := time.Now()
		dog.checkIn(p.loop())
		if p.steps.turn(p.wall(), now, p.boot()) && !due.IsZero() {
			// The last push had a wrong time, or none was sent while the device slept.
			if soon := now.Add(rand.N(earlyBeatGap)); soon.Before(due) {
				due = soon
			}
		}
		due = p.turn(ctx, now, due)
		wait := untilNextTurn(time.Now(), due, dog.maxWait)
		if due.IsZero() {
			wait = min(wait, serviceCheck) // what is missing may appear
		}
		timer.Reset(wait)
	}
}

// turn pushes when it is time, and returns when the next push is due; the zero time
// while something is missing on this device.
func (p *pusher) turn(ctx context.Context, now, due time.Time) time.Time {
	machineID, missing := p.missing()
	if missing != nil {
		p.fails = pushFailures{}
		p.settle(status.ServiceWaiting, missing)
		return p.plan(time.Time{})
	}
	g := newGrid(p.start, machineID, "presence", p.conf.Interval)
	if due.IsZero() {
		p.settle(status.ServiceWaiting, status.NewCause(status.CodePresencePending, ""))
		return p.plan(g.after(now))
	}
	if now.Before(due) {
		return due
	}
	p.send(ctx, machineID)
	return p.plan(nextPush(g, time.Now(), p.fails, rand.Float64()))
}

// missing returns the id to push, or why nothing is pushed.
func (p *pusher) missing() (machineID string, why *status.Cause) {
	m, _ := p.state.Machine(p.name)
	switch {
	case m.State == status.Unenrolled, m.State == status.Quarantined, m.State == status.Locked:
		return "", status.NewCause(status.CodePresencePending, "the machine is "+string(m.State))
	case !m.ControllerKey:
		return "", status.NewCause(status.CodePresenceNoKey, "")
	case p.conf.MachineID != "":
		return p.conf.MachineID, nil
	}
	number, err := sdk.MachineNumber(m.IdentityRef)
	if err != nil {
		return "", status.NewCause(status.CodePresenceNoMachine, "set presence.machine_id")
	}
	return number, nil
}

// send makes one push and records its result.
func (p *pusher) send(ctx context.Context, machineID string) {
	began := time.Now()
	result, err := p.attempt(ctx, machineID)
	now := time.Now()
	if ctx.Err() != nil {
		return // stopped: that is not the service's failure
	}
	v := judgePush(err, now)
	var unsigned *unsignedError
	if errors.As(err, &unsigned) {
		v = pushVerdict{kind: pushRefused, result: "client_error", cause: status.NewCause(status.CodePresenceKey, "")}
	}
	p.fails = p.fails.count(v)
	date := sdk.DateOf(err)
	if result != nil {
		date = result.Date
	}
	at := p.wall()
	p.update(func(s *status.Presence) {
		s.MachineID = machineID
		s.Pushes[v.result]++
		s.Duration.Observe(now.Sub(began))
		s.Failures, s.RetryAfter = p.fails.inRow, v.retryAfter
		if v.kind == pushAccepted {
			s.LastSuccess, s.LastSuccessAt = now, p.boot()
		}
		if !date.IsZero() {
			s.Skew, s.SkewKnown = skewOf(at.Add(began.Sub(now)), at, date), true
		}
	})
	switch {
	case v.kind == pushAccepted:
		p.settle(status.ServiceOnline, nil)
	case v.kind == pushRefused && unsigned == nil:
		p.settle(status.ServiceRefused, v.cause)
	default:
		p.settle(status.ServiceFailing, v.cause)
	}
}

// unsignedError is a push that could not be signed.
type unsignedError struct{ error }

func (e *unsignedError) Unwrap() error { return e.error }

// attempt stamps, signs and sends one push. The key is in memory for the signature only.
func (p *pusher) attempt(ctx context.Context, machineID string) (*sdk.PresenceResult, error) {
	ctx, cancel := context.WithTimeout(ctx, pushDeadline(p.conf.Interval))
	defer cancel()
	signer, err := p.controller()
	if err != nil {
		return nil, &unsignedError{err}
	}
	at := p.wall()
	signature, publicKey, err := signPresence(signer, sdk.PresenceMessage(machineID, sdk.PresenceTime(at)))
	signer.Wipe()
	if err != nil {
		return nil, &unsignedError{err}
	}
	result, err := p.push(ctx, sdk.PresencePush{
		MachineID: machineID, PublicKey: publicKey, SentAt: at,
		Sign: func(context.Context, []byte) (string, error) { return signature, nil },
	})
	var refused *sdk.PresenceRefusedError
	if errors.As(err, &refused) {
		result = refused.Result
	}
	return result, err
}

func (p *pusher) plan(at time.Time) time.Time {
	p.update(func(s *status.Presence) { s.NextAttempt = at })
	return at
}

func (p *pusher) update(f func(*status.Presence)) {
	p.state.Update(p.name, func(m *status.Machine) {
		if m.Presence != nil {
			f(m.Presence)
		}
	})
}

// settle writes the state and logs it, once per change.
func (p *pusher) settle(state status.ServiceState, cause *status.Cause) {
	var changed bool
	skew := zap.Skip()
	p.update(func(s *status.Presence) {
		changed = s.SetState(state, cause, time.Now())
		if s.SkewKnown {
			skew = zap.Duration("clock_skew", s.Skew)
		}
	})
	machine := zap.String("machine", p.name)
	switch {
	case !changed:
	case cause == nil:
		p.log.Info("the presence service accepts the pushes", code(status.CodePresenceOnline), machine)
	case cause.Code != status.CodePresencePending:
		p.log.Warn(cause.Text, code(cause.Code), machine, skew)
	}
}

// stepWatch notices that the wall clock was set, or that the device slept, by comparing
// the clocks with the boot clock, which does neither.
type stepWatch struct {
	known      bool
	wall, mono time.Duration // ahead of the boot clock
	origin     time.Time     // of both
}

// turn reports whether one of the two happened since the last turn.
func (w *stepWatch) turn(wall, mono time.Time, boot time.Duration) bool {
	first := !w.known
	if first {
		w.known, w.origin = true, mono
	}
	wallAhead := wall.Round(0).Sub(w.origin.Round(0)) - boot
	monoAhead := mono.Sub(w.origin) - boot
	stepped := !first && ((wallAhead-w.wall).Abs() > clockStepLimit || w.mono-monoAhead > resumeGap)
	w.wall, w.mono = wallAhead, monoAhead
	return stepped
}
