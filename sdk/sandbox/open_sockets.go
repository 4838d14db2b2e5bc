package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
)

// connectionsPerMachine limits the open sockets and streams of one machine.
const connectionsPerMachine = 32

// The reasons why the server ends a connection.
var (
	errServerCloses = errors.New("the server closes the connection")
	errTooSlow      = errors.New("the reader is too slow")
	errRevoked      = errors.New("the agent's token is no longer valid")
	errNotJSON      = errors.New("a message must be a JSON object")
)

// errTooManyConnections is for a connection beyond the limit: others may end, so that a client can try
// again later.
func errTooManyConnections() error {
	return &apiError{
		status: http.StatusTooManyRequests, code: "RATE_LIMITED",
		message: fmt.Sprintf("%d sockets and streams are open, which is the limit: close one, or try again later", connectionsPerMachine),
	}
}

// connection is an open control socket or event stream. The server's lock guards the set; the
// connection's own goroutine does the I/O.
type connection struct {
	machine, agent, pairing string
	cancel                  context.CancelCauseFunc
	out                     chan outgoing // messages of a control socket; nil for a stream
	flood                   chan int      // of a control socket: how many meaningless messages to write
	wake                    chan struct{} // of a stream: signals that events may be due
}

// connections holds the open connections, by machine.
type connections struct {
	open map[string]map[*connection]bool
	sent []*sentNotification // the last maxNotifications, of all machines
}

// outgoing is one message of a control socket, and what to remember of it.
type outgoing struct {
	text []byte
	note *sentNotification
}

// maxNotifications limits the notifications that are remembered.
const maxNotifications = 4096

// Notification is one notification that a control socket was given.
type Notification struct {
	MachineID, Type string
	Message         []byte
	// Acknowledged is true when the agent answered a ping that followed it: it has read the
	// message and asked for the next one.
	Acknowledged bool
}

// sentNotification is a notification while its socket may still acknowledge it.
type sentNotification struct {
	Notification
	acknowledged atomic.Bool
}

// add registers a connection. It returns false when the machine has too many.
func (l *connections) add(c *connection) bool {
	if l.open == nil {
		l.open = map[string]map[*connection]bool{}
	}
	set := l.open[c.machine]
	if len(set) >= connectionsPerMachine {
		return false
	}
	if set == nil {
		set = map[*connection]bool{}
		l.open[c.machine] = set
	}
	set[c] = true
	return true
}

func (l *connections) remove(c *connection) {
	delete(l.open[c.machine], c)
	if len(l.open[c.machine]) == 0 {
		delete(l.open, c.machine)
	}
}

// close ends the connections that match.
func (l *connections) close(why error, match func(*connection) bool) {
	for _, set := range l.open {
		for c := range set {
			if match(c) {
				c.cancel(why)
			}
		}
	}
}

func (l *connections) closeAll() { l.close(errServerCloses, func(*connection) bool { return true }) }

func (l *connections) closeSockets() {
	l.close(errServerCloses, func(c *connection) bool { return c.out != nil })
}

// closeAgent ends the sockets of an agent whose token stopped working: it was revoked or got a new
// one.
func (l *connections) closeAgent(id string) {
	l.close(errRevoked, func(c *connection) bool { return c.agent == id && id != "" })
}

func (l *connections) closeMachine(id string) {
	l.close(errServerCloses, func(c *connection) bool { return c.machine == id })
}

func (l *connections) closePairing(id string) {
	l.close(errServerCloses, func(c *connection) bool { return c.pairing == id && id != "" })
}

// send queues a notification for the machine's control sockets. A socket that cannot take it is
// closed, because a message must not be lost silently.
func (l *connections) send(machine, kind string, message []byte) {
	for c := range l.open[machine] {
		if c.out == nil {
			continue
		}
		note := &sentNotification{Notification: Notification{MachineID: machine, Type: kind, Message: message}}
		select {
		case c.out <- outgoing{message, note}:
			l.remember(note)
		default:
			c.cancel(errTooSlow)
		}
	}
}

func (l *connections) remember(note *sentNotification) {
	if len(l.sent) >= maxNotifications {
		l.sent = slices.Delete(l.sent, 0, maxNotifications/4)
	}
	l.sent = append(l.sent, note)
}

// last returns the machine's last n notifications, oldest first.
func (l *connections) last(machine string, n int) []*sentNotification {
	var out []*sentNotification
	for i := len(l.sent) - 1; i >= 0 && len(out) < n; i-- {
		if l.sent[i].MachineID == machine {
			out = append(out, l.sent[i])
		}
	}
	slices.Reverse(out)
	return out
}

// wakeStreams wakes the machine's event streams.
func (l *connections) wakeStreams(machine string) {
	for c := range l.open[machine] {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (l *connections) sockets(machine string) (n int) {
	for c := range l.open[machine] {
		if c.out != nil {
			n++
		}
	}
	return n
}

func (l *connections) count() (n int) {
	for _, set := range l.open {
		n += len(set)
	}
	return n
}
