package agent

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestProxyFailures: a failure of the proxy is not attributed to the orchestrator.
func TestProxyFailures(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	answering := func(status int) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		return proxy.Listener.Addr().String()
	}
	for _, c := range []struct{ name, proxy, result, says string }{
		{"nothing listens", nobody, "network", " refused the connection"},
		{"no such name", "proxy.invalid:3128", "dns", "cannot resolve the name of the proxy"},
		{"requires a password", answering(407), "middlebox", "requires a user name and password"},
		{"refuses", answering(403), "middlebox", "refused the connection to the orchestrator (HTTP 403)"},
	} {
		transport := connect.New(connect.Options{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: c.proxy})})
		api, err := newClient(&config.Config{Orchestrator: config.Orchestrator{URL: "https://orchestrator.example"}}, transport, "test", sdk.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		v := judge(api.Observability.Health(ctx), time.Now())
		cancel()
		if v.kind != unreachable || v.result != c.result || v.cause.Code != "proxy" || !strings.Contains(v.cause.Text, c.says) {
			t.Errorf("%s: %+v, %+v", c.name, v, v.cause)
		}
	}
}
