package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	defaultBody = 64 << 10
	largeBody   = 1 << 20
)

// call is one request on its way through the server.
type call struct {
	s         *Server
	r         *http.Request
	w         http.ResponseWriter
	route     *route
	values    map[string]string // of the path
	now       time.Time         // by the server's clock, to the millisecond
	in        *members          // the body; empty when none was sent
	sent      []byte            // the body as it came
	bodyErr   error             // what is wrong with the body
	pair      *storedPairing    // whose token was sent
	actor     string            // for the audit trail
	status    int
	changed   bool // something changed that must be kept
	saveLater bool // what changed may be kept a second later
}

func (c *call) id(name string) string { return c.values[name] }

func (c *call) stamp() Moment { return Moment{c.now} }

func (c *call) pairingID() string {
	if c.pair == nil {
		return ""
	}
	return c.pair.ID
}

// serve is the whole way of a call: key, body, lock, token, handler, state file,
// answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	c := &call{s: s, r: r, w: w, now: s.Now(), in: &members{}, actor: "platform", status: http.StatusOK}
	if c.route, c.values = s.router.find(r); c.route == nil {
		c.write(nil, fail("NOT_FOUND", "there is no such route"))
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

// run calls a handler under the lock, and writes its answer to bytes under it
// too, because the answer points into the state.
func (c *call) run(h handler) ([]byte, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.checkToken(); err != nil {
		return nil, err
	}
	if c.bodyErr != nil {
		return nil, c.bodyErr
	}
	before := c.s.generation
	out, err := h(c)
	c.changed = c.s.generation != before
	if err != nil || out == nil {
		return nil, err
	}
	return json.Marshal(out)
}

// unlocked lets others work while f waits for the network. Nothing that was
// looked up before may be trusted after.
func (c *call) unlocked(f func()) {
	c.s.mu.Unlock()
	defer c.s.mu.Lock()
	f()
}

// read takes the body. A JSON content type without one is what older clients
// send, and is let through (contract part 6).
func (c *call) read() {
	limit := c.route.maxBody
	if limit == 0 {
		limit = defaultBody
	}
	b, err := io.ReadAll(io.LimitReader(c.r.Body, limit+1))
	switch b = bytes.TrimSpace(b); {
	case err != nil:
		c.bodyErr = invalid("the body cannot be read")
	case int64(len(b)) > limit:
		c.bodyErr = invalid("the body is too long")
	case len(b) == 0:
	case json.Unmarshal(b, &c.in.all) != nil || c.in.all == nil:
		c.bodyErr = invalid("the body is not a JSON object")
	}
	c.sent = b
}

// write sends an answer: bytes, nothing (204), or the error envelope.
func (c *call) write(b []byte, err error) {
	dateOf(c.w, c.now)
	var e *apiError
	switch {
	case errors.As(err, &e):
		e.write(c.w)
	case err != nil: // an answer that cannot be written is a defect of ours
		(&apiError{status: http.StatusInternalServerError, code: "INTERNAL", message: "the sandbox cannot write its answer"}).write(c.w)
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
	b, _ := json.Marshal(map[string]any{"error": envelope})
	writeJSON(w, e.status, b)
}

func writeJSON(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// dateOf writes the Date header by the server's clock, unless a fault did.
func dateOf(w http.ResponseWriter, now time.Time) {
	if w.Header().Get("Date") == "" {
		w.Header().Set("Date", now.Format(http.TimeFormat))
	}
}

// item is the item envelope (contract §1.5).
func item(v any) any { return map[string]any{"item": v} }

// created is item for a call that made something: 201.
func (c *call) created(v any) (any, error) {
	c.status = http.StatusCreated
	return item(v), nil
}
