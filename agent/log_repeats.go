package agent

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// repeatWindow is how long a repeated event is suppressed.
	repeatWindow = 10 * time.Minute
	// maxRemembered bounds the memory; beyond it the oldest are forgotten, which only
	// costs additional lines.
	maxRemembered = 512
	// limitWindow and maxPerWindow bound the volume: so many lines per machine, and as
	// many that are about no machine.
	limitWindow  = time.Minute
	maxPerWindow = 30
	// maxHeld bounds how many lines of a machine wait for the minute to end.
	maxHeld = 256
	// maxField and maxMessage bound one line: length in bytes of a field and of the
	// sentence. A stack may be as long as a sentence times four.
	maxField   = 1 << 10
	maxMessage = 4 << 10
)

// quietCore counts and records every event, suppresses repeated ones and limits the others.
type quietCore struct {
	zapcore.Core
	seen  *repeats
	known logState
	about subject // from the fields given to With
}

func (c *quietCore) With(fields []zapcore.Field) zapcore.Core {
	return &quietCore{Core: c.Core.With(capFields(fields)), seen: c.seen, known: c.known, about: c.about.with(fields)}
}

// Enabled lets events through that the level of the log does not, because they are recorded.
func (c *quietCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.InfoLevel || c.Core.Enabled(level)
}

func (c *quietCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *quietCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = capText(e.Message, maxMessage)
	about := c.about.with(fields)
	if e.Level >= zapcore.InfoLevel && about.code != "" {
		c.known.record(status.Event{
			At: e.Time, Level: e.Level.String(), Code: status.Code(about.code), Machine: about.machine, Provider: about.provider, Text: e.Message,
		})
	}
	if !c.Core.Enabled(e.Level) {
		return nil
	}
	c.known.count(e.Level.String())
	fields = capFields(fields)
	if e.Level == zapcore.DebugLevel || e.Level > zapcore.ErrorLevel {
		return c.Core.Write(e, c.seen.withIdentity(about.machine, fields))
	}
	return c.seen.write(line{c.Core, e, fields, event{about, e.Level, e.Message}})
}

// Sync writes what was held back.
func (c *quietCore) Sync() error {
	c.seen.flush(time.Now(), true)
	return nil
}

// subject is what an event is about.
type subject struct{ code, machine, provider, cause, why string }

func (s subject) with(fields []zapcore.Field) subject {
	for _, f := range fields {
		if f.Type != zapcore.StringType {
			continue
		}
		switch f.Key {
		case "code":
			s.code = f.String
		case "machine":
			s.machine = f.String
		case "provider":
			s.provider = f.String
		case "cause":
			s.cause = f.String
		case "why":
			s.why = f.String
		}
	}
	return s
}

// event is the identity of an event: two equal ones say the same.
type event struct {
	subject
	level   zapcore.Level
	message string
}

// topic is what an event is the latest news of: of two events of one topic, the later
// one makes the earlier one out of date.
type topic struct{ machine, provider, of string }

func (e event) topic() topic {
	t := topic{e.machine, e.provider, e.code + "\x00" + e.message}
	switch {
	case strings.HasPrefix(e.code, string(status.CodeOfState(""))):
		t.of = "state"
	case e.code == string(status.CodeEndpointUp), e.code == string(status.CodeEndpointDown):
		t.of = "endpoint"
	case e.code == string(status.CodeTelemetryListening), e.code == string(status.CodeTelemetryPort):
		t.of = "telemetry"
	}
	return t
}

func (e event) bad() bool { return e.level > zapcore.InfoLevel }

// line is one event on its way to the log.
type line struct {
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field
	event  event
}

// repeats decides which events are written. An event that was written in the last ten
// minutes (same level, code, sentence, machine, endpoint, cause and reason) is
// suppressed; the next one after that has the number of suppressed ones in "repeated".
//
// The last line of a log must never be out of date. So an event of the same topic that
// says something else, and an event of the other kind about the same machine and
// endpoint (good after bad, bad after good), end the suppression at once.
//
// At most maxPerWindow lines per machine are written in a minute. Of those beyond, the
// last of each topic is written when the minute is over, after a line with the number
// of those that were left out.
type repeats struct {
	core     zapcore.Core
	identity func(machine string) (machineID, agentID string)

	mu      sync.Mutex
	seen    map[event]*streak
	windows map[string]*window // by machine
	timer   *time.Timer        // for the lines that are held back; nil when there are none
	due     time.Time          // when it fires
}

type streak struct {
	since time.Time // when it was last written
	left  int       // how many were suppressed since
}

// window is one minute of one machine.
type window struct {
	since   time.Time
	written int
	left    int    // events that are in the log neither as a line nor as a repeat of one
	held    []line // the last of each topic, in order
}

// hold keeps an event until the minute is over, in place of an earlier one of its
// topic. What has no code, or is too much, is only counted.
func (w *window) hold(l line) {
	w.drop(l.event.topic())
	if l.event.code == "" || len(w.held) >= maxHeld {
		w.left++
		return
	}
	w.held = append(w.held, l)
}

// drop gives up what is held of a topic and reports whether there was anything.
func (w *window) drop(t topic) bool {
	for i, l := range w.held {
		if l.event.topic() == t {
			w.held = slices.Delete(w.held, i, i+1)
			w.left++
			return true
		}
	}
	return false
}

func newRepeats(core zapcore.Core, identity func(string) (string, string)) *repeats {
	return &repeats{core: core, identity: identity, seen: map[event]*streak{}, windows: map[string]*window{}}
}

// withIdentity adds what tells the lines of many devices apart, unless a line has it
// already: machine_id and agent_id, as far as they are known.
func (r *repeats) withIdentity(machine string, fields []zapcore.Field) []zapcore.Field {
	machineID, agentID := r.identity(machine)
	fields = fields[:len(fields):len(fields)]
	for _, id := range []zapcore.Field{zap.String("machine_id", machineID), zap.String("agent_id", agentID)} {
		if id.String != "" && !slices.ContainsFunc(fields, func(f zapcore.Field) bool { return f.Key == id.Key }) {
			fields = append(fields, id)
		}
	}
	return fields
}

// write writes an event, suppresses it, or holds it back.
func (r *repeats) write(l line) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := l.entry.Time
	w := r.window(l.event.machine, now)
	s := r.seen[l.event]
	if s != nil && now.Sub(s.since) < repeatWindow {
		if w.drop(l.event.topic()) { // what was held back is out of date, and the log has this already
			w.left++
		} else {
			s.left++
		}
		return nil
	}
	if w.written >= maxPerWindow {
		w.hold(l)
		r.arm(w.since.Add(limitWindow))
		return nil
	}
	return r.writeNow(w, l)
}

// writeNow writes an event; the caller holds the lock.
func (r *repeats) writeNow(w *window, l line) error {
	fields := r.withIdentity(l.event.machine, l.fields)
	if s := r.seen[l.event]; s != nil && s.left > 0 {
		fields = append(fields, zap.Int("repeated", s.left))
	}
	w.written++
	w.drop(l.event.topic())
	r.remember(l.event, l.entry.Time)
	return l.core.Write(l.entry, fields)
}

// remember starts the suppression of an event, and ends that of those that it makes
// out of date.
func (r *repeats) remember(this event, now time.Time) {
	topic := this.topic()
	for other := range r.seen {
		same := other.machine == this.machine && other.provider == this.provider
		if same && (other.bad() != this.bad() || other.topic() == topic) {
			delete(r.seen, other)
		}
	}
	if len(r.seen) >= maxRemembered {
		r.forget()
	}
	r.seen[this] = &streak{since: now}
}

// forget drops the least recently written event.
func (r *repeats) forget() {
	var oldest event
	var since time.Time
	for e, s := range r.seen {
		if since.IsZero() || s.since.Before(since) {
			oldest, since = e, s.since
		}
	}
	delete(r.seen, oldest)
}

// window returns the current minute of a machine.
func (r *repeats) window(machine string, now time.Time) *window {
	w := r.windows[machine]
	if w == nil {
		w = &window{since: now}
		r.windows[machine] = w
	}
	if age := now.Sub(w.since); (age >= limitWindow || age < 0) && len(w.held) == 0 && w.left == 0 {
		w.since, w.written = now, 0
	}
	return w
}

// arm makes the timer write what is held back at a time or before.
func (r *repeats) arm(at time.Time) {
	if r.timer != nil {
		if !at.Before(r.due) {
			return
		}
		r.timer.Stop()
	}
	r.due = at
	r.timer = time.AfterFunc(max(time.Until(at), 0), func() { r.flush(time.Now(), false) })
}

// flush writes what is held back of the minutes that are over, or all of it.
func (r *repeats) flush(now time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	for machine, w := range r.windows {
		if w.left == 0 && len(w.held) == 0 {
			continue
		}
		if end := w.since.Add(limitWindow); end.After(now) && !all {
			r.arm(end)
			continue
		}
		left, held := w.left, w.held
		*w = window{since: now}
		if left > 0 {
			w.written++
			_ = r.core.Write(zapcore.Entry{Level: zapcore.WarnLevel, Time: now, Message: fmt.Sprintf("%d lines were left out of the log", left)},
				r.withIdentity(machine, []zapcore.Field{code(status.CodeLogLimited), zap.String("machine", machine), zap.Int("left_out", left)}))
		}
		for i, l := range held {
			if w.written >= maxPerWindow && !all {
				w.held = held[i:]
				r.arm(now.Add(limitWindow))
				break
			}
			_ = r.writeNow(w, l)
		}
	}
}

// capFields shortens what is too long for a line; the fields given stay as they are.
func capFields(fields []zapcore.Field) []zapcore.Field {
	var out []zapcore.Field // nil as long as there is nothing to shorten
	for i, f := range fields {
		limit, text := maxField, ""
		switch v := f.Interface.(type) {
		case error:
			if f.Type == zapcore.ErrorType {
				text = v.Error()
			}
		case []byte:
			if f.Type == zapcore.ByteStringType {
				limit, text = 4*maxMessage, string(v)
			}
		default:
			text = f.String
		}
		if len(text) <= limit {
			continue
		}
		if out == nil {
			out = slices.Clone(fields)
		}
		out[i] = zap.String(f.Key, capText(text, limit))
	}
	if out == nil {
		return fields
	}
	return out
}

// capText shortens a text to limit bytes and says so.
func capText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes more)", strings.ToValidUTF8(text[:limit], ""), len(text)-limit)
}
