package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// forgery changes a genuine challenge.
type forgery struct {
	what   string
	change func(c map[string]any)
}

func set(what, key string, value any) forgery {
	return forgery{what, func(c map[string]any) { c[key] = value }}
}

// allForgeries are the challenges that must not be signed.
func allForgeries() []forgery {
	genuine := "peaqOS machine identity\n\nidentity: did:peaq:42\n"
	return []forgery{
		set("no id", "challengeId", ""), set("no text", "message", ""), set("no expiry", "expiresAt", ""),
		set("an expiry that is not a time", "expiresAt", "soon"), set("expired", "expiresAt", "2020-01-01T00:00:00.000Z"),
		set("another machine", "identityRef", "did:peaq:43"),
		set("an identity with a zero in front", "identityRef", "did:peaq:042"),
		set("an identity with look-alike letters", "identityRef", "did:pe\u0430q:42"), set("no identity", "identityRef", ""),
		set("another method", "verificationMethod", "ed25519"), set("raw hash", "verificationMethod", "eth_sign"),
		set("another controller", "controllerAddresses", []string{"0x" + strings.Repeat("1", 40)}),
		set("no controller", "controllerAddresses", []string{}), set("controller of a text type", "controllerAddresses", lab.ControllerAddress),
		set("5 KiB", "message", genuine+strings.Repeat("a ", 2560)), set("a megabyte", "message", strings.Repeat("peaq ", 200_000)),
		set("a carriage return", "message", genuine+"\r\nx"), set("a terminal escape", "message", genuine+"\x1b[2K"),
		set("a NUL", "message", genuine+"\x00"), set("a tab", "message", genuine+"\tx"), set("a C1 control", "message", genuine+"\u009b2K"),
		set("a bidi override", "message", genuine+"\u202e24"), set("a bidi isolate", "message", genuine+"\u2066x\u2069"),
		set("presence", "message", "machineId: 42\nsentAt: 2026-11-23T12:00:00Z"),
		set("presence inside", "message", genuine+"sentAt: 2026-11-23T12:00:00Z"),
		set("presence in capitals", "message", "MACHINEID : 42"), set("monetization", "message", "peaq-mcr monetization\nregistry: 0x00"),
		set("monetization inside", "message", genuine+"peaq-MCR Monetization"),
		set("a login to a website", "message", "x.example wants you to sign in with your Ethereum account:\n0x00"),
		set("a hash", "message", "0x"+strings.Repeat("ab", 32)), set("a hash without 0x", "message", strings.Repeat("ab", 32)),
		set("a hash over lines", "message", "0x"+strings.Repeat("ab\n", 32)),
		set("a transaction", "message", "0x02f8700182"+strings.Repeat("0a", 100)),
		set("a text that is a number", "message", 42), set("a text that is an object", "message", map[string]any{"types": map[string]any{}}),
	}
}

// forgeries sends each of them to enroll as the orchestrator's response, and gives
// each as a file to identity prove.
func forgeries(h *harness, r *row) {
	all := allForgeries()
	h.inWorlds(r, len(all), func(w *world, i int) (attempt, error) {
		f, landed, err := w.forge(all[i])
		return attempt{"response with " + all[i].what, landed, f}, err
	})
	h.inWorlds(r, len(all), func(w *world, i int) (attempt, error) {
		f, err := w.forgeFile(all[i])
		return attempt{"file with " + all[i].what, true, f}, err // prove wrote the file and ran to its end
	})
	r.how = fmt.Sprintf("%d forgeries, each as the orchestrator's response to enroll and as a file for identity prove; "+
		"a genuine one was signed each time", len(all))
}

// forge changes the response to enroll's request for a challenge, which must not be
// signed; then the genuine one must be.
func (w *world) forge(g forgery) (f finding, landed bool, err error) {
	var signatures, forged atomic.Int64
	w.interpose(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"signature"`)) {
			signatures.Add(1)
		}
		if !strings.HasSuffix(r.URL.Path, "/machine-identity/challenges") {
			next.ServeHTTP(rw, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		var c struct {
			Item map[string]any `json:"item"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &c); err != nil || c.Item == nil {
			panic(http.ErrAbortHandler)
		}
		g.change(c.Item)
		forged.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(rec.Code)
		_ = json.NewEncoder(rw).Encode(c)
	})
	o, err := w.runCommand(nil, w.enrollArgs()...)
	w.interpose(nil)
	if err != nil {
		return f, false, err
	}
	f.signed = int(signatures.Load())
	if f.signed > 0 || o.Exit == 0 || o.Stderr == "" {
		f.signed, f.why = max(1, f.signed), "signed, or rejected without a message: "+o.String()
	}
	after, err := w.settle(false)
	if f.good() {
		f = after
	}
	return f, forged.Load() > 0, err
}

// forgeFile gives a forged challenge to identity prove, and then a genuine one.
func (w *world) forgeFile(g forgery) (finding, error) {
	genuine := func() map[string]any {
		return map[string]any{
			"challengeId": "mchal_1", "identityRef": "did:peaq:42", "message": "peaqOS machine identity\n\nidentity: did:peaq:42\nnonce: x",
			"expiresAt":          time.Now().Add(time.Minute).UTC().Format(time.RFC3339),
			"verificationMethod": "eip191", "controllerAddresses": []string{lab.ControllerAddress},
		}
	}
	forged := genuine()
	g.change(forged)
	rejected, err := w.prove(forged)
	if err != nil {
		return finding{}, err
	}
	signed, err := w.prove(genuine())
	if err != nil {
		return finding{}, err
	}
	var f finding
	if rejected.Exit == 0 || strings.Contains(rejected.Stdout, "signature") || rejected.Stderr == "" {
		f.signed, f.why = 1, "signed, or rejected without a message: "+rejected.String()
	}
	if signed.Exit != 0 || !strings.Contains(signed.Stdout, `"signature": "0x`) {
		f.halves, f.why = 1, "the genuine one was not signed: "+signed.String()
	}
	return f, nil
}

func (w *world) prove(c map[string]any) (lab.Outcome, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return lab.Outcome{}, err
	}
	path := filepath.Join(filepath.Dir(w.config), "challenge.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return lab.Outcome{}, err
	}
	return w.runCommand(nil, "identity", "prove", "--challenge-file", path,
		"--controller-key-file", w.faults.lab.ControllerKeyFile, "--identity-ref", lab.IdentityRef)
}
