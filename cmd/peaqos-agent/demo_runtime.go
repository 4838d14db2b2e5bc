package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// demoRuntime is an HTTP server with those paths of a QVAC runtime that the demo uses.
// It keeps its address when it is stopped and started again. Its model always gives
// the same reply.
type demoRuntime struct {
	addr        string
	server      *http.Server
	completions atomic.Int64 // requests for a completion
}

func newDemoRuntime() (*demoRuntime, error) {
	addr, err := freeAddress()
	return &demoRuntime{addr: addr}, err
}

func (r *demoRuntime) start() error {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, `{"object": "list", "data": [{"id": "demo-model", "object": "model", "owned_by": "qvac", "state": "ready"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, _ *http.Request) {
		r.completions.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"object": "chat.completion", "choices": [
			{"index": 0, "message": {"role": "assistant", "content": "On this machine, at %s."}}
		]}`, r.addr)
	})
	r.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0), // it would log what clients sent
	}
	go func() { _ = r.server.Serve(l) }()
	return nil
}

func (r *demoRuntime) stop() error {
	if r.server == nil {
		return nil
	}
	err := r.server.Close()
	r.server = nil
	return err
}

// freeAddress returns a loopback address with a port that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
