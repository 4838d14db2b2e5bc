package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// defaultBody limits the body of a request, in bytes; route.maxBody overrides it.
const defaultBody int64 = 64 << 10

// call is one request while it is served.
type call struct {
	s         *Server
	r         *http.Request
	w         http.ResponseWriter
	route     *route
	values    map[string]string // path values, decoded
	now       time.Time         // by the server's clock, to the millisecond
	in        *members          // the body; empty when none was sent
	bodyErr   error             // why the body is invalid
	pair      *storedPairing    // the pairing whose token was sent
	actor     string            // for the audit trail
	status    int
	changed   bool // the state changed and must be saved
	saveLater bool // saving may wait a second
}

func (c *call) id(name string) string { return c.values[name] }

func (c *call) stamp() Moment { return Moment{c.now} }

func (c *call) pairingID() string {
	if c.pair == nil {
		return ""
	}
	return c.pair.ID
}

// serve handles a request from start to end: API key, body, lock, pairing token, handler, state
// file, response.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	c := &call{s: s, r: r, w: w, now: s.Now(), in: &members{}, actor: "platform", status: http.StatusOK}
	if c.route, c.values = s.router.find(r); c.route == nil {
		c.write(nil, fail("NOT_FOUND", "unknown route"))
		return
	}
	if err := c.checkKey(); err != nil {
		c.write(nil, err)
		return
	}
	c.read()
	if c.route.stream != nil {
		c.route.stream(c)
		return
	}
	b, err := c.run(c.route.handle)
	if c.changed {
		s.persist(!c.saveLater)
	}
	c.write(b, err)
}

// run calls a handler under the lock. The result is encoded under it as well, because it points
// into the state.
func (c *call) run(h handler) ([]byte, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.checkToken(); err != nil {
		return nil, err
	}
	if c.bodyErr != nil {
		return nil, c.bodyErr
	}
	if err := c.checkReplica(); err != nil {
		return nil, err
	}
	before := c.s.generation
	out, err := h(c)
	c.changed = c.s.generation != before
	if err != nil || out == nil {
		return nil, err
	}
	return marshal(out)
}

// unlocked releases the lock while f waits for the network. The caller must look up again whatever
// it read before.
func (c *call) unlocked(f func()) {
	c.s.mu.Unlock()
	defer c.s.mu.Lock()
	f()
}

// read reads the body. Older clients send a JSON content type without a body, which is accepted
// (contract part 6).
func (c *call) read() {
	limit := cmp.Or(c.route.maxBody, defaultBody)
	b, err := io.ReadAll(io.LimitReader(c.r.Body, limit+1))
	switch b = bytes.TrimSpace(b); {
	case err != nil:
		c.bodyErr = invalid("the body cannot be read")
	case int64(len(b)) > limit:
		c.bodyErr = invalid("the body is too long")
	case len(b) == 0:
	case !isJSON(c.r.Header):
		c.bodyErr = invalid("the body is not read because of its type: send it with Content-Type: application/json")
	case json.Unmarshal(b, &c.in.all) != nil || c.in.all == nil:
		c.bodyErr = invalid("the body is not a JSON object")
	}
}

// isJSON reports whether the headers of a request announce JSON, as a usual server requires it.
func isJSON(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// write sends the response: b, 204 when there is none, or the error envelope.
func (c *call) write(b []byte, err error) {
	dateOf(c.w, c.now)
	var e *apiError
	switch {
	case errors.As(err, &e):
		e.write(c.w)
	case err != nil: // a result that cannot be encoded is a bug of the sandbox
		(&apiError{
			status: http.StatusInternalServerError, code: "INTERNAL", message: "internal error: the response cannot be encoded",
		}).write(c.w)
	case b == nil:
		c.w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(c.w, c.status, b)
	}
}

// write sends the error envelope.
func (e *apiError) write(w http.ResponseWriter) {
	envelope := map[string]any{"code": e.code, "message": e.message}
	if e.details != nil {
		envelope["details"] = e.details
	}
	b, _ := marshal(map[string]any{"error": envelope})
	writeJSON(w, e.status, b)
}

func writeJSON(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// dateOf sets the Date header by the server's clock, unless a fault has set it.
func dateOf(w http.ResponseWriter, now time.Time) {
	if w.Header().Get("Date") == "" {
		w.Header().Set("Date", now.Format(http.TimeFormat))
	}
}

// item returns v in the item envelope (contract §1.5).
func item(v any) any { return map[string]any{"item": v} }

// created returns v in the item envelope and sets the status to 201.
func (c *call) created(v any) (any, error) {
	c.status = http.StatusCreated
	return item(v), nil
}
