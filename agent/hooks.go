package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	hookTimeout = 10 * time.Second
	// hookConcurrency is how many deliveries to one hook run at a time, for all machines.
	hookConcurrency = 4
	hookBody        = 8 << 10 // bytes of a response that are read
)

// hook is one local program that gets the notifications of every machine.
type hook struct {
	target string
	url    string
	client *http.Client
	slots  chan struct{}
}

// newHook makes the client of a hook. It reaches this host alone: no proxy, no redirect,
// and the address is checked when it connects. transport replaces it in tests.
func newHook(target string, transport http.RoundTripper) *hook {
	h := &hook{target: target, url: target, slots: make(chan struct{}, hookConcurrency)}
	dialer := &net.Dialer{Timeout: hookTimeout, KeepAlive: -1, Control: func(_, address string, _ syscall.RawConn) error {
		return checkLoopback(address)
	}}
	dial := dialer.DialContext
	if path, ok := config.UnixHook(target); ok {
		h.url = "http://localhost/"
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: hookTimeout}).DialContext(ctx, "unix", path)
		}
	}
	if transport == nil {
		transport = &http.Transport{
			DialContext: dial, DisableCompression: true, MaxIdleConnsPerHost: 1, MaxConnsPerHost: hookConcurrency, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 16 << 10,
		}
	}
	h.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h
}

func checkLoopback(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

var errNotLoopback = errors.New("its name does not resolve to a loopback address")

// deliveryError is a delivery that did not succeed.
type deliveryError struct {
	result    string // a label of status.DeliveryResults
	detail    string
	responded bool // the hook is there, and does not accept this notification
}

func (e *deliveryError) Error() string { return e.detail }

// post delivers one notification. The body is the message as it was received.
func (h *hook) post(ctx context.Context, machine, version string, n *notification) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(n.raw))
	if err != nil {
		return &deliveryError{"network", "the request cannot be made", false}
	}
	id := sha256.Sum256(n.raw)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "peaqos-agent/"+version)
	req.Header.Set("Peaqos-Machine", machine)
	req.Header.Set("Peaqos-Machine-Id", n.machineID)
	req.Header.Set("Peaqos-Notification", hex.EncodeToString(id[:16]))
	res, err := h.client.Do(req)
	if err != nil {
		return hookFault(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, hookBody)) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &deliveryError{"http", fmt.Sprintf("HTTP %d", res.StatusCode), true}
	}
	return nil
}

// hookFault describes a delivery without a response.
func hookFault(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return &deliveryError{"timeout", "no response within " + hookTimeout.String(), false}
	case errors.Is(err, errNotLoopback):
		return &deliveryError{"network", errNotLoopback.Error(), false}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &deliveryError{"network", "connection refused: nothing listens there", false}
	case errors.Is(err, syscall.ENOENT):
		return &deliveryError{"network", "there is no such socket", false}
	case errors.Is(err, syscall.EACCES):
		return &deliveryError{"network", "the agent's user may not connect to it", false}
	}
	return &deliveryError{"network", "the connection failed", false}
}

// courier delivers the notifications of one machine to one hook, several purchases at a
// time and each purchase in order.
type courier struct {
	machine string
	index   int // of the hook in the state
	hook    *hook
	queue   *queue
	state   *status.Tracker
	log     *zap.Logger
	version string
}

// run delivers until the context ends. What is under way then is canceled, and delivered
// again by the next process.
func (c *courier) run(ctx context.Context) error {
	var underway sync.WaitGroup
	defer underway.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		n, wait := c.queue.next(c.hook.target, time.Now())
		if n == nil {
			timer.Stop()
			if wait > 0 {
				timer.Reset(wait)
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-c.queue.wake[c.hook.target]:
			case <-timer.C:
			}
			continue
		}
		select {
		case <-ctx.Done():
			c.queue.release(c.hook.target, n)
			return context.Cause(ctx)
		case c.hook.slots <- struct{}{}:
		}
		underway.Go(func() {
			defer func() { <-c.hook.slots }()
			c.deliver(ctx, n)
		})
	}
}

// deliver makes one attempt and records its result.
func (c *courier) deliver(ctx context.Context, n *notification) {
	err := c.hook.post(ctx, c.machine, c.version, n)
	now := time.Now()
	var failed *deliveryError
	switch {
	case err == nil:
		c.queue.delivered(c.hook.target, n)
	case ctx.Err() != nil:
		c.queue.release(c.hook.target, n)
		return
	case errors.As(err, &failed):
		c.queue.failed(c.hook.target, n, failed.responded, now)
	}
	length, size, fault := c.queue.figures()
	var recovered, broke bool
	var cause *status.Cause
	c.state.Update(c.machine, func(m *status.Machine) {
		if m.Control == nil {
			return
		}
		setQueue(m.Control, length, size, fault)
		s := &m.Control.Hooks[c.index]
		if failed == nil {
			recovered = s.Cause != nil
			s.Cause, s.Failures, s.LastSuccess = nil, 0, now
			s.Deliveries["success"]++
			return
		}
		cause = status.NewCause(status.CodeHookFailing, c.hook.target+": "+failed.detail)
		broke = s.Cause == nil || s.Cause.Text != cause.Text
		s.Cause, s.Failures = cause, s.Failures+1
		s.Deliveries[failed.result]++
	})
	where := []zap.Field{zap.String("machine", c.machine), zap.String("hook", c.hook.target)}
	switch {
	case broke:
		c.log.Warn(cause.Text, append(where, code(status.CodeHookFailing))...)
	case recovered:
		c.log.Info("the hook accepts notifications again", append(where, code(status.CodeHookRecovered))...)
	}
}

func setQueue(s *status.Control, length, size int, fault error) {
	s.Queued, s.QueuedBytes, s.QueueFault = length, size, ""
	if fault != nil {
		s.QueueFault = status.Sanitize(fault.Error())
	}
	if length < maxQueued/2 && size < maxQueuedBytes/2 {
		s.Dropping = false
	}
}
