package sandbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// ErrDropped is what the in-process transport returns where a socket would be closed before a
// response.
var ErrDropped = errors.New("sandbox: the connection was closed without a response")

// Transport returns a transport that serves requests in this process, without a socket: fast, and
// usable in a testing/synctest bubble, where waiting on a socket would stop time. It behaves like a
// connection: cancelling the caller's context and closing the body end the call on the server,
// streams arrive as they are written, a WebSocket can be opened, and a fault that closes the
// connection is an error.
func (s *Server) Transport() http.RoundTripper { return &transport{s} }

type transport struct{ s *Server }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(withinProcess(r.Context()))
	in := r.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	x := &exchange{r: r, cancel: cancel, header: http.Header{}, ready: make(chan struct{})}
	go x.run(t.s, in)
	select {
	case <-x.ready:
		return x.response, x.err
	case <-r.Context().Done():
		cancel()
		return nil, r.Context().Err()
	}
}

// exchange is one request and its response. The response is buffered until the handler returns or
// flushes; after a flush its body is a pipe.
type exchange struct {
	r      *http.Request
	cancel context.CancelFunc
	header http.Header
	status int
	held   bytes.Buffer
	pipe   *io.PipeWriter
	taken  bool        // hijacked
	late   *time.Timer // fires at the write deadline
	leave  func() bool // stops watching the caller's context

	once     sync.Once
	ready    chan struct{}
	response *http.Response
	err      error
}

func (x *exchange) run(s *Server, in *http.Request) {
	defer in.Body.Close()
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
		x.end(p != nil)
	}()
	s.ServeHTTP(x, in)
}

// end delivers the response, or ends the stream.
func (x *exchange) end(aborted bool) {
	if x.leave != nil {
		defer x.leave()
	}
	switch {
	case x.taken:
	case x.pipe != nil && aborted:
		_ = x.pipe.CloseWithError(io.ErrUnexpectedEOF)
	case x.pipe != nil:
		_ = x.pipe.CloseWithError(x.r.Context().Err()) // nil for a regular end
	case aborted:
		x.deliver(nil, ErrDropped)
	default:
		if x.status == 0 {
			x.status = http.StatusOK
		}
		if x.header.Get("Content-Length") == "" && x.status != http.StatusNoContent {
			x.header.Set("Content-Length", strconv.Itoa(x.held.Len()))
		}
		body := x.held.Bytes()
		if x.r.Method == http.MethodHead {
			body = nil
		}
		x.deliver(x.newResponse(io.NopCloser(bytes.NewReader(body)), int64(len(body))), nil)
		x.cancel()
	}
}

func (x *exchange) deliver(r *http.Response, err error) {
	x.once.Do(func() { x.response, x.err = r, err; close(x.ready) })
}

func (x *exchange) newResponse(body io.ReadCloser, length int64) *http.Response {
	if x.header.Get("Date") == "" {
		x.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if x.header.Get("Content-Type") == "" && x.held.Len() > 0 {
		x.header.Set("Content-Type", http.DetectContentType(x.held.Bytes()))
	}
	res := &http.Response{
		Status: fmt.Sprintf("%d %s", x.status, http.StatusText(x.status)), StatusCode: x.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: x.header.Clone(), Body: body, ContentLength: length, Request: x.r,
	}
	if x.r.Header.Get("Accept-Encoding") == "" && x.header.Get("Content-Encoding") == "gzip" {
		res.Body, res.ContentLength, res.Uncompressed = &inflated{compressed: body}, -1, true
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
	}
	return res
}

func (x *exchange) Header() http.Header { return x.header }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
}

func (x *exchange) Write(b []byte) (int, error) {
	x.WriteHeader(http.StatusOK)
	if x.pipe != nil {
		return x.pipe.Write(b)
	}
	return x.held.Write(b)
}

// FlushError turns the response into a stream.
func (x *exchange) FlushError() error {
	x.WriteHeader(http.StatusOK)
	if x.pipe != nil || x.taken {
		return nil
	}
	reader, writer := io.Pipe()
	begun := bytes.Clone(x.held.Bytes())
	x.pipe = writer
	x.leave = context.AfterFunc(x.r.Context(), func() { _ = writer.CloseWithError(x.r.Context().Err()) })
	x.deliver(x.newResponse(&streamed{Reader: io.MultiReader(bytes.NewReader(begun), reader), pipe: reader, cancel: x.cancel}, -1), nil)
	return nil
}

// SetWriteDeadline ends a stream whose reader does not read until t. The zero time clears the
// deadline.
func (x *exchange) SetWriteDeadline(t time.Time) error {
	if x.late != nil {
		x.late.Stop()
	}
	if writer := x.pipe; writer != nil && !t.IsZero() {
		x.late = time.AfterFunc(time.Until(t), func() { _ = writer.CloseWithError(os.ErrDeadlineExceeded) })
	}
	return nil
}

// Flush is FlushError for callers that need an http.Flusher.
func (x *exchange) Flush() { _ = x.FlushError() }

// Hijack takes over the connection, for a WebSocket. The other end is the caller's body.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	ours, theirs := net.Pipe()
	x.taken = true
	x.deliver(x.newResponse(theirs, -1), nil)
	return ours, bufio.NewReadWriter(bufio.NewReader(ours), bufio.NewWriter(ours)), nil
}

// streamed is a body that ends the call on the server when it is closed.
type streamed struct {
	io.Reader
	pipe   *io.PipeReader
	cancel context.CancelFunc
}

func (b *streamed) Close() error { b.cancel(); return b.pipe.Close() }

// inflated decompresses gzip, as net/http does for callers that did not ask for it.
type inflated struct {
	compressed io.ReadCloser
	z          *gzip.Reader
}

func (b *inflated) Read(p []byte) (int, error) {
	if b.z == nil {
		z, err := gzip.NewReader(b.compressed)
		if err != nil {
			return 0, err
		}
		b.z = z
	}
	return b.z.Read(p)
}

func (b *inflated) Close() error { return b.compressed.Close() }
