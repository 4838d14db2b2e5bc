package agent

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestOptInVector: the vector of the presence contract, §8.
func TestOptInVector(t *testing.T) {
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	d, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1783944000, 0)
	message := sdk.MonetizationMessage(d, "42", true, at)
	if number, err := vetOptIn([]byte(message), at); err != nil || number != "42" {
		t.Errorf("%q, %v", number, err)
	}
	const want = "0x859a29921f9495887d241714465a8fb038b98c8592d29225576be5abf6a9f6b4" +
		"590f105de4c0684df16d246cf9f46a4cf1692e331d521d7d043dfa2b1e7ec62d1b"
	if got, err := key.Signer().SignText(message); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	for name, bad := range map[string]string{
		"later":           sdk.MonetizationMessage(d, "42", true, at.Add(301*time.Second)),
		"earlier":         sdk.MonetizationMessage(d, "42", true, at.Add(-301*time.Second)),
		"another line":    sdk.MonetizationMessage(d, "42\nopted_in: true", true, at),
		"a line more":     message + "\n",
		"a line before":   "x\n" + message,
		"a hash":          strings.Repeat("a", 64),
		"a presence push": sdk.PresenceMessage("42", "2026-11-23T12:00:00Z"),
		"nothing":         "",
	} {
		if number, err := vetOptIn([]byte(bad), at); err == nil {
			t.Errorf("%s is accepted, for machine %s", name, number)
		}
	}
}

// optInLife is an MCR, and a signer that counts.
func optInLife(t *testing.T, fault func(*http.Request, int) *sandbox.Fault) (
	*sandbox.Server, *PresenceService, func(context.Context, []byte) (string, error), *int,
) {
	t.Helper()
	server := sandbox.New(sandbox.WithController("", testSigner))
	puts := 0
	server.SetFault(func(r *http.Request) *sandbox.Fault {
		if r.Method == http.MethodPut {
			puts++
		}
		if fault == nil {
			return nil
		}
		return fault(r, puts)
	})
	mcr, err := sdk.NewMCR("http://127.0.0.1:1", sdk.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	if err != nil {
		t.Fatal(err)
	}
	d, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	signed := 0
	return server, &PresenceService{mcr: mcr, deployment: d, number: "42"}, func(_ context.Context, message []byte) (string, error) {
		signed++
		return key.Signer().SignText(string(message))
	}, &signed
}

func TestChangeOptIn(t *testing.T) {
	isPut := func(r *http.Request) bool { return r.Method == http.MethodPut }
	for name, c := range map[string]struct {
		fault   func(*http.Request, int) *sandbox.Fault
		want    status.Code // of the error; empty: none
		state   string      // on the server
		signed  int
		changed bool
	}{
		"well":              {nil, "", "OPTED_IN", 1, true},
		"the response lost": {func(r *http.Request, _ int) *sandbox.Fault { return when(isPut(r), sandbox.Fault{Lost: true}) }, "", "OPTED_IN", 1, true},
		"the request lost":  {func(r *http.Request, _ int) *sandbox.Fault { return when(isPut(r), sandbox.Fault{Drop: true}) }, status.CodeOptInUnknown, "PENDING", 1, false},
		"hung":              {func(r *http.Request, _ int) *sandbox.Fault { return when(isPut(r), sandbox.Fault{Latency: time.Hour}) }, status.CodeOptInUnknown, "PENDING", 1, false},
		"unavailable once": {func(r *http.Request, puts int) *sandbox.Fault {
			return when(isPut(r) && puts == 1, sandbox.Fault{Status: 503, Body: `{"detail":{"code":"MACHINE_UNAVAILABLE","message":"x"}}`, ContentType: "application/json"})
		}, "", "OPTED_IN", 2, true},
		"unavailable": {func(r *http.Request, _ int) *sandbox.Fault {
			return when(isPut(r), sandbox.Fault{Status: 503, Body: `{"detail":{"code":"MACHINE_UNAVAILABLE","message":"x"}}`, ContentType: "application/json"})
		}, status.CodeOptInUnknown, "PENDING", 3, false},
		"another registry": {func(r *http.Request, _ int) *sandbox.Fault {
			return when(r.URL.Path == "/.well-known/peaq-monetization", sandbox.Fault{
				Status: 200, ContentType: "application/json", Body: `{"version":"tokenomics-2.0-monetization-v1","chain_id":"1","registry":"0x00"}`,
			})
		}, status.CodeMCRMismatch, "PENDING", 0, false},
		"rejected": {func(r *http.Request, _ int) *sandbox.Fault {
			return when(isPut(r), sandbox.Fault{Status: 409, Body: `{"detail":{"code":"MACHINE_NOT_BONDED","message":"x"}}`, ContentType: "application/json"})
		}, status.CodeMCRRejected, "PENDING", 1, false},
		"no response": {func(*http.Request, int) *sandbox.Fault { return &sandbox.Fault{Drop: true} }, status.CodeMCR, "PENDING", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, service, sign, signed := optInLife(t, c.fault)
				got, err := service.SetOptIn(t.Context(), true, sign)
				var p *status.Problem
				code := status.Code("")
				if errors.As(err, &p) {
					code = p.Code
				}
				if code != c.want || (err == nil) != (c.want == "") || got.Changed != c.changed || *signed != c.signed || server.OptIn("did:peaq:42") != c.state {
					t.Errorf("%+v, %v; signed %d times, %s on the server", got, err, *signed, server.OptIn("did:peaq:42"))
				}
			})
		})
	}
}

func when(yes bool, f sandbox.Fault) *sandbox.Fault {
	if yes {
		return &f
	}
	return nil
}

// TestChangeOptInReadsFirst: what is so already is not signed again.
func TestChangeOptInReadsFirst(t *testing.T) {
	_, service, sign, signed := optInLife(t, nil)
	for i, want := range []bool{true, false} {
		got, err := service.SetOptIn(t.Context(), true, sign)
		if err != nil || got.Changed != want || got.Status != "OPTED_IN" || *signed != 1 {
			t.Errorf("run %d: %+v, %v", i, got, err)
		}
	}
	if got, err := service.SetOptIn(t.Context(), false, sign); err != nil || got.Status != "OPTED_OUT" || !got.Changed {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAgentSignsItsOwnOptIn: the daemon signs for its own machine alone.
func TestAgentSignsItsOwnOptIn(t *testing.T) {
	l := newLife(t, "demo")
	defer func() { l.close() }()
	l.mustEnroll()
	d, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		t.Fatal(err)
	}
	own, other := []byte(sdk.MonetizationMessage(d, "42", true, time.Now())), []byte(sdk.MonetizationMessage(d, "43", true, time.Now()))
	var p *status.Problem
	if _, err := l.agent.SignOptIn(t.Context(), "", own); !errors.As(err, &p) || p.Code != status.CodeNoControllerKey {
		t.Errorf("without a key: %v", err)
	}
	l.storeKey()
	if signature, err := l.agent.SignOptIn(t.Context(), "", own); err != nil || len(signature) != 132 {
		t.Errorf("%v, %v", signature, err)
	}
	if _, err := l.agent.SignOptIn(t.Context(), "", other); !errors.As(err, &p) || p.Code != status.CodeOtherIdentity {
		t.Errorf("for another machine: %v", err)
	}
}
