package sandbox

import (
	"context"
	"net/http"
	"slices"
)

// everyMachine is the key of streams that belong to no machine.
const everyMachine = ""

// eventStream streams new audit events (contract §3.1, GET /events). A frame is named after the
// event's type; its id is the cursor to resume from.
func (s *Server) eventStream(c *call) {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(nil)
	live, after, err := s.admitEvents(c, cancel)
	if err != nil {
		c.write(nil, err)
		return
	}
	defer s.release(live)
	out := startSSE(c)
	if c.r.Method == http.MethodHead {
		return
	}
	machine := c.r.URL.Query().Get("machineId")
	for {
		var frames []AuditEvent
		frames, after = s.trailAfter(after, machine)
		for _, e := range frames {
			b, err := marshal(e)
			if err != nil {
				return // cannot happen: every member can be encoded
			}
			out.frame(e.Type, e.ID, b)
		}
		if !out.wait(ctx, live.wake, heartbeatEvery) {
			return
		}
	}
}

// admitEvents registers the stream and returns where it starts: after its cursor, or now.
func (s *Server) admitEvents(c *call, cancel context.CancelCauseFunc) (*connection, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after, q := s.st.Seq, c.r.URL.Query()
	if machine := q.Get("machineId"); machine != "" {
		if _, err := s.machine(machine); err != nil {
			return nil, 0, err
		}
	}
	if cursor := q.Get("cursor"); cursor != "" {
		known := false
		for e := range s.trail() {
			if known = e.ID == cursor; known {
				after = e.Seq
				break
			}
		}
		if !known {
			return nil, 0, invalid("cursor is no longer retained")
		}
	}
	live := &connection{machine: everyMachine, cancel: cancel, wake: make(chan struct{}, 1)}
	if !s.live.add(live) {
		return nil, 0, errTooManyConnections()
	}
	return live, after, nil
}

// trailAfter returns the events after a sequence number, oldest first.
func (s *Server) trailAfter(after uint64, machine string) (out []AuditEvent, latest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.trail() {
		if e.Seq <= after {
			break
		}
		if machine == "" || e.Machine == machine {
			out = append(out, e.AuditEvent)
		}
	}
	slices.Reverse(out)
	return out, s.st.Seq
}
