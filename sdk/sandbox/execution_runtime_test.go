package sandbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// device is a model server on a machine: it returns what it was sent.
func device(t *testing.T) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer sk-device" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if len(b) == 0 {
			b = []byte("null")
		}
		_ = json.NewEncoder(w).Encode(object{"asked": r.Method + " " + r.URL.RequestURI(), "body": json.RawMessage(b)})
	}))
	t.Cleanup(web.Close)
	return web
}

// publishes publishes a qvac endpoint of the pairing's machine by a heartbeat.
func (p paired) publishes(url string, more ...any) paired {
	p.t.Helper()
	p.beat(p.enroll(p.machine, "qvac").beat(with(entry("qvac", url), more...))).ok(200)
	return p
}

// TestOrderRunsOnTheDevice covers the whole loop: the machine publishes its endpoint, a buyer
// searches, orders and executes, and the device's own response is the result.
func TestOrderRunsOnTheDevice(t *testing.T) {
	p := market(t, nil)
	if got := quoted(p.as("POST", "/market/search", object{"operation": "chat-completion"})); len(got) != 0 {
		t.Fatalf("before anything is published quoted are %v", got)
	}
	p.publishes(device(t).URL, "authType", "bearer", "authToken", "sk-device", "modelAlias", "small")
	search := p.as("POST", "/market/search", object{"operation": "chat-completion"}).ok(201)
	if got := quoted(search); len(got) != 1 || got[0] != "svc_qvac_inference" {
		t.Fatalf("quoted are %v", got)
	}
	id := p.made("svc_qvac_inference", "searchId", search.str("item.id"), "quoteId", search.str("item.quotes.0.id"),
		"input", object{"messages": []any{object{"role": "user", "content": "hello"}}, "stream": true})
	a := p.onOrder(id, "execute", object{}).ok(200)
	result := a.at("execution.outcome.result").(object)
	body := result["body"].(object)
	if result["asked"] != "POST /v1/chat/completions" || body["model"] != "small" || body["stream"] != nil ||
		body["messages"].([]any)[0].(object)["content"] != "hello" {
		t.Errorf("the device was asked %v", result)
	}
	if a.str("order.status") != "delivered" || a.str("execution.outcome.status") != "completed" {
		t.Errorf("executed as %s", a.text)
	}
	p.onOrder(id, "confirm", object{}).ok(200)

	own := p.made("svc_qvac_inference", "operation", "embed", "input", object{"input": "hello", "model": "other"})
	if b := p.onOrder(own, "execute", object{}).ok(200); b.str("execution.outcome.result.body.model") != "other" ||
		b.str("execution.outcome.result.asked") != "POST /v1/embeddings" {
		t.Errorf("embedded as %s", b.text)
	}
	read := object{"machineId": p.machine, "agentPairingId": p.id, "operation": "list-models"}
	c := p.as("POST", "/market/services/svc_qvac_inference/execute", read).ok(200)
	if c.str("execution.outcome.result.asked") != "GET /v1/models" {
		t.Errorf("read as %s", c.text)
	}
}

func TestDeviceThatFailsIsAFailedOutcome(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	responds := func(status int, body string) string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(web.Close)
		return web.URL
	}
	for _, c := range []struct{ name, url, why string }{
		{"connection refused", gone.URL, "refused"},
		{"server error", responds(500, "oops"), "HTTP 500"},
		{"unauthorized", device(t).URL, "HTTP 401"},
		{"redirect", responds(302, ""), "HTTP 302"},
		{"not JSON", responds(200, "<html>"), "other than JSON"},
		{"empty", responds(200, ""), "other than JSON"},
		{"endless", responds(200, `"`+strings.Repeat("x", 300<<10)+`"`), "did not respond"},
		{"metadata address", "http://169.254.169.254", "not allowed"},
		{"mapped metadata address", "http://[::ffff:169.254.169.254]", "not allowed"},
		{"link-local", "http://[fe80::1]", "not allowed"},
		{"unspecified", "http://0.0.0.0", "not allowed"},
		{"multicast", "http://224.0.0.1", "not allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := market(t, nil).publishes(c.url)
			id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
			a := p.onOrder(id, "execute", object{}).ok(200)
			why := a.str("execution.outcome.errorMessage")
			if a.str("order.status") != "failed" || a.str("execution.outcome.status") != "failed" || !strings.Contains(why, c.why) {
				t.Errorf("executed as %s", a.text)
			}
			if strings.Contains(why, "127.0.0.1") || strings.Contains(why, "169.254") {
				t.Errorf("the buyer reads the machine's address: %s", why)
			}
		})
	}
}

func TestErrorOfADeviceIsReturned(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":{"code":"model_load_failed"}}`)
	}))
	defer web.Close()
	p := market(t, nil).publishes(web.URL)
	a := p.onOrder(p.made("svc_qvac_inference", "input", object{"messages": []any{}}), "execute", object{}).ok(200)
	if a.str("execution.outcome.status") != "failed" || a.str("execution.outcome.result.error.code") != "model_load_failed" {
		t.Errorf("executed as %s", a.text)
	}
}

func TestDeviceWithoutALeaseIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithOutbound(transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("asked") })))
		p := r.pair(r.machine(), nil).publishes("http://127.0.0.1:1")
		id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
		time.Sleep(90 * time.Second)
		p.onOrder(id, "execute", object{}).fails("EXECUTION_UNSUPPORTED")
		if got := p.status(id); got != "created" {
			t.Errorf("the order is %s", got)
		}
		p.publishes("http://127.0.0.1:1")
		if a := p.onOrder(id, "execute", object{}).ok(200); a.str("order.status") != "failed" {
			t.Errorf("executed as %s", a.text)
		}
	})
}

// transport is a function as a transport.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slow is a transport that takes d for a response, or until the caller gives up.
func slow(d time.Duration) transport {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func TestSlowDevice(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration
		want  string
	}{{29 * time.Second, "delivered"}, {time.Hour, "failed"}} {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t, sandbox.WithOutbound(slow(c.takes)))
			p := r.pair(r.machine(), nil).publishes("http://127.0.0.1:1")
			id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
			begun, done := time.Now(), make(chan reply)
			go func() { done <- p.onOrder(id, "execute", object{}) }()
			synctest.Wait()
			if got := p.status(id); got != "executing" { // other requests are served in the meantime
				t.Errorf("while it runs it is %s", got)
			}
			p.onOrder(id, "execute", object{}).fails("ORDER_CLOSED")
			p.onOrder(id, "cancel", object{}).fails("ORDER_CLOSED")
			p.onOrder(id, "dispute", object{"reason": "r"}).fails("ORDER_NOT_DELIVERED")
			if a := (<-done).ok(200); a.str("order.status") != c.want {
				t.Errorf("executed as %s", a.text)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestStateLostDuringARun: the server loses its state while a device is working.
func TestStateLostDuringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithOutbound(slow(time.Second)))
		p := r.pair(r.machine(), nil).publishes("http://127.0.0.1:1")
		id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
		done := make(chan reply)
		go func() { done <- p.onOrder(id, "execute", object{}) }()
		synctest.Wait()
		r.s.Forget()
		(<-done).fails("NOT_FOUND")
	})
}

// TestStopDuringARun: an order that was running when the server stopped has failed, and can be
// retried.
func TestStopDuringARun(t *testing.T) {
	file := stateFile(t)
	asked, held := make(chan struct{}), make(chan struct{})
	r := newHarness(t, sandbox.WithStateFile(file), sandbox.WithOutbound(transport(func(*http.Request) (*http.Response, error) {
		close(asked)
		<-held
		return nil, errors.New("too late")
	})))
	p := r.pair(r.machine(), nil).publishes("http://127.0.0.1:1")
	id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
	done := make(chan struct{})
	go func() { defer close(done); p.onOrder(id, "execute", object{}) }()
	<-asked
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	again := newHarness(t, sandbox.WithStateFile(file))
	close(held)
	<-done
	q := paired{again, p.machine, p.id, p.token}
	if got := q.status(id); got != "failed" {
		t.Errorf("after the restart it is %s", got)
	}
	q.onOrder(id, "retry", object{}).ok(200)
}
