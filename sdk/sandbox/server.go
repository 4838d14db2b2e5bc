package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	maxBody             = 1 << 20
	defaultChallengeTTL = 5 * time.Minute
	defaultLease        = 90 * time.Second
	maxLease            = 24 * time.Hour
	maxChallenges       = 10_000
	maxAudit            = 10_000
)

// Server is the orchestrator. It is safe for concurrent use.
type Server struct {
	apiKeys      map[[32]byte]bool
	controllers  map[string]string // canonical ref → address; "" = every decimal identity
	leaseMax     time.Duration
	challengeTTL time.Duration
	stateFile    string

	mu    sync.Mutex
	fault func(*http.Request) *Fault
	data  data
	saved error // of the newest snapshot
	mux   *http.ServeMux
}

// Option sets up a server.
type Option func(*Server)

// WithAPIKey asks for this key on platform calls; may be given more than once.
// Without any the API is open.
func WithAPIKey(key string) Option {
	return func(s *Server) { s.apiKeys[sha256.Sum256([]byte(key))] = true }
}

// WithController names the address that controls an identity; an empty ref means
// every decimal identity without one of its own.
func WithController(ref, address string) Option {
	return func(s *Server) { s.controllers[canonical(ref)] = address }
}

// WithLeaseMax grants no lease longer than d.
func WithLeaseMax(d time.Duration) Option { return func(s *Server) { s.leaseMax = d } }

// WithChallengeTTL sets the life of a challenge.
func WithChallengeTTL(d time.Duration) Option { return func(s *Server) { s.challengeTTL = d } }

// WithStateFile keeps the state in a file, so that the server can be stopped and
// started; it is read by Open and written durably after each change.
func WithStateFile(path string) Option { return func(s *Server) { s.stateFile = path } }

// New returns a server that is ready to use, with or without options. A state
// file that cannot be read panics; use Open to be told instead.
func New(opts ...Option) *Server {
	s, err := Open(opts...)
	if err != nil {
		panic(err)
	}
	return s
}

// Open is New for a server with a state file.
func Open(opts ...Option) (*Server, error) {
	s := &Server{apiKeys: map[[32]byte]bool{}, controllers: map[string]string{}, leaseMax: maxLease, challengeTTL: defaultChallengeTTL, data: newData()}
	for _, o := range opts {
		o(s)
	}
	s.mux = s.routes()
	return s, s.loadState()
}

// Close writes the state file a last time.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveState()
}

// SetFault decides per request what goes wrong; nil, or a nil answer, is health.
func (s *Server) SetFault(f func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// ServeHTTP answers one request, or misbehaves as the fault says.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.fault
	s.mu.Unlock()
	if f != nil {
		if fault := f(r); fault != nil {
			fault.serve(w, r, s.mux)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	open := func(pattern string, h handler) { mux.HandleFunc(pattern, s.wrap(false, h)) }
	platform := func(pattern string, h handler) { mux.HandleFunc(pattern, s.wrap(true, h)) }
	const v1 = "/api/v1"
	open("GET /health", s.health)
	open("GET "+v1+"/health", s.health)
	open("GET "+v1+"/readiness", s.readiness)
	platform("GET "+v1+"/audit-events", s.listAudit)
	platform("POST "+v1+"/machine-identity/challenges", s.createChallenge)
	platform("GET "+v1+"/machines", s.listMachines)
	platform("POST "+v1+"/machines", s.createMachine)
	platform("GET "+v1+"/machines/{machine}", s.getMachine)
	platform("PATCH "+v1+"/machines/{machine}", s.updateMachine)
	platform("DELETE "+v1+"/machines/{machine}", s.archiveMachine)
	platform("GET "+v1+"/machines/{machine}/agents", s.listAgents)
	platform("POST "+v1+"/machines/{machine}/agents/enrollment", s.enrollAgent)
	platform("DELETE "+v1+"/machines/{machine}/agents/{agent}", s.revokeAgent)
	open("POST "+v1+"/machine-agents/heartbeat", s.heartbeat)
	platform("GET "+v1+"/machines/{machine}/runtime-endpoints", s.listEndpoints)
	platform("GET "+v1+"/machines/{machine}/runtime-endpoints/{provider}", s.getEndpoint)
	platform("PUT "+v1+"/machines/{machine}/runtime-endpoints/{provider}", s.putEndpoint)
	platform("DELETE "+v1+"/machines/{machine}/runtime-endpoints/{provider}", s.deleteEndpoint)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("/", s.wrap(false, func(*request) (any, error) { return nil, fail(http.StatusNotFound, "NOT_FOUND", "no such route") }))
	return mux
}

// request is one call, read and checked.
type request struct {
	*http.Request
	body   map[string]json.RawMessage // nil when there was none
	now    time.Time
	status int
}

// handler works under the server's lock and returns what to write: nil is 204.
type handler func(*request) (any, error)

// apiError is an answer in the API's error envelope.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func fail(status int, code, message string) error { return &apiError{status, code, message} }
func invalid(message string) error                { return fail(http.StatusBadRequest, "VALIDATION_ERROR", message) }

func notFound(what string) error {
	return fail(http.StatusNotFound, "NOT_FOUND", what+" does not exist")
}

// wrap checks the key, reads the body, runs the handler under the lock and
// writes what it returns.
func (s *Server) wrap(platform bool, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req := &request{Request: r, now: time.Now().UTC(), status: http.StatusOK}
		out, err := func() (any, error) {
			if platform {
				if err := s.checkKey(r); err != nil {
					return nil, err
				}
			}
			if err := req.read(); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.data.Requests++
			before := s.data.Revision
			out, err := h(req)
			if s.data.Revision != before {
				s.saved = s.saveState()
			}
			return out, err
		}()
		write(w, req.status, out, err)
	}
}

func (s *Server) checkKey(r *http.Request) error {
	if len(s.apiKeys) == 0 {
		return nil
	}
	key := r.Header.Get("X-Api-Key")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); key == "" && ok {
		key = bearer
	}
	if key == "" {
		return fail(http.StatusUnauthorized, "AUTH_REQUIRED", "an API key is required")
	}
	sum := sha256.Sum256([]byte(key))
	for known := range s.apiKeys {
		if subtle.ConstantTimeCompare(known[:], sum[:]) == 1 {
			return nil
		}
	}
	return fail(http.StatusUnauthorized, "AUTH_INVALID", "the API key is not valid")
}

// read takes the body as one JSON object. A content type without a body is what
// older clients send, and is let through.
func (r *request) read() error {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(b) > maxBody {
		return invalid("the body cannot be read or is too long")
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, &r.body); err != nil || r.body == nil {
		return invalid("the body is not a JSON object")
	}
	return nil
}

func write(w http.ResponseWriter, status int, out any, err error) {
	var api *apiError
	if errors.As(err, &api) {
		status, out = api.status, map[string]any{"error": map[string]string{"code": api.code, "message": api.message}}
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b, merr := json.Marshal(out)
	if merr != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func item(v any) map[string]any { return map[string]any{"item": v} }

func newID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:20]) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
