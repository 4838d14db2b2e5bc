package sdk

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestGzipThatWasNotAskedFor: a gateway compresses although nobody asked for it, for
// success and for an error; the decoded body has the usual limits.
func TestGzipThatWasNotAskedFor(t *testing.T) {
	const refusal = `{"error":{"code":"AGENT_AUTH_INVALID","message":"no"}}`
	for _, c := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"success", beatJSON, 200, ""},
		{"success with a byte order mark", "\ufeff" + beatJSON, 200, ""},
		{"refusal", refusal, 401, "AGENT_AUTH_INVALID"},
		{"refusal with a byte order mark", "\ufeff" + refusal, 401, "AGENT_AUTH_INVALID"},
		{"beyond the limit", strings.Repeat(" ", 2<<20) + beatJSON, 200, CodeInvalidResponseShape},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(c.status)
			packed := gzip.NewWriter(w)
			_, _ = io.WriteString(packed, c.body)
			_ = packed.Close()
		}))
		client, err := New(server.URL, WithHTTPClient(&http.Client{Transport: &http.Transport{DisableCompression: true}}), WithMaxBody(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.MachineAgents.Heartbeat(t.Context(), benchBeat())
		var api *APIError
		if (c.code == "") != (err == nil) || (c.code != "" && (!errors.As(err, &api) || api.Code != c.code)) {
			t.Errorf("%s: %v", c.name, err)
		}
		server.Close()
	}
}
