package sandbox_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestChallengeForms(t *testing.T) {
	largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).String()
	beyond := new(big.Int).Lsh(big.NewInt(1), 256).String()
	address := addressOf(otherKey)
	for _, c := range []struct{ given, answered string }{
		{"did:peaq:42", "did:peaq:42"},
		{"peaqos:machine:42", "did:peaq:42"},
		{"did:peaq:0", "did:peaq:0"},
		{"did:peaq:" + largest, "did:peaq:" + largest},
		{"did:peaq:" + address, "did:peaq:" + address},
		{"did:peaq:" + strings.ToLower(address), "did:peaq:" + strings.ToLower(address)},
		{"did:peaq:" + beyond, ""},
		{"did:peaq:042", ""},
		{"did:peaq:-1", ""},
		{"did:peaq:+1", ""},
		{"did:peaq: 1", ""},
		{"did:peaq:1 ", ""},
		{"did:peaq:", ""},
		{"did:peaq:٤٢", ""},
		{"did:peaq:0x12", ""},
		{"peaqos:machine:" + address, ""},
		{"DID:PEAQ:42", ""},
		{"42", ""},
		{"not a did", ""},
		{"did:peaq:42\n", ""},
		{" ", ""},
		{"", ""},
	} {
		t.Run(c.given, func(t *testing.T) {
			r := newHarness(t)
			a := r.post("/machine-identity/challenges", object{"identityRef": c.given})
			if c.answered == "" {
				a.fails("VALIDATION_ERROR")
				return
			}
			a.ok(201)
			if got := a.str("item.identityRef"); got != c.answered {
				t.Errorf("returned for %s, want %s", got, c.answered)
			}
			if a.str("item.verificationMethod") != "eip191" || len(a.at("item.controllerAddresses").([]any)) == 0 {
				t.Errorf("challenge %s", a.text)
			}
			expires, err := time.Parse(time.RFC3339, a.str("item.expiresAt"))
			if err != nil || !expires.After(time.Now()) || !strings.Contains(a.str("item.message"), a.str("item.challengeId")) {
				t.Errorf("challenge %s (%v)", a.text, err)
			}
		})
	}
	r := newHarness(t)
	for _, body := range []any{object{}, object{"identityRef": nil}, object{"identityRef": 42}, "[]", "null", "{", `"x"`, `{}{}`} {
		r.post("/machine-identity/challenges", body).fails("VALIDATION_ERROR")
	}
	r.call("POST", "/machine-identity/challenges", nil).fails("VALIDATION_ERROR")
}

func TestControllers(t *testing.T) {
	second := addressOf(otherKey)
	r := newHarness(t, sandbox.WithController("did:peaq:7", second), sandbox.WithController("peaqos:machine:7", addressOf(throwAwayKey(9))))
	controllers := func(ref string) (out []string) {
		for _, a := range r.post("/machine-identity/challenges", object{"identityRef": ref}).ok(201).at("item.controllerAddresses").([]any) {
			out = append(out, a.(string))
		}
		return out
	}
	for ref, want := range map[string][]string{
		"did:peaq:7":                          {second, addressOf(throwAwayKey(9))},
		"did:peaq:8":                          {addressOf(controllerKey)},
		"did:peaq:" + strings.ToLower(second): {strings.ToLower(second)},
	} {
		if got := controllers(ref); !slices.Equal(got, want) {
			t.Errorf("controllers of %s = %v, want %v", ref, got, want)
		}
	}
	bare := newHarness(t)
	if err := bare.s.SetController(""); err != nil {
		t.Fatal(err)
	}
	bare.post("/machine-identity/challenges", object{"identityRef": "did:peaq:1"}).fails("PEAQOS_IDENTITY_UNAVAILABLE")
	bare.post("/machine-identity/challenges", object{"identityRef": "did:peaq:" + second}).ok(201)
	for _, bad := range [][]string{{"did:peaq:01"}, {"did:peaq:" + second, second}, {"did:peaq:1", "0x12"}, {"did:peaq:1", second, ""}} {
		if bare.s.SetController(bad[0], bad[1:]...) == nil {
			t.Errorf("SetController(%q) was accepted", bad)
		}
	}
}

func TestIdentityProof(t *testing.T) {
	other := addressOf(otherKey)
	upper := "did:peaq:0x" + strings.ToUpper(other[2:])
	for _, c := range []struct {
		name string
		ref  string
		make func(r *harness) any // the identityProof
		want string               // a code; "" = accepted
	}{
		{"right", "did:peaq:5", func(r *harness) any { return r.proof("did:peaq:5", controllerKey) }, ""},
		{"by the alias", "did:peaq:5", func(r *harness) any { return r.proof("peaqos:machine:5", controllerKey) }, ""},
		{"for the alias", "peaqos:machine:5", func(r *harness) any { return r.proof("did:peaq:5", controllerKey) }, ""},
		{"address form", "did:peaq:" + other, func(r *harness) any { return r.proof("did:peaq:"+other, otherKey) }, ""},
		{"address in other letters", upper, func(r *harness) any { return r.proof("did:peaq:"+other, otherKey) }, ""},
		{"none", "did:peaq:5", func(*harness) any { return nil }, "MACHINE_IDENTITY_PROOF_REQUIRED"},
		{"not an object", "did:peaq:5", func(*harness) any { return "x" }, "VALIDATION_ERROR"},
		{"empty", "did:peaq:5", func(*harness) any { return object{} }, "VALIDATION_ERROR"},
		{
			"blank signature", "did:peaq:5",
			func(r *harness) any { return with(r.proof("did:peaq:5", controllerKey), "signature", " ") }, "VALIDATION_ERROR",
		},
		{"wrong signer", "did:peaq:5", func(r *harness) any { return r.proof("did:peaq:5", otherKey) }, "MACHINE_IDENTITY_PROOF_INVALID"},
		{
			"wrong signer of an address", "did:peaq:" + other,
			func(r *harness) any { return r.proof("did:peaq:"+other, controllerKey) }, "MACHINE_IDENTITY_PROOF_INVALID",
		},
		{
			"of another identity", "did:peaq:5", func(r *harness) any { return r.proof("did:peaq:6", controllerKey) },
			"MACHINE_IDENTITY_PROOF_INVALID",
		},
		{
			"unknown challenge", "did:peaq:5",
			func(r *harness) any { return with(r.proof("did:peaq:5", controllerKey), "challengeId", "mchal_x") },
			"MACHINE_IDENTITY_PROOF_INVALID",
		},
		{
			"too short", "did:peaq:5",
			func(r *harness) any { return with(r.proof("did:peaq:5", controllerKey), "signature", "0x12") },
			"MACHINE_IDENTITY_PROOF_INVALID",
		},
		{"zeros", "did:peaq:5", func(r *harness) any {
			return with(r.proof("did:peaq:5", controllerKey), "signature", "0x"+strings.Repeat("00", 65))
		}, "MACHINE_IDENTITY_PROOF_INVALID"},
		{"without 0x", "did:peaq:5", func(r *harness) any {
			p := r.proof("did:peaq:5", controllerKey)
			return with(p, "signature", p["signature"].(string)[2:])
		}, "MACHINE_IDENTITY_PROOF_INVALID"},
		{"trimmed text signed", "did:peaq:5", func(r *harness) any {
			ch := r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:5"}).ok(201)
			return object{"challengeId": ch.str("item.challengeId"), "signature": signText(controllerKey, ch.str("item.message")+"\n")}
		}, "MACHINE_IDENTITY_PROOF_INVALID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHarness(t)
			body := object{"displayName": "m", "ownerId": "o", "machineType": "", "runtimeProfile": "", "identityRef": c.ref}
			if proof := c.make(r); proof != nil {
				body["identityProof"] = proof
			}
			a := r.post("/machines", body)
			if c.want != "" {
				a.fails(c.want)
				if len(r.s.Machines()) != 0 {
					t.Error("a rejected machine is kept")
				}
				return
			}
			a.ok(201)
			if a.str("item.identityProof.challengeId") != body["identityProof"].(object)["challengeId"] ||
				a.str("item.identityProof.resolutionSource") != "peaqos-mcr" {
				t.Errorf("the stored proof is %s", a.text)
			}
		})
	}
}

func TestChallengeIsSingleUse(t *testing.T) {
	r := newHarness(t)
	body := r.draft("did:peaq:5")
	id := r.post("/machines", body).ok(201).str("item.id")
	r.post("/machines", body).fails("MACHINE_IDENTITY_PROOF_INVALID")
	r.call("PATCH", "/machines/"+id, object{"identityProof": body["identityProof"]}).fails("MACHINE_IDENTITY_PROOF_INVALID")
	r.post("/machines", r.draft("did:peaq:5")).fails("MACHINE_IDENTITY_EXISTS")
	r.post("/machines", r.draft("peaqos:machine:5")).fails("MACHINE_IDENTITY_EXISTS")

	// A rejected signature does not use up the challenge.
	proof := r.proof("did:peaq:6", controllerKey)
	body = with(r.draft("did:peaq:6"), "identityProof", with(proof, "signature", "0x"+strings.Repeat("11", 65)))
	r.post("/machines", body).fails("MACHINE_IDENTITY_PROOF_INVALID")
	r.post("/machines", with(body, "identityProof", proof)).ok(201)
}

func TestChallengeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithChallengeTTL(3*time.Second))
		last, late := r.draft("did:peaq:5"), r.draft("did:peaq:6")
		time.Sleep(3*time.Second - time.Millisecond)
		r.post("/machines", last).ok(201)
		time.Sleep(time.Millisecond)
		r.post("/machines", late).fails("MACHINE_IDENTITY_PROOF_EXPIRED")
		time.Sleep(2 * time.Hour) // removed by then, when another one is created
		r.proof("did:peaq:6", controllerKey)
		r.post("/machines", late).fails("MACHINE_IDENTITY_PROOF_INVALID")
	})
}

// TestIdentityIsVerifiedAgain removes a machine's controller.
func TestIdentityIsVerifiedAgain(t *testing.T) {
	r := newHarness(t)
	id := r.machine()
	a := r.enroll(id)
	ref := r.s.Machines()[0].IdentityRef
	if err := r.s.SetController(ref, addressOf(otherKey)); err != nil {
		t.Fatal(err)
	}
	r.get("/machines/" + id).fails("MACHINE_NOT_ACTIVATED")
	r.beat(a.beat()).fails("MACHINE_NOT_ACTIVATED")
	r.post("/machines/"+id+"/agents/enrollment", object{}).fails("MACHINE_NOT_ACTIVATED")
	r.call("PUT", "/machines/"+id+"/runtime-endpoints/qvac", object{"endpointBaseUrl": "http://h"}).fails("MACHINE_NOT_ACTIVATED")
	r.call("PATCH", "/machines/"+id, object{"status": "active"}).fails("MACHINE_NOT_ACTIVATED")
	if n := len(r.get("/machines").items()); n != 0 {
		t.Errorf("%d machines are listed, want none", n)
	}
	r.call("PATCH", "/machines/"+id, object{"identityProof": r.proof(ref, controllerKey)}).fails("MACHINE_IDENTITY_PROOF_INVALID")
	r.call("PATCH", "/machines/"+id, object{"identityProof": r.proof(ref, otherKey)}).ok(200)
	r.beat(a.beat()).ok(200)
	if err := r.s.SetController(ref); err != nil {
		t.Fatal(err)
	}
	r.call(
		"PATCH", "/machines/"+id, object{"identityProof": object{"challengeId": "c", "signature": "s"}},
	).fails("PEAQOS_IDENTITY_UNAVAILABLE")
}
