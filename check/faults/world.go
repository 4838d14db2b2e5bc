package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// meddler stands between the agent and the sandbox; next is the sandbox.
type meddler func(w http.ResponseWriter, r *http.Request, next http.Handler)

// world is one orchestrator on a port of its own, and one store.
type world struct {
	lab     *lab
	sandbox *sandbox.Server
	origin  string
	state   string // keystore.dir
	config  string
	meddle  atomic.Pointer[meddler]
	gate    sync.RWMutex // held for writing, no request gets through
	down    atomic.Bool  // requests end without an answer
	server  *http.Server
}

// newWorld makes a world; an empty state makes the store's directory, too.
// Further lines of configuration may be given.
func (l *lab) newWorld(state string, more ...string) (*world, error) {
	dir, err := l.newDir()
	if err != nil {
		return nil, err
	}
	if state == "" {
		state = filepath.Join(dir, "state")
		if err := os.Mkdir(state, 0o700); err != nil {
			return nil, err
		}
	}
	w := &world{lab: l, state: state, config: filepath.Join(dir, "config.yaml")}
	if w.sandbox, err = sandbox.Open(sandbox.WithAPIKey(apiKey), sandbox.WithController("", controllerAddress)); err != nil {
		return nil, err
	}
	// An address of its own on the loopback network: no other socket can take it
	// while the world severs its connections and listens anew.
	if err := w.listen(l.address()); err != nil {
		return nil, err
	}
	lines := []string{
		`orchestrator: {url: "` + w.origin + `"}`, "machines:", "  - endpoints:",
		`      - {provider_key: demo, base_url: "` + l.runtime + `"}`, "heartbeat: {lease_ttl: 6s}", `keystore: {dir: "` + state + `"}`,
	}
	if !strings.Contains(strings.Join(more, "\n"), "telemetry:") {
		lines = append(lines, `telemetry: {listen: ""}`)
	}
	text := strings.Join(append(lines, more...), "\n") + "\n"
	return w, os.WriteFile(w.config, []byte(text), 0o600)
}

// listen serves the sandbox; a second call takes the same address again.
func (w *world) listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	w.origin = "http://" + l.Addr().String()
	w.server = &http.Server{Handler: http.HandlerFunc(w.serve)}
	go func(s *http.Server) { _ = s.Serve(l) }(w.server)
	return nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.down.Load() || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	if m := w.meddle.Load(); m != nil {
		(*m)(rw, r, w.sandbox)
		return
	}
	w.sandbox.ServeHTTP(rw, r)
}

// interpose puts a meddler between; nil takes it away.
func (w *world) interpose(m meddler) {
	if m == nil {
		w.meddle.Store(nil)
		return
	}
	w.meddle.Store(&m)
}

// sever ends every connection, also those that wait to be accepted, and serves
// the same address anew: what a killed agent had sent last is not done later.
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
	return until(w.lab.ctx, 5*time.Second, "listen again", func() bool { return w.listen(strings.TrimPrefix(w.origin, "http://")) == nil })
}

// close ends the world and forgets its files.
func (w *world) close() {
	_ = w.server.Close()
	_ = w.sandbox.Close()
	_ = os.RemoveAll(filepath.Dir(w.config))
}

// living are the agents that are not revoked.
func (w *world) living() []sandbox.Agent {
	var living []sandbox.Agent
	for _, a := range w.sandbox.Agents("") {
		if a.Status != "revoked" {
			living = append(living, a)
		}
	}
	return living
}

// inWorlds makes n worlds, a few at a time, and lets f break each; what f finds
// is added to the row.
func (l *lab) inWorlds(r *row, n int, f func(w *world, i int) (string, finding, error)) {
	l.each(n, func(i int) {
		w, err := l.newWorld("")
		if err != nil {
			r.broken(err)
			return
		}
		defer w.close()
		what, found, err := f(w, i)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", what, err))
			return
		}
		r.add(what, found)
	})
}
