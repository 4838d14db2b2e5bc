package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
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

// TestAdminCommands: each command does the same over the socket as under the lock.
func TestAdminCommands(t *testing.T) {
	l, admin := overSocket(t)
	ctx := t.Context()
	apiKey := sdk.NewSecret(testAPIKey)
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := admin.Enroll(ctx, EnrollRequest{IdentityRef: "did:peaq:42", APIKey: apiKey, Controller: key}, discard)
	if err != nil || !enrolled.Live {
		t.Fatal(enrolled, err)
	}
	rotated, err := admin.Rotate(ctx, RotateRequest{APIKey: apiKey}, discard)
	if err != nil || !rotated.Changed || rotated.AgentID == enrolled.AgentID {
		t.Errorf("rotate: %+v, %v", rotated, err)
	}
	l.onlyActive(rotated.AgentID)
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
	if r, err := admin.Adopt(ctx, discard); err != nil || r.Changed {
		t.Errorf("adopt: %+v, %v", r, err)
	}
	_, err = admin.ResetIdentity(ctx, ResetRequest{Confirmed: true}, discard)
	if p := Explain(err); p.Code != "controller_key_here" || p.Exit != status.ExitUsage {
		t.Errorf("reset: %v", err)
	}
	left, err := admin.Unenroll(ctx, LeaveRequest{APIKey: apiKey}, discard)
	if err != nil || !left.Changed || !left.ControllerKeyOnDevice || len(l.activeAgents()) != 0 {
		t.Errorf("unenroll: %+v, %v", left, err)
	}
	taken, err := admin.TakeGrant(ctx, GrantRequest{Grant: l.mustGrant()}, discard)
	if err != nil || !taken.Changed || !taken.Live {
		t.Errorf("grant: %+v, %v", taken, err)
	}
	if r, err := admin.ResetIdentity(ctx, ResetRequest{Confirmed: true, ForgetControllerKey: true}, discard); err != nil || !r.Changed {
		t.Errorf("reset: %+v, %v", r, err)
	}
}

// TestAdminSeal: after it only the credential or the recovery passphrase opens the store.
func TestAdminSeal(t *testing.T) {
	l, admin := overSocket(t)
	l.mustEnroll()
	credential, recovery := keystore.NewSecret(strings.Repeat("ab", 32)), keystore.NewSecret(strings.Repeat("cd", 32))
	if _, err := admin.Reseal(t.Context(), SealRequest{keystore.NewSecret("short"), recovery}); err == nil {
		t.Error("a short secret was accepted")
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

// TestAdminRejectsBadRequests: a request that is not valid changes nothing, and none of it
// is repeated.
func TestAdminRejectsBadRequests(t *testing.T) {
	l, admin := overSocket(t)
	for _, body := range []string{
		"", "{", `{"api_key":"canary-key","unknown":1}`, `{"api_key":["canary-key"]}`, `{"controller_key":"0xcanary"}`,
		`{"api_key":"canary-key"}{}`, strings.Repeat("x", adminBody+1),
	} {
		for _, path := range []string{
			"/v1/enroll", "/v1/rotate", "/v1/grant", "/v1/unenroll", "/v1/reset-identity", "/v1/identity/import", "/v1/seal",
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://admin"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res, err := admin.client.Do(req)
			if err != nil {
				continue // the body is too long
			}
			var response map[string]any
			err = json.NewDecoder(res.Body).Decode(&response)
			_ = res.Body.Close()
			text, _ := json.Marshal(response)
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

// TestAdminRelaysProgress: each line reaches the caller when the step begins, not when
// the command has ended.
func TestAdminRelaysProgress(t *testing.T) {
	l, admin := overSocket(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := make(chan struct{})
	l.server.SetFault(func(r *http.Request) *sandbox.Fault {
		if strings.HasSuffix(r.URL.Path, "/enrollment") {
			select {
			case <-seen:
			case <-ctx.Done():
				t.Error("the line of this step did not arrive before the step ended")
			}
		}
		return nil
	})
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	req := EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey), Controller: key}
	r, err := admin.Enroll(ctx, req, func(line string) {
		lines = append(lines, line)
		if strings.HasPrefix(line, "enrolling agent ") {
			close(seen)
		}
	})
	if err != nil || !r.Live {
		t.Fatal(r, err)
	}
	want := []string{
		"asking the running agent", "looking for did:peaq:42 among the machines", "signing an identity challenge",
		"the text that is signed", "registering machine", "activating machine", "enrolling agent", "sending the first heartbeat",
	}
	for i, prefix := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
			t.Fatalf("lines %q, want them to begin with %q", lines, want)
		}
	}
}

// TestAdminEndsWithItsCaller: a command whose caller is gone ends, and the store is
// free for the next one.
func TestAdminEndsWithItsCaller(t *testing.T) {
	l, admin := overSocket(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reached := make(chan struct{})
	l.server.SetFault(func(r *http.Request) *sandbox.Fault {
		if !strings.HasSuffix(r.URL.Path, "/machines") {
			return nil
		}
		close(reached)
		return &sandbox.Fault{Latency: time.Hour}
	})
	ended := make(chan error, 1)
	go func() {
		_, err := admin.Enroll(ctx, EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey)}, discard)
		ended <- err
	}()
	<-reached
	waiting := make(chan error, 1)
	go func() { // it waits for the store, and is canceled as well: it must not run later
		_, err := admin.ResetIdentity(ctx, ResetRequest{Confirmed: true}, discard)
		waiting <- err
	}()
	cancel()
	for _, result := range []chan error{ended, waiting} {
		if err := <-result; Explain(err).Code != status.CodeInterrupted {
			t.Errorf("a canceled command: %v", err)
		}
	}
	soon, stop := context.WithTimeout(t.Context(), callLimit/4)
	defer stop()
	if ids, err := admin.Identities(soon); err != nil || len(ids) != 1 {
		t.Errorf("the next command: %+v, %v", ids, err)
	}
}

// TestCommandOutlastsTheReadTimeout: the limit on reading the request does not end the
// command that it asks for.
func TestCommandOutlastsTheReadTimeout(t *testing.T) {
	const readTimeout = 50 * time.Millisecond
	server := httptest.NewUnstartedServer(command(func(ctx context.Context, _ *emptyRequest, _ func(string)) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 4*readTimeout)
		defer cancel()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", ctx.Err()
		}
		return "done", nil
	}))
	server.Config.ReadTimeout = readTimeout
	server.Start()
	defer server.Close()
	res, err := server.Client().Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var line adminLine
	if err := json.NewDecoder(res.Body).Decode(&line); err != nil || string(line.Result) != `"done"` {
		t.Errorf("%+v, %v", line, err)
	}
}

// TestProgressIsBounded: neither the number nor the length of its lines can grow without
// limit.
func TestProgressIsBounded(t *testing.T) {
	server := httptest.NewServer(command(func(_ context.Context, _ *emptyRequest, progress func(string)) (string, error) {
		for range 10 * progressLimit {
			progress(strings.Repeat("x", 2*progressBytes))
		}
		return "done", nil
	}))
	defer server.Close()
	res, err := server.Client().Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || len(body) > (progressLimit+1)*(progressBytes+100) || !strings.HasSuffix(string(body), "{\"result\":\"done\"}\n") {
		t.Errorf("%d bytes ending in %.100q, %v", len(body), body[max(0, len(body)-100):], err)
	}
	if n := bytes.Count(body, []byte("\n")); n != progressLimit+1 {
		t.Errorf("%d lines", n)
	}
}

// TestAgentThatDies: a response without a result is an error, not an empty result.
func TestAgentThatDies(t *testing.T) {
	const step = `{"progress":"enrolling"}` + "\n"
	for _, body := range []string{"", step, step + `{"resu`, step + "{}", `{"result":{"agent_id":7}}`, "{}", "null"} {
		admin := &Admin{client: &http.Client{Transport: responses(body)}}
		if r, err := admin.Enroll(t.Context(), EnrollRequest{}, discard); err == nil {
			t.Errorf("%q: %+v", body, r)
		}
	}
}

// TestAdminPermittedUsersOnly: only root and the service's user may call, as the kernel reports.
func TestAdminPermittedUsersOnly(t *testing.T) {
	l := newLife(t)
	defer l.close()
	reached := false
	guard := l.agent.permittedOnly(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for uid, want := range map[int]bool{0: true, os.Geteuid(): true, -1: false, 54321: false} {
		reached = false
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), callerKey{}, uid), http.MethodPost, "http://admin/v1/rotate", nil)
		if err != nil {
			t.Fatal(err)
		}
		guard.ServeHTTP(noResponse{}, r)
		if reached != want {
			t.Errorf("user %d: permitted %v", uid, reached)
		}
	}
}

type noResponse struct{}

func (noResponse) Header() http.Header         { return http.Header{} }
func (noResponse) Write(b []byte) (int, error) { return len(b), nil }
func (noResponse) WriteHeader(int)             {}

// TestStatusOfAGateway: the status of as many machines as a configuration may have fits
// into what a command reads.
func TestStatusOfAGateway(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	machine := status.MachineView{
		Name: text(32), Cause: status.NewCause("server_error", text(200)), Effect: text(200), Next: text(200), Sentence: text(300),
		MachineID: text(60), AgentID: text(60),
		Endpoints: []status.EndpointView{{ProviderKey: "qvac", BaseURL: text(100), Probe: &status.ProbeView{Fault: text(150)}}},
	}
	var body bytes.Buffer
	view := status.View{Machines: slices.Repeat([]status.MachineView{machine}, config.MaxMachines)}
	if err := json.NewEncoder(&body).Encode(view); err != nil {
		t.Fatal(err)
	}
	admin := &Admin{client: &http.Client{Transport: responses(body.Bytes())}}
	view, err := admin.Status(t.Context())
	if err != nil || len(view.Machines) != config.MaxMachines {
		t.Errorf("%d machines of %d bytes: %v", len(view.Machines), body.Len(), err)
	}
}

// responses is a transport with one response to every request.
type responses []byte

func (a responses) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}

// TestCanceledWhileWaiting: a command that is interrupted while another one runs does
// nothing later, whatever the command is.
func TestCanceledWhileWaiting(t *testing.T) {
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
		before := l.mustEnroll()
		end, err := l.agent.begin(t.Context(), "an enrollment", nil)
		if err != nil {
			t.Fatal(err)
		}
		api := sdk.NewSecret(testAPIKey)
		commands := map[string]func(context.Context, func(string)) error{
			"enroll": func(ctx context.Context, p func(string)) error {
				return second2(l.agent.Enroll(ctx, EnrollRequest{Force: true, APIKey: api}, p))
			},
			"rotate": func(ctx context.Context, p func(string)) error {
				return second2(l.agent.Rotate(ctx, RotateRequest{APIKey: api}, p))
			},
			"grant": func(ctx context.Context, p func(string)) error {
				return second2(l.agent.TakeGrant(ctx, GrantRequest{Force: true}, p))
			},
			"unenroll": func(ctx context.Context, p func(string)) error {
				return second2(l.agent.Unenroll(ctx, LeaveRequest{LocalOnly: true}, p))
			},
			"adopt": func(ctx context.Context, p func(string)) error { return second2(l.agent.Adopt(ctx, p)) },
			"reset-identity": func(ctx context.Context, p func(string)) error {
				return second2(l.agent.ResetIdentity(ctx, ResetRequest{Confirmed: true, ForgetControllerKey: true}, p))
			},
			"import": func(ctx context.Context, _ func(string)) error { return second2(l.agent.PutController(ctx, key)) },
			"export": func(ctx context.Context, _ func(string)) error { return second2(l.agent.ControllerKey(ctx)) },
			"seal":   func(ctx context.Context, _ func(string)) error { return second2(l.agent.Reseal(ctx, SealRequest{})) },
			"reload": func(ctx context.Context, _ func(string)) error { return second2(l.agent.reloadNow(ctx)) },
		}
		for name, run := range commands {
			said := ""
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := run(ctx, func(line string) { said += line }); err == nil || !strings.Contains(err.Error(), "an enrollment is under way since") {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
			silent := name == "import" || name == "export" || name == "seal" || name == "reload"
			if !silent && !strings.Contains(said, "busy: an enrollment is under way since") {
				t.Errorf("%s said %q", name, said)
			}
			if silent {
				if err := run(t.Context(), nil); Explain(err).Code != status.CodeBusy {
					t.Errorf("%s with all the time: %v", name, err)
				}
			}
		}
		end()
		time.Sleep(time.Hour)
		if !l.agent.store.HasControllerKey() {
			t.Error("the controller key is gone")
		}
		l.onlyActive(before.AgentID)
		if r, err := l.agent.store.Agent("main"); err != nil || r.AgentID != before.AgentID {
			t.Errorf("the record is gone: %v", err)
		}
	})
}

func second2[T any](_ T, err error) error { return err }

// TestForeignServer: nothing is sent to a socket that another user serves, however the
// store got there.
func TestForeignServer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can give a store to another user")
		return
	}
	base := t.TempDir()
	for _, c := range []struct {
		name    string
		mode    os.FileMode // of the directory above the store
		owner   int         // of the store
		uid     int         // of the server
		trusted bool
	}{
		{"root's daemon", 0o755, 0, 0, true},
		{"the service user's daemon", 0o755, 4243, 4243, true},
		{"another user's daemon", 0o755, 4243, 4244, false},
		{"below a sticky directory", os.ModeSticky | 0o777, 4243, 4243, false},
		{"below an open directory", 0o777, 4243, 4243, false},
		{"root's store, another user's daemon", 0o755, 0, 4243, false},
		{"an unknown user", 0o755, 4243, -1, false},
	} {
		dir := filepath.Join(base, strings.ReplaceAll(c.name, " ", "-"), "store")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(filepath.Dir(dir), c.mode), os.Chown(dir, c.owner, c.owner)); err != nil {
			t.Fatal(err)
		}
		if got := trustedServer(dir, filepath.Join(dir, adminSocket), c.uid); got != c.trusted {
			t.Errorf("%s: trusted %t", c.name, got)
		}
	}
}

// TestServerOfMappedStore: systemd 257 shows a store as nobody's to everyone but the
// service, whose user owns the directory of the socket. That directory counts only
// where nobody but root could have made it.
func TestServerOfMappedStore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can give a store to another user")
		return
	}
	for _, c := range []struct {
		name    string
		mode    os.FileMode // of the directory above that of the socket
		store   int         // owner of the store
		uid     int         // of the server; the directory of the socket is 4243's
		trusted bool
	}{
		{"the service user's daemon", 0o755, nobody, 4243, true},
		{"another user's daemon", 0o755, nobody, 4244, false},
		{"a socket below an open directory", 0o777, nobody, 4243, false},
		{"a socket below a sticky directory", os.ModeSticky | 0o777, nobody, 4243, false},
		{"the store names its user", 0o755, 4244, 4243, false},
	} {
		base := t.TempDir()
		dir, run := filepath.Join(base, "state", "store"), filepath.Join(base, "run", "peaqos-agent")
		socket := filepath.Join(run, adminSocket)
		err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(run, 0o755), os.WriteFile(socket, nil, 0o600),
			os.Symlink(socket, filepath.Join(dir, adminSocket)), os.Chmod(filepath.Dir(run), c.mode),
			os.Chown(run, 4243, 4243), os.Chown(dir, c.store, c.store))
		if err != nil {
			t.Fatal(err)
		}
		if got := trustedServer(dir, filepath.Join(dir, adminSocket), c.uid); got != c.trusted {
			t.Errorf("%s: trusted %t", c.name, got)
		}
	}
}

// TestDaemonIsFound: however the store is spelled and wherever the socket is.
func TestDaemonIsFound(t *testing.T) {
	runtimeDir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", runtimeDir)
	l := newLife(t, "demo")
	l.agent.opts.NoAdmin = false
	listener := l.agent.bindAdmin()
	if listener == nil {
		t.Fatal("no socket")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.agent.serveAdmin(ctx, listener) }()
	dir := l.cfg.Keystore.Dir
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RUNTIME_DIRECTORY", "")
	for _, spelled := range []string{dir, dir + "/", dir + "/../" + filepath.Base(dir), link} {
		cfg := *l.cfg
		cfg.Keystore.Dir = spelled
		if admin, err := FindAdmin(t.Context(), &cfg); err != nil || admin == nil {
			t.Errorf("%s: %v, %v", spelled, admin, err)
		}
	}
	cfg := *l.cfg
	cfg.Keystore.Dir = t.TempDir()
	if admin, err := FindAdmin(t.Context(), &cfg); err != nil || admin != nil {
		t.Errorf("another store: %v, %v", admin, err)
	}
	cancel()
	<-done
	l.close()
}

// TestAdminSocketFails: the agent continues without its socket.
func TestAdminSocketFails(t *testing.T) {
	l := newLife(t, "demo")
	defer l.close()
	broken, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.agent.keepAdmin(ctx, broken) }()
	fault := func() (text string) {
		l.agent.state.UpdateProcess(func(p *status.Process) { text = p.AdminFault })
		return text
	}
	for fault() == "" {
		runtime.Gosched()
	}
	select {
	case err := <-done:
		t.Errorf("the task ended: %v", err)
	default:
	}
	cancel()
	<-done
}
