package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// serverFaults are the codes of the contract's table with a 5xx status.
var serverFaults = []string{"PAYMENT_RPC_ERROR", "PEAQOS_IDENTITY_UNAVAILABLE", "AGENT_PAIRING_UNAVAILABLE"}

// world is a sandbox in which most paths lead to something, called directly through its handler.
type world struct {
	*harness
	enrolledAgent enrolledAgent
	buyer         paired
	words         *strings.Replacer
}

func newWorld(t testing.TB) *world {
	r := newHarness(t, sandbox.WithOutbound(chainOf("")), sandbox.WithRPC("", "http://127.0.0.1:1"))
	_, listing := r.offered()
	w := &world{harness: r, enrolledAgent: r.enroll(r.machine())}
	r.beat(w.enrolledAgent.beat()).ok(200)
	w.buyer = r.pair(w.enrolledAgent.machine, nil)
	order := r.places(w.buyer, paidService)
	purchase := r.bought(w.buyer, listing)
	w.words = strings.NewReplacer("MACHINE", w.enrolledAgent.machine, "AGENT", w.enrolledAgent.id,
		"TOKEN", w.enrolledAgent.token, "PAIRING", w.buyer.id,
		"ORDER", strings.TrimPrefix(order, "/market/orders/"), "PURCHASE", purchase, "LISTING", listing, "SERVICE", paidService)
	return w
}

// pattern words by the name of a path's value.
func seedPath(pattern string) string {
	return strings.NewReplacer("{machine}", "MACHINE", "{agent}", "AGENT",
		"{pairing}", "PAIRING", "{order}", "ORDER", "{purchase}", "PURCHASE",
		"{listing}", "LISTING", "{service}", "SERVICE", "{provider}", "qvac", "{skill}", "qvac.inference", "{did}", "did:peaq:42").Replace(pattern)
}

// ask makes one request and returns what is wrong with the response.
func (w *world) ask(method, path, query, headerName, headerValue string, body []byte) error {
	u := &url.URL{Scheme: "http", Host: "sandbox", Path: w.words.Replace(path), RawQuery: query}
	if decoded, err := url.PathUnescape(u.Path); err == nil {
		u.RawPath, u.Path = u.Path, decoded
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // streams and devices block
	defer cancel()
	req := (&http.Request{
		Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "sandbox",
		Header:     http.Header{"Content-Type": {"application/json"}},
		RequestURI: "/", RemoteAddr: "127.0.0.1:1",
	}).WithContext(ctx)
	req.Header.Set("X-Api-Key", testAPIKey)
	req.Header.Set("X-Agent-Pairing-Token", w.buyer.token)
	if headerName != "" {
		req.Header[http.CanonicalHeaderKey(headerName)] = []string{w.words.Replace(headerValue)}
	}
	req.Body = io.NopCloser(bytes.NewReader([]byte(w.words.Replace(string(body)))))
	out := httptest.NewRecorder()
	w.s.ServeHTTP(out, req)
	if out.Code < 100 || out.Code > 599 {
		return fmt.Errorf("status %d", out.Code)
	}
	if out.Code < 400 || ctx.Err() != nil {
		return nil
	}
	var e struct {
		Error, Detail struct{ Code, Message string }
	}
	err := json.Unmarshal(out.Body.Bytes(), &e)
	if strings.HasSuffix(u.Path, "/monetization") && e.Detail.Code != "" { // the opt-in's own envelope
		e.Error = e.Detail
	}
	if err != nil || e.Error.Code == "" || e.Error.Message == "" {
		return fmt.Errorf("%d without the error envelope: %.200q", out.Code, out.Body.String())
	}
	if out.Code >= 500 && !slices.Contains(serverFaults, e.Error.Code) {
		return fmt.Errorf("%d %s is not a response of the contract", out.Code, e.Error.Code)
	}
	return nil
}

// whole reports whether the world still has what its paths name.
func (w *world) whole() bool {
	agents := w.s.Agents(w.enrolledAgent.machine)
	pairings := w.s.Pairings(w.buyer.machine)
	return len(agents) == 1 && agents[0].Status == "active" && len(pairings) == 1 && pairings[0].Status == "active" &&
		w.s.Machines()[1].Status == "active"
}

// bounded returns a collection that exceeds its limit.
func bounded(t testing.TB, s *sandbox.Server) {
	t.Helper()
	found, unknown := s.Collections()
	for name, c := range found {
		if c.Limit <= 0 || c.Len > c.Limit {
			t.Errorf("%s holds %d of %d", name, c.Len, c.Limit)
		}
	}
	// IoTLost has at most one number per machine; the key has 32 bytes.
	if want := []string{"SessionKey", "IoTLost"}; !slices.Equal(unknown, want) || len(found) < 25 {
		t.Errorf("the state has %d bounded collections, and %v beside them, want %v", len(found), unknown, want)
	}
}

// bodies are the seeds: enough to pass the first check of most calls.
var bodies = []string{
	``, `{}`, `null`, `[]`, `{`, `{"a":{"a":{"a":[[[[{}]]]]}}}`,
	`{"machineId":"MACHINE","agentId":"AGENT","agentToken":"TOKEN","endpoints":` +
		`[{"provider_key":"qvac","endpoint_base_url":"http://h:1","label":null}],"leaseTtlSeconds":5}`,
	`{"displayName":"x","ownerId":"o","machineType":"t","runtimeProfile":"r",` +
		`"identityRef":"did:peaq:9","identityProof":{"challengeId":"c","signature":"0x00"},"labels":{"a":"b"}}`,
	`{"machineId":"MACHINE","agentPairingId":"PAIRING","serviceId":"SERVICE","operation":"store-blob",` +
		`"input":{"content":"x"},"budget":{"amount":1,"max":2,"currency":"USDC"},"providerCredentials":{"akash":{"API_KEY":"k"}}}`,
	`{"verificationMode":"rpc","chain":"base","token":"USDC","payerAddress":"0x1",` +
		`"payeeAddress":"0x2","amount":"1","transactionHash":"0xab","payment":null}`,
	`{"resource":{"type":"stream.listing","listingId":"LISTING"},"buyer":{"id":"b","publicKey":{"type":"x25519","publicKeyHex":"aa"}}}`,
	`{"endpointBaseUrl":"http://h","status":"degraded","leaseExpiresAt":"2026-01-01T00:00:00Z"}`,
	`{"machineId":"MACHINE","serviceType":"storage","text":"blob","location":{"latitude":1,"longitude":2}}`,
	`{"agentAddress":"0x52908400098527886E0F7030069857D2E4169EE7","agentProvider":"p","agentRole":"r",` +
		`"agentProof":{"challengeId":"c","signature":"s"}}`,
	`{"type":"seller.ready","payload":{"a":1},"rail":{"type":"transfer","destination":{"payTo":"0xA"}},"reason":"r","evidence":{}}`,
}

func FuzzHandler(f *testing.F) {
	w := newWorld(f)
	for i, operation := range w.s.Operations() {
		method, pattern, _ := strings.Cut(operation, " ")
		f.Add(method, seedPath(pattern), "limit=2", "", "", []byte(bodies[i%len(bodies)]))
		f.Add(method, seedPath(pattern), "limit=2&cursor=AAAA&machineId=x", "X-Agent-Pairing-Token", "x.y.z", []byte(bodies[(i+5)%len(bodies)]))
	}
	f.Add("GET", "/api/v1/machines/%2F/..//%00", "%zz", "Authorization", "Bearer ", []byte("\xff\x00"))
	f.Add("", "", "", "Content-Length", "-1", []byte(nil))
	var once sync.Mutex
	f.Fuzz(func(t *testing.T, method, path, query, headerName, headerValue string, body []byte) {
		once.Lock() // the world is shared; one request at a time
		defer once.Unlock()
		if !w.whole() {
			w = newWorld(t)
		}
		if err := w.ask(method, path, query, headerName, headerValue, body); err != nil {
			t.Errorf("%q %q ? %q, %q: %q, %q: %v", method, path, query, headerName, headerValue, body, err)
		}
	})
}

// TestEveryOperationWithEveryBody combines all seeds of the fuzz test.
func TestEveryOperationWithEveryBody(t *testing.T) {
	w := newWorld(t)
	n := 0
	for _, operation := range w.s.Operations() {
		method, pattern, _ := strings.Cut(operation, " ")
		if strings.HasSuffix(pattern, "/events") && method == "GET" {
			continue // streams block, and have tests of their own
		}
		for _, body := range bodies {
			if !w.whole() {
				bounded(t, w.s)
				w = newWorld(t)
			}
			n++
			if err := w.ask(method, seedPath(pattern), "", "", "", []byte(body)); err != nil {
				t.Errorf("%s with %s: %v", operation, body, err)
			}
		}
	}
	bounded(t, w.s)
	if n < 1000 {
		t.Errorf("only %d requests were made", n)
	}
}

// TestMemoryIsBounded sends the largest bodies to the calls that store the most, until every table
// that forgets has dropped rows, and then as many again: the heap must stop growing.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 4000)
	flood := func() uint64 {
		for i := range 5_200 {
			w.post("/machine-identity/challenges", object{"identityRef": fmt.Sprint("did:peaq:", i)}).ok(201)
			if i%3 == 0 {
				w.call("PUT", "/machines/"+w.enrolledAgent.machine+"/runtime-endpoints/x", object{"endpointBaseUrl": "http://h", "label": long})
				w.as(
					w.buyer, "POST", "/market/search",
					object{"machineId": w.enrolledAgent.machine, "serviceType": "identity.proof-of-person", "text": long},
				).ok(201)
			}
		}
		bounded(t, w.s)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood()
	second := flood()
	if third := flood(); third > second+second/4 {
		t.Errorf("the heap grew from %d to %d bytes", second, third)
	}
}
