package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// noProxy is for servers on loopback and in bubbles.
func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// peer is an HTTP server on pipes, in fake time, that ends idle connections in one of
// several ways.
type peer struct {
	keepAlive time.Duration // 0: for ever
	forget    atomic.Bool   // like a NAT: the connection stays open and is silent
	requests  atomic.Int64
	conns     atomic.Int64
}

func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p.conns.Add(1)
	go p.serve(server)
	return &piped{Conn: client}, nil
}

// piped gives a pipe an address.
type piped struct{ net.Conn }

func (*piped) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
func (*piped) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000} }

func (p *peer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for last := (time.Time{}); ; last = time.Now() {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if !last.IsZero() && p.keepAlive > 0 && time.Since(last) > p.keepAlive {
			if p.forget.Load() {
				time.Sleep(time.Hour)
			}
			return // the request crosses the end of the connection
		}
		p.requests.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	}
}

func post(t *Transport, ctx context.Context, text string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/", strings.NewReader(text))
	if err != nil {
		return err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// TestKeepAliveCostsNoHeartbeat: whatever the server's idle limit, and also if a NAT
// forgets the connection, none of 1,000 requests is lost, and dying connections are
// soon not used any more.
func TestKeepAliveCostsNoHeartbeat(t *testing.T) {
	const interval = 30 * time.Second
	for _, forget := range []bool{false, true} {
		for _, limit := range []time.Duration{1, 5, 29, 30, 31, 60, 400} {
			t.Run(fmt.Sprint(limit*time.Second, forget), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &peer{keepAlive: limit * time.Second}
					p.forget.Store(forget)
					events := 0
					tr := New(Options{Proxy: noProxy, Dial: p.dial, MaxIdle: time.Hour, Notify: func(Event) { events++ }})
					slow, failed := 0, 0
					for range 1000 {
						ctx, cancel := context.WithTimeout(Repeatable(t.Context()), 10*time.Second)
						began := time.Now()
						if err := post(tr, ctx, "{}"); err != nil {
							failed++
						}
						cancel()
						if time.Since(began) > 5*time.Second {
							t.Errorf("a request took %s", time.Since(began))
						}
						if time.Since(began) > time.Second {
							slow++
						}
						time.Sleep(interval - time.Since(began))
					}
					if failed > 0 || slow > 6 {
						t.Errorf("%d of 1000 failed, %d were slow, %d connections", failed, slow, p.conns.Load())
					}
					if limit >= 60 && p.conns.Load() != 1 {
						t.Errorf("%d connections", p.conns.Load())
					}
					if limit < 30 && events == 0 {
						t.Error("the limit was not learned")
					}
					tr.CloseIdleConnections()
					time.Sleep(2 * time.Hour) // servers that are silent
				})
			})
		}
	}
}

// TestADayOfFaults: 24 hours in which names, addresses and connections fail at random. A
// heartbeat without a fault succeeds, and nothing is left in the end: the bubble ends
// only when every goroutine has.
func TestADayOfFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		p := &peer{keepAlive: 20 * time.Second}
		var fault atomic.Int64
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			switch fault.Load() {
			case 1:
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			case 2:
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return p.dial(ctx, network, address)
		}
		r := &resolver{addrs: map[string][]string{"ip4 o.example.": {"10.0.0.1", "10.0.0.2"}}}
		lookup := func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			switch fault.Load() {
			case 3:
				return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
			case 4:
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return r.lookup(ctx, network, host)
		}
		tr := New(Options{Proxy: noProxy, Dial: dial, Lookup: lookup, MaxIdle: time.Hour})
		lost := 0
		for i := range 24 * 60 * 2 {
			fault.Store(int64(max(0, random.IntN(9)-4)))
			p.forget.Store(random.IntN(2) == 0)
			began := time.Now()
			ctx, cancel := context.WithTimeout(Repeatable(t.Context()), 10*time.Second)
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://o.example/", strings.NewReader("{}"))
			res, err := tr.RoundTrip(req)
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			cancel()
			if err != nil && fault.Load() == 0 {
				t.Errorf("heartbeat %d without a fault: %v", i, err)
			}
			if err != nil {
				lost++
			}
			time.Sleep(30*time.Second - time.Since(began))
		}
		if lost == 0 || lost > 24*60*2/2 {
			t.Errorf("%d heartbeats were lost", lost)
		}
		fault.Store(0)
		tr.CloseIdleConnections()
		time.Sleep(2 * time.Hour)
	})
}

// TestNothingElseIsSentTwice: a request that is not marked fails with its connection.
func TestNothingElseIsSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{keepAlive: time.Second}
		tr := New(Options{Proxy: noProxy, Dial: p.dial, MaxIdle: time.Hour})
		if err := post(tr, t.Context(), "{}"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		var failed *Error
		if err := post(tr, t.Context(), "{}"); !errors.As(err, &failed) || failed.Stage != StageResponse || p.requests.Load() != 1 {
			t.Errorf("%v, %d requests", err, p.requests.Load())
		}
		// On a connection of its own it is not affected by what was there before.
		for range 3 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/", strings.NewReader("{}"))
			res, err := tr.Once().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		if p.conns.Load() != 4 {
			t.Errorf("%d connections, want one each", p.conns.Load())
		}
		tr.CloseIdleConnections()
		synctest.Wait()
	})
}

// resolver is a resolver in fake time.
type resolver struct {
	mu    sync.Mutex
	addrs map[string][]string // "ip4 host"
	delay map[string]time.Duration
	asked []string
}

func (r *resolver) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	key := network + " " + host
	r.asked = append(r.asked, key)
	delay, found := r.delay[key], r.addrs[key]
	r.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, a := range found {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// TestNames: how long it takes to be connected, and which address it is.
func TestNames(t *testing.T) {
	const dead = "192.0.2." // an address that never responds
	for _, c := range []struct {
		name   string
		addrs  map[string][]string
		delay  map[string]time.Duration
		within time.Duration // of the first request
		next   time.Duration // of a request after the connection was closed
	}{
		{"plain", map[string][]string{"ip4 o.example.": {"10.0.0.1"}}, nil, 100 * time.Millisecond, 100 * time.Millisecond},
		{"AAAA dropped", map[string][]string{"ip4 o.example.": {"10.0.0.1"}}, map[string]time.Duration{"ip6 o.example.": 20 * time.Second}, 100 * time.Millisecond, 400 * time.Millisecond},
		{"IPv6 only", map[string][]string{"ip6 o.example.": {"2001:db8::1"}}, nil, 100 * time.Millisecond, 100 * time.Millisecond},
		{"dead name server", map[string][]string{"ip4 o.example.": {"10.0.0.1"}}, map[string]time.Duration{"ip4 o.example.": 5 * time.Second, "ip6 o.example.": 5 * time.Second}, 6 * time.Second, 400 * time.Millisecond},
		{"search list", map[string][]string{"ip4 o.example": {"10.0.0.1"}}, nil, 100 * time.Millisecond, 100 * time.Millisecond},
		{"dead first addresses", map[string][]string{"ip4 o.example.": {dead + "1", dead + "2", dead + "3", "10.0.0.1"}}, nil, time.Second, 100 * time.Millisecond},
		{"dead IPv6", map[string][]string{"ip4 o.example.": {"10.0.0.1"}, "ip6 o.example.": {"2001:db8::dead"}}, nil, 400 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{}
				dial := func(ctx context.Context, network, address string) (net.Conn, error) {
					if strings.HasPrefix(address, dead) || strings.Contains(address, "dead") {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return p.dial(ctx, network, address)
				}
				r := &resolver{addrs: c.addrs, delay: c.delay}
				tr := New(Options{Proxy: noProxy, Dial: dial, Lookup: r.lookup, MaxIdle: time.Hour})
				ask := func(limit time.Duration) time.Duration {
					began := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://o.example/", nil)
					res, err := tr.RoundTrip(req)
					if err != nil {
						t.Fatalf("after %s: %v", time.Since(began), err)
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					if took := time.Since(began); took > limit {
						t.Errorf("took %s, want %s", took, limit)
					}
					return 0
				}
				ask(c.within)
				time.Sleep(time.Minute)
				tr.CloseIdleConnections()
				ask(c.next)
				tr.CloseIdleConnections()
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

// TestLateNameServesTheNextRequest: a resolver that takes longer than a request.
func TestLateNameServesTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		r := &resolver{
			addrs: map[string][]string{"ip4 o.example.": {"10.0.0.1"}},
			delay: map[string]time.Duration{"ip4 o.example.": 25 * time.Second, "ip6 o.example.": 25 * time.Second},
		}
		tr := New(Options{Proxy: noProxy, Dial: p.dial, Lookup: r.lookup, MaxIdle: time.Hour})
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://o.example/", nil)
			res, err := tr.RoundTrip(req)
			if err == nil {
				_ = res.Body.Close()
			}
			return err
		}
		var failed *Error
		if err := ask(); !errors.As(err, &failed) || failed.Stage != StageName || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(20 * time.Second)
		if err := ask(); err != nil {
			t.Errorf("the second request: %v", err)
		}
		if len(r.asked) != 2 {
			t.Errorf("looked up %q, want each family once", r.asked)
		}
		tr.CloseIdleConnections()
		time.Sleep(2 * time.Minute)
	})
}

// TestBlockedName: 0.0.0.0 is not the address of a server.
func TestBlockedName(t *testing.T) {
	r := &resolver{addrs: map[string][]string{"ip4 o.example.": {"0.0.0.0"}, "ip6 o.example.": {"::"}}}
	tr := New(Options{Proxy: noProxy, Lookup: r.lookup})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://o.example/", nil)
	var blocked *BlockedNameError
	if _, err := tr.RoundTrip(req); !errors.As(err, &blocked) {
		t.Errorf("%v", err)
	}
}

func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// quiet drops what a test server logs.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
