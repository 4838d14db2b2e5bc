package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestListenerRespondsWhileTheStoreOpens: another process has the store, and the
// daemon that waits for it is alive and not ready.
func TestListenerRespondsWhileTheStoreOpens(t *testing.T) {
	l := newLife(t, "demo") // has the store
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := *l.cfg
	cfg.Telemetry.Listen = free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, &cfg, Options{Version: "test", Transport: l.server.Transport(), Probe: l.runtime, NoAdmin: true, LockWait: time.Minute})
	}()
	until := func(path string, status int, text string) {
		t.Helper()
		last := ""
		for began := time.Now(); time.Since(began) < 20*time.Second; runtime.Gosched() {
			res, err := http.Get("http://" + cfg.Telemetry.Listen + path)
			if err != nil {
				continue
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if last = string(body); res.StatusCode == status && strings.Contains(last, text) {
				return
			}
		}
		t.Fatalf("%s is not %d with %q, but %s", path, status, text, last)
	}
	until("/healthz", http.StatusOK, "ok")
	until("/readyz", http.StatusServiceUnavailable, `"starting"`)
	l.close() // releases the store
	until("/readyz", http.StatusServiceUnavailable, `"not_enrolled"`)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
