package sandbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
)

// faultWriter is a response writer that damages the response as its fault says.
type faultWriter struct {
	http.ResponseWriter
	fault *Fault
	r     *http.Request
	sent  int
	began bool
}

// Unwrap gives http.ResponseController access to the underlying writer.
func (s *faultWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush passes on what was written, for streams.
func (s *faultWriter) Flush() { _ = http.NewResponseController(s.ResponseWriter).Flush() }

func (s *faultWriter) WriteHeader(status int) {
	s.began = true
	if s.fault.ContentType != "" {
		s.Header().Set("Content-Type", s.fault.ContentType)
	}
	s.ResponseWriter.WriteHeader(status)
	if s.fault.cutAt() == 0 {
		s.cut()
	}
}

func (s *faultWriter) Write(b []byte) (int, error) {
	if !s.began {
		s.WriteHeader(http.StatusOK)
	}
	piece := len(b)
	if s.fault.SlowBody > 0 {
		piece = len(b)/16 + 1
	}
	written := 0
	for written < len(b) {
		part := b[written:min(written+piece, len(b))]
		if s.fault.SlowBody > 0 {
			s.Flush()
			pause(s.r, s.fault.SlowBody)
		}
		limit := s.fault.cutAt()
		if limit >= 0 && s.sent+len(part) >= limit {
			_, _ = s.ResponseWriter.Write(part[:limit-s.sent])
			s.cut()
		}
		n, err := s.ResponseWriter.Write(part)
		s.sent += n
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// cut sends what was written and closes the connection.
func (s *faultWriter) cut() {
	s.Flush()
	panic(http.ErrAbortHandler)
}

// discard is the response writer of a response that gets lost.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// flood sends a response of valid JSON that is far too long.
func (f *Fault) flood(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var out io.Writer = w
	size := f.Flood
	if f.GzipBomb > 0 {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		defer z.Close()
		out, size = z, f.GzipBomb
	}
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // as a stream, so that it is never in memory as a whole
	if err := writeLongJSON(out, size, r.Context().Err); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func writeLongJSON(out io.Writer, size int64, stopped func() error) error {
	const open, end = `{"item":{"padding":"`, `"}}`
	_, err := io.WriteString(out, open)
	chunk := bytes.Repeat([]byte("a"), 64<<10)
	for left := size - int64(len(open)+len(end)); left > 0 && err == nil; left -= int64(len(chunk)) {
		_, err = out.Write(chunk[:min(left, int64(len(chunk)))])
		err = errors.Join(err, stopped())
	}
	if err == nil {
		_, err = io.WriteString(out, end)
	}
	return err
}
