package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// forms are the types that the client decodes, one of each.
func forms() []any {
	return []any{
		new(Machine), new(HeartbeatResult), new(MachineAgent), new(enrolledAgent), new(RuntimeEndpoint),
		new(AgentPairing), new(PairingSession), new(PairingChallenge),
		new(SkillSummary), new(SkillManifest), new(SkillConfig), new(MarketService), new(marketSearch),
		new(MarketOrder), new(MarketPayment), new(settledOrder),
		new(DeliveryCapability), new(Purchase), new(PurchaseIntent), new(PurchaseReceipt), new(StreamDelivery),
		new(PreparedAccess), new(IoTSubscription), new(IoTData),
		new(IoTStreamError), new(OneM2MActionResult), new(OneM2MUnits), new(AuditEvent), new(errorEnvelope),
		new(PresenceState), new(ControlNotification),
		new(MCRRating), new(MCRProfile), new(MCRMachine), new(MCRFleet), new(MCRCompat), new(Monetization),
	}
}

// FuzzResponses: any text is decoded as any type, or rejected with one of two errors. What
// was decoded was JSON, and survives encoding and decoding.
func FuzzResponses(f *testing.F) {
	texts := []string{
		benchMachine(1), machineJSON,
		`{"machineId":"m","agentId":"a","leaseTtlSeconds":9e1,"observedAt":"o","endpoints":[]}`, `{}`, `[]`,
		`{"a":[{"b":null}]}`,
	}
	for i := range forms() {
		for _, text := range texts {
			f.Add(byte(i), text)
		}
	}
	for i, text := range recorded(f) {
		f.Add(byte(i), text)
	}
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		form := forms()[int(kind)%len(forms())]
		k := newCodec(kind > 127)
		err := k.Decode(text, form)
		var shape *wire.ShapeError
		switch {
		case err == nil && utf8.ValidString(text) && !json.Valid([]byte(text)):
			t.Errorf("%T was decoded from text that is not JSON", form)
		case err != nil && !errors.As(err, &shape) && !errors.Is(err, wire.ErrSyntax):
			t.Errorf("%T: %v", form, err)
		case shape != nil && strings.ContainsAny(shape.Error(), "\r\n"):
			t.Errorf("%T: %q", form, shape.Error())
		}
		if m, ok := form.(*Machine); ok && err == nil && utf8.ValidString(text) {
			sameAgain(t, k, m)
			sameByMap(t, m, text)
		}
	})
}

// sameAgain encodes a machine as in a request and decodes it again.
func sameAgain(t *testing.T, k *wire.Codec, m *Machine) {
	t.Helper()
	written, err := k.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	again := new(Machine)
	if err := k.Decode(string(written), again); err != nil {
		t.Fatalf("%v in %s", err, written)
	}
	again.Extra, again.Meta = m.Extra, m.Meta // unknown members are not sent
	if m.IdentityProof != nil && again.IdentityProof != nil {
		again.IdentityProof.Extra = m.IdentityProof.Extra
	}
	if diff := cmp.Diff(m, again); diff != "" {
		t.Error(diff)
	}
}

// sameByMap compares the members with those that encoding/json decodes: if a name occurs
// twice, the last one wins.
func sameByMap(t *testing.T, m *Machine, text string) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return // beyond its own limits
	}
	for name, got := range map[string]string{
		"id": m.ID, "displayName": m.DisplayName, "status": string(m.Status), "identityRef": m.IdentityRef,
	} {
		if want, _ := members[name].(string); want != got {
			t.Errorf("%s is %q, encoding/json says %q", name, got, want)
		}
	}
	if list, ok := members["skillKeys"].([]any); ok && len(list) != len(m.SkillKeys) {
		t.Errorf("%d skill keys of %d", len(m.SkillKeys), len(list))
	}
	if _, ok := members["identityProof"].(map[string]any); ok != (m.IdentityProof != nil) {
		t.Errorf("identity proof %v", m.IdentityProof)
	}
}

// TestLastOfDuplicateNamesWins, as in encoding/json and in Python, so that a proxy that
// inspects the body sees what this client sees.
func TestLastOfDuplicateNamesWins(t *testing.T) {
	twice := strings.Replace(benchMachine(1), `"id":`, `"identityRef":"did:peaq:9","skillKeys":["x"],`+
		`"identityProof":{"lost":1,"method":"eip191","identityRef":"r","signerAddress":"s",`+
		`"challengeId":"c","verifiedAt":"v","challengeExpiresAt":"e","resolutionSource":"peaqos-mcr"},`+
		`"displayName":"first","labels":{"lost":"yes"},"id":`, 1)
	twice = strings.TrimSuffix(twice, "}") + `,"identityRef":null,"skillKeys":null}`
	m := new(Machine)
	if err := newCodec(false).Decode(twice, m); err != nil {
		t.Fatal(err)
	}
	if m.IdentityRef != "" || len(m.SkillKeys) != 0 || m.SkillKeys == nil || m.DisplayName != "Rover 1" ||
		m.Labels["lost"] != "" || m.IdentityProof.Extra["lost"].Reveal() != "" {
		t.Errorf("got %+v", m)
	}
	var envelope struct {
		Item struct {
			A Optional[string] `json:"a"`
			B Optional[int]    `json:"b"`
		} `json:"item"`
	}
	if err := newCodec(false).Decode(`{"item":{"a":"x","b":1},"item":{"b":2,"b":null}}`, &envelope); err != nil ||
		envelope.Item.A.IsSet() || envelope.Item.B.IsSet() {
		t.Errorf("got %+v, %v", envelope, err)
	}
}

// FuzzRequests: encoding/json reads a request as it was set, whatever the strings.
func FuzzRequests(f *testing.F) {
	f.Add("mach_1", "token", "http://127.0.0.1:1", `{"a":1}`, 90, true)
	f.Add("\x00", "\xff", "\u2028\"\\", `nope`, -1, false)
	f.Fuzz(func(t *testing.T, id, token, url, raw string, ttl int, set bool) {
		in := Heartbeat{
			MachineID: id, AgentID: url, AgentToken: NewSecret(token),
			Endpoints: []HeartbeatEndpoint{{ProviderKey: id, EndpointBaseURL: url}},
		}
		if set {
			in.LeaseTTLSeconds, in.Endpoints[0].Label = Some(ttl), Some(token)
		}
		body, err := newCodec(false).Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		clean := func(s string) string { // as encoding/json replaces what is not UTF-8
			b, _ := json.Marshal(s)
			_ = json.Unmarshal(b, &s)
			return s
		}
		endpoint := map[string]any{"providerKey": clean(id), "endpointBaseUrl": clean(url)}
		want := map[string]any{"machineId": clean(id), "agentId": clean(url), "agentToken": clean(token), "endpoints": []any{endpoint}}
		if set {
			want["leaseTtlSeconds"], endpoint["label"] = float64(ttl), clean(token)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		// The caller's own JSON is sent unchanged, or not at all.
		out, err := newCodec(false).Encode(DisputeMarketOrder{Reason: "r", Evidence: json.RawMessage(raw)})
		if err == nil && raw != "" && !bytes.Contains(out, []byte(raw)) || err == nil && !json.Valid(out) {
			t.Errorf("%q was sent as %s", raw, out)
		}
	})
}

func TestLastOfDuplicateEnvelopesWins(t *testing.T) {
	c := cannedClient(
		t, 200,
		always(`{"items":[`+benchMachine(1)+`,`+benchMachine(2)+`],"nextCursor":"x","items":[`+benchMachine(3)+`],"nextCursor":null}`),
	)
	page, err := c.Machines.List(t.Context(), ListOptions{})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "mach_000003" || page.NextCursor != "" {
		t.Errorf("got %+v, %v", page, err)
	}
	c = cannedClient(t, 200, always(`{"item":`+strings.Replace(machineJSON, `"colour"`, `"lost"`, 1)+`,"item":`+benchMachine(4)+`}`))
	m, err := c.Machines.Get(t.Context(), "m")
	if err != nil || m.ID != "mach_000004" || len(m.Extra) != 0 || m.Meta.Status != 200 {
		t.Errorf("got %+v, %v", m, err)
	}
}
