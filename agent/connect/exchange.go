package connect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// maxAttempts bounds the attempts of one request.
	maxAttempts = 4
	// patience is how long an attempt may be silent before another one is considered; a
	// third of the time that is left, if that is less.
	patience = 3 * time.Second
	// smallAgain is when the small hello is tried again after it did not help.
	smallAgain = 10 * time.Minute
)

// exchange is one request, in one attempt or in more.
//
// A second attempt is made in two cases. Nothing of the request has left: the handshake
// got no response, and a smaller hello may. Or the request may be sent twice, and its
// connection, which was used before, broke or is silent.
type exchange struct {
	t          *Transport
	g          *generation
	req        *http.Request
	own        bool
	repeatable bool
	small      bool // the size of the hello, to begin with

	results  chan attemptResult
	attempts []*attempt
	running  int
	tried    bool // the small hello, in addition to the large one
}

// attempt is one round trip.
type attempt struct {
	progress
	small  bool
	fresh  bool // must not use an idle connection
	cancel context.CancelFunc
}

type attemptResult struct {
	a   *attempt
	res *http.Response
	err error
}

// run makes the attempts and returns the first response, or the error that says most.
func (e *exchange) run() (*http.Response, error) {
	e.start(e.small, false)
	timer := time.NewTimer(e.patience())
	defer timer.Stop()
	var failed error
	for {
		select {
		case r := <-e.results:
			e.running--
			if r.err == nil {
				if err := e.wantsCertificate(r); err != nil {
					_ = r.res.Body.Close()
					e.drop(nil)
					return nil, err
				}
				return e.won(r), nil
			}
			r.a.cancel()
			if e.again(r) {
				timer.Reset(e.patience())
				continue
			}
			if v := r.a.view(); failed == nil || !v.abandoned && !v.noHello {
				failed = e.failure(r)
			}
			if e.running == 0 || r.a.view().decisive() {
				e.drop(nil)
				return nil, failed
			}
		case <-timer.C:
			if e.silent() {
				timer.Reset(e.patience())
			}
		}
	}
}

// wantsCertificate is the error of a server that completes the handshake without the
// client certificate that it asked for, and refuses the request with a page of its own,
// as nginx does. It is nil for any other response.
func (e *exchange) wantsCertificate(r attemptResult) error {
	if !r.a.view().asked || strings.Contains(r.res.Header.Get("Content-Type"), "json") {
		return nil
	}
	switch r.res.StatusCode {
	case http.StatusBadRequest, http.StatusForbidden, 495, 496: // the last two are nginx's own
		r.err = fmt.Errorf("HTTP %d without the client certificate that the server asked for", r.res.StatusCode)
		return e.failureAt(r, StageTLS)
	}
	return nil
}

// patience is the time after which an attempt counts as silent.
func (e *exchange) patience() time.Duration {
	if deadline, ok := e.req.Context().Deadline(); ok {
		return min(patience, max(time.Until(deadline)/3, 10*time.Millisecond))
	}
	return patience
}

func (e *exchange) start(small, fresh bool) {
	ctx, cancel := context.WithCancel(e.req.Context())
	a := &attempt{small: small, fresh: fresh, cancel: cancel}
	e.attempts = append(e.attempts, a)
	e.running++
	transport := e.g.transport(small, e.own)
	if fresh {
		transport.CloseIdleConnections()
	}
	req := a.traced(ctx, e.req)
	req.Header.Set("Accept-Encoding", "identity")
	if len(e.attempts) > 1 && e.req.GetBody != nil {
		req.Body, _ = e.req.GetBody() // it succeeded for the first attempt
	}
	go func() {
		res, err := transport.RoundTrip(req)
		e.results <- attemptResult{a, res, err}
	}()
}

// drop ends every attempt but one.
func (e *exchange) drop(keep *attempt) {
	for _, a := range e.attempts {
		if a != keep {
			a.cancel()
		}
	}
	if e.running > 0 {
		go func(running int) {
			for range running {
				if late := <-e.results; late.res != nil {
					_ = late.res.Body.Close()
				}
			}
		}(e.running)
	}
}

// won is the response of the attempt that was first.
func (e *exchange) won(r attemptResult) *http.Response {
	e.drop(r.a)
	v := r.a.view()
	for _, a := range e.attempts {
		other := a.view()
		switch {
		case a == r.a:
		case other.reused && !other.firstByte:
			e.died(other.idle)
		case r.a.small && !a.small && other.noHello:
			e.t.rememberSmall(r.a.local(), hostPort(e.req.URL))
		}
	}
	idle := time.Duration(0)
	if v.reused {
		idle = v.idle
	}
	r.res.Request = e.req
	release := func() {
		r.a.cancel()
		e.t.reuse.used(time.Now(), idle)
	}
	if conn, ok := r.res.Body.(io.ReadWriteCloser); ok { // switched to another protocol
		r.res.Body = &duplex{conn, release}
	} else {
		r.res.Body = &body{r.res.Body, release}
	}
	return r.res
}

// died records a reused connection that was dead.
func (e *exchange) died(idle time.Duration) {
	if limit := e.t.reuse.died(time.Now(), idle); limit > 0 {
		e.t.o.Notify(Event{Kind: ReuseLimit, Limit: limit, Host: hostPort(e.req.URL)})
	}
}

// again starts another attempt after one that failed, if that can help.
func (e *exchange) again(r attemptResult) bool {
	if e.req.Context().Err() != nil || len(e.attempts) >= maxAttempts {
		return false
	}
	v := r.a.view()
	switch {
	case e.repeatable && v.reused && !v.firstByte && e.running == 0:
		e.start(r.a.small, true)
		return true
	case e.running > 0 || v.got:
		return false
	case e.smallMayHelp(r.a, v):
		e.tried = true
		e.start(true, false)
		return true
	case v.abandoned: // its handshake continued after all: what was begun is used now
		e.start(r.a.small, false)
		return true
	}
	return false
}

// decisive reports whether a failure is one of the server, so that no other attempt can
// end differently: the handshake got a response and failed.
func (v view) decisive() bool { return v.stage == StageTLS && !v.noHello && !v.got }

// smallMayHelp reports whether an attempt ended in the handshake without a byte of a
// response, as with a middlebox that loses a hello of two packets.
func (e *exchange) smallMayHelp(a *attempt, v view) bool {
	return !a.small && !e.tried && e.t.smallAllowed() && (v.stage == StageTLS && v.noHello) && !v.got
}

// silent looks at an attempt that has not ended yet, and reports whether to look again.
func (e *exchange) silent() bool {
	a := e.attempts[len(e.attempts)-1]
	v := a.view()
	switch {
	case e.running == 0 || len(e.attempts) >= maxAttempts:
		return false
	case e.repeatable && v.got && v.reused && !v.firstByte:
		e.start(a.small, true) // next to the silent one, which may still get its response
	case v.got:
		return false
	case v.inTLS < e.patience() || !e.smallMayHelp(a, v):
	case e.repeatable:
		e.tried = true
		e.start(true, false) // next to the silent one, which may only be slow
	case a.abandon():
		a.cancel() // again makes the next attempt when this one has ended
	}
	return true
}

// failure is the error of an attempt, with its place.
func (e *exchange) failure(r attemptResult) error { return e.failureAt(r, r.a.view().stage) }

func (e *exchange) failureAt(r attemptResult, stage Stage) error {
	v := r.a.view()
	if e.tried && r.a.small {
		e.t.smallFailed()
	}
	out := &Error{
		Stage: stage, Host: hostPort(e.req.URL), Address: v.address, Proxy: proxyOf(e.req, e.t.choose),
		ClientCertificate: v.asked, NoHello: v.noHello, SmallHello: e.tried, Err: r.err,
	}
	var unknown x509.UnknownAuthorityError
	out.NoRoots = errors.As(r.err, &unknown) && !e.g.roots && NoSystemRoots()
	if out.Proxy == "" && out.Stage == StageProxy {
		out.Stage = StageTLS // connected, but the handshake has not begun
		if e.req.URL.Scheme == "http" {
			out.Stage = StageTCP
		}
	}
	return out
}

// rememberSmall remembers that the large hello is lost where this machine has that
// address.
func (t *Transport) rememberSmall(local netip.Addr, host string) {
	t.mu.Lock()
	known := t.small[local]
	if len(t.small) > 16 {
		clear(t.small)
	}
	t.small[local] = true
	t.mu.Unlock()
	if !known {
		t.o.Notify(Event{Kind: SmallHello, Host: host})
	}
}

// smallHere reports whether this machine still has an address where the large hello is
// lost.
func (t *Transport) smallHere() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.small) == 0 {
		return false
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && t.small[ip.Unmap()] {
				return true
			}
		}
	}
	return false
}

// smallAllowed reports whether the small hello may be tried: not again and again where
// it does not help.
func (t *Transport) smallAllowed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.noSmall.IsZero() || time.Since(t.noSmall) >= smallAgain
}

func (t *Transport) smallFailed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noSmall = time.Now()
}
