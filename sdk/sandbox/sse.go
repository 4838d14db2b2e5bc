package sandbox

import (
	"context"
	"net/http"
	"time"
)

// sseWriter writes a stream of server-sent events.
type sseWriter struct {
	w      http.ResponseWriter
	flush  *http.ResponseController
	last   time.Time // time of the last write
	broken error
}

func startSSE(c *call) *sseWriter {
	dateOf(c.w, c.now)
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	out := &sseWriter{w: c.w, flush: http.NewResponseController(c.w)}
	out.write("")
	return out
}

// write sends a piece. If the reader does not take it in time, the stream ends.
func (f *sseWriter) write(text string) {
	if f.broken != nil {
		return
	}
	f.last = time.Now()
	_ = f.flush.SetWriteDeadline(f.last.Add(socketWrite))
	_, err := f.w.Write([]byte(text))
	if err == nil {
		err = f.flush.Flush()
	}
	f.broken = err
	_ = f.flush.SetWriteDeadline(time.Time{}) // the connection may be reused
}

func (f *sseWriter) frame(event, id string, data []byte) {
	text := "event: " + event + "\n"
	if id != "" {
		text += "id: " + id + "\n"
	}
	f.write(text + "data: " + string(data) + "\n\n")
}

// failed sends an error as the last frame. It has no id, so that no client resumes from it.
func (f *sseWriter) failed(err error) {
	e, ok := err.(*apiError)
	if !ok {
		return
	}
	b, _ := marshal(map[string]any{"error": map[string]any{"code": e.code, "message": e.message}})
	f.frame("iot.error", "", b)
}

// wait waits for new events, at most for the given time, and sends a heartbeat when the stream has
// been silent for too long. It returns false when the stream has ended.
func (f *sseWriter) wait(ctx context.Context, wake <-chan struct{}, wait time.Duration) bool {
	if f.broken != nil {
		return false
	}
	timer := time.NewTimer(min(wait, max(heartbeatEvery-time.Since(f.last), 0)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	if time.Since(f.last) >= heartbeatEvery {
		f.write(": heartbeat\n\n")
	}
	return f.broken == nil
}
