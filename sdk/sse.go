package sdk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

const (
	maxFrameData = 256 << 10 // bytes of a frame's data, joined
	maxFrame     = 264 << 10 // bytes of a frame on the wire
)

// sseFrame is one event of a server-sent event stream.
type sseFrame struct {
	event string
	id    string
	hasID bool
	badID bool // the id holds a NUL
	data  string
}

// sseReader splits a stream into frames (contract §2.19). Lines end in LF, CR or CRLF; one
// leading byte order mark is dropped; comments are heartbeats; a frame that the stream ends
// without an empty line is dropped.
type sseReader struct {
	source io.Reader
	chunk  []byte
	begun  bool // after the byte order mark
	eof    bool
	broken error // the error with which the source ended, after the bytes in chunk
	skipLF bool  // the last line ended in CR

	size    int // bytes of the frame so far
	frame   sseFrame
	data    []string
	dataLen int
}

// errFrame is the error for a malformed stream.
func errFrame(want string) error { return wire.Inside("sse", wire.MustBe(want)) }

// next returns the next frame that has data or an event type; io.EOF at the end.
func (r *sseReader) next() (sseFrame, error) {
	for {
		line, err := r.line()
		if err != nil {
			return sseFrame{}, err
		}
		if len(line) > 0 {
			if err := r.field(line); err != nil {
				return sseFrame{}, err
			}
			continue
		}
		frame, whole := r.frame, r.data != nil || r.frame.event != ""
		frame.data = strings.Join(r.data, "\n")
		r.frame, r.data, r.dataLen, r.size = sseFrame{}, nil, 0, 0
		if whole {
			return frame, nil
		}
	}
}

// field adds one line to the frame.
func (r *sseReader) field(line []byte) error {
	if !utf8.Valid(line) {
		return errFrame("UTF-8")
	}
	if line[0] == ':' {
		if r.frame == (sseFrame{}) && r.data == nil {
			r.size = 0 // heartbeats do not count
		}
		return nil
	}
	name, value, _ := strings.Cut(string(line), ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "event":
		r.frame.event = value
	case "id":
		r.frame.id, r.frame.hasID, r.frame.badID = value, true, strings.ContainsRune(value, 0)
	case "data":
		if r.data != nil {
			r.dataLen++ // the newline between two lines
		}
		if r.dataLen += len(value); r.dataLen > maxFrameData {
			return errFrame("of at most 256 KiB of data in a frame")
		}
		r.data = append(r.data, value)
	}
	return nil
}

// line returns one line without its end; io.EOF if the rest has no line end.
func (r *sseReader) line() ([]byte, error) {
	scanned := 0
	for {
		if !r.begun && (len(r.chunk) >= 3 || r.eof) {
			r.chunk, r.begun = bytes.TrimPrefix(r.chunk, []byte("\ufeff")), true
		}
		if r.begun && r.skipLF && len(r.chunk) > 0 {
			if r.chunk[0] == '\n' {
				r.chunk = r.chunk[1:]
				r.size++
			}
			r.skipLF = false
		}
		if r.begun && !r.skipLF {
			if i := bytes.IndexAny(r.chunk[scanned:], "\r\n"); i >= 0 {
				return r.cut(scanned + i)
			}
			scanned = len(r.chunk)
		}
		if r.size+len(r.chunk) > maxFrame {
			return nil, errFrame("of at most 264 KiB in a frame")
		}
		switch {
		case r.eof && r.broken != nil:
			return nil, r.broken
		case r.eof && !utf8.Valid(r.chunk):
			return nil, errFrame("UTF-8")
		case r.eof:
			return nil, io.EOF
		}
		r.fill()
	}
}

// cut removes a line that ends at end from the chunk.
func (r *sseReader) cut(end int) ([]byte, error) {
	line := r.chunk[:end]
	r.skipLF = r.chunk[end] == '\r'
	r.chunk = r.chunk[end+1:]
	if r.size += end + 1; r.size > maxFrame {
		return nil, errFrame("of at most 264 KiB in a frame")
	}
	return line, nil
}

// fill reads more of the stream. A reader may return bytes together with an error: the
// lines in them are read first.
func (r *sseReader) fill() {
	buffer := make([]byte, 4096)
	n, err := r.source.Read(buffer)
	r.chunk = append(r.chunk, buffer[:n]...)
	if err == nil {
		return
	}
	r.eof = true
	if err != io.EOF { //nolint:errorlint // a wrapped EOF is a failure
		r.broken = err
	}
}

// idleReader ends a request when no data arrives within limit.
type idleReader struct {
	body  io.Reader
	timer *time.Timer
	limit time.Duration
}

func (r *idleReader) Read(p []byte) (int, error) {
	r.timer.Reset(r.limit)
	n, err := r.body.Read(p)
	r.timer.Stop()
	return n, err
}

// errIdle is a timeout to errors.Is and net.Error.
var errIdle = fmt.Errorf("no data from the stream: %w", os.ErrDeadlineExceeded)

// streamHeaders sets the request headers of an event stream: Accept, and Last-Event-ID to
// resume one. It sets nothing for other calls.
func (r *call) streamHeaders(h http.Header) {
	if r.accept != "" {
		h["Accept"] = []string{r.accept}
	}
	if id, ok := r.lastEventID.Get(); ok {
		h["Last-Event-Id"] = []string{id}
	}
}

// stream performs a call whose response is an event stream, and passes frames to take until
// it returns false.
func (r *call) stream(ctx context.Context, idle time.Duration, take func(sseFrame) (more bool, err error)) error {
	if r.err != nil {
		return r.err
	}
	r.accept = "text/event-stream"
	r.ownConnection() // what follows the stream must not stay on a connection that others use
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	defer timer.Stop()
	var refused error
	opened := false
	err := r.perform(ctx, 0, func(res *http.Response, meta Meta) (int, error) {
		opened = true
		if refused = r.refuseStream(res, meta); refused != nil {
			return 0, nil
		}
		reader := &sseReader{source: &idleReader{res.Body, timer, idle}}
		for {
			timer.Stop()
			frame, err := reader.next()
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			more := false
			if err == nil {
				more, err = take(frame)
			}
			var shape *wire.ShapeError
			if errors.As(err, &shape) {
				refused = (&success{Meta: meta, operation: r.operation}).fault(CodeInvalidResponseShape, "invalid response: "+shape.Error())
				return 0, nil
			}
			if err != nil {
				return 0, networkError(ctx, r.operation, cmp.Or(context.Cause(ctx), err), true)
			}
			if !more {
				return 0, nil
			}
		}
	})
	switch {
	case err == nil && !opened:
		return errNoResponse
	case errors.Is(err, context.Canceled) && caller.Err() == nil && errors.Is(context.Cause(ctx), errIdle):
		err = &NetworkError{Operation: r.operation, Err: errIdle}
	}
	return cmp.Or(err, refused)
}

// refuseStream checks the status and headers of a response that should be an event stream.
func (r *call) refuseStream(res *http.Response, meta Meta) error {
	if meta.Status >= 400 {
		body, err := readText(res.Body, maxErrorBody, res.ContentLength)
		if err != nil {
			body = ""
		}
		return r.refusal(res, meta, body)
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if meta.Status == http.StatusOK && media == r.accept {
		return nil
	}
	fault := (&success{Meta: meta, operation: r.operation}).fault(CodeInvalidResponseShape, "expected HTTP 200 and "+r.accept)
	if target := res.Header.Get("Location"); target != "" && meta.Status >= 300 {
		return r.scrub(&RedirectError{Location: redirectTarget(res.Request.URL, target), API: fault})
	}
	return fault
}
