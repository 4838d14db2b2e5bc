package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// beater keeps one machine alive: it probes the machine's endpoints and sends
// the heartbeat that names those which answered. One goroutine runs its loop;
// enroll borrows it for the one-shot beat, so the beat itself is under a lock.
type beater struct {
	name   string // of the machine
	origin string // of the orchestrator, scheme://host[:port]
	state  *status.Tracker
	log    *zap.Logger
	boot   func() time.Duration // the boot clock
	start  time.Time            // anchor of the grid

	mu        sync.Mutex // one beat at a time; guards all below
	machine   config.Machine
	conf      config.Heartbeat
	api       calls
	transport http.RoundTripper // beneath api
	probers   []*prober
	turned    func()                      // feeds the watchdog between the parts of a long turn
	keep      func(*keystore.Agent) error // stores the record durably
	record    *keystore.Agent
	replan    bool          // the record is another one: what was planned for the old one is void
	unproven  int           // refusals of the record's pending token, in this process
	lease     time.Duration // granted
	fails     failures
	isolate   bool                 // the next turn sends one beat per endpoint
	refused   map[string]time.Time // provider key → when it was refused alone
	healthAt  time.Time            // when an idle agent last asked for health
}

// beatOutcome is what enroll tells of its one-shot beat.
type beatOutcome struct {
	live           bool
	reason         string
	leaseExpiresAt time.Time
}

// adopt makes the beater work with a record; nil means unenrolled.
func (b *beater) adopt(r *keystore.Agent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takeOver(r)
}

// install stores a record and works with it from then on, in one step: a beat that
// proves a rotated token at this moment must not store the former record over it.
func (b *beater) install(r *keystore.Agent) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.keep(r); err != nil {
		return err
	}
	b.takeOver(r)
	return nil
}

func (b *beater) takeOver(r *keystore.Agent) {
	if b.record != nil && r == nil {
		wipeTokens(b.record)
	}
	b.unproven, b.replan = 0, true
	b.record, b.lease, b.fails, b.isolate, b.refused, b.healthAt = r, b.conf.LeaseTTL, failures{}, false, map[string]time.Time{}, time.Time{}
	b.state.Update(b.name, func(m *status.Machine) {
		if r == nil || r.MachineID != m.MachineID {
			m.ForgetBeats()
		}
		m.Mismatch = mismatch(b.machine, r)
		if r == nil {
			m.AgentID, m.MachineID, m.IdentityRef, m.Origin, m.Rotation = "", b.machine.ID, b.machine.IdentityRef, "", nil
			return
		}
		m.AgentID, m.MachineID, m.IdentityRef, m.Origin, m.Rotation = r.AgentID, r.MachineID, r.IdentityRef, r.Origin, b.rotation()
		m.LeaseTTL, m.Interval = b.lease, interval(b.conf.Interval, b.lease)
		m.SetState(status.Idle, status.NewCause(status.CodeFirstBeatPending, ""), time.Now())
	})
	b.state.Signal(b.name)
}

// run is the loop: one select, one timer, and the delay from a pure function.
// It ends with the context and sends nothing on its way out.
func (b *beater) run(ctx context.Context, turns *Turns) error {
	loop := "beat/" + b.name
	b.mu.Lock()
	b.turned = func() { turns.Turn(loop) }
	b.mu.Unlock()
	watch := sleepWatch{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // zero: no grid yet, because there is no record
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.state.Signals(b.name):
		case <-timer.C:
		}
		now := time.Now()
		turns.Turn(loop)
		if watch.turn(now, b.boot()) && !due.IsZero() {
			due = now.Add(rand.N(earlyBeatGap))
		}
		due = b.turn(ctx, now, due)
		timer.Reset(untilNextTurn(time.Now(), due, turns.Limit()))
	}
}

// untilNextTurn cuts a long wait into turns, so that a turn which looked at the
// state feeds the watchdog and a suspend is noticed soon.
func untilNextTurn(now, due time.Time, limit time.Duration) time.Duration {
	if due.IsZero() {
		return limit
	}
	return min(max(due.Sub(now), 0), limit)
}

// turn looks at the state and beats when it is time. It returns when the next
// beat is due; the zero time means never, until somebody enrolls.
func (b *beater) turn(ctx context.Context, now, due time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.record == nil {
		return time.Time{}
	}
	if due.IsZero() || b.replan {
		due, b.replan = b.plan(b.grid().after(now)), false
	} else if sooner := b.grid().next(now, b.fails); sooner.Before(due) {
		due = b.plan(sooner) // a shorter lease or interval than when it was planned
	}
	if early := b.early(); !early.IsZero() && early.Before(due) {
		due = early
	}
	if now.Before(due) {
		return due
	}
	b.beat(ctx)
	return b.plan(b.grid().next(time.Now(), b.fails))
}

func (b *beater) plan(at time.Time) time.Time {
	b.state.Update(b.name, func(m *status.Machine) { m.NextAttempt = at })
	return at
}

func (b *beater) grid() grid {
	return newGrid(b.start, b.record.MachineID, b.record.AgentID, interval(b.conf.Interval, b.lease))
}

// early is when an endpoint that has come up since the last attempt should be
// published ahead of the grid; zero for never. Not while anything fails (the
// fleet would leave its grid just when the orchestrator returns), not before
// the first beat of this process, and at most once per 5 s.
func (b *beater) early() time.Time {
	m, ok := b.state.Machine(b.name)
	if !ok || b.fails.inRow > 0 || m.LastAttempt.IsZero() {
		return time.Time{}
	}
	for _, e := range m.Endpoints {
		if e.Up && e.ChangedAt.After(m.LastAttempt) && e.Refused == "" {
			return m.LastAttempt.Add(earlyBeatGap)
		}
	}
	return time.Time{}
}

// once is the one-shot beat of enroll: off the grid, not repeated.
func (b *beater) once(ctx context.Context) beatOutcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.record == nil {
		return beatOutcome{reason: "not enrolled"}
	}
	defer b.state.Signal(b.name) // the loop plans by the lease that is granted now
	return b.beat(ctx)
}

// beat probes, sends what answered, and writes down what came of it.
func (b *beater) beat(ctx context.Context) beatOutcome {
	every := interval(b.conf.Interval, b.lease)
	up := b.publishable(probeAll(ctx, b.probers, b.state, b.name, every/2))
	attempt := time.Now()
	b.state.Update(b.name, func(m *status.Machine) { m.LastAttempt = attempt })
	if ctx.Err() != nil {
		return beatOutcome{reason: "stopped"}
	}
	if len(up) == 0 {
		return b.idle(ctx, every)
	}
	groups, alone := [][]config.Endpoint{up}, b.alone(up)
	if alone {
		groups = nil
		for _, e := range up {
			groups = append(groups, []config.Endpoint{e})
		}
	}
	var out beatOutcome
	named, last := 0, verdict{}
	for _, g := range groups {
		b.turned()
		v := b.send(ctx, g, every, &out)
		if v.kind == accepted {
			named += len(g)
		}
		if last = v; v.kind != accepted && !(v.kind == refusedEndpoints && len(g) == 1) {
			break
		}
	}
	if ctx.Err() != nil {
		return beatOutcome{reason: "stopped"} // our own stop is not the server's failure
	}
	b.conclude(last, named, alone)
	if !out.live && last.cause != nil {
		out.reason = last.cause.Text
	}
	return out
}

// publishable are the endpoints that answered and may be sent.
func (b *beater) publishable(up []config.Endpoint) []config.Endpoint {
	var out []config.Endpoint
	for _, e := range up {
		if at, ok := b.refused[e.ProviderKey]; ok && time.Since(at) < refusedRetry {
			continue
		}
		out = append(out, e)
	}
	return out
}

// alone says that each endpoint gets a beat of its own: after the refusal of a whole
// beat, and when one that was refused is tried again, so that it cannot take the
// others with it.
func (b *beater) alone(up []config.Endpoint) bool {
	return b.isolate || len(up) == 1 || slices.ContainsFunc(up, func(e config.Endpoint) bool { _, was := b.refused[e.ProviderKey]; return was })
}

// send makes one heartbeat. A rotated token that is not proven yet goes first; if
// it is refused the old one follows at once, so that no lease lapses over it.
func (b *beater) send(ctx context.Context, endpoints []config.Endpoint, every time.Duration, out *beatOutcome) verdict {
	if p := b.record.Pending; p != nil && b.unproven < refusalsBeforeVerdict {
		v := b.exchange(ctx, endpoints, every, out, p.AgentID, p.Token)
		switch v.kind {
		case refusedToken, refusedAgent:
			b.pendingRefused(v)
		case accepted:
			b.promote()
			return v
		default:
			return v
		}
	}
	return b.exchange(ctx, endpoints, every, out, b.record.AgentID, b.record.Token)
}

// exchange sends one heartbeat as one agent and records what the server said of
// each endpoint.
func (b *beater) exchange(ctx context.Context, endpoints []config.Endpoint, every time.Duration, out *beatOutcome, agentID string, token keystore.Secret) verdict {
	ctx, cancel := context.WithTimeout(ctx, beatDeadline(every))
	defer cancel()
	beat, err := b.heartbeat(endpoints, agentID, token)
	if err != nil {
		return verdict{kind: refusedOther, result: "client_error", cause: status.NewCause(status.CodeEndpointToken, err.Error())}
	}
	began, sent := time.Now(), b.boot()
	res, err := b.api.heartbeat(ctx, beat)
	now := time.Now()
	v := judge(err, now)
	if agentID == b.record.AgentID || (v.kind != refusedToken && v.kind != refusedAgent) {
		b.fails = b.fails.count(v) // a refusal of the pending token says nothing of the other
	}
	b.state.Update(b.name, func(m *status.Machine) {
		m.Beats[v.result]++
		m.BeatDuration.Observe(now.Sub(began))
		m.Failures, m.RetryAfter = b.fails.inRow, v.retryAfter
		if date := answerDate(res, err); !date.IsZero() {
			m.Skew, m.SkewKnown = now.Sub(date), true
		}
	})
	switch {
	case v.kind == accepted:
		b.grant(res, endpoints, now, sent, out)
	case v.kind == refusedEndpoints && len(endpoints) == 1:
		b.refuse(endpoints[0], v, now)
	}
	return v
}

// grant records an accepted beat: the lease, the next interval, the endpoints. The
// lease is counted from when the beat left: it began at some time after that.
func (b *beater) grant(res *sdk.HeartbeatResult, endpoints []config.Endpoint, now time.Time, sent time.Duration, out *beatOutcome) {
	if s := res.LeaseTTLSeconds; s > 0 && s <= 24*60*60 {
		b.lease = time.Duration(s) * time.Second
	}
	boot := b.boot()
	out.live = true
	b.sayClamped()
	b.state.Update(b.name, func(m *status.Machine) {
		m.LeaseTTL, m.Interval = b.lease, interval(b.conf.Interval, b.lease)
		m.LastSuccess, m.LastSuccessAt = now, boot
		for _, e := range endpoints {
			delete(b.refused, e.ProviderKey)
			s := m.Endpoint(e.ProviderKey)
			s.Published, s.AcceptedAt, s.Lease, s.Refused = true, sent, b.lease, ""
			for _, r := range res.Endpoints {
				if r.ProviderKey != e.ProviderKey {
					continue
				}
				s.ServerStatus, s.ServerFault = string(r.Status), status.Sanitize(r.HealthError)
				s.LeaseExpiresAt, _ = time.Parse(time.RFC3339Nano, r.LeaseExpiresAt)
				if out.leaseExpiresAt.IsZero() || s.LeaseExpiresAt.Before(out.leaseExpiresAt) {
					out.leaseExpiresAt = s.LeaseExpiresAt
				}
			}
		}
	})
}

// sayClamped tells that the orchestrator's lease is too short for the configured
// interval: a beat that is lost must not be a lease that lapses.
func (b *beater) sayClamped() {
	if every := interval(b.conf.Interval, b.lease); b.conf.Interval > every {
		b.log.Warn(fmt.Sprintf("heartbeat.interval %s is more than half of the granted lease of %s; beating every %s", b.conf.Interval, b.lease, every),
			code(status.CodeIntervalClamped), zap.String("machine", b.name))
	}
}

// refuse leaves out an endpoint that the server refused alone.
func (b *beater) refuse(e config.Endpoint, v verdict, now time.Time) {
	b.refused[e.ProviderKey] = now
	b.state.Update(b.name, func(m *status.Machine) { m.Endpoint(e.ProviderKey).Refused = v.cause.Code })
	b.log.Error("the orchestrator refuses this endpoint; it is left out and tried again in an hour",
		code(status.CodeEndpointRefused), zap.String("provider", e.ProviderKey), zap.String("cause", string(v.cause.Code)))
}

// heartbeat builds the request (contract §2.4). A dead endpoint is simply not
// in it: its lease ends by itself.
func (b *beater) heartbeat(endpoints []config.Endpoint, agentID string, token keystore.Secret) (sdk.Heartbeat, error) {
	beat := sdk.Heartbeat{
		MachineID: b.record.MachineID, AgentID: agentID,
		AgentToken:      sdk.NewSecret(string(token.Reveal())),
		LeaseTTLSeconds: sdk.Some(int(b.conf.LeaseTTL / time.Second)),
	}
	for _, e := range endpoints {
		entry := sdk.HeartbeatEndpoint{
			ProviderKey: e.ProviderKey, EndpointBaseURL: e.BaseURL, AuthType: sdk.NonZero(e.AuthType), ModelAlias: sdk.NonZero(e.ModelAlias),
			NetworkScope: sdk.NonZero(e.NetworkScope), ProbePath: sdk.NonZero(e.ProbePath),
		}
		if e.ShareAuthToken && e.AuthTokenFile != "" {
			token, err := endpointToken(e)
			if err != nil {
				return sdk.Heartbeat{}, err
			}
			entry.AuthToken = sdk.Some(sdk.NewSecret(token))
		}
		beat.Endpoints = append(beat.Endpoints, entry)
	}
	return beat, nil
}
