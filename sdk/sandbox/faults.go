package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Fault is what goes wrong with one request. It is data: it can come from code
// ([Server.SetFault]), from a script ([Script]) or over the admin interface. The
// zero value changes nothing; fields combine in the order in which they stand.
type Fault struct {
	// Latency passes before anything else happens, and up to Jitter more.
	Latency, Jitter time.Duration
	// Drop closes the connection without an answer; nothing was done.
	Drop bool
	// Lost does the work, then closes the connection: only the answer is lost.
	Lost bool
	// Skew is added to the Date header. See [Server.SetClock] for a server whose
	// whole clock is off.
	Skew time.Duration
	// RetryAfter sets that header as it stands: seconds, or an HTTP date.
	RetryAfter string
	// RetryAfterDate sets it as an HTTP date, so long after the answer's Date.
	RetryAfterDate time.Duration
	// Header sets further headers.
	Header map[string]string
	// Redirect answers Status (302 when that is 0) with this Location.
	Redirect string
	// Status answers with it instead of working. With Code the body is the API's
	// error envelope (and Status may be left to the code), else it is Body, of
	// ContentType.
	Status int
	Code   string
	Body   string
	// ContentType replaces that header, also of an answer that was worked for.
	ContentType string
	// GzipBomb answers 200 with a JSON body that inflates to so many bytes, and
	// Flood with one that really has so many.
	GzipBomb, Flood int64
	// CutAfter sends so many bytes of the body and closes the connection; below 0
	// it closes after the header.
	CutAfter int
	// SlowBody sends the body in sixteen pieces with this pause before each.
	SlowBody time.Duration
}

// faults decides what goes wrong; it is asked by every request.
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

// check refuses a fault that could not be answered with.
func (f *Fault) check() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("status must be between 200 and 599")
	case f.Code != "" && f.Status == 0 && StatusOf(f.Code) == 0:
		return fmt.Errorf("%q has no status of its own: give one", f.Code)
	}
	return nil
}

// serve misbehaves in place of the healthy server.
func (f *Fault) serve(s *Server, w http.ResponseWriter, r *http.Request) {
	f.wait(r)
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
		status := f.Status
		if status == 0 {
			status = http.StatusFound
		}
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(status)
	case f.GzipBomb > 0 || f.Flood > 0:
		f.flood(w, r)
	case f.Code != "":
		status := f.Status
		if status == 0 {
			status = StatusOf(f.Code)
		}
		(&apiError{status: status, code: f.Code, message: "a fault of the sandbox"}).write(w)
	case f.Status != 0:
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
	default:
		s.serve(w, r)
	}
}

// wait passes the latency; whoever has left meanwhile gets nothing.
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

// cutAt is how many bytes of the body may pass; -1 when all may.
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
		return "answer lost"
	case f.Redirect != "":
		return "redirect"
	case f.Status != 0 || f.Code != "":
		return "status " + strconv.Itoa(f.Status)
	case f.GzipBomb > 0 || f.Flood > 0:
		return "flood"
	case f.CutAfter != 0:
		return "cut"
	case f.SlowBody > 0 || f.Latency > 0 || f.Jitter > 0:
		return "slow"
	}
	return "altered"
}
