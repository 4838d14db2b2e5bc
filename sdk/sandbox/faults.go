package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Fault describes what goes wrong with one request. It is data: it comes from code
// ([Server.SetFault]), from a script ([Script]) or from the admin interface. The zero value changes
// nothing; the fields take effect in the order of their declaration.
type Fault struct {
	// Latency is the delay before anything else happens; a random part of Jitter is added.
	Latency, Jitter time.Duration
	// Shift moves a page that is requested with an offset cursor as if that many items before the
	// offset had been inserted since the page before (below 0: removed), so that the client sees
	// items twice (or misses them). Nothing that is stored changes. The cursor of the next page
	// continues after this one. Pages by sequence (see [WithPaging]) are stable and not affected.
	Shift int
	// Lag serves the request as a replica that is this far behind would: what was created more
	// recently does not exist (NOT_FOUND), is missing in lists and, if it is a pairing token, is
	// AGENT_AUTH_INVALID. The status of an order and its payment are those of that time.
	Lag time.Duration
	// Drop closes the connection without a response; the request has no effect.
	Drop bool
	// Lost handles the request, then closes the connection: only the response is lost.
	Lost bool
	// Skew is added to the Date header. [Server.SetClock] shifts the whole clock.
	Skew time.Duration
	// RetryAfter sets that header verbatim: seconds, or an HTTP date.
	RetryAfter string
	// RetryAfterDate sets it to an HTTP date, this long after the response's Date.
	RetryAfterDate time.Duration
	// Header sets additional headers.
	Header map[string]string
	// Redirect responds with Status (302 if that is 0) and this Location.
	Redirect string
	// Status is the response's status; the request has no effect. With Code the body
	// is the API's error envelope (and Status may be 0: the code's own), else it is
	// Body, of ContentType.
	Status int
	Code   string
	Body   string
	// ContentType replaces that header, also in a regular response.
	ContentType string
	// GzipBomb responds with 200 and a JSON body that inflates to this many bytes,
	// Flood with one that is really this long.
	GzipBomb, Flood int64
	// CutAfter sends this many bytes of the body and closes the connection; a negative
	// value closes it after the headers.
	CutAfter int
	// SlowBody sends the body in sixteen pieces, with this pause before each.
	SlowBody time.Duration
}

// faults decides for every request whether something goes wrong.
type faults struct {
	decide atomic.Pointer[func(*http.Request) *Fault]
	runner atomic.Pointer[scriptRunner]
}

func (f *faults) set(decide func(*http.Request) *Fault) {
	if decide == nil {
		f.decide.Store(nil)
		return
	}
	f.decide.Store(&decide)
}

func (f *faults) of(s *Server, r *http.Request) *Fault {
	p := f.runner.Load()
	if p != nil {
		p.advance(s)
	}
	if decide := f.decide.Load(); decide != nil {
		if fault := (*decide)(r); fault != nil {
			return fault
		}
	}
	if p != nil {
		return p.fault(r)
	}
	return nil
}

// maxShift limits Fault.Shift in both directions.
const maxShift = 1000

// check rejects a fault that cannot be turned into a response.
func (f *Fault) check() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("status must be between 200 and 599")
	case f.Code != "" && f.Status == 0 && StatusOf(f.Code) == 0:
		return fmt.Errorf("%q has no status of its own: set one", f.Code)
	case f.Shift < -maxShift || f.Shift > maxShift:
		return fmt.Errorf("shift must be between -%d and %d", maxShift, maxShift)
	case f.Lag < 0 || f.Lag > longestLag:
		return fmt.Errorf("lag must be between 0 and %v", longestLag)
	}
	return nil
}

// serve handles a request with the fault.
func (f *Fault) serve(s *Server, w http.ResponseWriter, r *http.Request) {
	f.wait(r)
	if f.Shift != 0 || f.Lag > 0 {
		r = r.WithContext(context.WithValue(r.Context(), faultKey{}, f))
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.Lost {
		s.serve(&discard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
	f.head(w, s.Now())
	if f.CutAfter != 0 || f.SlowBody > 0 || f.ContentType != "" {
		w = &faultWriter{ResponseWriter: w, fault: f, r: r}
	}
	switch {
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(cmp.Or(f.Status, http.StatusFound))
	case f.GzipBomb > 0 || f.Flood > 0:
		f.flood(w, r)
	case f.Code != "":
		status := cmp.Or(f.Status, StatusOf(f.Code))
		(&apiError{status: status, code: f.Code, message: "injected fault"}).write(w)
	case f.Status != 0:
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
	default:
		s.serve(w, r)
	}
}

// faultKey is the context key of a fault that the handlers themselves must consider.
type faultKey struct{}

// imposed returns the fault of a request with Shift or Lag; the zero Fault if there is none.
func (c *call) imposed() Fault {
	if f, ok := c.r.Context().Value(faultKey{}).(*Fault); ok {
		return *f
	}
	return Fault{}
}

func (c *call) shift() int { return c.imposed().Shift }

// wait waits for the latency. If the client leaves in the meantime, the request is aborted.
func (f *Fault) wait(r *http.Request) {
	d := f.Latency
	if f.Jitter > 0 {
		d += rand.N(f.Jitter)
	}
	pause(r, d)
}

func pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

func (f *Fault) head(w http.ResponseWriter, now time.Time) {
	h := w.Header()
	now = now.Add(f.Skew)
	h.Set("Date", now.Format(http.TimeFormat))
	if f.RetryAfter != "" {
		h.Set("Retry-After", f.RetryAfter)
	}
	if f.RetryAfterDate != 0 {
		h.Set("Retry-After", now.Add(f.RetryAfterDate).Format(http.TimeFormat))
	}
	for k, v := range f.Header {
		h.Set(k, v)
	}
}

// cutAt returns how many bytes of the body are sent, or -1 for all.
func (f *Fault) cutAt() int {
	if f.CutAfter == 0 {
		return -1
	}
	return max(f.CutAfter, 0)
}

func (f *Fault) String() string {
	switch {
	case f.Drop:
		return "drop"
	case f.Lost:
		return "response lost"
	case f.Redirect != "":
		return "redirect"
	case f.Status != 0 || f.Code != "":
		return "status " + strconv.Itoa(f.Status)
	case f.GzipBomb > 0 || f.Flood > 0:
		return "flood"
	case f.CutAfter != 0:
		return "cut"
	case f.Shift != 0:
		return "page shifted"
	case f.Lag > 0:
		return "replica behind"
	case f.SlowBody > 0 || f.Latency > 0 || f.Jitter > 0:
		return "slow"
	}
	return "altered"
}
