package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestUnsuccessfulResponses has the rows of contract §1.6.
func TestUnsuccessfulResponses(t *testing.T) {
	const html = "<html>sign in</html>"
	tests := []struct {
		name     string
		reply    reply
		code     string
		status   int
		envelope bool
		mismatch bool
		is       []error
		isNot    []error
	}{
		{
			"envelope",
			reply{status: 404, body: `{"error":{"code":"NOT_FOUND","message":"gone"}}`},
			"NOT_FOUND", 404, true, false,
			[]error{ErrNotFound, ErrRejected},
			[]error{ErrRetryable, ErrAuth, ErrNotTheAPI},
		},
		{
			"unknown code",
			reply{status: 418, body: `{"error":{"code":"TEAPOT","message":""}}`},
			"TEAPOT", 418,
			true, false,
			[]error{ErrRejected},
			nil,
		},
		{"empty", reply{status: 503}, CodeBadResponse, 503, false, false, []error{ErrRetryable, ErrNotTheAPI}, []error{ErrRejected}},
		{
			"html",
			reply{status: 502, body: html, header: map[string]string{"Content-Type": "text/html"}},
			CodeBadResponse, 502, false, false,
			[]error{ErrRetryable},
			nil,
		},
		{
			"error is a string",
			reply{status: 404, body: `{"error":"Not Found"}`},
			CodeBadResponse, 404, false,
			false,
			[]error{ErrNotFound},
			nil,
		},
		{
			"code is a number",
			reply{status: 500, body: `{"error":{"code":5,"message":"m"}}`},
			CodeBadResponse,
			500, false, false,
			[]error{ErrRetryable},
			nil,
		},
		{
			"no message",
			reply{status: 401, body: `{"error":{"code":"AUTH_INVALID"}}`},
			CodeBadResponse, 401,
			false, false,
			[]error{ErrAuth},
			nil,
		},
		{
			"rate limited",
			reply{status: 429, body: `{"error":{"code":"RATE","message":"slow"}}`},
			"RATE", 429,
			true, false,
			[]error{ErrRateLimited, ErrRetryable},
			[]error{ErrRejected},
		},
		{
			"portal",
			reply{body: html, header: map[string]string{"Content-Type": "text/html"}},
			CodeBadResponse,
			200, false, true,
			[]error{ErrNotTheAPI},
			nil,
		},
		{"cut", reply{body: `{"item":{"id":`}, CodeBadResponse, 200, false, false, []error{ErrNotTheAPI}, nil},
		{"cut after a shape fault", reply{body: `{"item":5,`}, CodeBadResponse, 200, false, false, nil, nil},
		{"null", reply{body: ` null `}, CodeBadResponse, 200, false, false, nil, nil},
		{"no content", reply{status: 204}, CodeInvalidResponseShape, 204, false, false, []error{ErrMalformed}, nil},
		{
			"no item",
			reply{body: `{"error":{"code":"X","message":"Y"}}`},
			CodeInvalidResponseShape, 200, false,
			false,
			[]error{ErrMalformed},
			nil,
		},
		{"null item", reply{body: `{"item":null}`}, CodeInvalidResponseShape, 200, false, false, nil, nil},
		{
			"wrong type",
			reply{body: `{"item":` + strings.Replace(machineJSON, `"Rover"`, `5`, 1) + `}`},
			CodeInvalidResponseShape, 200, false, false, nil, nil,
		},
		{
			"missing member",
			reply{body: `{"item":` + strings.Replace(machineJSON, `displayName`, `name`, 1) + `}`},
			CodeInvalidResponseShape, 200, false, false, nil, nil,
		},
		{
			"unknown status",
			reply{body: `{"item":` + strings.Replace(machineJSON, `"active"`, `"asleep"`, 1) + `}`},
			CodeInvalidResponseShape, 200, false, false, nil, nil,
		},
		{"304", reply{status: 304}, CodeBadResponse, 304, false, false, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := serve(t, tt.reply)
			_, err := getMachine(c)
			var api *APIError
			if !errors.As(err, &api) {
				t.Fatalf("got %v, want an APIError", err)
			}
			if api.Code != tt.code || api.StatusCode != tt.status || api.Envelope != tt.envelope || api.ContentTypeMismatch != tt.mismatch {
				t.Errorf("got %+v envelope %v mismatch %v", api, api.Envelope, api.ContentTypeMismatch)
			}
			if api.Date.IsZero() || DateOf(err) != api.Date {
				t.Errorf("the Date of the response is lost: %v", api.Date)
			}
			for _, want := range tt.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %q", err, want)
				}
			}
			for _, other := range tt.isNot {
				if errors.Is(err, other) {
					t.Errorf("%v is %q", err, other)
				}
			}
		})
	}
}

func TestRedirectIsRefused(t *testing.T) {
	c, requests := serve(t, reply{status: 302, header: map[string]string{"Location": "https://u:p@portal.example/login?next=SECRET#f"}})
	_, err := getMachine(c)
	var redirect *RedirectError
	if !errors.As(err, &redirect) || redirect.Location != "https://portal.example/login" {
		t.Fatalf("got %v", err)
	}
	var api *APIError
	if !errors.As(err, &api) || api.Code != CodeBadResponse || api.StatusCode != 302 || !errors.Is(err, ErrNotTheAPI) {
		t.Errorf("it does not wrap an APIError: %v", err)
	}
	if len(*requests) != 1 || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%d requests, %v", len(*requests), err)
	}
}

func TestRetryAfter(t *testing.T) {
	date := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC) // a server whose clock is years behind
	tests := []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"7", 7 * time.Second, true},
		{"0", 0, true},
		{date.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second, true},
		{date.Add(-time.Hour).Format(http.TimeFormat), 0, true},
		{"99999999999999999", maxRetryAfter, true},
		{"-1", 0, false},
		{"soon", 0, false},
		{"", 0, false},
		{"1.5", 0, false},
	}
	for _, tt := range tests {
		header := map[string]string{"Date": date.Format(http.TimeFormat)}
		if tt.value != "" {
			header["Retry-After"] = tt.value
		}
		c, _ := serve(t, reply{status: 429, header: header})
		_, err := getMachine(c)
		var api *APIError
		if !errors.As(err, &api) {
			t.Fatal(err)
		}
		if got, ok := api.RetryAfter(); got != tt.want || ok != tt.ok || !api.Date.Equal(date) {
			t.Errorf("Retry-After %q: got %v %v, want %v %v", tt.value, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNetworkErrorKeepsItsCause(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c, _ := New("http://" + address)
	_, err = getMachine(c)
	var network *NetworkError
	var op *net.OpError
	if !errors.As(err, &network) || !errors.As(err, &op) || !errors.Is(err, ErrRetryable) {
		t.Fatalf("got %#v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Machines.Get(ctx, "m"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDetailsAreNeverPrinted(t *testing.T) {
	const canary = "SECRETCANARY"
	c, _ := serve(t, reply{status: 409, body: `{"error":{"code":"ORDER_CLOSED","message":"dial peaqos-p2p://h?t=` + canary + ` failed",
		"details":{"echo":"` + canary + `","connect":{"url":"` + canary + `"},"trace":["see peaqos-p2p://h/` + canary + ` now"]}}}`})
	_, err := getMachine(c)
	var api *APIError
	if !errors.As(err, &api) {
		t.Fatal(err)
	}
	if api.Message != "dial [REDACTED] failed" {
		t.Errorf("message %q", api.Message)
	}
	want := `{"echo":"` + canary + `","connect":{"url":"[REDACTED]"},"trace":["see [REDACTED] now"]}`
	if string(api.Details) != want {
		t.Errorf("details %s", api.Details)
	}
	for _, printed := range allPrints(err) {
		if strings.Contains(printed, canary) {
			t.Errorf("the canary is in %s", printed)
		}
	}
	if b, _ := json.Marshal(err); !strings.Contains(string(b), "ORDER_CLOSED") {
		t.Errorf("JSON form is %s", b)
	}
}

func TestUntrustedTextStaysOnOneLine(t *testing.T) {
	c, _ := serve(
		t,
		reply{status: 400, body: `{"error":{"code":"A\nB","message":"one\r\ntwo\u001b[31m\u2028` + strings.Repeat("x", 2000) + `"}}`},
	)
	_, err := getMachine(c)
	if s := err.Error(); strings.ContainsAny(s, "\r\n\x1b\u2028") || len(s) > 700 {
		t.Errorf("%d bytes: %q", len(s), s)
	}
}
