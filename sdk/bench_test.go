package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// canned is a transport without a network, so that only this package is measured.
type canned struct {
	status int
	header http.Header
	body   func(*http.Request) string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := c.body(r)
	return &http.Response{
		StatusCode: c.status, Header: c.header, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// cannedClient is a client whose every request gets the response that body returns.
func cannedClient(tb testing.TB, status int, body func(*http.Request) string) *Client {
	tb.Helper()
	header := http.Header{"Content-Type": {"application/json"}, "Date": {"Sun, 01 Mar 2026 10:00:00 GMT"}}
	c, err := New("http://bench.example", WithAPIKey(NewSecret("k")), WithHTTPClient(&http.Client{Transport: canned{status, header, body}}))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func always(body string) func(*http.Request) string {
	return func(*http.Request) string { return body }
}

const beatJSON = `{"item":{"machineId":"mach_1","agentId":"magt_1","leaseTtlSeconds":90,` +
	`"observedAt":"2026-03-01T10:00:00.000Z","endpoints":[` +
	`{"providerKey":"qvac","endpointBaseUrl":"http://127.0.0.1:11434","status":"active",` +
	`"leaseExpiresAt":"2026-03-01T10:01:30.000Z","healthError":null}]}}`

// benchMachine is a machine with every field set. No two share a string.
func benchMachine(i int) string {
	return fmt.Sprintf(`{"id":"mach_%06d","displayName":"Rover %d","status":"active","ownerId":"acct_%d",`+
		`"machineType":"edge-node","runtimeProfile":"linux-docker",`+
		`"capabilities":["gps","camera","llm"],"labels":{"site":"berlin","row":"7"},"policyIds":["pol_1"],`+
		`"skillKeys":["qvac.chat","qvac.embed"],`+
		`"createdAt":"2026-03-01T10:00:00.000Z","updatedAt":"2026-03-02T11:30:00.000Z",`+
		`"identityRef":"did:peaq:%d","identityProof":{"method":"eip191",`+
		`"identityRef":"did:peaq:%d","signerAddress":"0x52908400098527886E0F7030069857D2E4169EE7",`+
		`"challengeId":"mic_%d","verifiedAt":"2026-03-01T10:00:00.000Z",`+
		`"challengeExpiresAt":"2026-03-01T10:05:00.000Z",`+
		`"controllerAddresses":["0x52908400098527886E0F7030069857D2E4169EE7"],"resolutionSource":"peaqos-mcr"}}`, i, i, i%97, i, i, i)
}

// benchPages serves 10,000 machines in pages of 100, by cursor.
func benchPages() func(*http.Request) string {
	pages := make([]string, 100)
	for p := range pages {
		items := make([]string, 100)
		for i := range items {
			items[i] = benchMachine(100*p + i)
		}
		next := "null"
		if p < 99 {
			next = `"` + strconv.Itoa(p+1) + `"`
		}
		pages[p] = `{"items":[` + strings.Join(items, ",") + `],"nextCursor":` + next + `}`
	}
	return func(r *http.Request) string {
		page, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		return pages[page]
	}
}

func benchBeat() Heartbeat {
	return Heartbeat{
		MachineID: "mach_1", AgentID: "magt_1", AgentToken: NewSecret("TOKEN"), LeaseTTLSeconds: Some(90),
		Endpoints: []HeartbeatEndpoint{{
			ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11434", AuthType: Some("none"),
			NetworkScope: Some("loopback"),
		}},
	}
}

// BenchmarkHeartbeat measures a whole round trip over loopback, including the server.
func BenchmarkHeartbeat(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, beatJSON)
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	benchBeats(b, c)
}

// BenchmarkHeartbeatAlone measures this package's part of a heartbeat.
func BenchmarkHeartbeatAlone(b *testing.B) {
	benchBeats(b, cannedClient(b, http.StatusOK, always(beatJSON)))
}

func benchBeats(b *testing.B, c *Client) {
	in := benchBeat()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.MachineAgents.Heartbeat(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllMachines(b *testing.B) {
	c := cannedClient(b, http.StatusOK, benchPages())
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range c.Machines.All(b.Context(), ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkDecode decodes one page of 100 machines, and compares that with encoding/json,
// which makes none of the checks.
func BenchmarkDecode(b *testing.B) {
	page := benchPages()(httptest.NewRequest(http.MethodGet, "/?cursor=7", nil))
	b.Run("sdk", func(b *testing.B) {
		k := newCodec(false)
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			var out []Machine
			_, err := readList(page, func() {}, func(raw string) error {
				var m Machine
				err := k.Decode(raw, &m)
				out = append(out, m)
				return err
			})
			if err != nil || len(out) != 100 {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			var out struct {
				Items      []Machine
				NextCursor string
			}
			if err := json.NewDecoder(strings.NewReader(page)).Decode(&out); err != nil || len(out.Items) != 100 {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	k, in := newCodec(false), benchBeat()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Encode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkErrorResponse(b *testing.B) {
	body := `{"error":{"code":"AGENT_AUTH_INVALID","message":"the token is not valid","details":{"agentId":"magt_1","tries":3}}}`
	c := cannedClient(b, http.StatusUnauthorized, always(body))
	in := benchBeat()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.MachineAgents.Heartbeat(b.Context(), in); err == nil {
			b.Fatal("no error")
		}
	}
}
