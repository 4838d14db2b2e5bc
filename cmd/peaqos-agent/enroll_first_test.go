package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// trial starts a sandbox with a runtime, and returns its addresses and the directory of
// its keys.
func trial(t *testing.T, args ...string) (at sandboxAddresses, keys string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	at = startSandbox(t, append(args, "--with-runtime")...)
	for _, word := range strings.Fields(at.Commands[0]) {
		if filepath.Base(word) == "config.yaml" {
			keys = filepath.Dir(word)
		}
	}
	return at, keys
}

// TestFirstContact: on a terminal without a configuration, enroll asks, writes the file
// and enrolls.
func TestFirstContact(t *testing.T) {
	at, keys := trial(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "etc", "config.yaml")
	p := onTerminal(t, nil, "enroll", "--config", file, "--keystore-dir", filepath.Join(dir, "state"), "--volatile")
	p.answer("Orchestrator [https://orchestration.peaq.xyz]", "ftp://x")
	p.answer("Orchestrator [", at.URL)
	p.answer("Identity (did:peaq:NUMBER), or the machine's ID", "did:peaq:007")
	p.answer("Identity (", "did:peaq:7")
	p.answer("File with the API key", filepath.Join(dir, "nothing"))
	p.answer("File with the API key", filepath.Join(keys, "api-key"))
	p.answer("File with the controller's key", filepath.Join(keys, "controller.hex"))
	p.answer("ublish", "frobnicate")
	p.answer("ublish", "qvac="+at.RuntimeURL)
	p.answer("Write it, and enroll this machine? [Y/n]", "")
	exit, printed := p.end()
	for _, want := range []string{
		"peaqos activate", "does not exist", "wrote " + file, "Live:      yes", "Next: peaqos-agent run --config " + file,
		"identity_ref: did:peaq:7", "frobnicate\" is not KEY=URL",
	} {
		if want == "Next: peaqos-agent run --config "+file && systemdRuns() {
			want = "Next: peaqos-agent service"
		}
		if exit != 0 || !strings.Contains(printed, want) {
			t.Errorf("exit %d, without %q:\n%s", exit, want, printed)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "api-key") || strings.Contains(string(text), "controller") {
		t.Errorf("%v, the file is\n%s", err, text)
	}
	if exit, out, errs := command(t, "endpoints", "check", "--config", file); exit != 0 {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
	// Now that there is a configuration, nothing is asked.
	if exit, out, errs := command(t, "enroll", "--config", file); exit != 0 || !strings.Contains(out, "Already enrolled") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
}

// TestInterruptedReads: a command that waits for a person ends when it is interrupted.
func TestInterruptedReads(t *testing.T) {
	at, keys := trial(t)
	dir := t.TempDir()
	env := []string{
		"PEAQOS_API_KEY_FILE=" + filepath.Join(keys, "api-key"),
		"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=qvac", "PEAQOS_AGENT_ENDPOINT_BASE_URL=" + at.RuntimeURL, // so that nothing is asked
	}
	for text, args := range map[string][]string{
		"Signature (0x…): ":    {"enroll", "--sign-with", "prompt", "--identity-ref", "did:peaq:7"},
		"up to Ctrl-D":         {"enroll", "--grant", "-"},
		"reading the terminal": {"enroll", "--machine-id", "mach_1", "--api-key-file", "-"},
	} {
		p := onTerminal(t, env, append(args, "--orchestrator-url", at.URL, "--keystore-dir", filepath.Join(dir, "state"), "--volatile")...)
		p.interrupt(text)
		if exit, printed := p.end(); exit != 130 || !strings.Contains(printed, "Error: interrupted") {
			t.Errorf("%s: exit %d\n%s", args, exit, printed)
		}
	}
}

// TestFirstContactIsShort: what is known already is not asked.
func TestFirstContactIsShort(t *testing.T) {
	at, keys := trial(t)
	dir := t.TempDir()
	again := func(name string) *terminal {
		return onTerminal(t, []string{"PEAQOS_API_KEY_FILE=" + filepath.Join(keys, "api-key")}, "enroll",
			"--config", filepath.Join(dir, name+".yaml"), "--keystore-dir", filepath.Join(dir, name), "--volatile", "--orchestrator-url", at.URL)
	}
	// Nothing is written without the person's agreement.
	p := again("a")
	p.answer("Identity", "did:peaq:7")
	p.answer("controller's key", filepath.Join(keys, "controller.hex"))
	p.answer("ublish", "none")
	p.answer("Write it", "n")
	exit, printed := p.end()
	if exit != 130 || !strings.Contains(printed, "enroll --orchestrator-url "+at.URL) && !strings.Contains(printed, "--identity-ref did:peaq:7") {
		t.Errorf("exit %d\n%s", exit, printed)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("it left %q, %v", left, err)
	}
	// The machine is registered: its controller's key is not asked for.
	if exit, printed := run(t, at.Commands[0]); exit != 0 {
		t.Fatalf("exit %d: %s", exit, printed)
	}
	p = again("b")
	p.answer("Identity", trialIdentity)
	p.answer("ublish", "none")
	p.answer("Write it", "y")
	if exit, printed := p.end(); exit != 0 || !strings.Contains(printed, "is registered: no controller key is needed") {
		t.Errorf("exit %d\n%s", exit, printed)
	}
	// Who has no identity is offered the sandbox.
	p = again("c")
	p.answer("Identity", "")
	if exit, printed := p.end(); exit != 3 || !strings.Contains(printed, "peaqos-agent sandbox --with-runtime") {
		t.Errorf("exit %d\n%s", exit, printed)
	}
}

// TestNeverAsksOffTerminal: without a terminal, or with --json, the flags are named.
func TestNeverAsksOffTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.yaml")
	exit, _, errs := command(t, "enroll", "--config", file)
	if exit != 3 || !strings.Contains(errs, "no configuration file was found (looked at "+file+")") || !strings.Contains(errs, "--write-config") {
		t.Errorf("exit %d\n%s", exit, errs)
	}
	p := onTerminal(t, nil, "enroll", "--json", "--config", file)
	if exit, printed := p.end(); exit != 3 || !strings.Contains(printed, `"exit": 3`) {
		t.Errorf("exit %d\n%s", exit, printed)
	}
}

// TestEnrollLine: the command for root has absolute paths and is quoted for a shell.
func TestEnrollLine(t *testing.T) {
	a := &app{url: "https://o.example/x y"}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	req := &agent.EnrollRequest{IdentityRef: "did:peaq:7"}
	flags := &enrollFlags{apiKeyFile: "key", controllerFile: "/media/usb/my key"}
	endpoints := []config.Endpoint{{ProviderKey: "qvac", BaseURL: "http://127.0.0.1:11435", ModelAlias: "m"}}
	got := a.needsRoot(config.DefaultPath, req, flags, endpoints).Error()
	want := "run:\nsudo peaqos-agent enroll --orchestrator-url 'https://o.example/x y' --identity-ref did:peaq:7 --endpoint qvac=http://127.0.0.1:11435,m" +
		" --api-key-file " + here + "/key --controller-key-file '/media/usb/my key' --write-config"
	if !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestEndpointFlag(t *testing.T) {
	for given, fault := range map[string]string{
		"qvac=http://127.0.0.1:1": "", "qvac=http://127.0.0.1:1,my-llm": "", "own=https://10.0.0.1": "", "own=http://robot.local:1": "",
		"qvac": "is not KEY=URL", "=http://x": "provider key", "own=": "base_url is required", "own=http://127.0.0.1:1,m": "model_alias",
		"own=http://u:p@x": "base_url", "own=http://127.0.0.1:1/path": "base_url",
	} {
		_, err := givenEndpoints([]string{given})
		if (fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", given, err)
		}
	}
	if _, err := givenEndpoints([]string{"a=http://127.0.0.1:1", "a=http://127.0.0.1:2"}); err == nil {
		t.Error("one key twice is accepted")
	}
	e, _ := endpointOf("ollama=http://192.168.1.5:11434")
	if e.ProbePath != "/api/tags" || e.NetworkScope != "lan" {
		t.Errorf("%+v", e)
	}
}
