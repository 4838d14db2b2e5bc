package sandbox

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// ErrDropped is what the in-process transport answers where a socket would have
// been closed.
var ErrDropped = errors.New("sandbox: connection closed without an answer")

// Transport answers requests in this process, without a socket: usable inside a
// testing/synctest bubble, and fast. The caller's context is honoured.
func (s *Server) Transport() http.RoundTripper { return &transport{s} }

type transport struct{ s *Server }

// RoundTrip runs the handler in a goroutine of its own, so that a caller who has
// stopped waiting gets its answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	req := r.Clone(r.Context())
	if req.Body == nil {
		req.Body = http.NoBody
	}
	req.RequestURI, req.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	type result struct {
		res *http.Response
		err error
	}
	done := make(chan result, 1)
	go func() {
		rec := &sink{recorder: recorder{header: http.Header{}, status: http.StatusOK}}
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					panic(p)
				}
				done <- result{err: ErrDropped}
				return
			}
			done <- result{res: rec.response(r)}
		}()
		t.s.ServeHTTP(rec, req)
	}()
	select {
	case out := <-done:
		return out.res, out.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// sink keeps the first status, as a real server does.
type sink struct {
	recorder
	wrote bool
}

func (s *sink) WriteHeader(status int) {
	if !s.wrote {
		s.wrote, s.status = true, status
	}
}

func (s *sink) Write(b []byte) (int, error) { s.wrote = true; return s.recorder.Write(b) }

func (s *sink) response(r *http.Request) *http.Response {
	if s.header.Get("Date") == "" {
		s.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header, Body: io.NopCloser(bytes.NewReader(s.body.Bytes())), ContentLength: int64(s.body.Len()), Request: r,
	}
}
