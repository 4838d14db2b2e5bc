package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// bench is a device with a sandbox and a runtime, on which command lines run.
type bench struct {
	t      *testing.T
	dir    string
	config string
	text   string // of the configuration
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	front := httptest.NewServer(sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress)))
	t.Cleanup(front.Close)
	runtime, err := lab.StartRuntime("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runtime.Stop)
	if err := errors.Join(lab.WriteSecrets(b.dir, map[string]string{"key": lab.APIKey, "ctl.hex": lab.ControllerKey}), os.Mkdir(b.path("state"), 0o700)); err != nil {
		t.Fatal(err)
	}
	b.text = fmt.Sprintf(`orchestrator: {url: %q}
keystore: {dir: %q, volatile: true}
telemetry: {listen: "off"}
machines: [{identity_ref: "did:peaq:42", agent_label: hall-7, endpoints: [{provider_key: demo, base_url: %q}]}]
`, front.URL, b.path("state"), runtime.URL)
	b.config = b.path("config.yaml")
	b.write(b.config, b.text)
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(path, text string) {
	b.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// do runs a command line and returns its output and exit code.
func (b *bench) do(args ...string) (out, errs string, exit int) {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	exit = execute(b.t.Context(), streams{&bytes.Buffer{}, &stdout, &stderr}, append(args, "--config", b.config), nil)
	return stdout.String(), stderr.String(), exit
}

func (b *bench) enroll() {
	b.t.Helper()
	if _, errs, exit := b.do("enroll", "--api-key-file", b.path("key"), "--controller-key-file", b.path("ctl.hex")); exit != 0 {
		b.t.Fatalf("enroll: exit %d, %s", exit, errs)
	}
}

// unpack reads a bundle: its files by name.
func (b *bench) unpack(path string) map[string]string {
	b.t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	packed, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			b.t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			b.t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

// TestDoctorMakesNothing: on a device that was never enrolled it names the next command,
// playable as it is, and leaves no file behind.
func TestDoctorMakesNothing(t *testing.T) {
	b := newBench(t)
	out, errs, exit := b.do("doctor", "--network")
	if exit != 5 || !strings.Contains(out, "[not_enrolled]") || !strings.Contains(out, "peaqos-agent enroll --config "+b.config+" --api-key-file FILE") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	for _, want := range []string{"Sends to:", "orchestrator: heartbeats", "probe of endpoint demo: GET /health; reached at 127.0.0.1:", "admin.sock"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(b.path("state")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestDoctorAsJSON: findings, codes and the exit code for programs, also of a
// configuration that is not valid.
func TestDoctorAsJSON(t *testing.T) {
	b := newBench(t)
	b.enroll()
	out, _, exit := b.do("doctor", "--json", "--api-key-file", b.path("key"))
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit != 8 || r.OK || len(r.Findings) < 10 {
		t.Fatalf("exit %d, %v, %+v", exit, err, r)
	}
	if i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == "token" && f.Level == doctor.OK }); i < 0 {
		t.Errorf("the token was not looked up: %s", out)
	}
	b.write(b.config, b.text+"hartbeat: {}\n")
	if out, _, exit := b.do("doctor", "--json"); exit != 3 || !strings.Contains(out, "hartbeat") || !json.Valid([]byte(out)) {
		t.Errorf("exit %d, %s", exit, out)
	}
}

// TestDoctorDoesNotSendTheKeyAnywhere: a configuration that somebody else can write is a
// finding, and the API key stays here.
func TestDoctorDoesNotSendTheKeyAnywhere(t *testing.T) {
	b := newBench(t)
	b.enroll()
	if err := os.Chmod(b.config, 0o666); err != nil {
		t.Fatal(err)
	}
	out, _, exit := b.do("doctor", "--api-key-file", b.path("key"))
	if exit != 3 || !strings.Contains(out, "[config_owner]") || strings.Contains(out, "is active on the orchestrator") {
		t.Errorf("exit %d\n%s", exit, out)
	}
}

// TestDoctorFix: modes and an interrupted write are repaired, each is said, and the second
// time there is nothing to do.
func TestDoctorFix(t *testing.T) {
	b := newBench(t)
	b.enroll()
	store := b.path("state/keystore")
	if err := errors.Join(os.Chmod(store, 0o755), os.Chmod(filepath.Join(store, "agent-main.a"), 0o644)); err != nil {
		t.Fatal(err)
	}
	b.write(filepath.Join(store, "agent-main.b.tmp"), "half a rec")
	if out, _, _ := b.do("doctor"); !strings.Contains(out, "[store_modes]") || !strings.Contains(out, "[store_leftovers]") {
		t.Errorf("not found:\n%s", out)
	}
	out, errs, exit := b.do("doctor", "--fix")
	for _, want := range []string{
		"fixed    closed " + store + " to other users", "fixed    closed " + store + "/agent-main.a to other users",
		"fixed    read and finished 1 of 1 interrupted writes",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s%s", want, out, errs)
		}
	}
	if exit != 8 || strings.Contains(out, "[store_") { // no agent is running, and nothing else
		t.Errorf("exit %d\n%s", exit, out)
	}
	if out, _, _ := b.do("doctor", "--fix"); strings.Contains(out, "fixed ") {
		t.Errorf("fixed again:\n%s", out)
	}
}

// TestDoctorBundle: the bundle has what support needs, mode 0600, no secret and no content
// of the store; it replaces no file.
func TestDoctorBundle(t *testing.T) {
	b := newBench(t)
	b.enroll()
	path := b.path("support.tar.gz")
	if _, errs, exit := b.do("doctor", "--bundle", path, "--api-key-file", b.path("key")); exit != 8 || !strings.Contains(errs, "wrote "+path) {
		t.Fatalf("exit %d, %s", exit, errs)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	files := b.unpack(path)
	for name, want := range map[string]string{
		"version.txt": "peaqos-agent ", "doctor.json": `"not_running"`, "status.json": `"machines"`, "config.txt": "hall-7",
		"store.txt": "agent-main.a mode=0600", "network.json": `"contacts"`,
	} {
		if !strings.Contains(files["peaqos-agent/"+name], want) {
			t.Errorf("%s has no %q: %s", name, want, files["peaqos-agent/"+name])
		}
	}
	if _, errs, exit := b.do("doctor", "--bundle", path); exit != 1 || !strings.Contains(errs, "is not overwritten") {
		t.Errorf("exit %d, %s", exit, errs)
	}
}

// TestDoctorBundleWithASecretIsRemoved: a live secret in any form, in any file, leaves no
// bundle, and is not shown either.
func TestDoctorBundleWithASecretIsRemoved(t *testing.T) {
	b := newBench(t)
	b.write(b.path("passphrase"), "a passphrase nobody guesses\n")
	b.text = strings.Replace(b.text, "volatile: true", "volatile: true, passphrase_file: "+b.path("passphrase"), 1)
	b.write(b.config, b.text)
	b.enroll()
	store, err := keystore.Open(t.Context(), b.path("state"), keystore.Options{PassphraseFile: b.path("passphrase"), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	record, err := store.Agent("main")
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	token := string(record.Token.Reveal())
	for name, c := range map[string]struct{ text, want string }{
		"token":             {token, "the agent token of machine main"},
		"token in hex":      {hex.EncodeToString([]byte(token)), "the agent token of machine main"},
		"token in base64":   {base64.StdEncoding.EncodeToString([]byte("x:" + token)), "the agent token of machine main"},
		"the API key":       {lab.APIKey, "the API key"},
		"the passphrase":    {"a passphrase nobody guesses", "the passphrase"},
		"nothing of a kind": {"an ordinary name", ""},
	} {
		// Register.display_name is the one free text of a configuration.
		b.write(b.config, strings.Replace(b.text, "agent_label: hall-7", fmt.Sprintf("agent_label: hall-7, register: {display_name: %q}", c.text), 1))
		path := filepath.Join(t.TempDir(), "bundle.tar.gz")
		_, errs, exit := b.do("doctor", "--bundle", path, "--api-key-file", b.path("key"))
		_, err := os.Stat(path)
		if c.want == "" {
			if exit != 8 || err != nil {
				t.Errorf("%s: exit %d, %v, %s", name, exit, err, errs)
			}
			continue
		}
		if exit != 12 || !errors.Is(err, os.ErrNotExist) || !strings.Contains(errs, c.want) || strings.Contains(errs, c.text) {
			t.Errorf("%s: exit %d, %v, %s", name, exit, err, errs)
		}
	}
}

// TestDoctorBundleAnonymized: what identifies the device is not in it, and the same value
// has the same name in every file.
func TestDoctorBundleAnonymized(t *testing.T) {
	b := newBench(t)
	b.enroll()
	out, _, _ := b.do("status", "--json")
	var view struct {
		Machines []struct {
			MachineID string `json:"machine_id"`
			AgentID   string `json:"agent_id"`
		} `json:"machines"`
	}
	if err := json.Unmarshal([]byte(out), &view); err != nil || len(view.Machines) != 1 || view.Machines[0].AgentID == "" {
		t.Fatalf("%v: %s", err, out)
	}
	path := b.path("support.tar.gz")
	b.do("doctor", "--bundle", path, "--anonymize", "--api-key-file", b.path("key"))
	files := b.unpack(path)
	all := ""
	for _, text := range files {
		all += text
	}
	for _, value := range []string{view.Machines[0].MachineID, view.Machines[0].AgentID, "did:peaq:42", "hall-7"} {
		if strings.Contains(all, value) {
			t.Errorf("%s is in the bundle", value)
		}
	}
	for _, name := range []string{"status.json", "doctor.json"} {
		if !strings.Contains(files["peaqos-agent/"+name], "agent-1") {
			t.Errorf("%s does not call the agent agent-1:\n%s", name, files["peaqos-agent/"+name])
		}
	}
}

// TestDoctorRecognizesARuntime: a runtime that does not have the path of the probe is named
// by its other answers.
func TestDoctorRecognizesARuntime(t *testing.T) {
	b := newBench(t)
	ollama := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "Ollama is running")
	}))
	t.Cleanup(ollama.Close)
	text := strings.Replace(b.text, "endpoints: [", fmt.Sprintf("endpoints: [{provider_key: vllm, base_url: %q}, ", ollama.URL), 1)
	b.write(b.config, text)
	out, _, _ := b.do("doctor")
	if !strings.Contains(out, "vllm at "+ollama.URL+" is down") || !strings.Contains(out, "answers like Ollama") {
		t.Errorf("%s", out)
	}
}
