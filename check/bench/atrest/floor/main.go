// Command floor is the least that a Go program does for the agent's job: a loop that
// sends the heartbeat with net/http, and an HTTP server with client_golang's metrics
// and /healthz. It probes no endpoint, keeps no store and handles no error.
//
//	floor '{"base": "http://127.0.0.1:1", "machine": "…", "agent": "…", "token": "…", "endpoint": "…", "listen": "127.0.0.1:2", "seconds": 10}'
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// job is what check/bench/atrest gives as the one argument.
type job struct {
	Base, Machine, Agent, Token, Endpoint, Listen string
	Seconds                                       int
}

func main() {
	var j job
	if len(os.Args) != 2 || json.Unmarshal([]byte(os.Args[1]), &j) != nil {
		fmt.Fprintln(os.Stderr, "floor: give one job as JSON")
		os.Exit(1)
	}
	registry := prometheus.NewRegistry()
	beats := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "heartbeats_total", Help: "Heartbeats by result."}, []string{"result"})
	registry.MustRegister(beats, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	server := &http.Server{Addr: j.Listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { fmt.Fprintln(os.Stderr, "floor:", server.ListenAndServe()) }()
	for {
		beats.WithLabelValues(j.beat()).Inc()
		time.Sleep(time.Duration(j.Seconds) * time.Second)
	}
}

// beat sends one heartbeat and returns its result.
func (j job) beat() string {
	body, err := json.Marshal(map[string]any{
		"machineId": j.Machine, "agentId": j.Agent, "agentToken": j.Token, "leaseTtlSeconds": 3 * j.Seconds,
		"endpoints": []map[string]string{{"providerKey": "demo", "endpointBaseUrl": j.Endpoint, "networkScope": "loopback", "authType": "none"}},
	})
	if err != nil {
		return "error"
	}
	res, err := http.Post(j.Base+"/api/v1/machine-agents/heartbeat", "application/json", bytes.NewReader(body))
	if err != nil {
		return "error"
	}
	defer res.Body.Close()
	var response struct{ Item json.RawMessage }
	if json.NewDecoder(res.Body).Decode(&response) != nil || res.StatusCode != http.StatusOK {
		return "error"
	}
	return "success"
}
