package sandbox

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the orchestrator: an http.Handler that is safe for concurrent use. One lock guards its
// whole state.
type Server struct {
	apiKeys         [][32]byte
	pairingNeedsKey bool
	enforceRails    bool

	presenceNeedsOptIn bool
	contracts          contracts
	replay             int // notifications that a new control socket gets again

	pagesBySequence bool
	decimalRefs     bool // identities of the form did:peaq:0x… are rejected
	trustFirst      bool // the first signer becomes the controller
	hosts           []string
	challengeTTL    time.Duration
	sessionTTL      time.Duration
	quoteTTL        time.Duration
	stateFile       string
	rpc             map[string]string // RPC addresses by chain
	outbound        http.RoundTripper
	router          *router
	market          *catalogue
	began           time.Time

	requests atomic.Uint64
	skew     atomic.Int64 // of the clock, in nanoseconds
	faults   faults

	mu          sync.Mutex // guards the fields below
	controllers map[string][]string
	unreachable bool // the identity registry
	leaseMax    time.Duration
	st          state
	byIdentity  map[string]string // canonical identity → machine id
	live        connections       // open sockets and streams
	presences   map[string]presence
	pushes      struct{ accepted, refused uint64 }
	optIns      map[string]optIn
	snakeCase   uint64
	generation  uint64 // grows with each change that must be saved

	save saving
}

// New returns a ready server. It panics if an option or the state file is invalid; [Open] returns
// an error instead.
func New(opts ...Option) *Server {
	s, err := Open(opts...)
	if err != nil {
		panic(err)
	}
	return s
}

// Open is like [New] but returns an error for an invalid option, such as a malformed address, a
// lease out of range or a state file that cannot be read.
func Open(opts ...Option) (*Server, error) {
	s := &Server{
		challengeTTL: defaultChallengeTTL, sessionTTL: defaultSessionTTL, quoteTTL: defaultQuoteTTL, leaseMax: maxLease,
		rpc: map[string]string{}, controllers: map[string][]string{}, outbound: outboundTransport(true), began: time.Now(),
		contracts: contracts{3338, "0x64b93cc29b251fafa83bd110cdb1c24207f85536"},
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

// Close ends all sockets and streams and writes the state file a last time. Requests that arrive
// later are still served.
func (s *Server) Close() error {
	s.mu.Lock()
	s.live.closeAll()
	s.generation++
	s.mu.Unlock()
	s.persist(true)
	return s.save.lastError()
}

// Now returns the time of the server's clock, to the millisecond: the system time plus the offset
// set by a scenario or [Server.SetClock].
func (s *Server) Now() time.Time {
	return time.Now().Add(time.Duration(s.skew.Load())).UTC().Truncate(time.Millisecond)
}

// SetClock shifts the server's clock by d, for everything it reports and decides.
func (s *Server) SetClock(d time.Duration) { s.skew.Store(int64(d)) }

// SetFault sets a function that picks the fault of each request; a nil function or a nil result
// means no fault. It takes precedence over a scenario.
func (s *Server) SetFault(f func(*http.Request) *Fault) { s.faults.set(f) }

// ServeHTTP serves one request, or injects a fault into it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.faults.of(s, r); f != nil {
		f.serve(s, w, r)
		return
	}
	s.serve(w, r)
}

// HTTPServer returns an http.Server for this handler with limits that suit untrusted clients: header
// size, header timeout and idle timeout. It logs nothing, because net/http's messages contain what
// clients sent. If the API is open, it rejects requests with an unknown Host header (see [WithHosts]).
func (s *Server) HTTPServer() *http.Server { return newHTTPServer(s.guarded()) }

// AdminServer is [Server.HTTPServer] for the admin interface.
func (s *Server) AdminServer() *http.Server { return newHTTPServer(s.Admin()) }

func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: reportsPanics(h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// reportsPanics prints where a bug of the sandbox occurred, without the value of the panic, which
// could contain what a client sent, and closes the connection.
func reportsPanics(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler {
				fmt.Fprintf(os.Stderr, "sandbox: internal error, please report it:\n%s", debug.Stack())
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r)
	})
}

// changed marks the state as modified, so that it is saved. The caller holds the lock.
func (s *Server) changed() { s.generation++ }

// next returns a sequence number that no row had before. The caller holds the lock.
func (s *Server) next() uint64 { s.st.Seq++; return s.st.Seq }
