package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func signerOf(t *testing.T, key string) *keystore.Signer {
	t.Helper()
	k, err := keystore.ParseKey([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return k.Signer()
}

// TestProveElsewhere: the signature is verified before anything is sent, and registers
// the machine as a key would.
func TestProveElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		api, err := newClient(l.cfg, l.server.Transport(), "test", sdk.NewSecret(testAPIKey))
		if err != nil {
			t.Fatal(err)
		}
		prove := func(sign func(string) (string, error)) (*Proof, error) {
			return ProveElsewhere(context.Background(), api, l.cfg.Orchestrator.URL, "did:peaq:42", sign)
		}
		for name, c := range map[string]struct {
			sign func(string) (string, error)
			code string
		}{
			"no signature": {func(string) (string, error) { return "hello", nil }, "signature"},
			"another key":  {signerOf(t, "0x2222222222222222222222222222222222222222222222222222222222222222").SignText, "signer"},
			"another text": {func(string) (string, error) { return signerOf(t, testKey).SignText("another") }, "signer"},
		} {
			if _, err := prove(c.sign); Explain(err).Code != status.Code(c.code) || Explain(err).Exit != status.ExitUsage {
				t.Errorf("%s: %v", name, err)
			}
		}
		withoutKey := func(r *EnrollRequest) { r.Controller = nil }
		if _, err := l.enroll(withoutKey); !NeedsProof(err) {
			t.Errorf("enroll of a new machine without a key: %v", err)
		}
		proof, err := prove(signerOf(t, testKey).SignText)
		if err != nil || proof.SignerAddress != testSigner {
			t.Fatal(proof, err)
		}
		r, err := l.enroll(func(r *EnrollRequest) { r.Controller, r.Proof = nil, proof })
		if err != nil || !r.Registered || !r.Live {
			t.Errorf("enroll with the proof: %+v, %v", r, err)
		}
	})
}

// TestEnrollWithStoredKey: an imported key registers the machine.
func TestEnrollWithStoredKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		key, err := keystore.ParseKey([]byte(testKey))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.agent.PutController(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if r, err := l.enroll(func(r *EnrollRequest) { r.Controller = nil }); err != nil || !r.Registered {
			t.Errorf("enroll: %+v, %v", r, err)
		}
	})
}

// TestPlainHTTPIsNotSigned: a challenge that comes over plain http from another host may
// have been altered, even if the configuration allows such an orchestrator.
func TestPlainHTTPIsNotSigned(t *testing.T) {
	for origin, trusted := range map[string]bool{
		"https://o.example": true, "http://127.0.0.1:8787": true, "http://[::1]:1": true, "http://localhost:1": true,
		"http://o.example": false, "http://10.0.0.1": false, "http://192.168.0.1:80": false, "": false,
	} {
		if err := trustedForSigning(origin); (err == nil) != trusted || (err != nil && !errors.Is(err, errRefused)) {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

// TestForgedChallengeIsNotSigned: the complete enrollment, not only the vetting. The
// response to the agent's request is forged in each way, and no signature is sent.
func TestForgedChallengeIsNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		time.Sleep(time.Until(forgeryNow()))
		posted := 0
		answerWith := func(c Challenge) {
			body, err := json.Marshal(map[string]any{"item": map[string]any{
				"challengeId": c.ChallengeID, "identityRef": c.IdentityRef, "message": c.Message, "expiresAt": c.ExpiresAt,
				"verificationMethod": c.VerificationMethod, "controllerAddresses": c.ControllerAddresses,
			}})
			if err != nil {
				t.Fatal(err)
			}
			l.server.SetFault(func(r *http.Request) *sandbox.Fault {
				switch {
				case strings.HasSuffix(r.URL.Path, "/challenges"):
					return &sandbox.Fault{Status: 201, ContentType: "application/json", Body: string(body)}
				case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/machines"):
					posted++
					return &sandbox.Fault{Status: 500}
				}
				return nil
			})
		}
		for name, spoil := range forgeries() {
			c := goodChallenge()
			spoil(&c)
			if !utf8.ValidString(c.Message) {
				continue // JSON readers repair it; TestChallengeVet has it
			}
			answerWith(c)
			if _, err := l.enroll(nil); err == nil || posted > 0 {
				t.Errorf("%s: enroll %v, %d signatures were sent", name, err, posted)
				posted = 0
			}
		}
		answerWith(goodChallenge())
		if _, err := l.enroll(nil); err == nil || posted != 1 {
			t.Errorf("the good one: %v, %d signatures; this test would not notice a signature", err, posted)
		}
	})
}
