package sandbox

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the orchestrator. It is safe for concurrent use.
type Server struct {
	apiKeys         [][32]byte
	pairingNeedsKey bool
	enforceRails    bool
	challengeTTL    time.Duration
	sessionTTL      time.Duration
	quoteTTL        time.Duration
	stateFile       string
	rpc             map[string]string // by chain
	outbound        http.RoundTripper
	router          *router
	market          *catalogue
	began           time.Time

	requests atomic.Uint64
	skew     atomic.Int64 // of the server's clock, nanoseconds
	faults   faults

	mu          sync.Mutex // holds what follows
	controllers map[string][]string
	leaseMax    time.Duration
	st          state
	byIdentity  map[string]string // canonical ref → machine that holds it
	live        connections       // sockets and streams that are open
	snakeCase   uint64
	generation  uint64 // grows with each change that must be kept

	save saving
}

// New returns a server that is ready to use, with or without options. An option
// or a state file that cannot be accepted panics; use [Open] to be told instead.
func New(opts ...Option) *Server {
	s, err := Open(opts...)
	if err != nil {
		panic(err)
	}
	return s
}

// Open is [New] for options that can fail: an address that is none, a lease out
// of range, a state file that cannot be read.
func Open(opts ...Option) (*Server, error) {
	s := &Server{
		challengeTTL: defaultChallengeTTL, sessionTTL: defaultSessionTTL, quoteTTL: defaultQuoteTTL, leaseMax: maxLease,
		rpc: map[string]string{}, controllers: map[string][]string{}, outbound: outboundTransport(), began: time.Now(),
	}
	s.st, s.byIdentity = newState(), map[string]string{}
	var errs []error
	for _, o := range opts {
		errs = append(errs, o(s))
	}
	market, err := newCatalogue()
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.market = market
	s.router = newRouter(s.routes())
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends every socket and stream and writes the state file a last time. A
// request that comes later is still answered.
func (s *Server) Close() error {
	s.mu.Lock()
	s.live.closeAll()
	s.generation++
	s.mu.Unlock()
	s.persist(true)
	return s.save.lastError()
}

// Now is the time by the server's clock: the caller's, plus what a scenario or
// [Server.SetClock] put it off, to the millisecond.
func (s *Server) Now() time.Time {
	return time.Now().Add(time.Duration(s.skew.Load())).UTC().Truncate(time.Millisecond)
}

// SetClock puts the server's clock off by d, for all it says and decides.
func (s *Server) SetClock(d time.Duration) { s.skew.Store(int64(d)) }

// SetFault decides per request what goes wrong; nil, or a nil answer, is health.
// It is asked before a scenario is.
func (s *Server) SetFault(f func(*http.Request) *Fault) { s.faults.set(f) }

// ServeHTTP answers one request, or misbehaves as a fault says.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.faults.of(s, r); f != nil {
		f.serve(s, w, r)
		return
	}
	s.serve(w, r)
}

// HTTPServer is an http.Server for this handler, with limits fit for strangers:
// what a client may take for its header, how long an idle connection stays.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// changed notes that something must be kept; the caller holds the lock.
func (s *Server) changed() { s.generation++ }

// next is a number that no row had before; the caller holds the lock.
func (s *Server) next() uint64 { s.st.Seq++; return s.st.Seq }
