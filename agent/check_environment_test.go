package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// TestCheckEnvironmentOpensEveryFile: files of the orchestrator and of each endpoint are
// opened, and those that cannot be used are named by their key.
func TestCheckEnvironmentOpensEveryFile(t *testing.T) {
	cut := filepath.Join(t.TempDir(), "cut.pem")
	if err := os.WriteFile(cut, []byte("-----BEGIN CERTIFICATE-----\nMIID\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	cfg := &config.Config{
		Orchestrator: config.Orchestrator{URL: "https://orchestrator.test", CAFile: cut},
		Telemetry:    config.Telemetry{WebConfigFile: missing},
		Machines: []config.Machine{
			{Endpoints: []config.Endpoint{{ProviderKey: "a", CAFile: missing}}},
			{Endpoints: []config.Endpoint{{ProviderKey: "b"}, {ProviderKey: "c", CAFile: cut, AuthTokenFile: missing}}},
		},
	}
	warnings, err := CheckEnvironment(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{
		{"orchestrator.ca_file: " + cut, "nothing is sent"},
		{"machines[0].endpoints[0].ca_file: " + missing, "no such file"},
		{"machines[1].endpoints[1].ca_file: " + cut, "is not published"},
		{"telemetry.web_config_file: open " + missing, "there is no listener"},
		{"machines[1].endpoints[1].auth_token_file", "cannot be used"},
	}
	if len(warnings) != len(want) {
		t.Fatalf("%d warnings: %+v", len(warnings), warnings)
	}
	for i, w := range want {
		if !strings.Contains(warnings[i].Message, w[0]) || !strings.Contains(warnings[i].Message, w[1]) {
			t.Errorf("warning %d: %q, want %q", i, warnings[i].Message, w)
		}
	}
}
