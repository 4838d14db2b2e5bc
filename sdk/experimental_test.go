package sdk_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// trial is one call that none of peaq's SDKs makes, so that it could not be recorded: the
// expected request, and a response in the published form.
type trial struct {
	call     func(ctx context.Context, c *sdk.Client) (any, error)
	query    string // as sent
	body     string // as sent; empty when there is none
	response string // the item, or the text; empty for 204
	form     form
}

type form int

const (
	formItem   form = iota // typed: {"item": …} and the bare object are both taken
	formRaw                // handed over as it came
	formList               // {"items": […]}
	formNone               // 204
	formText               // no JSON
	formStream             // server-sent events
)

// awkward is a path parameter that stays one segment only if it is escaped.
func awkward(name string) string { return name + "/ü?#%1" }

// heard is the request that the server received.
type heard struct {
	method, path, query, body string
	header                    http.Header
}

// responding serves one status and body to every request, and returns a client.
func responding(t *testing.T, status int, mediaType, body string) (*sdk.Client, *heard) {
	t.Helper()
	last := new(heard)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		*last = heard{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(sent), r.Header.Clone()}
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := sdk.New(server.URL, sdk.WithAPIKey(sdk.NewSecret("pk_1")))
	if err != nil {
		t.Fatal(err)
	}
	return c, last
}

const (
	pairingToken = "pt_1"
	agentToken   = "at_1"
)

func trials() map[string]trial {
	all := map[string]trial{}
	for _, group := range []map[string]trial{machineTrials(), marketTrials(), graphTrials(), streamTrials(), streamOrderTrials()} {
		for name, trial := range group {
			all[name] = trial
		}
	}
	return all
}

func TestExperimentalCalls(t *testing.T) {
	tried := 0
	for _, o := range operations(t) {
		if o.Unknown == "" {
			continue
		}
		for _, call := range o.Calls {
			trial, ok := trials()[call.Go]
			if !ok {
				t.Errorf("%s is not tried", call.Go)
				continue
			}
			tried++
			t.Run(call.Go, func(t *testing.T) {
				for _, response := range trial.responses() {
					trial.good(t, o, response)
				}
				trial.refused(t, o)
				trial.garbled(t)
			})
		}
	}
	if tried != len(trials()) {
		t.Errorf("%d calls were tried, %d are described", tried, len(trials()))
	}
}

// responses are the bodies that the published form allows.
func (x trial) responses() []string {
	switch x.form {
	case formItem:
		return []string{`{"item":` + x.response + `,"later":1}`, x.response}
	case formList:
		return []string{`{"items":[` + x.response + `],"nextCursor":"c2"}`, `{"items":[` + x.response + `],"nextCursor":"c2","later":{}}`}
	}
	return []string{x.response}
}

func (x trial) mediaType() string {
	return map[form]string{formText: "text/plain", formStream: "text/event-stream"}[x.form]
}

// good compares the request with the operations table, and checks the result.
func (x trial) good(t *testing.T, o operation, response string) {
	t.Helper()
	status, media := http.StatusOK, "application/json"
	if x.form == formNone {
		status = http.StatusNoContent
	}
	if m := x.mediaType(); m != "" {
		media = m
	}
	c, sent := responding(t, status, media, response)
	got, err := x.call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`\{[A-Za-z]+\}`).ReplaceAllStringFunc(o.Path, func(name string) string {
		return strings.ReplaceAll(url.QueryEscape(awkward(strings.Trim(name, "{}"))), "+", "%20")
	})
	if sent.method != o.Method || sent.path != "/api/v1"+path || sent.query != x.query {
		t.Errorf("sent %s %s?%s, want %s %s?%s", sent.method, sent.path, sent.query, o.Method, "/api/v1"+path, x.query)
	}
	checkAuth(t, o, sent)
	if (x.body == "") != (sent.body == "") || (x.body != "" && !equalJSON(t, x.body, sent.body)) {
		t.Errorf("sent the body %s, want %s", sent.body, x.body)
	}
	if x.form != formNone {
		x.decoded(t, got)
	}
}

func checkAuth(t *testing.T, o operation, sent *heard) {
	t.Helper()
	key, token := sent.header.Get("X-Api-Key"), sent.header.Get("X-Agent-Pairing-Token")
	wantKey, wantToken := "pk_1", ""
	switch o.Auth {
	case "pairing":
		wantToken = pairingToken
	case "none":
		wantKey = ""
	case "agent-body":
		wantKey = ""
		if !strings.Contains(sent.body, `"agentToken":"`+agentToken+`"`) {
			t.Errorf("the body holds no agent token: %s", sent.body)
		}
	}
	if key != wantKey || token != wantToken {
		t.Errorf("API key %q, pairing token %q; want %q and %q", key, token, wantKey, wantToken)
	}
}

// decoded checks the result: encoded again, it equals the response.
func (x trial) decoded(t *testing.T, got any) {
	t.Helper()
	switch got := got.(type) {
	case string:
		if got != x.response {
			t.Errorf("got %q", got)
		}
		return
	case *sdk.RawResponse:
		if string(got.Body) != x.response || got.Status != http.StatusOK {
			t.Errorf("got %s with status %d", got.Body, got.Status)
		}
		return
	case []sdk.ServerEvent:
		want := []sdk.ServerEvent{{Event: "machine.created", ID: "e1", Data: `{"a":1}`}, {Data: "two\nlines"}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %q", got)
		}
		return
	}
	want := x.response
	if x.form == formList {
		page := reflect.ValueOf(got).Elem()
		if next := page.FieldByName("NextCursor").String(); next != "c2" {
			t.Errorf("the cursor is %q", next)
		}
		got, want = page.FieldByName("Items").Interface(), "["+want+"]"
	}
	text, err := sdk.WireJSON(got)
	if err != nil {
		t.Fatal(err)
	}
	if !equalJSON(t, want, string(text)) {
		t.Errorf("decoded %s, want %s", text, want)
	}
}

// refused checks that an error keeps code, status and operation.
func (x trial) refused(t *testing.T, o operation) {
	t.Helper()
	c, _ := responding(t, http.StatusNotFound, "application/json", `{"error":{"code":"NOT_FOUND","message":"no such thing"},"later":1}`)
	_, err := x.call(t.Context(), c)
	var api *sdk.APIError
	if !errors.As(err, &api) || !errors.Is(err, sdk.ErrNotFound) {
		t.Fatalf("a refusal gave %v", err)
	}
	if api.Code != sdk.CodeNotFound || api.StatusCode != http.StatusNotFound || !api.Envelope || api.Operation != o.Method+" "+o.Path {
		t.Errorf("a refusal gave %+v", api)
	}
}

// garbled checks that a 2xx response that does not come from the API is an error.
func (x trial) garbled(t *testing.T) {
	t.Helper()
	if x.form == formText || x.form == formNone {
		return
	}
	c, _ := responding(t, http.StatusOK, "text/html", "<html>log in</html>")
	_, err := x.call(t.Context(), c)
	want := sdk.ErrNotTheAPI
	if x.form == formStream {
		want = sdk.ErrMalformed // contract §1.6
	}
	if !errors.Is(err, want) {
		t.Errorf("a page instead of a response gave %v", err)
	}
	if x.form == formItem {
		c, _ := responding(t, http.StatusOK, "application/json", `{"item":{"nothing":"known"}}`)
		if _, err := x.call(t.Context(), c); !errors.Is(err, sdk.ErrMalformed) {
			t.Errorf("a response without its members gave %v", err)
		}
	}
}

func equalJSON(t *testing.T, a, b string) bool {
	t.Helper()
	x, err1 := decodeJSON([]byte(a))
	y, err2 := decodeJSON([]byte(b))
	if err := errors.Join(err1, err2); err != nil {
		t.Errorf("%v: %s, %s", err, a, b)
	}
	return sameJSON(x, y)
}
