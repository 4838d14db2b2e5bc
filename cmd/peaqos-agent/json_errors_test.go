package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// jsonError runs a command line that must fail, and returns the error that it printed
// as JSON.
func jsonError(t *testing.T, args, env []string) (doc errorDocument, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = execute(t.Context(), streams{&bytes.Buffer{}, &out, &errs}, args, env)
	if exit == 0 || out.Len() > 0 {
		t.Errorf("%v: exit %d, output %q", args, exit, out.String())
	}
	var object map[string]map[string]any
	if err := json.Unmarshal(errs.Bytes(), &object); err != nil || len(object) != 1 || object["error"] == nil {
		t.Fatalf("%v: not one error object: %v; %s", args, err, errs.String())
	}
	for _, field := range []string{"code", "message", "detail", "next", "exit"} {
		if _, ok := object["error"][field]; !ok {
			t.Errorf("%v: no %q in %s", args, field, errs.String())
		}
	}
	if extra := len(object["error"]) - 5; extra > 1 || extra == 1 && object["error"]["problems"] == nil {
		t.Errorf("%v: other fields in %s", args, errs.String())
	}
	var typed struct{ Error errorDocument }
	if err := json.Unmarshal(errs.Bytes(), &typed); err != nil {
		t.Fatal(err)
	}
	doc = typed.Error
	if doc.Message == "" || doc.Next == "" || int(doc.Exit) != exit {
		t.Errorf("%v: exit %d, %+v", args, exit, doc)
	}
	return doc, exit
}

// TestErrorsAsJSON: with --json anywhere on the command line, every command prints its
// errors in the same form. The result of config check is the list of problems itself.
func TestErrorsAsJSON(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PEAQOS_AGENT_KEYSTORE_DIR=" + dir, "PEAQOS_AGENT_KEYSTORE_VOLATILE=true", "PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1"}
	invalid := append([]string{"PEAQOS_AGENT_HEARTBEAT_INTERVAL=never"}, env...)
	covered := map[string]bool{}
	for _, c := range []struct {
		line string
		env  []string
		code string
	}{
		{"frobnicate --json", env, "usage"},
		{"enrol --json", env, "usage"},
		{"--json --frobnicate", env, "usage"},
		{"agents frobnicate --json", env, "usage"},
		{"status --frobnicate --json", env, "usage"},
		{"enroll --json --identity-ref did:peaq:007", env, "identity_ref"},
		{"enroll --json --identity-ref did:peaq:1 --api-key-file " + key, env, "connection_refused"},
		{"run --json", invalid, "config"},
		{"status --json --check happy", env, "usage"},
		{"doctor --json --anonymize", env, "usage"},
		{"reload --json", env, "not_running"},
		{"rotate --json", env, "api_key_missing"},
		{"presence status --json --machine-number 42 --deployment agung", env, "deployment"},
		{"presence opt-in --json --machine-number 42 --mcr-url http://127.0.0.1:1", env, "mcr_unreachable"},
		{"presence opt-out --json", env, "identity_missing"},
		{"unenroll --json", invalid, "config"},
		{"adopt --json surplus", env, "usage"},
		{"reset-identity --json", env, "not_confirmed"},
		{"identity show --json", invalid, "config"},
		{"identity new --json surplus", env, "usage"},
		{"identity import --json " + dir + "/none", env, "secret_file"},
		{"identity export --json " + dir + "/out", env, "no_controller_key"},
		{"identity prove --json", env, "usage"},
		{"endpoints list --json", invalid, "config"},
		{"endpoints check --json", invalid, "config"},
		{"endpoints discover --json --host http://x", env, "usage"},
		{"config check --json surplus", env, "usage"},
		{"config show --json", invalid, "config"},
		{"config schema --json surplus", env, "usage"},
		{"service install --json surplus", env, "usage"},
		{"service uninstall --json surplus", env, "usage"},
		{"service start --json surplus", env, "usage"},
		{"service stop --json surplus", env, "usage"},
		{"service restart --json surplus", env, "usage"},
		{"service status --json surplus", env, "usage"},
		{"service seal --json", env, "usage"},
		{"agents list --json --machine-id m", env, "api_key_missing"},
		{"machines list --json", env, "api_key_missing"},
		{"machines register --json", env, "identity_missing"},
		{"machines register --json --identity-ref did:peaq:1 --sign-with hope", env, "usage"},
		{"agents revoke --json a --machine-id m", env, "api_key_missing"},
		{"presence status --json", invalid, "config"},
		{"presence opt-in --json surplus", env, "usage"},
		{"presence opt-out --json surplus", env, "usage"},
		{"demo --json --for x", env, "usage"},
		{"sandbox --json --listen 0.0.0.0:0", env, "listen"},
		{"version --json surplus", env, "usage"},
		{"completion --json tcsh", env, "usage"},
		{"man --json /dev/null/pages", env, "file"},
	} {
		args := strings.Fields(c.line)
		doc, _ := jsonError(t, args, c.env)
		if string(doc.Code) != c.code {
			t.Errorf("%s: code %q, want %q", c.line, doc.Code, c.code)
		}
		covered[args[0]] = true
		covered[strings.Join(args[:2], " ")] = true
	}
	for _, name := range commandNames((&app{}).root()) {
		if !covered[name] {
			t.Errorf("no failing line of %s", name)
		}
	}
}

// commandNames lists the commands that do something, without the program's name.
func commandNames(cmd *cobra.Command) []string {
	if !cmd.HasSubCommands() {
		return []string{strings.TrimPrefix(cmd.CommandPath(), "peaqos-agent ")}
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, commandNames(sub)...)
	}
	return names
}

// TestConfigurationErrorListsItsProblems: each problem is an object with its place.
func TestConfigurationErrorListsItsProblems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte("heartbeat:\n  intervall: 3s\n  lease_ttl: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, exit := jsonError(t, []string{"status", "--config", file, "--json"}, []string{"PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir()})
	if exit != 3 || len(doc.Problems) < 2 {
		t.Fatalf("exit %d, %+v", exit, doc)
	}
	for key, line := range map[string]int{"heartbeat.intervall": 2, "heartbeat.lease_ttl": 3} {
		at := slices.IndexFunc(doc.Problems, func(p config.Problem) bool { return p.Key == key })
		if at < 0 {
			t.Errorf("no problem of %s in %+v", key, doc.Problems)
			continue
		}
		if p := doc.Problems[at]; p.File != file || p.Line != line || p.Column == 0 || p.Text == "" {
			t.Errorf("%+v", p)
		}
	}
}
