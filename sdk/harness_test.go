package sdk

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// seen is one request that a test server received.
type seen struct {
	method string
	path   string // still escaped
	query  string
	header http.Header
	body   string
}

// reply is a response of a test server.
type reply struct {
	status int
	header map[string]string
	body   string
}

// serve starts a server on loopback that sends the given replies in order, repeating the
// last one, and a client of it.
func serve(t testing.TB, replies ...reply) (*Client, *[]seen) {
	t.Helper()
	requests := &[]seen{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*requests = append(*requests, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body)})
		a := replies[min(len(*requests), len(replies))-1]
		if a.body != "" && a.header["Content-Type"] == "" {
			w.Header().Set("Content-Type", "application/json")
		}
		for name, value := range a.header {
			w.Header().Set(name, value)
		}
		if a.status == 0 {
			a.status = http.StatusOK
		}
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	}))
	t.Cleanup(server.Close)
	c, err := New(server.URL, WithAPIKey(NewSecret("pk_canary")))
	if err != nil {
		t.Fatal(err)
	}
	return c, requests
}

const machineJSON = `{"id":"mach_1","displayName":"Rover","status":"active","ownerId":"acct","machineType":"rover","runtimeProfile":"edge",
	"capabilities":["gps"],"labels":{"site":"berlin"},"createdAt":"2026-03-01T10:00:00Z","updatedAt":"2026-03-01T10:00:00Z",
	"identityRef":"did:peaq:42","colour":"red"}`

// getMachine is the call for tests of the engine.
func getMachine(c *Client) (*Machine, error) { return c.Machines.Get(context.Background(), "mach_1") }
