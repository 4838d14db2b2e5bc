package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestExtremeTimesOfASubscription: the highest number means never; years past 9999 have no
// form in JSON.
func TestExtremeTimesOfASubscription(t *testing.T) {
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	word := func(n uint64) string { return fmt.Sprintf("%064x", n) }
	for _, tt := range []struct {
		start, end         uint64
		wantStart, wantEnd time.Time
	}{
		{1790000000, 1<<64 - 1, time.Unix(1790000000, 0).UTC(), last},
		{1790000000, 1 << 62, time.Unix(1790000000, 0).UTC(), last},
		{1<<64 - 1, 1<<64 - 1, last, last},
		{1, 253402300799, time.Unix(1, 0).UTC(), last},
		{1, 253402300798, time.Unix(1, 0).UTC(), last.Add(-time.Second)},
		{0, 1<<64 - 1, time.Time{}, time.Time{}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			out := word(0)
			switch {
			case strings.Contains(string(body), selSubscriptions):
				out = word(1) + word(tt.start) + word(tt.end) + word(5) + word(7)
			case strings.Contains(string(body), selOwnerOf), strings.Contains(string(body), selControllerOf):
				out = strings.Repeat("0", 24) + strings.Repeat("11", 20)
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":"0x%s"}`, out)
		}))
		c := must[*Chain](t)(NewChain(server.URL, mainDeployment(t)))
		m, err := c.Machine(t.Context(), "42")
		if err != nil || !m.PeriodStart.Equal(tt.wantStart) || !m.PeriodEnd.Equal(tt.wantEnd) || m.Bond.Int64() != 5 {
			t.Errorf("%d to %d: %+v, %v", tt.start, tt.end, m, err)
		} else if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// TestOddNodes: the response to another request is refused, and the text of a node's error is
// kept.
func TestOddNodes(t *testing.T) {
	for name, tt := range map[string]struct {
		status        int
		body          string
		id            uint64
		says          string
		auth, limited bool
	}{
		"without 0x":        {200, `{"jsonrpc":"2.0","id":1,"result":"3338"}`, 0, "0x", false, false},
		"hex":               {200, `{"jsonrpc":"2.0","id":1,"result":"0xd0a"}`, 3338, "", false, false},
		"error null":        {200, `{"jsonrpc":"2.0","id":1,"result":"0xd0a","error":null}`, 3338, "", false, false},
		"another id":        {200, `{"jsonrpc":"2.0","id":2,"result":"0xd0a"}`, 0, "not JSON-RPC", false, false},
		"no id":             {200, `{"jsonrpc":"2.0","result":"0xd0a"}`, 0, "not JSON-RPC", false, false},
		"another version":   {200, `{"jsonrpc":"1.0","id":1,"result":"0xd0a"}`, 0, "not JSON-RPC", false, false},
		"null":              {200, `{"jsonrpc":"2.0","id":1,"result":null}`, 0, "not JSON-RPC", false, false},
		"a gateway":         {401, `{"error":"project id is invalid"}`, 0, "project id is invalid", true, false},
		"a gateway's text":  {401, "no such project\n", 0, "no such project", true, false},
		"markup":            {403, "<html>secret</html>", 0, "not JSON-RPC", false, false},
		"a quota":           {402, `{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"daily quota"}}`, 0, "daily quota", false, true},
		"an error, no id":   {200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`, 0, "parse error", false, false},
		"a result, refused": {500, `{"jsonrpc":"2.0","id":1,"result":"0xd0a"}`, 0, "status of an error", false, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600") // no retry
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		}))
		c := must[*Chain](t)(NewChain(server.URL, mainDeployment(t)))
		id, err := c.ID(t.Context())
		if id != tt.id || (err == nil) != (tt.says == "") || errors.Is(err, ErrAuth) != tt.auth || errors.Is(err, ErrRateLimited) != tt.limited ||
			(err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret"))) {
			t.Errorf("%s: %d, %v", name, id, err)
		}
		server.Close()
	}
}
