package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// secretRequests are requests with a value in every member, and the secrets in them.
func secretRequests(t *testing.T) map[wireRequest][]string {
	t.Helper()
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	const token = "canary-token"
	credential, recovery := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	proof := &Proof{ChallengeID: "c", IdentityRef: "did:peaq:42", Signature: "0x1", SignerAddress: testSigner}
	grant := Grant{keystore.Agent{
		Origin: "https://o.example", MachineID: "m", AgentID: "a", Label: "l#aaaaaaaa", Token: keystore.NewSecret(token), Attempts: []string{"l"},
	}}
	return map[wireRequest][]string{
		&EnrollRequest{
			Machine: "a", MachineID: "b", IdentityRef: "c", AgentLabel: "d", APIKey: sdk.NewSecret(token), Controller: key,
			Proof: proof, Force: true, DryRun: true, ReplaceLostKey: true,
		}: {token, testKey[2:]},
		&RotateRequest{Machine: "a", MachineID: "b", IdentityRef: "c", APIKey: sdk.NewSecret(token), ReplaceLostKey: true}: {token},
		&LeaveRequest{Machine: "a", APIKey: sdk.NewSecret(token), LocalOnly: true, ReplaceLostKey: true}:                   {token},
		&GrantRequest{Machine: "a", Grant: grant, Force: true, ReplaceLostKey: true}:                                       {token},
		&SealRequest{keystore.NewSecret(credential), keystore.NewSecret(recovery)}:                                         {credential, recovery},
		&keyMessage{key}: {testKey[2:]},
	}
}

// TestRequestsArriveAsSent: every member and every secret of a request reaches the
// daemon.
func TestRequestsArriveAsSent(t *testing.T) {
	for sent, secrets := range secretRequests(t) {
		body, err := json.Marshal(onSocket(sent))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if !strings.Contains(string(body), secret) {
				t.Errorf("%T is sent without a secret", sent)
			}
		}
		received := reflect.New(reflect.TypeOf(sent).Elem()).Interface()
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(onSocket(received)); err != nil {
			t.Errorf("%T: %v", sent, err)
			continue
		}
		again, err := json.Marshal(onSocket(received))
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("%T changed on its way: %v", sent, err)
		}
	}
}

// TestRequestsShowNoSecret: a request that is printed, logged or encoded elsewhere
// contains none of its secrets.
func TestRequestsShowNoSecret(t *testing.T) {
	for request, secrets := range secretRequests(t) {
		var shown strings.Builder
		log := slog.New(slog.NewTextHandler(&shown, nil))
		for _, v := range []any{request, request.onSocket(), reflect.ValueOf(request).Elem().Interface()} {
			for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				fmt.Fprintf(&shown, format+"\n", v)
			}
			log.Info("request", "value", v)
		}
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(body)
		for _, secret := range secrets {
			if strings.Contains(shown.String(), secret) || strings.Contains(shown.String(), fmt.Sprintf("%x", secret)) {
				t.Errorf("%T shows a secret", request)
			}
		}
	}
}

// TestWireSecretErrors: what is not a secret of the expected form is refused without
// being repeated.
func TestWireSecretErrors(t *testing.T) {
	for body, into := range map[string]wireRequest{
		`{"api_key":["canary"]}`:                                   &RotateRequest{},
		`{"api_key":{"canary":1}}`:                                 &LeaveRequest{},
		`{"controller_key":"0xcanary"}`:                            &EnrollRequest{},
		`{"grant":"canary"}`:                                       &GrantRequest{},
		`{"credential":"canary"}`:                                  &SealRequest{},
		`{"credential":"` + strings.Repeat("canary-hex", 7) + `"}`: &SealRequest{},
		`{"key":"canary"}`:                                         &keyMessage{},
	} {
		err := json.Unmarshal([]byte(body), onSocket(into))
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(Explain(err).Error(), "canary") {
			t.Errorf("%s into %T: %v", body, into, err)
		}
	}
}
