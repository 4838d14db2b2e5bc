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
)

// forgery spoils a genuine challenge.
type forgery struct {
	what  string
	spoil func(c map[string]any)
}

func set(what, key string, value any) forgery {
	return forgery{what, func(c map[string]any) { c[key] = value }}
}

// forged are the challenges that nothing may be signed over.
func allForgeries() []forgery {
	genuine := "peaqOS machine identity\n\nidentity: did:peaq:42\n"
	return []forgery{
		set("no id", "challengeId", ""), set("no text", "message", ""), set("no expiry", "expiresAt", ""),
		set("an expiry that is no time", "expiresAt", "soon"), set("expired", "expiresAt", "2020-01-01T00:00:00.000Z"),
		set("another machine", "identityRef", "did:peaq:43"), set("an identity with a zero in front", "identityRef", "did:peaq:042"),
		set("an identity with look-alike letters", "identityRef", "did:pe\u0430q:42"), set("no identity", "identityRef", ""),
		set("another method", "verificationMethod", "ed25519"), set("raw hash", "verificationMethod", "eth_sign"),
		set("another controller", "controllerAddresses", []string{"0x" + strings.Repeat("1", 40)}),
		set("no controller", "controllerAddresses", []string{}), set("controller of a text type", "controllerAddresses", controllerAddress),
		set("5 KiB", "message", genuine+strings.Repeat("a ", 2560)), set("a megabyte", "message", strings.Repeat("peaq ", 200_000)),
		set("a carriage return", "message", genuine+"\r\nx"), set("a terminal escape", "message", genuine+"\x1b[2K"),
		set("a NUL", "message", genuine+"\x00"), set("a tab", "message", genuine+"\tx"), set("a C1 control", "message", genuine+"\u009b2K"),
		set("a bidi override", "message", genuine+"\u202e24"), set("a bidi isolate", "message", genuine+"\u2066x\u2069"),
		set("presence", "message", "machineId: 42\nsentAt: 2026-11-23T12:00:00Z"), set("presence inside", "message", genuine+"sentAt: 2026-11-23T12:00:00Z"),
		set("presence in capitals", "message", "MACHINEID : 42"), set("monetization", "message", "peaq-mcr monetization\nregistry: 0x00"),
		set("monetization inside", "message", genuine+"peaq-MCR Monetization"),
		set("a login to a website", "message", "x.example wants you to sign in with your Ethereum account:\n0x00"),
		set("a hash", "message", "0x"+strings.Repeat("ab", 32)), set("a hash without 0x", "message", strings.Repeat("ab", 32)),
		set("a hash over lines", "message", "0x"+strings.Repeat("ab\n", 32)), set("a transaction", "message", "0x02f8700182"+strings.Repeat("0a", 100)),
		set("a text that is a number", "message", 42), set("a text that is an object", "message", map[string]any{"types": map[string]any{}}),
	}
}

// forgeries lets the orchestrator hand each of them to enroll, and a file each to
// identity prove.
func forgeries(l *lab, r *row) {
	all := allForgeries()
	l.inWorlds(r, len(all), func(w *world, i int) (string, finding, error) {
		f, err := w.forge(all[i])
		return "answer with " + all[i].what, f, err
	})
	l.inWorlds(r, len(all), func(w *world, i int) (string, finding, error) {
		f, err := w.forgeFile(all[i])
		return "file with " + all[i].what, f, err
	})
	r.how = fmt.Sprintf("%d forgeries, each as the orchestrator's answer to enroll and as a file for identity prove; a genuine one was signed each time", len(all))
}

// forge spoils the answer to enroll's request for a challenge; then the genuine
// one must be signed.
func (w *world) forge(g forgery) (finding, error) {
	var signatures atomic.Int64
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
		g.spoil(c.Item)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(rec.Code)
		_ = json.NewEncoder(rw).Encode(c)
	})
	o, err := w.verb(nil, w.enrollArgs()...)
	w.interpose(nil)
	if err != nil {
		return finding{}, err
	}
	f := finding{signed: int(signatures.Load())}
	if f.signed > 0 || o.exit == 0 || o.stderr == "" {
		f.signed, f.why = max(1, f.signed), "signed, or refused without a word: "+o.String()
	}
	after, err := w.settle(false)
	if f.good() {
		f = after
	}
	return f, err
}

// forgeFile hands a spoilt challenge to identity prove, and then the good one.
func (w *world) forgeFile(g forgery) (finding, error) {
	good := func() map[string]any {
		return map[string]any{
			"challengeId": "mchal_1", "identityRef": "did:peaq:42", "message": "peaqOS machine identity\n\nidentity: did:peaq:42\nnonce: x",
			"expiresAt": time.Now().Add(time.Minute).UTC().Format(time.RFC3339), "verificationMethod": "eip191", "controllerAddresses": []string{controllerAddress},
		}
	}
	spoilt := good()
	g.spoil(spoilt)
	refused, err := w.prove(spoilt)
	if err != nil {
		return finding{}, err
	}
	signed, err := w.prove(good())
	if err != nil {
		return finding{}, err
	}
	var f finding
	if refused.exit == 0 || strings.Contains(refused.stdout, "signature") || refused.stderr == "" {
		f.signed, f.why = 1, "signed, or refused without a word: "+refused.String()
	}
	if signed.exit != 0 || !strings.Contains(signed.stdout, `"signature": "0x`) {
		f.halves, f.why = 1, "the genuine one was not signed: "+signed.String()
	}
	return f, nil
}

func (w *world) prove(c map[string]any) (outcome, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return outcome{}, err
	}
	path := filepath.Join(filepath.Dir(w.config), "challenge.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return outcome{}, err
	}
	return w.verb(nil, "identity", "prove", "--challenge-file", path, "--controller-key-file", w.lab.ctlFile, "--identity-ref", "did:peaq:42")
}
