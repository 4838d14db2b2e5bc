package sandbox

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with one request. The zero value changes nothing;
// fields combine.
type Fault struct {
	// Latency passes before anything else happens.
	Latency time.Duration
	// Status answers with it, instead of working. Code, when set, puts it into the
	// API's error envelope; else Body and ContentType are sent as they are.
	Status      int
	Code        string
	Body        string
	ContentType string
	// RetryAfter sets that header: seconds or an HTTP date, as given.
	RetryAfter string
	// Redirect answers Status (default 302) with this Location.
	Redirect string
	// Drop closes the connection without an answer.
	Drop bool
	// Lost does the work and then closes the connection: the answer is lost.
	Lost bool
	// CutAfter does the work and sends only so many bytes of the body; 0 sends all.
	CutAfter int
	// Skew is added to the Date header: the server's clock is off.
	Skew time.Duration
}

// serve misbehaves, with next as the healthy server.
func (f *Fault) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if f.Latency > 0 {
		select {
		case <-time.After(f.Latency):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.Skew != 0 {
		w.Header().Set("Date", time.Now().Add(f.Skew).UTC().Format(http.TimeFormat))
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	switch {
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(max(f.Status, http.StatusFound))
	case f.Code != "":
		write(w, f.Status, nil, fail(f.Status, f.Code, "as asked by the fault"))
	case f.Status != 0:
		if f.ContentType != "" {
			w.Header().Set("Content-Type", f.ContentType)
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
	case f.Lost, f.CutAfter > 0:
		f.cut(w, r, next)
	default:
		next.ServeHTTP(w, r)
	}
}

// cut lets the server do its work and spoils the answer.
func (f *Fault) cut(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(rec, r)
	if f.Lost {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), rec.header)
	w.Header().Set("Content-Length", strconv.Itoa(rec.body.Len()))
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes()[:min(f.CutAfter, rec.body.Len())])
	panic(http.ErrAbortHandler)
}

// recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
