package agent

import (
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// repeatWindow is how long a repeated event is suppressed.
	repeatWindow = 10 * time.Minute
	// maxRemembered bounds the memory; beyond it the oldest are forgotten, which only
	// costs additional lines.
	maxRemembered = 512
)

// quietCore counts every event and suppresses repeated ones.
type quietCore struct {
	zapcore.Core
	seen  *repeats
	count func(level string)
	about subject // from the fields given to With
}

func (c *quietCore) With(fields []zapcore.Field) zapcore.Core {
	return &quietCore{Core: c.Core.With(fields), seen: c.seen, count: c.count, about: c.about.with(fields)}
}

func (c *quietCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *quietCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.count(e.Level.String())
	if e.Level == zapcore.DebugLevel || e.Level > zapcore.ErrorLevel {
		return c.Core.Write(e, fields)
	}
	about := c.about.with(fields)
	left, write := c.seen.check(e, about)
	if !write {
		return nil
	}
	if left > 0 {
		fields = append(fields[:len(fields):len(fields)], zapcore.Field{Key: "repeated", Type: zapcore.Int64Type, Integer: int64(left)})
	}
	return c.Core.Write(e, fields)
}

// subject is what an event is about.
type subject struct{ code, machine, provider string }

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
		}
	}
	return s
}

// repeats decides which events are written. An event that was written in the last ten
// minutes (same level, code, sentence, machine and endpoint) is suppressed; the next
// one after that has the number of suppressed ones in "repeated".
//
// An event of the other kind about the same machine and endpoint, good after bad or
// bad after good, ends the suppression at once: the last line of a log must never be
// out of date.
type repeats struct {
	mu   sync.Mutex
	seen map[event]*streak
}

type event struct {
	subject
	level   zapcore.Level
	message string
}

type streak struct {
	since time.Time // when it was last written
	left  int       // how many were suppressed since
}

func newRepeats() *repeats { return &repeats{seen: map[event]*streak{}} }

// check reports whether to write an event, and how many like it were suppressed.
func (r *repeats) check(e zapcore.Entry, about subject) (left int, write bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	this := event{about, e.Level, e.Message}
	s := r.seen[this]
	if s != nil && e.Time.Sub(s.since) < repeatWindow {
		s.left++
		return 0, false
	}
	if s != nil {
		left = s.left
	}
	for other := range r.seen {
		if other.machine == about.machine && other.provider == about.provider && (other.level > zapcore.InfoLevel) != (e.Level > zapcore.InfoLevel) {
			delete(r.seen, other)
		}
	}
	if len(r.seen) >= maxRemembered {
		r.forget()
	}
	r.seen[this] = &streak{since: e.Time}
	return left, true
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
