package config

import (
	"testing"
)

func TestSchemaNames(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Schema() {
		if other := seen[k.Env]; other != "" {
			t.Errorf("%s and %s share %s", k.Path, other, k.Env)
		}
		seen[k.Env] = k.Path
		if isServiceVariable(k.Env) {
			t.Errorf("%s: Kubernetes may set %s by itself", k.Path, k.Env)
		}
		if k.Type == "" {
			t.Errorf("%s has no type", k.Path)
		}
	}
	for env, path := range map[string]string{
		"PEAQOS_AGENT_HEARTBEAT_INTERVAL":    "heartbeat.interval",
		"PEAQOS_AGENT_ORCHESTRATOR_URL":      "orchestrator.url",
		"PEAQOS_AGENT_MACHINE_ID":            "machines[].id",
		"PEAQOS_AGENT_IDENTITY_REF":          "machines[].identity_ref",
		"PEAQOS_AGENT_IDENTITY_REF_FILE":     "machines[].identity_ref_file",
		"PEAQOS_AGENT_REGISTER_DISPLAY_NAME": "machines[].register.display_name",
		"PEAQOS_AGENT_ENDPOINT_BASE_URL":     "machines[].endpoints[].base_url",
		"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY": "machines[].endpoints[].provider_key",
	} {
		if seen[env] != path {
			t.Errorf("%s means %q, want %s", env, seen[env], path)
		}
	}
}
