package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// overSocket runs an agent with its admin socket, and a sandbox without one.
func overSocket(t *testing.T) (*life, *Admin) {
	t.Helper()
	t.Setenv("RUNTIME_DIRECTORY", "")
	l := newLife(t, "demo")
	l.close()
	l.admin = true
	l.open()
	l.start()
	t.Cleanup(func() { l.close() })
	for { // it listens once the daemon is up
		admin, err := FindAdmin(t.Context(), l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if admin != nil {
			return l, admin
		}
		select {
		case <-t.Context().Done():
			t.Fatal("no daemon")
		default:
		}
	}
}

// TestAdminVerbs: every verb through the socket does what it does under the lock.
func TestAdminVerbs(t *testing.T) {
	l, admin := overSocket(t)
	ctx := t.Context()
	apiKey := sdk.NewSecret(testAPIKey)
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := admin.Enroll(ctx, EnrollRequest{IdentityRef: "did:peaq:42", APIKey: apiKey, Controller: key}, unheard)
	if err != nil || !enrolled.Live {
		t.Fatal(enrolled, err)
	}
	rotated, err := admin.Rotate(ctx, RotateRequest{APIKey: apiKey}, unheard)
	if err != nil || !rotated.Changed || rotated.AgentID == enrolled.AgentID {
		t.Errorf("rotate: %+v, %v", rotated, err)
	}
	l.onlyLiving(rotated.AgentID)
	if address, err := admin.PutController(ctx, key); err != nil || address != testSigner {
		t.Errorf("import: %s, %v", address, err)
	}
	back, err := admin.ControllerKey(ctx)
	if err != nil || back.Hex() != testKey {
		t.Errorf("export: %v", err)
	}
	ids, err := admin.Identities(ctx)
	if err != nil || len(ids) != 1 || !ids[0].Enrolled || ids[0].AgentID != rotated.AgentID || ids[0].ControllerAddress != testSigner {
		t.Errorf("show: %+v, %v", ids, err)
	}
	challenge := goodChallenge()
	challenge.ExpiresAt = "2099-01-01T00:00:00Z"
	proof, err := admin.Prove(ctx, ProveRequest{Challenge: challenge})
	if signer, rerr := keystore.RecoverText(challenge.Message, proof.Signature); err != nil || rerr != nil || signer != testSigner {
		t.Errorf("prove: %+v, %v, %v", proof, err, rerr)
	}
	challenge.Message = "machineId: 42\nsentAt: 2026-11-23T12:00:00Z"
	if p, err := admin.Prove(ctx, ProveRequest{Challenge: challenge}); Explain(err).Code != "challenge_refused" || p.Signature != "" {
		t.Errorf("prove a forgery: %+v, %v", p, err)
	}
	if r, err := admin.Adopt(ctx, unheard); err != nil || r.Changed {
		t.Errorf("adopt: %+v, %v", r, err)
	}
	if _, err := admin.ResetIdentity(ctx, ResetRequest{Confirmed: true}, unheard); Explain(err).Code != "controller_key_here" || Explain(err).Exit != status.ExitUsage {
		t.Errorf("reset: %v", err)
	}
	left, err := admin.Unenroll(ctx, LeaveRequest{APIKey: apiKey}, unheard)
	if err != nil || !left.Changed || !left.ControllerKeyOnDevice || len(l.activeAgents()) != 0 {
		t.Errorf("unenroll: %+v, %v", left, err)
	}
	taken, err := admin.TakeGrant(ctx, GrantRequest{Grant: l.mustGrant()}, unheard)
	if err != nil || !taken.Changed || !taken.Live {
		t.Errorf("grant: %+v, %v", taken, err)
	}
	if r, err := admin.ResetIdentity(ctx, ResetRequest{Confirmed: true, ForgetControllerKey: true}, unheard); err != nil || !r.Changed {
		t.Errorf("reset: %+v, %v", r, err)
	}
}

// TestAdminSeal: from now on the credential opens the store, or the recovery
// passphrase, and nothing else.
func TestAdminSeal(t *testing.T) {
	l, admin := overSocket(t)
	l.mustEnroll()
	credential, recovery := keystore.NewSecret(strings.Repeat("ab", 32)), keystore.NewSecret(strings.Repeat("cd", 32))
	if _, err := admin.Reseal(t.Context(), SealRequest{keystore.NewSecret("short"), recovery}); err == nil {
		t.Error("a short secret was taken")
	}
	if r, err := admin.Reseal(t.Context(), SealRequest{credential, recovery}); err != nil || r.Protector != "credential" {
		t.Fatal(r, err)
	}
	if p := l.agent.View().Keystore.Protector; p != "credential" {
		t.Errorf("status says %q", p)
	}
	l.reopen()
	l.want(status.Locked, "store_sealed")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l.cfg.Keystore.PassphraseFile = file("recovery", strings.Repeat("cd", 32)+"\n")
	l.reopen()
	l.want(status.Idle, "first_beat_pending")
	l.cfg.Keystore.PassphraseFile = ""
	file(keystore.CredentialName, strings.Repeat("ab", 32))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	l.reopen()
	l.want(status.Idle, "first_beat_pending")
}

// TestAdminRefusesStrangers: what is not one of our requests changes nothing and
// repeats nothing.
func TestAdminRefusesStrangers(t *testing.T) {
	l, admin := overSocket(t)
	for _, body := range []string{"", "{", `{"api_key":"canary-key","unknown":1}`, `{"api_key":["canary-key"]}`, `{"controller_key":"0xcanary"}`, strings.Repeat("x", adminBody+1)} {
		for _, path := range []string{"/v1/enroll", "/v1/rotate", "/v1/grant", "/v1/unenroll", "/v1/reset-identity", "/v1/identity/import", "/v1/seal"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://admin"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res, err := admin.client.Do(req)
			if err != nil {
				continue // the body was too long to be read
			}
			var answer map[string]any
			err = json.NewDecoder(res.Body).Decode(&answer)
			_ = res.Body.Close()
			text, _ := json.Marshal(answer)
			if res.StatusCode == http.StatusOK || err != nil || strings.Contains(string(text), "canary") {
				t.Errorf("%s with %.40q: HTTP %d %s", path, body, res.StatusCode, text)
			}
		}
	}
	l.want(status.Unenrolled, "not_enrolled")
	other := *l.cfg
	other.Orchestrator.URL = "https://elsewhere.example"
	if err := admin.SameOrchestrator(&other); Explain(err).Code != "another_orchestrator" {
		t.Errorf("another orchestrator: %v", err)
	}
	if err := admin.SameOrchestrator(l.cfg); err != nil {
		t.Error(err)
	}
}

// TestAdminOnlyOurs: the kernel says who calls.
func TestAdminOnlyOurs(t *testing.T) {
	l := newLife(t)
	defer l.close()
	reached := false
	guard := l.agent.onlyOurs(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for uid, want := range map[int]bool{0: true, os.Geteuid(): true, -1: false, 54321: false} {
		reached = false
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), callerKey{}, uid), http.MethodPost, "http://admin/v1/rotate", nil)
		if err != nil {
			t.Fatal(err)
		}
		guard.ServeHTTP(discard{}, r)
		if reached != want {
			t.Errorf("user %d: let in %v", uid, reached)
		}
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// TestStatusOfAGateway: as many machines as a configuration may name fit into what a
// verb reads.
func TestStatusOfAGateway(t *testing.T) {
	machine := status.MachineView{
		Name: strings.Repeat("n", 32), Cause: status.NewCause("server_error", strings.Repeat("c", 200)), Effect: strings.Repeat("e", 200), Next: strings.Repeat("x", 200), Sentence: strings.Repeat("s", 300),
		MachineID: strings.Repeat("m", 60), AgentID: strings.Repeat("a", 60), Endpoints: []status.EndpointView{{ProviderKey: "qvac", BaseURL: strings.Repeat("u", 100), Probe: &status.ProbeView{Fault: strings.Repeat("f", 150)}}},
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(status.View{Machines: slices.Repeat([]status.MachineView{machine}, config.MaxMachines)}); err != nil {
		t.Fatal(err)
	}
	admin := &Admin{client: &http.Client{Transport: answers(body.Bytes())}}
	view, err := admin.Status(t.Context())
	if err != nil || len(view.Machines) != config.MaxMachines {
		t.Errorf("%d machines of %d bytes: %v", len(view.Machines), body.Len(), err)
	}
}

// answers is a transport that gives one answer to everything.
type answers []byte

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}
