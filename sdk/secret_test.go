package sdk

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// allPrints is every way in which a value may reach a log.
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
		Extra{"pairing_token": NewSecret(`"` + canary + `"`), "deep": NewSecret(`[{"apiKey":{"a":"` + canary + `"}}]`)},
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
	if got := fmt.Sprintf("%v|%s|%q|%#v|%v", secret, secret, secret, secret, Secret{}); got != `[REDACTED]|[REDACTED]|"[REDACTED]"|sdk.Secret("[REDACTED]")|` {
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
	k := new(codec)
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
		if got, err := k.encode(tt.in); err != nil || string(got) != tt.want {
			t.Errorf("got %s %v, want %s", got, err, tt.want)
		}
	}
	var back request
	if err := json.Unmarshal([]byte(`{"a":"","b":null,"c":[]}`), &back); err != nil || !back.A.IsSet() || back.B.IsSet() || !back.C.IsSet() {
		t.Errorf("got %+v %v", back, err)
	}
	if got := fmt.Sprintf("%v %d %v %q", Some("x"), Some(3), Optional[int]{}, Some("y")); got != `x 3 <unset> "y"` {
		t.Errorf("got %s", got)
	}
	if Some(3).Or(4) != 3 || (Optional[int]{}).Or(4) != 4 {
		t.Error("Or is wrong")
	}
}
