package sdk

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// allPrints returns v printed in every way in which it may reach a log.
func allPrints(v any) []string {
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("m", "v", v)
	out := []string{text.String(), lines.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10v"} {
		out = append(out, fmt.Sprintf(verb, v))
	}
	if raw, err := json.Marshal(v); err == nil {
		out = append(out, string(raw))
	}
	if raw, err := xml.Marshal(v); err == nil {
		out = append(out, string(raw))
	}
	return out
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const canary = "tok_CANARY"
	secret := NewSecret(canary)
	type hidden struct {
		inner Secret
		ptr   *Secret
		many  []Secret
		named map[string]Secret
		any   any
	}
	values := []any{
		secret, &secret,
		[]Secret{secret},
		map[string]Secret{"k": secret},
		Some(secret),
		struct{ S Secret }{secret},
		hidden{secret, &secret, []Secret{secret}, map[string]Secret{"k": secret}, secret},
		&hidden{inner: secret, any: &secret},
		fmt.Errorf("wrapped %v", secret),
		Heartbeat{AgentToken: secret, Endpoints: []HeartbeatEndpoint{{AuthToken: Some(secret)}}},
		&EnrolledAgent{Token: secret},
		UpsertRuntimeEndpoint{AuthToken: Some(secret)},
		ExtraFields{"pairing_token": NewSecret(`"` + canary + `"`), "deep": NewSecret(`[{"apiKey":{"a":"` + canary + `"}}]`)},
	}
	for _, v := range values {
		for _, printed := range allPrints(v) {
			if strings.Contains(printed, canary) || strings.Contains(printed, fmt.Sprintf("%x", canary)) {
				t.Errorf("%T shows it: %s", v, printed)
			}
		}
	}
	if secret.Reveal() != canary || secret.IsZero() || !(Secret{}).IsZero() || !NewSecret("").IsZero() {
		t.Error("the value is lost")
	}
	if got := fmt.Sprintf(
		"%v|%s|%q|%#v|%v", secret, secret, secret, secret, Secret{},
	); got != `[REDACTED]|[REDACTED]|"[REDACTED]"|sdk.Secret("[REDACTED]")|` {
		t.Errorf("got %s", got)
	}
	if !secret.Equal(NewSecret(canary)) || secret.Equal(NewSecret("x")) {
		t.Error("Equal is wrong")
	}
}

func TestClientPrintsNoSecret(t *testing.T) {
	c, err := New("https://orchestration.example/base", WithAPIKey(NewSecret("pk_CANARY")))
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range allPrints(c) {
		if strings.Contains(printed, "CANARY") {
			t.Error(printed)
		}
	}
}

func TestPanicShowsNoSecret(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); strings.Contains(got, "CANARY") {
			t.Error(got)
		}
	}()
	panic(Heartbeat{AgentToken: NewSecret("CANARY")})
}

func TestOptional(t *testing.T) {
	type request struct {
		A Optional[string]   `json:"a,omitzero"`
		B Optional[int]      `json:"b,omitzero"`
		C Optional[[]string] `json:"c,omitzero"`
		D Optional[Secret]   `json:"d,omitzero"`
	}
	k := newCodec(false)
	tests := []struct {
		in   request
		want string
	}{
		{request{}, `{}`},
		{request{A: Some(""), B: Some(0), C: Some([]string(nil))}, `{"a":"","b":0,"c":[]}`},
		{request{A: Some("x"), D: Some(NewSecret("s"))}, `{"a":"x","d":"s"}`},
		{request{A: NonZero(""), B: NonZero(3)}, `{"b":3}`},
	}
	for _, tt := range tests {
		if got, err := k.Encode(tt.in); err != nil || string(got) != tt.want {
			t.Errorf("got %s %v, want %s", got, err, tt.want)
		}
	}
	var back request
	if err := json.Unmarshal([]byte(`{"a":"","b":null,"c":[]}`), &back); err != nil || !back.A.IsSet() || back.B.IsSet() ||
		!back.C.IsSet() {
		t.Errorf("got %+v %v", back, err)
	}
	if got := fmt.Sprintf("%v %d %v %q", Some("x"), Some(3), Optional[int]{}, Some("y")); got != `x 3 <unset> "y"` {
		t.Errorf("got %s", got)
	}
	if Some(3).Or(4) != 3 || (Optional[int]{}).Or(4) != 4 {
		t.Error("Or is wrong")
	}
}

// TestSecretFuncReadsLateAndIsNeverPrinted: the value of NewSecretFunc is read when it is
// sent, not when the Secret is made, and no way of printing reads it at all.
func TestSecretFuncReadsLateAndIsNeverPrinted(t *testing.T) {
	value, reads := []byte("tok_CANARY_1"), 0
	secret := NewSecretFunc(func() []byte { reads++; return value })
	for _, v := range []any{secret, &secret, Some(secret), Heartbeat{AgentToken: secret}, struct{ inner any }{secret}} {
		for _, printed := range allPrints(v) {
			if strings.Contains(printed, "CANARY") || strings.Contains(printed, fmt.Sprintf("%x", "CANARY")) {
				t.Errorf("%T shows it: %s", v, printed)
			}
		}
	}
	if reads != 0 || secret.IsZero() || secret.String() != "[REDACTED]" || !NewSecretFunc(nil).IsZero() {
		t.Errorf("%d reads before the value was needed, zero %t, %v", reads, secret.IsZero(), secret)
	}
	var sent []string
	c := cannedClient(t, 200, func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, string(body))
		return beatJSON
	})
	in := Heartbeat{
		MachineID: "m", AgentID: "a", AgentToken: secret,
		Endpoints: []HeartbeatEndpoint{{ProviderKey: "p", EndpointBaseURL: "http://127.0.0.1:1"}},
	}
	for _, next := range []string{"tok_CANARY_2", `tok "3" ` + "\xff\u00e9"} {
		value = []byte(next)
		if _, err := c.MachineAgents.Heartbeat(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		var body struct{ AgentToken string }
		if err := json.Unmarshal([]byte(sent[len(sent)-1]), &body); err != nil || body.AgentToken != strings.ToValidUTF8(next, "\ufffd") {
			t.Errorf("sent %q of %q, %v", body.AgentToken, next, err)
		}
	}
	if !secret.Equal(NewSecret(string(value))) || secret.Reveal() != string(value) {
		t.Error("Reveal or Equal is wrong")
	}
	value = nil // erased by its owner
	var invalid *ValidationError
	if _, err := c.MachineAgents.Heartbeat(t.Context(), in); !errors.As(err, &invalid) || invalid.Field != "agentToken" || len(sent) != 2 {
		t.Errorf("an erased token: %v, %d requests", err, len(sent))
	}
}

// TestSecretFuncIsScrubbedFromErrors: a server that echoes the token does not bring it
// into an error.
func TestSecretFuncIsScrubbedFromErrors(t *testing.T) {
	in := benchBeat()
	in.AgentToken = NewSecretFunc(func() []byte { return []byte("tok_CANARY_late") })
	c := cannedClient(t, 401, always(`{"error":{"code":"AGENT_AUTH_INVALID","message":"unknown token tok_CANARY_late"}}`))
	_, err := c.MachineAgents.Heartbeat(t.Context(), in)
	if err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "[REDACTED]") {
		t.Error(err)
	}
}

func TestSecretFromJSON(t *testing.T) {
	var in struct{ Token Secret }
	if err := json.Unmarshal([]byte(`{"Token":"t"}`), &in); err != nil || in.Token.Reveal() != "t" {
		t.Errorf("got %q, %v", in.Token.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`{"Token":5}`), &in); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("a number: %v", err)
	}
}

// TestRedactedSecretsAreNotRead: the text that a result's JSON has instead of a secret is not read as one.
func TestRedactedSecretsAreNotRead(t *testing.T) {
	type nested struct {
		Deep []map[string]*struct{ Pairing *PairingSession }
	}
	stored := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	agent := &EnrolledAgent{MachineAgent: MachineAgent{ID: "a"}, Token: NewSecret(canary)}
	session := &PairingSession{PairingToken: NewSecret(canary)}
	deep := nested{[]map[string]*struct{ Pairing *PairingSession }{{"x": {session}}}}
	for _, v := range []any{
		agent, session, &deep, &RotatedToken{ProvisioningToken: NewSecret(canary)}, &Heartbeat{AgentToken: NewSecret(canary)},
	} {
		text := stored(v)
		if !strings.Contains(string(text), "[REDACTED]") || shows(string(text)) {
			t.Errorf("%T is stored as %s", v, text)
		}
		back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		err := json.Unmarshal(text, back)
		if !errors.Is(err, ErrRedacted) || !strings.Contains(err.Error(), "[REDACTED]") {
			t.Errorf("%T: %v", v, err)
		}
	}
	if text := string(stored(agent)); !strings.Contains(text, `"token":"[REDACTED]"`) {
		t.Errorf("an enrolled agent is stored as %s", text)
	}
	for text, want := range map[string]string{`{"token":"real"}`: "real", `{"token":null}`: "", `{"token":""}`: "", `{}`: ""} {
		var back EnrolledAgent
		if err := json.Unmarshal([]byte(text), &back); err != nil || back.Token.Reveal() != want {
			t.Errorf("%s reads as %q, %v", text, back.Token.Reveal(), err)
		}
	}
	for _, text := range []string{`{"agentToken":5}`, `{"agentToken":{}}`, `{"agentToken":[]}`, `{"agentToken":true}`} {
		var back Heartbeat
		if err := json.Unmarshal([]byte(text), &back); err == nil || err.Error() == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	raw := RawResponse{Body: json.RawMessage(`{"accessToken":"` + canary + `"}`)}
	if err := json.Unmarshal(stored(raw), &raw); !errors.Is(err, ErrRedacted) {
		t.Errorf("a raw response: %v", err)
	}
	var s Secret
	if err := s.UnmarshalText([]byte("[REDACTED]")); !errors.Is(err, ErrRedacted) {
		t.Errorf("text: %v", err)
	}
}
