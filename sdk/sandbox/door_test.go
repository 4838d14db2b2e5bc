package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// overASocket is newRoom behind a real listener, one connection per call.
func overASocket(t testing.TB, opts ...sandbox.Option) *room {
	t.Helper()
	r := newRoom(t, opts...)
	web := httptest.NewUnstartedServer(nil)
	web.Config = r.s.HTTPServer()
	web.Start()
	t.Cleanup(web.Close)
	r.url = web.URL
	r.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: noRedirect}
	return r
}

// bothDoors runs a test in this process and over a socket: a client must see the
// same through both.
func bothDoors(t *testing.T, test func(t *testing.T, open func(testing.TB, ...sandbox.Option) *room)) {
	t.Run("in process", func(t *testing.T) { test(t, newRoom) })
	t.Run("over a socket", func(t *testing.T) { test(t, overASocket) })
}
