package config

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// load loads a file with this text, and nothing else but the environment. Without
// text there is no file.
func load(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if text == "" {
		return Load(Source{defaultPath: path, Env: env, Hostname: "robot"})
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Source{Path: path, Env: env, Hostname: "robot"})
}

func mustLoad(t *testing.T, text string, env ...string) *Config {
	t.Helper()
	c, err := load(t, text, env...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func sameConfig() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path", "Warnings"),
		cmpopts.IgnoreFields(Machine{}, "IdentityRefFile"),
	}
}

func TestPrecedence(t *testing.T) {
	const file = "heartbeat: {interval: 10s}\nlog: {level: warn}\nkeystore: {dir: /file}\n"
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{
		Path: path, Hostname: "robot",
		Env:   []string{"PEAQOS_AGENT_HEARTBEAT_INTERVAL=20s", "PEAQOS_AGENT_KEYSTORE_DIR=/env", "PEAQOS_AGENT_LOG_FORMAT= json \n"},
		Flags: map[string]string{"heartbeat.interval": "30s", "telemetry.listen": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Heartbeat.Interval, c.Keystore.Dir, c.Log.Level, c.Log.Format, c.Telemetry.Listen, c.Heartbeat.LeaseTTL}
	want := []any{30 * time.Second, "/env", "warn", "json", "", 90 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]string{
		"heartbeat.interval": "--heartbeat-interval", "keystore.dir": "PEAQOS_AGENT_KEYSTORE_DIR",
		"log.level": c.Path + ":2", "heartbeat.lease_ttl": "default",
	} {
		if got := c.origins[path].String(); got != want {
			t.Errorf("%s comes from %s, want %s", path, got, want)
		}
	}
}

func TestWhereTheFileIs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, level string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("log: {level: "+level+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named, byEnv, usual, none := write("named", "error"), write("env", "warn"), write("default", "debug"), filepath.Join(dir, "none")
	for _, c := range []struct {
		src  Source
		want string
	}{
		{Source{Path: named, Env: []string{"PEAQOS_AGENT_CONFIG=" + byEnv}, defaultPath: usual}, "error"},
		{Source{Env: []string{"PEAQOS_AGENT_CONFIG=" + byEnv}, defaultPath: usual}, "warn"},
		{Source{defaultPath: usual}, "debug"},
		{Source{defaultPath: none}, "info"},
	} {
		got, err := Load(c.src)
		if err != nil || got.Log.Level != c.want {
			t.Errorf("%+v: got %+v, %v; want level %s", c.src, got, err, c.want)
		}
	}
	if _, err := Load(Source{Env: []string{"PEAQOS_AGENT_CONFIG=" + none}, defaultPath: usual}); err == nil {
		t.Error("a file that is named must exist")
	}
}

func TestFileFaults(t *testing.T) {
	dir := t.TempDir()
	pipe := dir + "/pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", dir+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct{ path, want string }{
		{dir + "/none.yaml", "cannot be read: no such file or directory"},
		{dir, "cannot be read: it is a directory, not a regular file"},
		{pipe, "cannot be read: it is a named pipe, not a regular file"},
		{"/dev/zero", "cannot be read: it is a device, not a regular file"},
		{dir + "/socket", "cannot be read: no such device or address"},
	} {
		_, err := Load(Source{Path: c.path, Env: []string{"PEAQOS_AGENT_LOG_LEVEL=loud"}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "PEAQOS_AGENT_LOG_LEVEL: log.level: ") {
			t.Errorf("%s: got %v, want both %q and the variable's fault", c.path, err, c.want)
		}
	}
	_, err = load(t, "#"+strings.Repeat("x", maxConfigFile))
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestWorldWritableFileIsWarnedOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := errors.Join(os.WriteFile(path, []byte("log: {level: info}\n"), 0o600), os.Chmod(path, 0o602)); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{Path: path})
	if err != nil || !strings.Contains(strings.Join(c.Warnings, " "), "chmod o-w") {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := "orchestrator: {ca_file: ca.pem}\nkeystore: {dir: ./store}\nmachines: [{identity_ref_file: ref}]\n"
	ref := filepath.Join(dir, "ref")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.WriteFile(ref, []byte(" did:peaq:42 \n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if c.Orchestrator.CAFile != dir+"/ca.pem" || c.Keystore.Dir != dir+"/store" || c.Machines[0].IdentityRef != "did:peaq:42" {
		t.Errorf("got %+v", c)
	}
}

func TestDerivedDefaults(t *testing.T) {
	c := mustLoad(t, `
machines:
  - endpoints:
      - {provider_key: qvac, base_url: "http://127.0.0.1:1/"}
      - {provider_key: other, base_url: "http://[::1]:2"}
      - {provider_key: name, base_url: "http://runtime.localhost:3"}
      - {provider_key: far, base_url: "https://robot.example", network_scope: public, probe_url: "http://sidecar:80/"}
heartbeat: {lease_ttl: 1h30m}
telemetry: {listen: off}
`)
	e := c.Machines[0].Endpoints
	got := []any{
		e[0].BaseURL, e[0].ProbePath, e[1].ProbePath, e[1].AuthType, e[2].NetworkScope, e[3].ProbeURL, c.Heartbeat, c.Telemetry.Listen,
	}
	want := []any{
		"http://127.0.0.1:1", "/v1/models", "/health", "none", "loopback", "http://sidecar:80", Heartbeat{LeaseTTL: 90 * time.Minute}, "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("configs/ holds %v (%v), want three files", files, err)
	}
	for _, f := range files {
		if c, err := Load(Source{Path: f, Hostname: "robot"}); err != nil {
			t.Errorf("%s:\n%v", f, err)
		} else if filepath.Base(f) != "sidecar.yaml" && len(c.Warnings) > 0 {
			t.Errorf("%s warns: %v", f, c.Warnings)
		}
	}
}

// TestSidecarComments checks that the environment described in sidecar.yaml works.
func TestSidecarComments(t *testing.T) {
	text, err := os.ReadFile("../../configs/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(text)) {
		if kv, ok := strings.CutPrefix(line, "#   "); ok && strings.HasPrefix(kv, "PEAQOS_") {
			kv, _, _ = strings.Cut(kv, " ")
			env = append(env, strings.TrimSpace(kv))
		}
	}
	c, err := Load(Source{Path: "../../configs/sidecar.yaml", Env: env, Hostname: "robot"})
	if err != nil {
		t.Fatal(err)
	}
	if len(env) != 4 || len(c.Warnings) > 0 {
		t.Errorf("variables: %v\nwarnings: %v", env, c.Warnings)
	}
	m := c.Machines[0]
	if m.IdentityRef != "did:peaq:42" || len(m.Endpoints) != 1 || m.Endpoints[0].ProviderKey != "qvac" {
		t.Errorf("got %+v", c)
	}
}

// TestAgentYAMLIsTheDefault checks that the long example spells out the defaults
// which minimal.yaml relies on.
func TestAgentYAMLIsTheDefault(t *testing.T) {
	var both [2]*Config
	for i, f := range []string{"../../configs/minimal.yaml", "../../configs/agent.yaml"} {
		c, err := Load(Source{Path: f, Hostname: "robot"})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = c
	}
	if diff := cmp.Diff(both[0], both[1], sameConfig()); diff != "" {
		t.Errorf("minimal.yaml (-), agent.yaml (+):\n%s", diff)
	}
}

// TestIdentityRefFile: a pipe, a device or a long file in place of the one line.
func TestIdentityRefFile(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, []byte(strings.Repeat("9", maxIdentityFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/pipe": "cannot be read: it is a named pipe",
		"/dev/zero":   "cannot be read: it is a device",
		long:          "cannot be read: it is larger than 1024 bytes",
	} {
		_, err := load(t, "", "PEAQOS_AGENT_IDENTITY_REF_FILE="+path)
		if err == nil || !strings.Contains(err.Error(), "machines[0].identity_ref_file: "+path+" "+want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
