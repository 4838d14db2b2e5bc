package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

const (
	// controlInterval is the distance of the grid points at which an agent connects.
	controlInterval = 30 * time.Second
	// serviceCheck is how often a service that has nothing due looks at the machine's state.
	serviceCheck = 5 * time.Second
	// controlStable is how long a socket must have been open to count as working: a
	// server that closes each at once is connected to less and less often.
	controlStable  = controlInterval
	controlConnect = 10 * time.Second // of one handshake

	// maxControlMessage is the largest message, in bytes. Bulk data never travels here.
	maxControlMessage = 64 << 10
	// Messages are read no faster than this in the long run, in KiB and with at least 1
	// for each: the orchestrator does not decide how much memory this device uses and
	// how much it writes to its disk.
	paceBurst     = 512
	paceASecond   = 20
	maxPurchaseID = 256 // bytes
)

// control keeps one control socket of a machine open and puts what arrives into the
// queue of the hooks. It reads the state and the record of the machine and writes only
// its own part of the state.
type control struct {
	name   string // of the machine
	origin string // to which the token may be sent
	state  *status.Tracker
	log    *zap.Logger
	start  time.Time // anchor of the grid
	queue  *queue
	record func() (*keystore.Agent, error) // reads the machine's record; the caller wipes it
	held   func() bool                     // whether the store has, or had, a record of the machine
	dial   func(context.Context, *keystore.Agent) (*sdk.ControlSocket, error)

	fails       failures
	connections int // made so far, which numbers them
	socket      *openSocket
	pace        pace
}

// openSocket is a socket that is open.
type openSocket struct {
	*sdk.ControlSocket
	number int
	record *keystore.Agent
	since  time.Time
	stop   context.CancelFunc
	ended  chan error // gets why reading has ended, and is closed
}

// services prepares presence and the control socket of every machine, as the
// configuration asks for it, and returns their tasks. They have connections of their
// own: nothing they do can delay a heartbeat.
func (a *Agent) services() ([]task, error) {
	var tasks []task
	add := func(loop string, run func(context.Context) error) {
		a.watchdog.register(loop)
		tasks = append(tasks, task{loop, run})
	}
	var hooks []*hook
	if a.cfg.Control.Enabled {
		for _, target := range a.cfg.Control.Hooks {
			hooks = append(hooks, newHook(target, a.opts.Hook))
		}
	}
	for _, m := range a.cfg.Machines {
		if a.cfg.Presence.Enabled {
			transport, err := a.serviceTransport()
			if err != nil {
				return nil, err
			}
			p, err := a.newPusher(m.Name, transport)
			if err != nil {
				return nil, err
			}
			add(p.loop(), func(ctx context.Context) error { return p.run(ctx, a.watchdog) })
		}
		if !a.cfg.Control.Enabled {
			continue
		}
		c, err := a.newControl(m)
		if err != nil {
			return nil, err
		}
		add(c.loop(), func(ctx context.Context) error { return c.run(ctx, a.watchdog) })
		for i, h := range hooks {
			courier := &courier{machine: m.Name, index: i, hook: h, queue: c.queue, state: a.state, log: a.log, version: a.opts.Version}
			tasks = append(tasks, task{"hook/" + m.Name, courier.run})
		}
	}
	return tasks, nil
}

// closeQueues closes the files of the queues, when nothing is delivered any more.
func (a *Agent) closeQueues() {
	for _, q := range a.queues {
		_ = q.close()
	}
	a.queues = nil
}

// serviceTransport makes a connection pool of its own.
func (a *Agent) serviceTransport() (http.RoundTripper, error) {
	if a.opts.Transport != nil {
		return a.opts.Transport, nil
	}
	return newTransport(a.cfg, a.log), nil
}

// newControl makes the control task of one machine, with what an earlier process left
// in its queue.
func (a *Agent) newControl(m config.Machine) (*control, error) {
	transport, err := a.serviceTransport()
	if err != nil {
		return nil, err
	}
	client, err := newClient(a.cfg, transport, a.opts.Version, sdk.Secret{})
	if err != nil {
		return nil, err
	}
	queue, err := openQueue(filepath.Join(a.cfg.Keystore.Dir, "control", m.Name+".queue"), a.cfg.Control.Hooks)
	if err != nil {
		a.log.Error(status.NewCause(status.CodeQueueNotDurable, err.Error()).Text, code(status.CodeQueueNotDurable), zap.String("machine", m.Name))
	}
	a.queues = append(a.queues, queue)
	return &control{
		name: m.Name, origin: a.origin, state: a.state, log: a.log, start: time.Now(), queue: queue,
		record: func() (*keystore.Agent, error) { return a.store.Agent(m.Name) },
		held:   func() bool { return a.store.EverHeld(m.Name) },
		dial: func(ctx context.Context, r *keystore.Agent) (*sdk.ControlSocket, error) {
			return sdk.ConnectControlSocket(ctx, client, r.MachineID, sdk.ControlSocketOptions{
				AgentID: sdk.Some(r.AgentID), AgentToken: sdk.Some(sdk.NewSecret(string(r.Token.Reveal()))), MaxMessage: maxControlMessage,
			})
		},
	}, nil
}

func (c *control) loop() string { return "control/" + c.name }

// run keeps the socket open until the context ends.
func (c *control) run(ctx context.Context, dog *watchdog) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // when to connect; zero: not planned
	for {
		var ended chan error
		if c.socket != nil {
			ended = c.socket.ended
		}
		select {
		case <-ctx.Done():
			c.close()
			return context.Cause(ctx)
		case err := <-ended:
			c.lost(err)
			due = time.Time{}
		case <-timer.C:
		}
		dog.checkIn(c.loop())
		due = c.turn(ctx, time.Now(), due)
		timer.Reset(min(untilNextTurn(time.Now(), due, dog.maxWait), serviceCheck))
	}
}

// turn compares the socket with the machine's state, and connects when it is time. It
// returns when that is; the zero time while the socket is open or must not be.
func (c *control) turn(ctx context.Context, now, due time.Time) time.Time {
	m, _ := c.state.Machine(c.name)
	length, size, fault := c.queue.figures()
	c.update(func(s *status.Control) { setQueue(s, length, size, fault) })
	if why := mustNotConnect(m); why != "" {
		if m.State == status.Unenrolled && length > 0 && !c.held() {
			c.queue.clear() // the identity of this device was deleted
		}
		c.close()
		c.fails = failures{}
		c.settle(status.ServiceWaiting, status.NewCause(status.CodeControlPending, why))
		return c.plan(time.Time{})
	}
	if c.socket != nil && c.socket.record.AgentID != m.AgentID {
		c.close() // a rotation: the new agent connects at its own time
	}
	if c.socket != nil {
		return time.Time{}
	}
	if due.IsZero() {
		return c.plan(c.grid(m).next(now, c.fails))
	}
	if now.Before(due) {
		return due
	}
	if c.connect(ctx) {
		return c.plan(time.Time{})
	}
	return c.plan(c.grid(m).next(time.Now(), c.fails))
}

// mustNotConnect says why a machine in this state opens no socket; empty if it may. A
// token that was rejected is tried by the heartbeats alone.
func mustNotConnect(m status.Machine) string {
	switch {
	case m.AgentID == "":
		return "the machine is not enrolled"
	case m.State == status.Rejected, m.State == status.Revoked, m.State == status.Quarantined, m.State == status.Locked, m.State == status.Unenrolled:
		return "the machine is " + string(m.State)
	}
	return ""
}

func (c *control) grid(m status.Machine) grid {
	return newGrid(c.start, m.MachineID, "control/"+m.AgentID, controlInterval)
}

// connect opens the socket and starts reading.
func (c *control) connect(ctx context.Context) bool {
	record, err := c.record()
	if err != nil || record.Origin != c.origin {
		return false // the state says so soon
	}
	dialing, cancel := context.WithTimeout(ctx, controlConnect)
	socket, err := c.dial(dialing, record)
	cancel()
	if err != nil {
		wipeTokens(record)
		if ctx.Err() == nil {
			c.refused(err)
		}
		return false
	}
	c.connections++
	reading, stop := context.WithCancel(ctx)
	c.socket = &openSocket{
		ControlSocket: socket, number: c.connections, record: record, since: time.Now(), stop: stop, ended: make(chan error, 1),
	}
	go func(s *openSocket) {
		defer close(s.ended)
		s.ended <- c.read(reading, s)
	}(c.socket)
	c.update(func(s *status.Control) { s.Connections["connected"]++; s.RetryAfter = 0 })
	c.settle(status.ServiceOnline, nil)
	return true
}

// refused records a handshake that failed.
func (c *control) refused(err error) {
	v := judge(err, time.Now())
	c.fails = c.fails.count(v)
	result, state := "failed", status.ServiceFailing
	cause := status.NewCause(status.CodeControlUnreachable, networkDetail(v.cause))
	switch v.kind {
	case refusedToken, refusedAgent, refusedEndpoints, refusedOther:
		result, state = "refused", status.ServiceRefused
		cause = status.NewCause(status.CodeControlRejected, v.cause.Text)
	case waitAsked:
		cause = status.NewCause(status.CodeControlRetryAfter, "")
	case middlebox:
		cause = status.NewCause(status.CodeControlUnreachable, v.cause.Text)
	case unreachable:
		var api *sdk.APIError
		if errors.As(err, &api) {
			cause = status.NewCause(status.CodeControlUnreachable, fmt.Sprintf("HTTP %d", api.StatusCode))
		}
	}
	c.update(func(s *status.Control) {
		s.Connections[result]++
		s.Failures, s.RetryAfter = c.fails.inRow, v.retryAfter
	})
	c.settle(state, cause)
}

// lost records the end of a socket. Its own text is not shown: the server wrote it.
func (c *control) lost(err error) {
	lasted := time.Since(c.socket.since)
	c.close()
	if lasted < controlStable {
		c.fails = c.fails.count(verdict{kind: unreachable})
	} else {
		c.fails = failures{}
	}
	detail := "by the orchestrator"
	var socket *sdk.SocketError
	if errors.As(err, &socket) {
		detail = "the connection broke"
		if socket.CloseCode != 0 {
			detail = fmt.Sprintf("by the orchestrator, close code %d", socket.CloseCode)
		}
	}
	c.update(func(s *status.Control) { s.Failures = c.fails.inRow })
	c.settle(status.ServiceFailing, status.NewCause(status.CodeControlClosed, detail))
}

// close ends an open socket and waits for its reader.
func (c *control) close() {
	if c.socket == nil {
		return
	}
	c.socket.stop()
	_ = c.socket.CloseNow()
	for range c.socket.ended {
	}
	wipeTokens(c.socket.record)
	c.socket = nil
}

// read takes over the messages of one socket until it ends. The next message is read
// only when the one before is on disk, and so is a ping answered: its answer tells the
// orchestrator that all before it has arrived.
func (c *control) read(ctx context.Context, s *openSocket) error {
	for message, err := range s.Messages(ctx) {
		if wait := c.pace.take(time.Now(), costOf(message)); wait > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
		var frame *sdk.ControlFrameError
		switch {
		case errors.As(err, &frame):
			c.reject("it cannot be read")
		case err != nil:
			return err
		default:
			c.receive(s, message)
		}
	}
	return nil
}

// receive takes over one message: everything but greetings and acknowledgments goes to
// the hooks, whether its type is known or not.
func (c *control) receive(s *openSocket, message sdk.ControlMessage) {
	var raw json.RawMessage
	var kind string
	switch m := message.(type) {
	case *sdk.ControlNotification:
		raw, kind = m.Raw, m.Type
	case *sdk.ControlUnknown:
		raw, kind = m.Raw, m.Type
	default:
		return
	}
	for _, token := range tokensOf(s.record) {
		if holds(raw, token) {
			c.reject("it contains the agent token")
			return
		}
	}
	result := c.queue.push(s.record.MachineID, laneOf(raw), raw, keyOf(kind, raw), s.number)
	length, size, fault := c.queue.figures()
	var began bool
	c.update(func(s *status.Control) {
		s.LastMessage = time.Now()
		s.Messages[string(result)]++
		setQueue(s, length, size, fault)
		if result == pushDropped {
			began = !s.Dropping
			s.Dropping = true
		}
	})
	if began {
		c.log.Error(status.NewCause(status.CodeQueueFull, fmt.Sprintf("%d are waiting", length)).Text, code(status.CodeQueueFull), zap.String("machine", c.name))
	}
}

// reject counts a message that is not passed on.
func (c *control) reject(why string) {
	c.update(func(s *status.Control) { s.Messages["rejected"]++ })
	c.log.Warn(status.NewCause(status.CodeControlMessage, why).Text, code(status.CodeControlMessage), zap.String("machine", c.name))
}

// tokensOf are the secrets that a record holds.
func tokensOf(r *keystore.Agent) [][]byte {
	tokens := [][]byte{r.Token.Reveal()}
	if r.Pending != nil {
		tokens = append(tokens, r.Pending.Token.Reveal())
	}
	return tokens
}

// holds reports whether a message contains a secret, as it is or escaped.
func holds(raw, secret []byte) bool {
	if len(secret) == 0 {
		return false
	}
	if bytes.Contains(raw, secret) {
		return true
	}
	if !bytes.ContainsRune(raw, '\\') {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := dec.Token()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		if text, ok := token.(string); ok && strings.Contains(text, string(secret)) {
			return true
		}
	}
}

// purchase is the part of a payload that is looked at.
type purchase struct {
	PurchaseID     string `json:"purchaseId"`
	Rail           string `json:"rail"`
	Reference      string `json:"reference"`
	PaymentStatus  string `json:"paymentStatus"`
	DeliveryStatus string `json:"deliveryStatus"`
}

func purchaseOf(raw json.RawMessage) purchase {
	var message struct {
		Payload purchase `json:"payload"`
	}
	_ = json.Unmarshal(raw, &message) // a payload of another shape names no purchase
	return message.Payload
}

// laneOf is what a notification is delivered in order with: its purchase, or all others
// that name none.
func laneOf(raw json.RawMessage) string {
	id := purchaseOf(raw).PurchaseID
	if len(id) > maxPurchaseID {
		return ""
	}
	return id
}

// keyOf identifies a notification over reconnects. The contract gives an id for one type
// alone; the others are passed on as often as they come.
func keyOf(kind string, raw json.RawMessage) string {
	p := purchaseOf(raw)
	if kind != sdk.NotifyPaymentProofRecorded || p.PurchaseID == "" || p.Reference == "" {
		return ""
	}
	return strings.Join([]string{p.PurchaseID, p.Rail, p.Reference, p.PaymentStatus, p.DeliveryStatus}, "\x00")
}

// costOf is what reading a message costs: its size in KiB. One that cannot be read counts
// as the largest.
func costOf(message sdk.ControlMessage) float64 {
	switch m := message.(type) {
	case *sdk.ControlNotification:
		return 1 + float64(len(m.Raw)>>10)
	case *sdk.ControlUnknown:
		return 1 + float64(len(m.Raw)>>10)
	case nil:
		return maxControlMessage >> 10
	}
	return 1
}

// pace limits how fast messages are read: a burst at once, then so much a second.
type pace struct {
	spent float64
	at    time.Time
}

// take returns how long to wait before a message of this cost is handled.
func (p *pace) take(now time.Time, cost float64) time.Duration {
	if !p.at.IsZero() {
		p.spent = max(p.spent-now.Sub(p.at).Seconds()*paceASecond, 0)
	}
	p.at = now
	p.spent += cost
	if p.spent <= paceBurst {
		return 0
	}
	return time.Duration(cost / paceASecond * float64(time.Second))
}

func (c *control) plan(at time.Time) time.Time {
	c.update(func(s *status.Control) { s.NextAttempt = at })
	return at
}

func (c *control) update(f func(*status.Control)) {
	c.state.Update(c.name, func(m *status.Machine) {
		if m.Control != nil {
			f(m.Control)
		}
	})
}

// settle writes the state and logs it, once per change.
func (c *control) settle(state status.ServiceState, cause *status.Cause) {
	var changed bool
	c.update(func(s *status.Control) {
		changed = s.SetState(state, cause, time.Now())
		if state == status.ServiceOnline {
			s.Failures = 0
		}
	})
	machine := zap.String("machine", c.name)
	switch {
	case !changed:
	case cause == nil:
		c.log.Info("the control socket is open", code(status.CodeControlConnected), machine)
	case cause.Code != status.CodeControlPending:
		c.log.Warn(cause.Text, code(cause.Code), machine)
	}
}
