package sandbox

import (
	"context"
	"errors"
)

// connectionsPerMachine bounds the open sockets and streams of one machine.
const connectionsPerMachine = 32

// Why a connection ends.
var (
	errServerCloses = errors.New("the server closes the connection")
	errTooSlow      = errors.New("the reader is too slow")
	errRevoked      = errors.New("the agent's token is no longer good")
	errNotJSON      = errors.New("a message must be a JSON object")
)

// connection is an open control socket or event stream. The server's lock holds
// the set; the connection's own goroutine does the talking.
type connection struct {
	machine, agent, pairing string
	cancel                  context.CancelCauseFunc
	out                     chan []byte   // messages of a control socket; nil for a stream
	wake                    chan struct{} // of a stream: something may be new
}

// connections are those that are open, by machine.
type connections struct {
	open map[string]map[*connection]bool
}

// add registers a connection; false when the machine has too many.
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

// close ends those that match.
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

func (l *connections) closeAgent(id string) {
	l.close(errRevoked, func(c *connection) bool { return c.agent == id && id != "" })
}

func (l *connections) closeMachine(id string) {
	l.close(errServerCloses, func(c *connection) bool { return c.machine == id })
}

func (l *connections) closePairing(id string) {
	l.close(errServerCloses, func(c *connection) bool { return c.pairing == id && id != "" })
}

// send gives a message to the machine's control sockets. One that does not take
// it in time is closed: a message must not be lost in silence.
func (l *connections) send(machine string, message []byte) {
	for c := range l.open[machine] {
		if c.out == nil {
			continue
		}
		select {
		case c.out <- message:
		default:
			c.cancel(errTooSlow)
		}
	}
}

// stir wakes the machine's event streams.
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
