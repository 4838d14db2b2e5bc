package status

import (
	"slices"
	"time"
)

const (
	// maxEvents and maxRecent bound what is kept of the past: the events of the process
	// and the heartbeats of each machine. Both grow as they are needed.
	maxEvents = 20
	maxRecent = 60
	// maxEventText bounds the sentence of an event, in characters.
	maxEventText = 300
)

// Event is something that the log reported, for those who look at the page or at
// /status. Code, Machine and Provider are those of the log line.
type Event struct {
	At       time.Time
	Level    string // info, warn, error
	Code     Code
	Machine  string // its configured name; empty: the whole process
	Provider string
	Text     string
	Count    int // how often it happened in a row; At is the last time
}

// repeats reports whether two events say the same.
func (e Event) repeats(other Event) bool {
	return e.Level == other.Level && e.Code == other.Code && e.Machine == other.Machine &&
		e.Provider == other.Provider && e.Text == other.Text
}

// Record keeps an event. One that repeats the latest is counted there.
func (s *Tracker) Record(e Event) {
	e.Text, e.Count = SanitizeTo(e.Text, maxEventText), 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.events); n > 0 && s.events[n-1].repeats(e) {
		s.events[n-1].At = e.At
		s.events[n-1].Count++
		return
	}
	s.events = appendBounded(s.events, e, maxEvents)
}

// appendBounded appends an item, and drops the first one when there are too many.
func appendBounded[T any](items []T, item T, limit int) []T {
	if len(items) < limit {
		return append(items, item)
	}
	copy(items, items[1:])
	items[limit-1] = item
	return items
}

// beat is one heartbeat that was sent, in few bytes: a gateway has thousands of machines.
type beat struct {
	at     uint32 // boot clock, seconds
	took   uint16 // milliseconds, at most what fits
	result uint8  // its place in HeartbeatResults
}

// AddBeat counts a heartbeat that was sent, and keeps it among the recent ones.
// sinceBoot is when it ended.
func (m *Machine) AddBeat(result string, sinceBoot, took time.Duration) {
	m.Beats[result]++
	m.BeatDuration.Observe(took)
	b := beat{
		at: uint32(sinceBoot / time.Second), took: uint16(min(took.Milliseconds(), 1<<16-1)),
		result: uint8(max(slices.Index(HeartbeatResults(), result), 0)),
	}
	m.recent = appendBounded(m.recent, b, maxRecent)
}

// EventView is an event for people and programs.
type EventView struct {
	At         time.Time `json:"at"`
	AgeSeconds float64   `json:"age_seconds"`
	Level      string    `json:"level"`
	Code       Code      `json:"code"`
	Machine    string    `json:"machine,omitempty"`
	Provider   string    `json:"provider_key,omitempty"`
	Text       string    `json:"text"`
	Count      int       `json:"count"` // in a row
}

// eventViews returns the latest event first.
func eventViews(s Snapshot) []EventView {
	var out []EventView
	for _, e := range slices.Backward(s.Events) {
		out = append(out, EventView{
			At: utc(e.At), AgeSeconds: inSeconds(max(s.At.Sub(e.At), 0)), Level: e.Level, Code: e.Code,
			Machine: e.Machine, Provider: e.Provider, Text: e.Text, Count: e.Count,
		})
	}
	return out
}

// BeatView is one of the recent heartbeats.
type BeatView struct {
	AgeSeconds float64
	Seconds    float64 // how long it took
	Result     string  // one of HeartbeatResults
}

// recentViews returns the recent heartbeats of a machine, the oldest first.
func recentViews(m Machine, sinceBoot time.Duration) []BeatView {
	results := HeartbeatResults()
	var out []BeatView
	for _, b := range m.recent {
		age := max(sinceBoot-time.Duration(b.at)*time.Second, 0)
		out = append(out, BeatView{float64(age / time.Second), float64(b.took) / 1000, results[b.result]})
	}
	return out
}
