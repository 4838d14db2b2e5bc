package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// interceptor handles requests of the agent instead of the sandbox, which is next.
type interceptor func(w http.ResponseWriter, r *http.Request, next http.Handler)

// world is one orchestrator on a port of its own, and one store.
type world struct {
	faults    *harness
	sandbox   *sandbox.Server
	address   string // host:port
	origin    string // its URL
	state     string // keystore.dir
	runtime   string // the endpoint's URL; empty for the lab's
	config    string
	intercept atomic.Pointer[interceptor]
	gate      sync.RWMutex // held for writing, no request gets through
	down      atomic.Bool  // requests end without a response
	server    *http.Server
	front     []string         // a program that runs every command of the agent; nil for none
	again     []string         // the enroll that ends a fault; nil for enrollArgs
	elsewhere []string         // names of agents whose token is kept outside the store
	original  []sandbox.Agent  // agents of another device
	options   keystore.Options // how the witness opens the store

	certificate atomic.Pointer[tls.Certificate] // of an https origin
}

// newWorld makes a world without telemetry. An empty state makes the store's
// directory as well. Further lines of configuration may be given.
func (h *harness) newWorld(state string, more ...string) (*world, error) {
	return h.newWorldAt(state, "", more...)
}

// newWorldAt is newWorld with a telemetry address.
func (h *harness) newWorldAt(state, telemetry string, more ...string) (*world, error) {
	dir, err := h.newDir()
	if err != nil {
		return nil, err
	}
	if state == "" {
		state = filepath.Join(dir, "state")
		if err := os.Mkdir(state, 0o700); err != nil {
			return nil, err
		}
	}
	w := &world{faults: h, state: state, config: filepath.Join(dir, "config.yaml")}
	if w.sandbox, err = sandbox.Open(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress)); err != nil {
		return nil, err
	}
	// An address of its own on the loopback network: no other socket can take it
	// while the world closes its connections and listens again.
	w.address = h.address()
	w.origin = "http://" + w.address
	if err := w.listen(); err != nil {
		return nil, err
	}
	return w, w.writeConfig(lab.Config{Orchestrator: w.origin, Telemetry: telemetry, More: more})
}

// writeConfig writes the agent's configuration, with this world's runtime and store.
func (w *world) writeConfig(c lab.Config) error {
	c.Runtime, c.State = cmp.Or(w.runtime, w.faults.lab.Runtime.URL), w.state
	return os.WriteFile(w.config, []byte(c.YAML()), 0o600)
}

// listen serves the sandbox; a second call takes the same address again.
func (w *world) listen() error {
	l, err := net.Listen("tcp", w.address)
	if err != nil {
		return err
	}
	if strings.HasPrefix(w.origin, "https://") {
		l = tls.NewListener(l, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.certificate.Load(), nil }})
	}
	w.server = &http.Server{Handler: http.HandlerFunc(w.serve), ErrorLog: log.New(io.Discard, "", 0)}
	go func(s *http.Server) { _ = s.Serve(l) }(w.server)
	return nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.down.Load() || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	if i := w.intercept.Load(); i != nil {
		(*i)(rw, r, w.sandbox)
		return
	}
	w.sandbox.ServeHTTP(rw, r)
}

// interpose sets the interceptor; nil removes it.
func (w *world) interpose(i interceptor) {
	if i == nil {
		w.intercept.Store(nil)
		return
	}
	w.intercept.Store(&i)
}

// sever closes every connection, also those that wait to be accepted, and serves
// the same address again: the last requests of a killed agent are not handled later.
func (w *world) sever() error {
	w.down.Store(true)
	err := w.server.Close()
	w.gate.Lock() // every handler has ended
	w.down.Store(false)
	w.gate.Unlock()
	if err != nil {
		return err
	}
	// A program that another worker starts holds a copy of the socket for a moment.
	return lab.Until(w.faults.ctx, 5*time.Second, "listen again", func() bool {
		return w.listen() == nil
	})
}

// close ends the world and removes its files.
func (w *world) close() {
	_ = w.server.Close()
	_ = w.sandbox.Close()
	_ = os.RemoveAll(filepath.Dir(w.config))
}

// active are the agents that are not revoked, without those of another device.
func (w *world) active() []sandbox.Agent {
	var active []sandbox.Agent
	for _, a := range w.sandbox.Agents("") {
		if a.Status != "revoked" && !slices.ContainsFunc(w.original, func(o sandbox.Agent) bool { return o.ID == a.ID }) {
			active = append(active, a)
		}
	}
	return active
}

// inWorlds makes n worlds, a few at a time, and lets f break each; what f finds
// is added to the row.
func (h *harness) inWorlds(r *row, n int, f func(w *world, i int) (attempt, error)) {
	h.each(n, func(i int) {
		w, err := h.newWorld("")
		if err != nil {
			r.broken(err)
			return
		}
		defer w.close()
		a, err := f(w, i)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", a.what, err))
			return
		}
		r.add(a)
	})
}
