package sdk

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// ServerEvent is one frame of the orchestrator's event stream, unchanged.
type ServerEvent struct {
	Event string // empty when the frame has no event type
	ID    string // of this frame only
	Data  string
}

// ServerEventOptions selects the events to stream.
type ServerEventOptions struct {
	MachineID Optional[string]
	Cursor    Optional[string]
}

// Events streams the events of the orchestrator. The stream ends after 30 s without data.
//
// Experimental: the event types, their format, the authentication (the API key is sent)
// and the heartbeat are not known.
//
// GET /events (contract §3.1)
func (s *ObservabilityService) Events(ctx context.Context, o ServerEventOptions) iter.Seq2[ServerEvent, error] {
	return func(yield func(ServerEvent, error) bool) {
		r := s.c.call(http.MethodGet, "/events").param("machineId", o.MachineID).param("cursor", o.Cursor)
		done := false
		err := r.stream(ctx, 30*time.Second, func(f sseFrame) (bool, error) {
			done = !yield(ServerEvent{f.event, f.id, f.data}, nil)
			return !done, nil
		})
		if err != nil && !done {
			yield(ServerEvent{}, err)
		}
	}
}

// Metrics returns the orchestrator's metrics in the Prometheus text format.
//
// Experimental: whether the path is below the API's prefix, and the authentication (none
// is sent), are not known.
//
// GET /metrics (contract §3.1)
func (s *ObservabilityService) Metrics(ctx context.Context) (string, error) {
	res, err := s.c.call(http.MethodGet, "/metrics").open().send(ctx)
	if err != nil {
		return "", err
	}
	return res.body, nil
}
