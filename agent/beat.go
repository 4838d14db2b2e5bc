package agent

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// beater keeps one machine online: it probes the machine's endpoints and sends the
// heartbeat that names those that responded. One goroutine runs its loop. Commands
// send single heartbeats through it (beatOnce) and change its record.
//
// This file has the loop, one turn of it, and what is sent; beat_state.go has what
// the results do to the machine's state and to the stored record.
type beater struct {
	name     string // of the machine
	origin   string // of the orchestrator, scheme://host[:port]
	state    *status.Tracker
	log      *zap.Logger
	store    *keystore.Store
	watcher  *watcher // of the same machine
	watchdog *watchdog
	clock    *clockWatch
	boot     func() time.Duration // the boot clock
	start    time.Time            // anchor of the grid

	// sending is held for a whole turn, network included, and by everything that
	// changes what a turn works with. So two heartbeats never run at once, and one
	// that confirms a rotated token never stores an older record over a newer one.
	sending  lock
	conf     config.Heartbeat
	api      calls
	probes   *probeSet
	replan   bool          // the record was replaced: the planned time was for the previous one
	lease    time.Duration // granted
	fails    failures
	isolate  bool                  // the next turn sends one heartbeat per endpoint
	refused  map[refusal]time.Time // when an endpoint was refused alone
	healthAt time.Time             // when an idle agent last asked for the orchestrator's health
	retries  quickRetries

	changed atomic.Bool // a link, an address or the clock

	// mu guards what commands read without waiting for a heartbeat. It is held for
	// an instant only, and a writer holds sending as well.
	mu       sync.Mutex
	machine  config.Machine
	record   *keystore.Agent
	unproven int // refusals of the record's pending token, in this process
}

// refusal is one endpoint that the orchestrator refused to one agent. It says nothing
// about another agent, which was enrolled with its own list of provider keys.
type refusal struct{ agentID, providerKey string }

// loop names the beater's loop for the watchdog and /healthz.
func (b *beater) loop() string { return "beat/" + b.name }

// run is the loop: one select, one timer, and the delay from a pure function.
// It ends with the context and sends nothing on its way out.
func (b *beater) run(ctx context.Context) error {
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
		b.watchdog.checkIn(b.loop())
		b.clock.check(now)
		if watch.slept(now, b.boot()) && !due.IsZero() {
			due = now.Add(rand.N(resumeSpread))
		}
		due = b.turn(ctx, now, due)
		timer.Reset(untilNextTurn(time.Now(), due, b.watchdog.maxWait))
	}
}

// turn looks at the state and sends a heartbeat when it is due. It returns when the
// next one is due; the zero time means never, until the machine is enrolled.
func (b *beater) turn(ctx context.Context, now, due time.Time) time.Time {
	if err := b.sending.acquire(ctx, "the current heartbeat"); err != nil {
		return due
	}
	defer b.sending.Unlock()
	if b.record == nil {
		return time.Time{}
	}
	if due.IsZero() || b.replan {
		due, b.replan = b.plan(b.firstDue(now)), false
	} else if sooner := b.grid().next(now, b.fails); sooner.Before(due) {
		due = b.plan(sooner) // the lease or the interval became shorter since the last plan
	}
	if early := b.early(); !early.IsZero() && early.Before(due) {
		due = early
	}
	quick := false
	if soon := b.quick(now); !soon.IsZero() && !soon.After(due) {
		due, quick = soon, true
	}
	if now.Before(due) {
		if quick {
			b.plan(due)
		}
		return due
	}
	before := b.fails
	b.beat(ctx)
	b.retries.attempted(time.Now(), quick, b.fails.inRow == 0)
	if quick && b.fails.inRow > before.inRow {
		b.fails.inRow = before.inRow // an extra attempt does not make the ordinary ones rarer
	}
	after := time.Now()
	next := b.grid().next(after, b.fails)
	if soon := b.quick(after); !soon.IsZero() && soon.Before(next) {
		next = soon
	}
	return b.plan(next)
}

// firstDue is when the first heartbeat with a record is due.
func (b *beater) firstDue(now time.Time) time.Time {
	if m, ok := b.state.Machine(b.name); ok && m.LastAttempt.IsZero() {
		return b.grid().first(now, b.record.EnrolledAt)
	}
	return b.grid().after(now)
}

// plan records when the next heartbeat is due. The watcher's next look depends on it.
func (b *beater) plan(at time.Time) time.Time {
	b.state.Update(b.name, func(m *status.Machine) { m.NextAttempt = at })
	b.watcher.rearm()
	return at
}

func (b *beater) interval() time.Duration { return interval(b.conf.Interval, b.lease) }

func (b *beater) grid() grid {
	return newGrid(b.start, b.record.MachineID, b.record.AgentID, b.interval())
}

// early is when an endpoint that came up since the last attempt should be published
// ahead of the grid; zero for never. Not while anything fails (the fleet would leave
// its grid just when the orchestrator returns), not before the first heartbeat of
// this process, and at most once per 5 s.
func (b *beater) early() (at time.Time) {
	if b.fails.inRow > 0 {
		return at
	}
	b.state.Read(b.name, func(m *status.Machine) {
		due := func(e status.Endpoint) bool { return e.Up && e.ChangedAt.After(m.LastAttempt) && e.Refused == "" }
		if !m.LastAttempt.IsZero() && slices.ContainsFunc(m.Endpoints, due) {
			at = m.LastAttempt.Add(earlyBeatGap)
		}
	})
	return at
}

// beatOnce sends the single heartbeat of a command: off the grid, not repeated. It
// waits for a heartbeat under way only as long as the command's context lasts.
func (b *beater) beatOnce(ctx context.Context) beatOutcome {
	if err := b.sending.acquire(ctx, "the current heartbeat"); err != nil {
		return beatOutcome{reason: err.Error()}
	}
	defer b.sending.Unlock()
	if b.record == nil {
		return beatOutcome{reason: "not enrolled"}
	}
	defer b.state.Signal(b.name) // the loop plans by the lease that is granted now
	return b.beat(ctx)
}

// beat probes, sends what is up, and records the result.
func (b *beater) beat(ctx context.Context) beatOutcome {
	up := b.publishable(b.probes.run(ctx, min(b.interval()/2, probeWait)))
	attempt := time.Now()
	b.state.Update(b.name, func(m *status.Machine) { m.LastAttempt = attempt })
	if ctx.Err() != nil {
		return beatOutcome{reason: "stopped"}
	}
	if len(up) == 0 {
		return b.idle(ctx)
	}
	groups, alone := [][]config.Endpoint{up}, b.alone(up)
	if alone {
		groups = nil
		for _, e := range up {
			groups = append(groups, []config.Endpoint{e})
		}
	}
	var out beatOutcome
	var last verdict
	published := 0
	for _, g := range groups {
		b.watchdog.checkIn(b.loop())
		v, sent, leaseExpiresAt := b.send(ctx, g)
		if v.kind == accepted {
			published += sent
			out.live, out.leaseExpiresAt = true, earliest(out.leaseExpiresAt, leaseExpiresAt)
		}
		if last = v; v.kind != accepted && !(v.kind == refusedEndpoints && len(g) == 1) {
			break
		}
	}
	if ctx.Err() != nil {
		return beatOutcome{reason: "stopped"} // our own stop is not the server's failure
	}
	b.conclude(last, published, alone)
	if !out.live && last.cause != nil {
		out.reason = last.cause.Text
	}
	return out
}

// publishable returns the endpoints of those that are up that may be sent as at least
// one of the agents that are tried.
func (b *beater) publishable(up []config.Endpoint) []config.Endpoint {
	var out []config.Endpoint
	pending := b.sendable(b.pendingCredentials(), up)
	current := b.sendable(b.currentCredentials(), up)
	for _, e := range up {
		same := func(o config.Endpoint) bool { return o.ProviderKey == e.ProviderKey }
		if slices.ContainsFunc(pending, same) || slices.ContainsFunc(current, same) {
			out = append(out, e)
		}
	}
	return out
}

// sendable returns the endpoints that were not refused to an agent within the last hour;
// none if there is no agent.
func (b *beater) sendable(as credentials, endpoints []config.Endpoint) []config.Endpoint {
	var out []config.Endpoint
	for _, e := range endpoints {
		if at, was := b.refused[refusal{as.agentID, e.ProviderKey}]; as.agentID != "" && (!was || time.Since(at) >= refusedRetry) {
			out = append(out, e)
		}
	}
	return out
}

// alone reports whether each endpoint gets a heartbeat of its own: after the refusal
// of a whole heartbeat, and when one that was refused is tried again, so that it
// cannot take the others with it.
func (b *beater) alone(up []config.Endpoint) bool {
	first := b.pendingCredentials()
	if first.agentID == "" {
		first = b.currentCredentials()
	}
	return b.isolate || len(up) == 1 || slices.ContainsFunc(up, func(e config.Endpoint) bool {
		_, was := b.refused[refusal{first.agentID, e.ProviderKey}]
		return was
	})
}

// credentials are what a heartbeat is sent with: a record's own, or those of its
// pending rotation.
type credentials struct {
	agentID string
	token   keystore.Secret
}

func (b *beater) currentCredentials() credentials {
	return credentials{b.record.AgentID, b.record.Token}
}

// pendingCredentials are those of the pending rotation; without an agent id if there is
// none to try.
func (b *beater) pendingCredentials() credentials {
	if p := b.record.Pending; p != nil && b.unproven < refusalsBeforeVerdict {
		return credentials{p.AgentID, p.Token}
	}
	return credentials{}
}

// send makes one heartbeat and returns its verdict, the number of endpoints in it and, if
// it was accepted, when the first of its leases expires. A rotated token that is not
// confirmed yet is tried first; if it, or the endpoint with it, is refused, the current
// one follows at once, so that no lease expires because of it.
func (b *beater) send(ctx context.Context, endpoints []config.Endpoint) (verdict, int, time.Time) {
	pending := b.pendingCredentials()
	first := b.sendable(pending, endpoints)
	current := b.sendable(b.currentCredentials(), endpoints)
	if len(first) > 0 {
		v, leaseExpiresAt := b.exchange(ctx, first, pending)
		switch {
		case v.kind == refusedToken, v.kind == refusedAgent:
			b.countPendingRefusal(v)
		case v.kind == accepted:
			b.promotePending()
			return v, len(first), leaseExpiresAt
		case v.kind == refusedEndpoints && len(first) == 1 && len(current) > 0:
		default:
			return v, len(first), leaseExpiresAt
		}
		if len(current) == 0 {
			return v, len(first), leaseExpiresAt
		}
	}
	v, leaseExpiresAt := b.exchange(ctx, current, b.currentCredentials())
	return v, len(current), leaseExpiresAt
}

// exchange sends one heartbeat as one agent, records what the server said of each
// endpoint, and returns the same as send.
func (b *beater) exchange(ctx context.Context, endpoints []config.Endpoint, as credentials) (v verdict, leaseExpiresAt time.Time) {
	ctx, cancel := context.WithTimeout(ctx, beatDeadline(b.interval()))
	defer cancel()
	beat, err := b.heartbeat(endpoints, as)
	if err != nil {
		return verdict{kind: refusedOther, result: "client_error", cause: status.NewCause(status.CodeEndpointToken, err.Error())}, time.Time{}
	}
	began, sent := time.Now(), b.boot()
	res, err := b.api.heartbeat(ctx, beat)
	now := time.Now()
	v = judge(err, now).withClock(b.clockSynced())
	if as.agentID == b.record.AgentID || (v.kind != refusedToken && v.kind != refusedAgent) {
		b.fails = b.fails.count(v) // a refusal of the pending token says nothing about the current one
	}
	b.state.Update(b.name, func(m *status.Machine) {
		m.AddBeat(v.result, b.boot(), now.Sub(began))
		m.Failures, m.RetryAfter = b.fails.inRow, b.fails.retryAfter
		if date := responseDate(res, err); !date.IsZero() && fromAPI(err) {
			m.Skew, m.SkewKnown = skewOf(began, now, date), true
		}
	})
	switch {
	case v.kind == accepted:
		leaseExpiresAt = b.recordAccepted(res, endpoints, as.agentID, now, sent)
	case v.kind == refusedEndpoints && len(endpoints) == 1:
		b.recordRefused(endpoints[0], as.agentID, v, now)
	}
	if b.fails.inRow >= refusalsBeforeVerdict && b.lease < b.conf.LeaseTTL {
		b.lease = b.conf.LeaseTTL // a short lease must not keep the pace of retries forever
	}
	return v, leaseExpiresAt
}

// heartbeat builds the request (contract §2.4). An endpoint that is down is simply
// not in it: its lease expires on its own.
func (b *beater) heartbeat(endpoints []config.Endpoint, as credentials) (sdk.Heartbeat, error) {
	beat := sdk.Heartbeat{
		MachineID: b.record.MachineID, AgentID: as.agentID,
		AgentToken:      sdk.NewSecret(string(as.token.Reveal())),
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

// idle is the turn with nothing to publish. No heartbeat is sent, but once an hour
// (and in every turn while it fails) the orchestrator is asked for its health.
func (b *beater) idle(ctx context.Context) beatOutcome {
	out := beatOutcome{reason: b.whyIdle()}
	if b.fails.auth >= refusalsBeforeVerdict || b.fails.revoked >= refusalsBeforeVerdict {
		return out // what the server said about our token remains true
	}
	if b.fails.inRow > 0 || b.healthAt.IsZero() || time.Since(b.healthAt) >= idleCheck {
		ctx, cancel := context.WithTimeout(ctx, beatDeadline(b.interval()))
		defer cancel()
		v := judgeHealth(b.api.health(ctx), time.Now()).withClock(b.clockSynced())
		if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded {
			return out
		}
		b.healthAt, b.fails = time.Now(), b.fails.count(v)
		b.state.Update(b.name, func(m *status.Machine) { m.Failures, m.RetryAfter = b.fails.inRow, b.fails.retryAfter })
		if v.kind != accepted {
			b.setState(status.Offline, v.cause)
			return out
		}
	}
	b.setState(status.Idle, b.idleCause(out.reason))
	return out
}

// reconfigure gives the beater another configuration; sending is held. The granted
// lease stays: the next heartbeat asks for the new one.
func (b *beater) reconfigure(m config.Machine, conf config.Heartbeat, api calls, probes *probeSet) {
	b.mu.Lock()
	b.machine = m
	b.mu.Unlock()
	b.conf, b.api, b.probes = conf, api, probes
	b.fails.retryAfter = 0 // a person who changes something does not want to wait
	clear(b.refused)
	b.state.Reshape(m)
	b.state.Update(b.name, func(s *status.Machine) {
		s.Mismatch = mismatch(m, b.record)
		if b.record != nil {
			s.Interval = b.interval()
		} else if s.Origin == "" { // the store does not say which machine this is
			s.MachineID, s.IdentityRef = m.ID, m.IdentityRef
		}
	})
	b.state.Signal(b.name)
}

// configured returns the machine's current configuration.
func (b *beater) configured() config.Machine {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine
}
