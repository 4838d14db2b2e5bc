package sandbox_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestOwnershipAndTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithChallengeTTL(time.Minute))
		id := r.machine()
		path := "/machines/" + id
		same(
			t, "trust", r.get(path+"/trust").ok(200).at("item"),
			object{"machineId": id, "bondStatus": "unknown", "trust": object{"status": "unverified"}},
		)
		owner := addressOf(otherKey)
		sign := func() (reply, object) {
			ch := r.post(path+"/ownership-challenge", object{"ownerAddress": owner, "machineAddress": addressOf(controllerKey)}).ok(201)
			return ch, object{
				"challengeId": ch.str("item.challengeId"), "signature": signText(otherKey, ch.str("item.message")),
				"signerAddress": owner,
			}
		}
		ch, proof := sign()
		if ch.str("item.machineId") != id || ch.str("item.expiresAt") != wire(time.Now().Add(time.Minute)) {
			t.Errorf("challenge %s", ch.text)
		}
		r.post(path+"/ownership-proof", with(proof, "signature", signText(controllerKey, ch.str("item.message")))).
			fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post(path+"/ownership-proof", with(proof, "signerAddress", addressOf(controllerKey))).fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post("/machines/"+r.machine()+"/ownership-proof", proof).fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post(path+"/ownership-proof", with(proof, "signerAddress", nil)).fails("VALIDATION_ERROR")
		same(
			t, "proof", r.post(path+"/ownership-proof", proof).ok(200).at("item"),
			object{"machineId": id, "verified": true, "verifiedAt": wire(time.Now())},
		)
		r.post(path+"/ownership-proof", proof).fails("MACHINE_IDENTITY_PROOF_INVALID")
		same(
			t, "trust", r.get(path+"/trust").ok(200).at("item.trust"),
			object{"status": "verified", "attestedAt": wire(time.Now()), "attestor": owner},
		)
		_, late := sign()
		time.Sleep(time.Minute)
		r.post(path+"/ownership-proof", late).fails("MACHINE_IDENTITY_PROOF_EXPIRED")
		for _, body := range []object{{}, {"ownerAddress": "0x1"}, {"ownerAddress": owner, "machineAddress": "x"}} {
			r.post(path+"/ownership-challenge", body).fails("VALIDATION_ERROR")
		}
		r.get("/machines/mach_none/trust").fails("NOT_FOUND")
	})
}
