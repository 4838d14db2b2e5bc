package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestIdentityGenerations: the server accepts identities of the first generation, or it does not.
func TestIdentityGenerations(t *testing.T) {
	address := "did:peaq:" + addressOf(controllerKey)
	for generation, want := range map[string]int{sandbox.RefsAny: 201, sandbox.RefsDecimal: 400} {
		r := newHarness(t, sandbox.WithIdentityRefs(generation))
		a := r.post("/machine-identity/challenges", object{"identityRef": address}).ok(want)
		if want == 400 && !strings.Contains(a.str("error.message"), "first generation") {
			t.Errorf("%s: %s", generation, a.text)
		}
		r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:7"}).ok(201)
		body := r.draft("did:peaq:7")
		r.post("/machines", with(body, "identityRef", address)).ok(map[int]int{201: 400, 400: 400}[want]) // the proof is of another
		if want == 201 {
			r.post("/machines", r.draft(address)).ok(201)
		}
	}
	if _, err := sandbox.Open(sandbox.WithIdentityRefs("hex")); err == nil || !strings.Contains(err.Error(), "any, decimal") {
		t.Errorf("an unknown generation: %v", err)
	}
}

// TestTrustFirstSigner: the first address that proves an identity controls it.
func TestTrustFirstSigner(t *testing.T) {
	file := t.TempDir() + "/state.json"
	open := func() *harness {
		r := newHarness(t, sandbox.WithTrustFirstSigner(), sandbox.WithStateFile(file))
		return r
	}
	r := open()
	_ = r.s.SetController("") // as without --controller
	ch := r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:5"}).ok(201)
	if got := ch.at("item.controllerAddresses.0"); got != sandbox.NoController {
		t.Errorf("before the first proof the controller is %v", got)
	}
	body := with(r.draft("did:peaq:5"), "identityProof", r.proof("did:peaq:5", otherKey))
	id := r.post("/machines", body).ok(201).str("item.id")
	r.call("PATCH", "/machines/"+id, object{"status": "active"}).ok(200)
	r.enroll(id)
	ch = r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:5"}).ok(201)
	if got := ch.at("item.controllerAddresses.0"); got != addressOf(otherKey) {
		t.Errorf("after the first proof the controller is %v", got)
	}
	r.call("PATCH", "/machines/"+id, object{"identityProof": r.proof("did:peaq:5", controllerKey)}).fails("MACHINE_IDENTITY_PROOF_INVALID")
	r.call("PATCH", "/machines/"+id, object{"identityProof": r.proof("did:peaq:5", otherKey)}).ok(200)
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	r = open()
	_ = r.s.SetController("")
	r.get("/machines/" + id).ok(200)
	r.call("PATCH", "/machines/"+id, object{"identityProof": r.proof("did:peaq:5", controllerKey)}).fails("MACHINE_IDENTITY_PROOF_INVALID")

	// A controller that is set is not replaced by a signer.
	set := newHarness(t, sandbox.WithTrustFirstSigner())
	claimed := with(set.draft("did:peaq:5"), "identityProof", set.proof("did:peaq:5", otherKey))
	set.post("/machines", claimed).fails("MACHINE_IDENTITY_PROOF_INVALID")
	bare := sandbox.New()
	r = &harness{t: t, s: bare, client: r.client, url: r.url}
	r.client.Transport = bare.Transport()
	a := r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:5"})
	if a.fails("PEAQOS_IDENTITY_UNAVAILABLE"); !strings.Contains(a.text, "--controller") || !strings.Contains(a.text, "--trust-first-signer") {
		t.Errorf("without a controller: %s", a.text)
	}
}

// TestRegistryDown: everything that verifies an identity fails for as long as the registry does.
func TestRegistryDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		p := r.pair(r.machine(), nil)
		c := r.enroll(p.machine)
		draft := r.draft("did:peaq:9")
		r.callAdmin("POST", "/steps", object{"do": "registry-down"}).ok(204)
		down := func() map[string]reply {
			return map[string]reply{
				"a challenge":  r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:9"}),
				"a proof":      r.post("/machines", draft),
				"a machine":    r.get("/machines/" + p.machine),
				"all machines": r.get("/machines"),
				"a change":     r.call("PATCH", "/machines/"+p.machine, object{"status": "active"}),
				"enrollment":   r.post("/machines/"+p.machine+"/agents/enrollment", object{}),
				"a heartbeat":  r.beat(c.beat()),
				"an order":     p.order("svc_location"),
			}
		}
		for what, a := range down() {
			if a.code() != "PEAQOS_IDENTITY_UNAVAILABLE" || a.status != 503 {
				t.Errorf("%s: %d %s", what, a.status, a.text)
			}
		}
		r.post("/machines/"+p.machine+"/agent-pairings/challenges", claim(agentKey)).fails("AGENT_PAIRING_UNAVAILABLE")
		r.get("/health").ok(200)
		r.get("/machines/" + p.machine + "/agents").ok(200)
		time.Sleep(time.Minute)
		r.callAdmin("POST", "/steps", object{"do": "registry-up"}).ok(204)
		for what, a := range down() {
			if a.status >= 300 {
				t.Errorf("afterwards %s: %d %s", what, a.status, a.text)
			}
		}
	})
}
