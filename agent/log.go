package agent

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// newLogger makes the one logger of a process. Each event has a sentence for people,
// a field "code" for programs that never changes its meaning, and what else is
// known; an event of a machine has the field "machine", one of an endpoint "provider".
// WARN and ERROR are for what a person should look at.
//
// Format auto is console on a terminal and JSON elsewhere. In both, one event is one
// line: control characters are escaped, so that no text from outside can forge a line
// or control a terminal. Repeats are suppressed and the volume is limited, see
// [repeats]. The level it returns can be changed at any time.
func newLogger(cfg config.Log, w io.Writer, isTerminal bool, known logState) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(levelOf(cfg))
	out := zapcore.Lock(zapcore.AddSync(w))
	core := zapcore.NewCore(lineEncoder{newEncoder(cfg.Format, isTerminal)}, out, level)
	if known.count == nil {
		known.count = func(string) {}
	}
	if known.record == nil {
		known.record = func(status.Event) {}
	}
	if known.identity == nil {
		known.identity = func(string) (string, string) { return "", "" }
	}
	return zap.New(&quietCore{Core: core, seen: newRepeats(core, known.identity), known: known}, zap.ErrorOutput(out)), level
}

// logState connects the log with the state of the process. Each function may be nil.
type logState struct {
	// count is called with the level of every event that the level of the log lets
	// through, suppressed ones included.
	count func(level string)
	// record keeps an event, whatever the level of the log.
	record func(status.Event)
	// identity returns the ids of a machine as far as they are known. Without a name it
	// means the only machine.
	identity func(machine string) (machineID, agentID string)
}

// logStateOf connects the log with a tracker.
func logStateOf(state *status.Tracker) logState {
	return logState{
		count:    func(level string) { state.UpdateProcess(func(s *status.Process) { s.LogMessages[level]++ }) },
		record:   state.Record,
		identity: state.Identity,
	}
}

func levelOf(cfg config.Log) zapcore.Level {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return zapcore.InfoLevel // config.Load accepts no other value
	}
	return level
}

func newEncoder(format string, isTerminal bool) zapcore.Encoder {
	c := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", MessageKey: "msg", StacktraceKey: zapcore.OmitKey,
		EncodeTime: func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
			enc.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
		},
		EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.StringDurationEncoder,
	}
	if format == "console" || (format != "json" && isTerminal) {
		c.EncodeLevel, c.ConsoleSeparator = zapcore.CapitalLevelEncoder, "  "
		return zapcore.NewConsoleEncoder(c)
	}
	return zapcore.NewJSONEncoder(c)
}

// lineEncoder keeps an event on one line. zap's JSON form escapes only the ASCII
// control characters, and its console form none in the message.
type lineEncoder struct{ zapcore.Encoder }

func (e lineEncoder) Clone() zapcore.Encoder { return lineEncoder{e.Encoder.Clone()} }

func (e lineEncoder) EncodeEntry(ent zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	ent.Stack = ""
	b, err := e.Encoder.EncodeEntry(ent, fields)
	if err != nil {
		return nil, err
	}
	line := b.Bytes()
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if clean := escapeControls(line); clean != nil {
		b.Reset()
		_, _ = b.Write(clean) // a buffer's Write cannot fail
		b.AppendByte('\n')
	}
	return b, nil
}

// escapeControls replaces characters that a terminal acts on by \uXXXX, which JSON
// reads as the same character, and bytes that are not UTF-8 by U+FFFD. It returns nil
// when there is nothing to replace.
func escapeControls(line []byte) []byte {
	var out []byte
	kept := 0 // line[:kept] is in out
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		broken := r == utf8.RuneError && size == 1
		if broken || config.Deceptive(r) {
			out = append(out, line[kept:i]...)
			switch {
			case broken:
				out = append(out, "\ufffd"...)
			case r > 0xffff:
				hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
				out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
			default:
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			kept = i + size
		}
		i += size
	}
	if out == nil {
		return nil
	}
	return append(out, line[kept:]...)
}
