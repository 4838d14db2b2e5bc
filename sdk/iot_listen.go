package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// rememberedEvents is how many event IDs Listen remembers to recognize a repeated event. The
// service retains at most 500 events per pairing.
const rememberedEvents = 2048

// IoTListenOptions configures [IoTService.Listen].
type IoTListenOptions struct {
	IoTEventOptions

	// MinWait and MaxWait bound the wait before the stream is opened again: MinWait after
	// the first failure (1 s if unset), doubling up to MaxWait (1 minute if unset), with
	// jitter. A longer wait that the server asks for is obeyed, up to one hour.
	MinWait, MaxWait Optional[time.Duration]

	// Reconnecting, if not nil, is called before each wait, with the error that ended the
	// stream; nil if the server ended it without one.
	Reconnecting func(cause error, wait time.Duration)
}

// IoTGapError means that events may have been missed: the server no longer retains the event
// after which the stream was to be resumed. The stream continues with what is retained.
type IoTGapError struct {
	After string // FrameID of the last event that was received
}

func (e *IoTGapError) Error() string {
	return "events may have been missed: the server no longer retains those after the last one that was received"
}

// Listen is Events for programs that want to miss nothing: it opens the stream again whenever
// it breaks or ends, after a wait that grows, and resumes after the last event. An event that
// arrives twice is returned once. The stream is opened when iteration starts, and every range
// over the sequence is a stream of its own.
//
// A *IoTGapError is not the end: the loop may continue. Any other error is the last item: one
// for which connecting again is useless, or that of ctx. After an *IoTStreamError the next
// item is an APIError with its code, if the code says that the token, the pairing or the
// machine is rejected; otherwise the stream is opened again.
//
// GET /machines/{machineId}/iot/events (contract §2.19)
func (s *IoTService) Listen(ctx context.Context, machineID string, token Secret, o IoTListenOptions) iter.Seq2[IoTEvent, error] {
	return func(yield func(IoTEvent, error) bool) {
		l := listener{options: o, at: o.LastEventID, seen: map[string]bool{}}
		for {
			cause, more := l.once(s.Events(ctx, machineID, token, l.current()), yield)
			if !more {
				return
			}
			if l.gap {
				if !yield(nil, &IoTGapError{After: l.at.Value()}) {
					return
				}
				l.at, l.gap = Optional[string]{}, false
			}
			if err := l.wait(ctx, cause); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// listener is the state of one pass of Listen.
type listener struct {
	options  IoTListenOptions
	at       Optional[string] // the event after which to resume
	gap      bool             // that event is no longer retained
	failures int              // in a row, without an event in between
	seen     map[string]bool
	order    []string // of seen, oldest first
}

func (l *listener) current() IoTEventOptions {
	o := l.options.IoTEventOptions
	o.LastEventID = l.at
	return o
}

// once reads one stream to its end. more is false if there is nothing to do after it.
func (l *listener) once(events iter.Seq2[IoTEvent, error], yield func(IoTEvent, error) bool) (cause error, more bool) {
	for event, err := range events {
		if err != nil {
			if l.gap = isReplayUnavailable(err) && l.at.IsSet(); l.gap || errors.Is(err, ErrRetryable) {
				return err, true
			}
			yield(nil, err)
			return nil, false
		}
		if failed, ok := event.(*IoTStreamError); ok {
			return l.failed(failed, yield)
		}
		l.failures = 0
		if !l.first(event.FrameID()) {
			continue
		}
		if !yield(event, nil) {
			return nil, false
		}
		l.at = Some(event.FrameID())
	}
	return nil, true
}

// failed handles the frame with which the server ends a stream.
func (l *listener) failed(event *IoTStreamError, yield func(IoTEvent, error) bool) (cause error, more bool) {
	code := event.Fault.Code
	fault := &APIError{
		Operation: "GET /machines/{machineId}/iot/events", Code: code, StatusCode: http.StatusOK,
		Message: "the server ended the stream",
	}
	if l.gap = isReplayUnavailable(fault) && l.at.IsSet(); l.gap {
		return fault, true
	}
	if !yield(event, nil) {
		return nil, false
	}
	if hopeless(code) {
		yield(nil, fault)
		return nil, false
	}
	return fault, true
}

// first reports whether an event has not been returned yet, and remembers it.
func (l *listener) first(id string) bool {
	if l.seen[id] {
		return false
	}
	l.seen[id] = true
	l.order = append(l.order, id)
	if len(l.order) > rememberedEvents {
		delete(l.seen, l.order[0])
		l.order = l.order[1:]
	}
	return true
}

// wait waits before the stream is opened again.
func (l *listener) wait(ctx context.Context, cause error) error {
	wait := backoff(l.failures, l.options.MinWait.Or(time.Second), l.options.MaxWait.Or(time.Minute), rand.Float64())
	l.failures++
	if api, ok := errors.AsType[*APIError](cause); ok {
		asked, _ := api.RetryAfter()
		wait = max(wait, min(asked, time.Hour))
	}
	if l.options.Reconnecting != nil {
		l.options.Reconnecting(cause, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &NetworkError{
			Operation: "GET /machines/{machineId}/iot/events", Err: fmt.Errorf("%w while waiting to reconnect", ctx.Err()), unsent: true,
		}
	}
}

// backoff doubles from least to most, and takes up to half off at random, so that the clients
// of a server that has restarted do not all return together. jitter is 0 to 1.
func backoff(failures int, least, most time.Duration, jitter float64) time.Duration {
	wait := least
	for range min(failures, 30) {
		if wait >= most/2 {
			wait = most
			break
		}
		wait *= 2
	}
	return time.Duration(float64(min(wait, most)) * (1 - jitter/2))
}

func isReplayUnavailable(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && api.Code == CodeIoTReplayUnavailable
}

// hopeless reports whether the code of a stream that the server ended says that the same
// request would be rejected again.
func hopeless(code string) bool {
	for _, prefix := range []string{"AUTH_", "AGENT_AUTH_", "AGENT_PAIRING_", "AGENT_POLICY_", "MACHINE_NOT_", "VALIDATION_", "NOT_FOUND"} {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}
