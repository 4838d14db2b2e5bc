package sandbox_test

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestPairingChallengeNamesEveryBinding(t *testing.T) {
	r := newHarness(t)
	m := r.machine()
	a := r.post("/machines/"+m+"/agent-pairings/challenges", claim(agentKey)).ok(201)
	want := map[string]any{
		"machineId": m, "machineIdentityRef": "did:peaq:1001", "agentAddress": addressOf(agentKey),
		"agentDid":      "did:pkh:eip155:1:" + addressOf(agentKey),
		"agentProvider": "openclaw", "agentRole": "operator", "verificationMethod": "eip191",
	}
	for name, v := range want {
		if a.at("item."+name) != v {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), v)
		}
	}
	for _, part := range []string{
		"did:peaq:1001", addressOf(agentKey), "openclaw", "operator", a.str("item.challengeId"), a.str("item.expiresAt"),
	} {
		if !strings.Contains(a.str("item.message"), part) {
			t.Errorf("the message does not name %s:\n%s", part, a.str("item.message"))
		}
	}
}

func TestPairingChallengeRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []any
		want   string
	}{
		{"no address", []any{"agentAddress", nil}, "VALIDATION_ERROR"},
		{"no real address", []any{"agentAddress", "0x1234"}, "VALIDATION_ERROR"},
		{"blank provider", []any{"agentProvider", " "}, "VALIDATION_ERROR"},
		{"no role", []any{"agentRole", nil}, "VALIDATION_ERROR"},
		{"DID of another method", []any{"agentDid", "did:peaq:" + addressOf(agentKey)}, "VALIDATION_ERROR"},
		{"DID of another address", []any{"agentDid", "did:pkh:eip155:1:" + addressOf(otherKey)}, "VALIDATION_ERROR"},
		{"DID without a chain", []any{"agentDid", "did:pkh:eip155::" + addressOf(agentKey)}, "VALIDATION_ERROR"},
		{"DID with a bad chain", []any{"agentDid", "did:pkh:eip155:01:" + addressOf(agentKey)}, "VALIDATION_ERROR"},
		{"DID of another chain", []any{"agentDid", "did:pkh:eip155:8453:" + addressOf(agentKey)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHarness(t)
			a := r.post("/machines/"+r.machine()+"/agent-pairings/challenges", with(claim(agentKey), c.change...))
			if c.want == "" {
				a.ok(201)
				return
			}
			a.fails(c.want)
		})
	}
}

func TestPairingNeedsAPairableMachine(t *testing.T) {
	r := newHarness(t)
	pairings := func(m string) string { return "/machines/" + m + "/agent-pairings" }
	draft := r.register()
	r.post(pairings(draft)+"/challenges", claim(agentKey)).fails("MACHINE_NOT_ACTIVE")
	r.post(pairings("mach_none")+"/challenges", claim(agentKey)).fails("NOT_FOUND")

	m := r.machine()
	body := with(claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey))
	if err := r.s.SetController("did:peaq:1002", addressOf(otherKey)); err != nil {
		t.Fatal(err)
	}
	r.post(pairings(m), body).fails("MACHINE_IDENTITY_PROOF_REQUIRED")
	if err := r.s.SetController("did:peaq:1002"); err != nil {
		t.Fatal(err)
	}
	r.post(pairings(m), body).fails("AGENT_PAIRING_UNAVAILABLE")
	if err := r.s.SetController("did:peaq:1002", addressOf(controllerKey)); err != nil {
		t.Fatal(err)
	}
	r.post(pairings(m), body).ok(201) // the challenge was not used up
}

func TestPairingProofRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *harness, m string, body object)
		want   string
	}{
		{"no proof", func(_ *harness, _ string, b object) { delete(b, "agentProof") }, "AGENT_PAIRING_PROOF_REQUIRED"},
		{"proof of a wrong type", func(_ *harness, _ string, b object) { b["agentProof"] = "x" }, "VALIDATION_ERROR"},
		{
			"unknown challenge", func(_ *harness, _ string, b object) { b["agentProof"].(object)["challengeId"] = "achal_x" },
			"AGENT_PAIRING_PROOF_INVALID",
		},
		{
			"no signature", func(_ *harness, _ string, b object) { b["agentProof"].(object)["signature"] = "0x1234" },
			"AGENT_PAIRING_PROOF_INVALID",
		},
		{
			"other wallet",
			func(r *harness, m string, b object) { b["agentProof"] = r.agentProof(m, claim(agentKey), otherKey) },
			"AGENT_PAIRING_PROOF_INVALID",
		},
		{"other address", func(_ *harness, _ string, b object) { b["agentAddress"] = addressOf(otherKey) }, "AGENT_PAIRING_PROOF_INVALID"},
		{"other provider", func(_ *harness, _ string, b object) { b["agentProvider"] = "anthropic" }, "AGENT_PAIRING_PROOF_INVALID"},
		{"other role", func(_ *harness, _ string, b object) { b["agentRole"] = "observer" }, "AGENT_PAIRING_PROOF_INVALID"},
		{
			"other DID", func(_ *harness, _ string, b object) { b["agentDid"] = "did:pkh:eip155:10:" + addressOf(agentKey) },
			"AGENT_PAIRING_PROOF_INVALID",
		},
		{"other machine", func(r *harness, _ string, b object) {
			b["agentProof"] = r.agentProof(r.machine(), claim(agentKey), agentKey)
		}, "AGENT_PAIRING_PROOF_INVALID"},
		{
			"identity challenge", func(r *harness, _ string, b object) { b["agentProof"] = r.proof("did:peaq:5", agentKey) },
			"AGENT_PAIRING_PROOF_INVALID",
		},
		{
			"policy of a wrong type",
			func(_ *harness, _ string, b object) { b["delegationPolicy"] = object{"deniedSkillKeys": "x"} }, "VALIDATION_ERROR",
		},
		{"limit below zero", func(_ *harness, _ string, b object) { b["delegationPolicy"] = object{"dailySpendLimit": -1} }, "VALIDATION_ERROR"},
		{"the address in small letters", func(_ *harness, _ string, b object) { b["agentAddress"] = strings.ToLower(addressOf(agentKey)) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHarness(t)
			m := r.machine()
			body := with(claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey))
			c.change(r, m, body)
			a := r.post("/machines/"+m+"/agent-pairings", body)
			if c.want == "" {
				a.ok(201)
				return
			}
			a.fails(c.want)
		})
	}
}

func TestPairingChallengeIsUsedOnceAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithChallengeTTL(time.Minute))
		m := r.machine()
		path := "/machines/" + m + "/agent-pairings"
		body := with(claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey))
		r.post(path, body).ok(201)
		r.post(path, body).fails("AGENT_PAIRING_PROOF_INVALID")
		late := with(claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey))
		time.Sleep(time.Minute)
		r.post(path, late).fails("AGENT_PAIRING_PROOF_EXPIRED")
	})
}

func TestPairingIsComplete(t *testing.T) {
	r := newHarness(t)
	m := r.machine()
	policy := object{
		"allowedSkillKeys": []any{"walrus.storage"}, "deniedSkillKeys": []any{"akash.compute"}, "allowedServiceIds": []any{},
		"deniedServiceIds":    []any{"svc_x"},
		"perTransactionLimit": 2.5, "dailySpendLimit": 10.0, "currency": "USDC",
	}
	body := with(
		claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey), "delegationPolicy", policy, "description",
		"night shift ✓",
	)
	a := r.post("/machines/"+m+"/agent-pairings", body).ok(201)
	if diff := cmp.Diff(any(policy), a.at("item.delegationPolicy")); diff != "" {
		t.Errorf("the policy (-sent +returned):\n%s", diff)
	}
	token := a.str("item.pairingToken")
	for name, want := range map[string]any{
		"status": "active", "hasAuthToken": true, "description": "night shift ✓", "tokenLastFour": token[len(token)-4:],
		"agentDid":            "did:pkh:eip155:1:" + addressOf(agentKey),
		"verification.method": "eip191", "verification.signerAddress": addressOf(agentKey),
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	plain := r.pair(m, nil)
	list := r.get("/machines/" + m + "/agent-pairings").ok(200)
	if strings.Contains(list.text, token) || strings.Contains(list.text, "pairingToken") {
		t.Error("the list contains a token")
	}
	for _, name := range []string{"allowedSkillKeys", "deniedSkillKeys", "allowedServiceIds", "deniedServiceIds"} {
		if got, ok := list.at("items.1.delegationPolicy." + name).([]any); !ok || len(got) != 0 {
			t.Errorf("%s of a pairing without a policy is %v", name, list.at("items.1.delegationPolicy."+name))
		}
	}
	if got := r.s.Pairings(m); len(got) != 2 || got[1].ID != plain.id {
		t.Errorf("the server knows %d pairings", len(got))
	}
}

// claims returns the payload of a token, decoded without a library.
func claims(t *testing.T, token string) (header, payload map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	for i, to := range []*map[string]any{&header, &payload} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, payload
}

func TestTokenHasTheClaimsOfTheContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithSessionTTL(time.Hour))
		p := r.pair(r.machine(), nil)
		header, payload := claims(t, p.token)
		if header["alg"] != "HS256" {
			t.Errorf("the algorithm is %v", header["alg"])
		}
		listed := p.get("/machines/" + p.machine + "/agent-pairings").ok(200)
		for name, want := range map[string]any{
			"machineId": p.machine, "pairingId": p.id, "sessionId": listed.at("items.0.sessionId"), "agentAddress": addressOf(agentKey),
			"agentDid": "did:pkh:eip155:1:" + addressOf(agentKey), "jti": listed.at("items.0.sessionTokenId"),
			"exp": float64(time.Now().Add(time.Hour).Unix()),
		} {
			if payload[name] != want || want == nil {
				t.Errorf("%s is %v, want %v", name, payload[name], want)
			}
		}
		before, _ := payload["delegationPolicyHash"].(string)
		if len(before) != 64 {
			t.Errorf("delegationPolicyHash is %q", before)
		}
		p.call("PATCH", p.path(), object{"delegationPolicy": object{"perTransactionLimit": 7}}).ok(200)
		if _, after := claims(t, p.session().token); after["delegationPolicyHash"] == before {
			t.Error("another policy has the same hash")
		}
	})
}

// forged signs a payload with a key.
func forged(header, payload string, key []byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestTokenRefusals(t *testing.T) {
	p := market(t, nil)
	other := p.pair(p.harness.machine(), nil)
	_, payload := claims(t, p.token)
	text, _ := json.Marshal(payload)
	parts := strings.Split(p.token, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"made up": "aptok_made_up", "three dots": "...", "too long": strings.Repeat("a", 6000),
		"signature cut": p.token[:len(p.token)-2], "no signature": parts[0] + "." + parts[1] + ".",
		"algorithm none": none, "signed with another key": forged(`{"alg":"HS256","typ":"JWT"}`, string(text), []byte("guessed")),
		"claims of another": strings.Join([]string{parts[0], strings.Split(other.token, ".")[1], parts[2]}, "."),
	} {
		t.Run(name, func(t *testing.T) {
			p.token = token
			p.probe().fails("AGENT_AUTH_INVALID")
		})
	}
	p.call("POST", "/market/search", object{}).fails("AGENT_AUTH_REQUIRED")
	other.as("POST", "/market/search", object{"machineId": p.machine}).fails("AGENT_AUTH_INVALID")
	other.as("POST", "/market/search", object{"agentPairingId": p.id}).fails("AGENT_AUTH_INVALID")
	other.as("GET", "/market/services?machineId="+p.machine, nil).fails("AGENT_AUTH_INVALID")
	other.as("GET", "/machines/"+p.machine+"/iot/subscriptions", nil).fails("AGENT_AUTH_INVALID")
}

func TestSessionsReplaceAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithSessionTTL(time.Hour))
		p := r.pair(r.machine(), nil)
		newer := p.session()
		p.probe().fails("AGENT_AUTH_INVALID")
		newer.probe().ok(201)

		time.Sleep(time.Hour - time.Millisecond)
		newer.probe().ok(201)
		time.Sleep(time.Millisecond)
		newer.probe().fails("AGENT_AUTH_EXPIRED")
		newest := newer.session()
		newest.probe().ok(201)

		p.post(p.path()+"/sessions", object{}).fails("AGENT_PAIRING_PROOF_REQUIRED")
		foreign := p.agentProof(p.machine, claim(otherKey), otherKey)
		p.post(p.path()+"/sessions", object{"agentProof": foreign}).fails("AGENT_PAIRING_PROOF_INVALID")
		newest.probe().ok(201) // a rejected proof does not end a session
	})
}

func TestPairingUpdates(t *testing.T) {
	p := market(t, nil)
	path := p.path()
	a := p.call("PATCH", path, object{"description": "day"}).ok(200)
	if a.str("item.description") != "day" || a.str("item.agentRole") != "operator" || a.at("item.pairingToken") != nil {
		t.Errorf("updated to %s", a.text)
	}
	p.probe().ok(201) // nothing that the token covers has changed
	p.call("PATCH", path, object{}).ok(200)
	p.call("PATCH", path, object{"status": "asleep"}).fails("VALIDATION_ERROR")
	p.call("PATCH", path, object{"agentRole": ""}).fails("VALIDATION_ERROR")

	p.call("PATCH", path, object{"delegationPolicy": object{"deniedSkillKeys": []string{"x"}}}).ok(200)
	p.probe().fails("AGENT_AUTH_INVALID")
	p = p.session()
	p.probe().ok(201)

	p.call("PATCH", path, object{"status": "paused"}).ok(200)
	p.probe().fails("AGENT_PAIRING_INACTIVE")
	proof := p.agentProof(p.machine, claim(agentKey), agentKey)
	p.post(path+"/sessions", object{"agentProof": proof}).fails("AGENT_PAIRING_INACTIVE")
	p.call("PATCH", path, object{"status": "active"}).ok(200)
	p.probe().ok(201)

	p.s.PausePairings()
	p.probe().fails("AGENT_PAIRING_INACTIVE")
	p.call("DELETE", path, nil).ok(204)
	p.call("DELETE", path, nil).ok(204)
	p.probe().fails("AGENT_PAIRING_INACTIVE")
	p.call("PATCH", path, object{"status": "active"}).fails("AGENT_PAIRING_INACTIVE")
	if a := p.get("/machines/" + p.machine + "/agent-pairings").ok(200); a.at("items.0.status") != "revoked" ||
		a.at("items.0.hasAuthToken") != false {
		t.Errorf("revoked as %s", a.text)
	}
	for _, call := range [][2]string{{"PATCH", ""}, {"DELETE", ""}, {"POST", "/sessions"}, {"GET", "/spend"}, {"POST", "/signature-proof"}} {
		p.call(call[0], "/machines/"+p.machine+"/agent-pairings/apair_none"+call[1], object{}).fails("NOT_FOUND")
	}
}

func TestPairingKeySetting(t *testing.T) {
	r := newHarness(t, sandbox.WithPairingKey())
	p := r.pair(r.machine(), nil)
	p.probe().ok(201)
	r.key = ""
	p.probe().fails("AUTH_REQUIRED")
	p.as("GET", "/market/services", nil).fails("AUTH_REQUIRED")

	open := market(t, nil)
	open.harness.key = ""
	open.probe().ok(201)
	open.as("GET", "/market/services", nil).ok(200)
	open.get("/market/services").fails("AUTH_REQUIRED")
}

func TestSignatureProof(t *testing.T) {
	p := market(t, nil)
	for _, c := range []struct {
		signer *ecdsa.PrivateKey
		named  string
		want   bool
	}{{agentKey, addressOf(agentKey), true}, {otherKey, addressOf(agentKey), false}, {otherKey, addressOf(otherKey), false}} {
		body := object{"message": "it is me", "signature": signText(c.signer, "it is me"), "signerAddress": c.named}
		if a := p.post(p.path()+"/signature-proof", body).ok(200); a.at("item.verified") != c.want || a.str("item.pairingId") != p.id {
			t.Errorf("returned %s, want verified %v", a.text, c.want)
		}
	}
	p.post(p.path()+"/signature-proof", object{"message": "x"}).fails("VALIDATION_ERROR")
}

// TestTokenOfAnotherKind: a pairing token is a JWT signed with HS256 by this sandbox, and
// nothing else: no other algorithm, no second header, no cut, no surplus.
func TestTokenOfAnotherKind(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	good, err := sandbox.SignToken(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := sandbox.ReadToken(good, key); err != nil {
		t.Errorf("%s: %v", good, err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for _, bad := range []string{
		"", ".", "..", good[:len(good)-1], good + "A", good + "=", good + ".", parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".",
		none + "." + parts[1] + ".", none + "." + parts[1] + "." + parts[2], parts[1] + "." + parts[0] + "." + parts[2], strings.Repeat("a", 5000),
	} {
		if err := sandbox.ReadToken(bad, key); err == nil {
			t.Errorf("%.80q is accepted", bad)
		}
	}
	if err := sandbox.ReadToken(good, []byte("another key")); err == nil {
		t.Error("another key's signature is accepted")
	}
}
