package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Limits of the retained events, and the timing of their streams.
const (
	eventsPerPairing = 500              // retained for a replay, as on the real service
	eventsRetained   = time.Hour        // likewise
	eventsInAll      = 20_000           // retained for all pairings
	heartbeatEvery   = 15 * time.Second // interval on a silent stream (contract §2.19)
	staleAfter       = 5 * time.Minute  // age at which a sample is stale
)

// iotEvent is a frame of a stream, stored as it is sent.
type iotEvent struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Machine      string          `json:"machine"`
	Pairing      string          `json:"pairing"`
	Subscription string          `json:"subscription"`
	Data         json.RawMessage `json:"data"`
	At           Moment          `json:"at"`
}

// retain stores an event and drops the pairing's oldest ones beyond the limit.
func (s *Server) retain(e *iotEvent) {
	for own := s.st.IoTEvents.of(e.Pairing); len(own) >= eventsPerPairing; own = s.st.IoTEvents.of(e.Pairing) {
		s.forgetEvent(own[0])
	}
	if s.st.IoTEvents.len() >= eventsInAll {
		s.forgetEvent(s.st.IoTEvents.rows[0])
	}
	s.st.IoTEvents.add(s.next(), e.ID, e.Pairing, e)
}

// expireEvents drops the events of a pairing that are too old for a replay.
func (s *Server) expireEvents(pairing string, now time.Time) {
	for own := s.st.IoTEvents.of(pairing); len(own) > 0 && now.Sub(own[0].V.At.Time) > eventsRetained; own = s.st.IoTEvents.of(pairing) {
		s.forgetEvent(own[0])
	}
}

func (s *Server) forgetEvent(r *row[iotEvent]) {
	s.st.IoTLost[r.Owner] = r.Seq
	s.st.IoTEvents.remove(r.ID)
}

// iotStream is one reader of a machine's events.
type iotStream struct {
	live         *connection
	subscription string // "" for all of the pairing
	after        uint64 // Seq of the last event that was sent
}

// iotEvents streams a machine's events: first what is retained after the reader's cursor, then new
// ones (contract §2.19).
func (s *Server) iotEvents(c *call) {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(nil)
	st, err := s.admitStream(c, cancel)
	s.persist(false)
	if err != nil {
		c.write(nil, err)
		return
	}
	defer s.release(st.live)
	out := startSSE(c)
	if c.r.Method == http.MethodHead {
		return
	}
	for {
		frames, wait, err := s.iotFrames(c, st)
		s.persist(false)
		for _, e := range frames {
			out.frame(e.Name, e.ID, e.Data)
		}
		if err != nil {
			out.failed(err)
			return
		}
		if !out.wait(ctx, st.live.wake, wait) {
			break
		}
	}
	if errors.Is(context.Cause(ctx), errServerCloses) {
		out.failed(s.streamRefusal(c))
	}
}

// streamRefusal returns why a stream that the server ends may not continue; nil when the server
// itself stops.
func (s *Server) streamRefusal(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.Now()
	return c.checkToken()
}

// admitStream checks token, filter and cursor and registers the stream.
func (s *Server) admitStream(c *call, cancel context.CancelCauseFunc) (*iotStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.checkToken(); err != nil {
		return nil, err
	}
	st := &iotStream{subscription: c.r.URL.Query().Get("subscriptionId")}
	s.advance(c.pair.MachineID, c.now)
	s.expireEvents(c.pair.ID, c.now)
	st.after = s.st.IoTLost[c.pair.ID]
	if c.r.URL.Query().Has("subscriptionId") {
		if _, err := s.subscriptionOf(c, st.subscription); err != nil {
			return nil, err
		}
	}
	if cursor := c.r.Header.Get("Last-Event-ID"); cursor != "" {
		r := s.st.IoTEvents.byID[cursor]
		if r == nil || r.V.Machine != c.pair.MachineID || r.V.Pairing != c.pair.ID {
			return nil, fail("IOT_REPLAY_UNAVAILABLE", "the cursor is no longer retained: reconnect without one")
		}
		st.after = r.Seq
	}
	st.live = &connection{machine: c.pair.MachineID, pairing: c.pair.ID, cancel: cancel, wake: make(chan struct{}, 1)}
	if !s.live.add(st.live) {
		return nil, errTooManyConnections()
	}
	return st, nil
}

// iotFrames returns the events that the stream has not sent yet, and how long no other can be due.
// An error ends the stream: the token is no longer valid, or the reader fell behind what is
// retained.
func (s *Server) iotFrames(c *call, st *iotStream) (frames []*iotEvent, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = s.Now()
	if err := c.checkToken(); err != nil {
		return nil, 0, err
	}
	machine := c.pair.MachineID
	s.advance(machine, c.now)
	if s.st.IoTLost[c.pair.ID] > st.after {
		return nil, 0, fail("IOT_REPLAY_UNAVAILABLE", "the reader fell behind the retained events: reconnect without a cursor")
	}
	rows := s.st.IoTEvents.of(c.pair.ID)
	first, _ := slices.BinarySearchFunc(rows, st.after+1, func(r *row[iotEvent], seq uint64) int { return cmp.Compare(r.Seq, seq) })
	for _, r := range rows[first:] {
		if st.subscription == "" || r.V.Subscription == st.subscription {
			frames = append(frames, r.V)
		}
	}
	st.after = s.st.Seq
	wait = heartbeatEvery
	if next := s.nextDue(machine, c.now); !next.IsZero() {
		wait = min(wait, next.Sub(c.now))
	}
	return frames, max(wait, time.Millisecond), nil
}
