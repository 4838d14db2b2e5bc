package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryKeyFromTheEnvironment sets each key of the table in the environment
// and in a file, and expects the same configuration.
func TestEveryKeyFromTheEnvironment(t *testing.T) {
	values := map[string]string{
		"orchestrator.url": "http://10.0.0.9:8080", "orchestrator.ca_file": "/etc/ca.pem",
		"orchestrator.allow_plain_http": "true", "orchestrator.identity_refs": "decimal",
		"orchestrator.client_cert_file": "/etc/c.pem", "orchestrator.client_key_file": "/etc/c.key", "network.metered": "true",
		"machines[].name": "robot-7", "machines[].id": "mach_7", "machines[].agent_label": "label", "machines[].register.display_name": "Robot 7",
		"machines[].register.owner_id": "owner", "machines[].register.machine_type": "arm", "machines[].register.runtime_profile": "linux-docker",
		"machines[].register.capabilities": "lift, see", "machines[].register.skill_keys": "a", "machines[].register.labels": "floor=2,line=a",
		"machines[].allowed_provider_keys": "qvac,other", "machines[].endpoints[].provider_key": "qvac",
		"machines[].endpoints[].base_url":  "http://10.0.0.1:11434",
		"machines[].endpoints[].probe_url": "https://127.0.0.1:11434", "machines[].endpoints[].probe_path": "/v1/models",
		"machines[].endpoints[].probe_timeout": "2s", "machines[].endpoints[].ca_file": "/etc/plant.pem",
		"machines[].endpoints[].auth_type":       "bearer",
		"machines[].endpoints[].auth_token_file": "/run/secrets/t", "machines[].endpoints[].share_auth_token": "1",
		"machines[].endpoints[].model_alias":   "llm",
		"machines[].endpoints[].network_scope": "lan", "heartbeat.interval": "7s", "heartbeat.lease_ttl": "1m", "keystore.dir": "/data",
		"keystore.seal": "passphrase", "keystore.passphrase_file": "/run/secrets/p", "keystore.bind_host": "true", "keystore.volatile": "true",
		"enroll.auto": "true", "enroll.ephemeral": "1",
		"presence.enabled": "true", "presence.url": "http://127.0.0.1:8788", "presence.interval": "30s", "presence.machine_id": "42",
		"control.enabled": "true", "control.hooks": "http://127.0.0.1:8080/notify,unix:/run/app.sock",
		"telemetry.listen": ":9757", "telemetry.allow_plain": "true", "telemetry.allowed_hosts": "gateway.plant.example,10.0.0.9",
		"telemetry.web_config_file": "/etc/peaqos-agent/web.yml", "log.level": "debug", "log.format": "console",
	}
	var env []string
	for _, k := range Schema() {
		if strings.HasPrefix(k.Path, "machines[].identity_ref") {
			continue // excluded by id; TestIdentityFromTheEnvironment has them
		}
		v, ok := values[k.Path]
		if !ok {
			t.Errorf("%s has no value in this test", k.Path)
		}
		env = append(env, k.Env+"="+v)
	}
	fromEnv := mustLoad(t, "", env...)
	fromFile := mustLoad(t, `
orchestrator: {url: "http://10.0.0.9:8080", ca_file: /etc/ca.pem, allow_plain_http: true, identity_refs: decimal,
               client_cert_file: /etc/c.pem, client_key_file: /etc/c.key}
network: {metered: true}
machines:
  - name: robot-7
    id: mach_7
    agent_label: label
    register: {display_name: Robot 7, owner_id: owner, machine_type: arm, runtime_profile: linux-docker,
               capabilities: [lift, see], skill_keys: [a], labels: {floor: "2", line: a}}
    allowed_provider_keys: [qvac, other]
    endpoints:
      - {provider_key: qvac, base_url: "http://10.0.0.1:11434", probe_url: "https://127.0.0.1:11434",
         probe_path: /v1/models, probe_timeout: 2s, ca_file: /etc/plant.pem, auth_type: bearer, auth_token_file: /run/secrets/t, share_auth_token: true,
         model_alias: llm, network_scope: lan}
heartbeat: {interval: 7s, lease_ttl: 1m}
presence: {enabled: true, url: "http://127.0.0.1:8788", interval: 30s, machine_id: "42"}
control: {enabled: true, hooks: ["http://127.0.0.1:8080/notify", "unix:/run/app.sock"]}
keystore: {dir: /data, seal: passphrase, passphrase_file: /run/secrets/p, bind_host: true, volatile: true}
enroll: {auto: true, ephemeral: true}
telemetry: {listen: ":9757", allow_plain: true, allowed_hosts: [gateway.plant.example, 10.0.0.9], web_config_file: /etc/peaqos-agent/web.yml}
log: {level: debug, format: console}
`)
	if diff := cmp.Diff(fromFile, fromEnv, sameConfig()); diff != "" {
		t.Errorf("file (-), environment (+):\n%s", diff)
	}
}

func TestIdentityFromTheEnvironment(t *testing.T) {
	ref := filepath.Join(t.TempDir(), "ref")
	if err := os.WriteFile(ref, []byte("peaqos:machine:42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kv := range []string{"PEAQOS_AGENT_IDENTITY_REF=peaqos:machine:42", "PEAQOS_AGENT_IDENTITY_REF_FILE=" + ref} {
		c := mustLoad(t, "", kv)
		if m := c.Machines[0]; m.IdentityRef != "peaqos:machine:42" || m.Name != "main" || len(m.Endpoints) != 0 {
			t.Errorf("%s: got %+v", kv, m)
		}
	}
}

func TestEnvironmentFaults(t *testing.T) {
	const machines = "machines: [{endpoints: [{provider_key: qvac, base_url: \"http://127.0.0.1:1\"}]}]\n"
	for _, c := range []struct{ name, file, env, want string }{
		{"in addition to a file's machines", machines, "PEAQOS_AGENT_MACHINE_ID=mach_1", "PEAQOS_AGENT_MACHINE_ID: machines[].id: "},
		{"an endpoint in addition to them", machines, "PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:2", "c.yaml:1 describes machines already"},
		{
			"half an endpoint", "", "PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=qvac",
			"PEAQOS_AGENT_ENDPOINT_BASE_URL: machines[0].endpoints[0].base_url: is required",
		},
		{
			"bare number", "", "PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=90",
			"PEAQOS_AGENT_HEARTBEAT_LEASE_TTL: heartbeat.lease_ttl: the number 90 has no unit",
		},
		{"boolean", "", "PEAQOS_AGENT_TELEMETRY_ALLOW_PLAIN=yes", `must be true or false, not "yes"`},
		{
			"a rule of two keys", "", "PEAQOS_AGENT_HEARTBEAT_INTERVAL=80s",
			"PEAQOS_AGENT_HEARTBEAT_INTERVAL: heartbeat.interval: 80s is more than half",
		},
		{"labels", "", "PEAQOS_AGENT_REGISTER_LABELS=floor", "must be pairs like floor=2,line=a"},
		{"a label twice", "", "PEAQOS_AGENT_REGISTER_LABELS=a=1,a=2", "has a label twice"},
		{"the shared URL", "", "PEAQOS_ORCHESTRATION_URL=ftp://x", "PEAQOS_ORCHESTRATION_URL: orchestrator.url: must begin with https://"},
		{"a control character", "", "PEAQOS_AGENT_MACHINE_AGENT_LABEL=a\x1b[2J", "control character"},
		{"a nameless label", "", "PEAQOS_AGENT_REGISTER_LABELS==1", "a label has no name"},
		{"a label with a control character", "", "PEAQOS_AGENT_REGISTER_LABELS=a=\x07", "a label has a line break"},
		{"a list that repeats itself", "", "PEAQOS_AGENT_REGISTER_CAPABILITIES=see,lift,see", "item 3 repeats an earlier one"},
		{"a list with a control character", "", "PEAQOS_AGENT_REGISTER_SKILL_KEYS=a,\u202eb", "item 2 has a line break"},
		{"a very long string", "", "PEAQOS_AGENT_REGISTER_OWNER_ID=" + strings.Repeat("x", maxText+1), "is longer than 2048 bytes"},
		{"not UTF-8", "", "PEAQOS_AGENT_REGISTER_OWNER_ID=\xff", "is not valid UTF-8"},
		{"a negative duration", "", "PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=-90s", "must be a duration above zero"},
		{"a file that is not there", "", "PEAQOS_AGENT_IDENTITY_REF_FILE=/nowhere", "/nowhere cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.file, c.env)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEnvironmentWarnings(t *testing.T) {
	const own = "orchestrator: {url: \"https://ours.example\"}\n"
	for _, c := range []struct {
		name, file string
		env        []string
		want       string // in the only warning; empty wants none
	}{
		{"a typing error", "", []string{"PEAQOS_AGENT_HEARTBEAT_INTERVALL=30s"}, "did you mean PEAQOS_AGENT_HEARTBEAT_INTERVAL"},
		{"nothing similar", "", []string{"PEAQOS_AGENT_COLOUR=blue"}, "config schema"},
		{"the key", "", []string{"PEAQOS_AGENT_API_KEY=canary"}, "PEAQOS_API_KEY_FILE"},
		{"a service of Kubernetes", "", []string{
			"PEAQOS_AGENT_SERVICE_HOST=10.0.0.1", "PEAQOS_AGENT_SERVICE_PORT=9757", "PEAQOS_AGENT_SERVICE_PORT_METRICS=9757",
			"PEAQOS_AGENT_PORT=tcp://10.0.0.1:9757", "PEAQOS_AGENT_PORT_9757_TCP=tcp://10.0.0.1:9757", "PEAQOS_AGENT_PORT_9757_TCP_PROTO=tcp",
			"PEAQOS_AGENT_PORT_9757_TCP_PORT=9757", "PEAQOS_AGENT_PORT_9757_TCP_ADDR=10.0.0.1", "PEAQOS_AGENT_METRICS_SERVICE_HOST=10.0.0.2",
			"PEAQOS_AGENT_METRICS_PORT_80_UDP_ADDR=10.0.0.2",
		}, ""},
		{"the shared URL, the same", own, []string{"PEAQOS_ORCHESTRATION_URL=https://ours.example"}, ""},
		{"the shared URL, another", own, []string{"PEAQOS_ORCHESTRATION_URL=https://theirs.example"}, "c.yaml:1, which takes precedence"},
		{"both variables differ", "", []string{
			"PEAQOS_ORCHESTRATION_URL=https://theirs.example", "PEAQOS_AGENT_ORCHESTRATOR_URL=https://ours.example",
		}, "PEAQOS_AGENT_ORCHESTRATOR_URL, which takes precedence"},
		{"plain http", "", []string{
			"PEAQOS_AGENT_ORCHESTRATOR_URL=http://10.0.0.1", "PEAQOS_AGENT_ORCHESTRATOR_ALLOW_PLAIN_HTTP=true",
		}, "can read the agent token"},
		{"an empty listener", "", []string{"PEAQOS_AGENT_TELEMETRY_LISTEN="}, "treated as unset; use off"},
		{"other programs' variables", "", []string{"PEAQOS_RPC_URL=x", "PATH=/bin", "EMPTY", "PEAQOS_AGENTS=1", "PEAQOS_API_KEY=canary"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			endpoint := []string{"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=qvac", "PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:11434"}
			got := mustLoad(t, c.file, append(endpoint, c.env...)...).Warnings
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, ""), "canary") {
				t.Errorf("a value is repeated: %q", got)
			}
		})
	}
}

// TestTokenInClear: an endpoint's token that leaves this network unencrypted is a warning.
func TestTokenInClear(t *testing.T) {
	for _, c := range []struct {
		url, scope string
		warned     bool
	}{
		{"http://203.0.114.7:8080", "public", true},
		{"https://203.0.114.7:8080", "public", false},
		{"http://192.168.1.7:8080", "lan", false},
		{"http://127.0.0.1:8080", "loopback", false},
	} {
		cfg := mustLoad(t, "machines: [{endpoints: [{provider_key: a, base_url: \""+c.url+"\", network_scope: "+c.scope+
			", auth_type: bearer, auth_token_file: /nowhere}]}]\n")
		if got := strings.Contains(strings.Join(cfg.Warnings, ""), "sends its token over plain http"); got != c.warned {
			t.Errorf("%+v: %q", c, cfg.Warnings)
		}
	}
}

// TestSharedURL: the other tools' variable is used only where the agent's own
// settings give no URL.
func TestSharedURL(t *testing.T) {
	const theirs = "PEAQOS_ORCHESTRATION_URL=https://theirs.example/"
	for _, c := range []struct{ file, env, want string }{
		{"", "", "https://theirs.example"},
		{"orchestrator: {url: \"https://file.example\"}", "", "https://file.example"},
		{"", "PEAQOS_AGENT_ORCHESTRATOR_URL=https://env.example", "https://env.example"},
	} {
		if got := mustLoad(t, c.file, theirs, c.env).Orchestrator.URL; got != c.want {
			t.Errorf("file %q, variable %q: got %s, want %s", c.file, c.env, got, c.want)
		}
	}
}

func TestFlags(t *testing.T) {
	const two = "machines: [{name: a}, {name: b}]\n"
	for _, c := range []struct{ name, file, key, value, want string }{
		{"unknown", "", "keystore.directory", "/x", "--keystore-directory: keystore.directory: there is no such key"},
		{"which machine", two, "machines[].id", "mach_1", "--machine-id: machines[].id: there are several machines"},
		{
			"which endpoint",
			"machines: [{endpoints: [{provider_key: a, base_url: \"http://127.0.0.1\"}, {provider_key: b, base_url: \"http://127.0.0.1\"}]}]\n",
			"machines[].endpoints[].model_alias", "llm", "--endpoint-model-alias: machines[].endpoints[].model_alias: there are several endpoints",
		},
		{"bad value", "", "heartbeat.interval", "often", "--heartbeat-interval: heartbeat.interval: "},
		{"bad by rule", "", "telemetry.listen", ":1", "--telemetry-listen: telemetry.listen: would let other hosts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte("log: {level: info}\n"+c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(Source{Path: path, Flags: map[string]string{c.key: c.value}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	c, err := Load(Source{defaultPath: "/nowhere/x", Flags: map[string]string{"machines[].id": "mach_1", "keystore.dir": "store"}})
	if err != nil {
		t.Fatal(err)
	}
	wd, _ := os.Getwd()
	if c.Machines[0].ID != "mach_1" || c.Keystore.Dir != filepath.Join(wd, "store") {
		t.Errorf("got %+v", c)
	}
}

func TestAPIKeyFromEnv(t *testing.T) {
	for _, c := range []struct {
		name            string
		env             []string
		from, path, raw string
		fault           string
	}{
		{"nothing", []string{"PEAQOS_API_KEY=", "X=1"}, "", "", "", ""},
		{"the SDK's name", []string{"PEAQOS_API_KEY=k1"}, "PEAQOS_API_KEY", "", "k1", ""},
		{"the command's name", []string{"PEAQOS_ORCH_API_KEY=k1"}, "PEAQOS_ORCH_API_KEY", "", "k1", ""},
		{"both alike", []string{"PEAQOS_API_KEY=k1", "PEAQOS_ORCH_API_KEY=k1"}, "PEAQOS_API_KEY", "", "k1", ""},
		{"both differ", []string{"PEAQOS_API_KEY=canary", "PEAQOS_ORCH_API_KEY=canary2"}, "", "", "", "differ"},
		{"a file wins", []string{"PEAQOS_API_KEY=k1", "PEAQOS_ORCH_API_KEY_FILE=/f"}, "PEAQOS_ORCH_API_KEY_FILE", "/f", "", ""},
		{"two files", []string{"PEAQOS_API_KEY_FILE=/canary", "PEAQOS_ORCH_API_KEY_FILE=/g"}, "", "", "", "differ"},
		{"no key at all", []string{"PEAQOS_API_KEY=canary canary"}, "", "", "", "printable ASCII"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, path, raw, err := APIKeyFromEnv(c.env)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %v", err)
				}
				return
			}
			if from != c.from || path != c.path || raw != c.raw || err != nil {
				t.Errorf("got %q %q %q %v", from, path, raw, err)
			}
		})
	}
}

// FuzzEnvironment gives any key any value: there is no panic, and an error is one
// clean line per problem that begins with the variable.
func FuzzEnvironment(f *testing.F) {
	keys := Schema()
	for i, v := range []string{
		"", "90s", "http://127.0.0.1:1", "did:peaq:42", "a=1,b=2", "a,b", "\x1b[2J", "\xff", "off", "[::1]:1", "https://u:p@h/",
	} {
		f.Add(uint8(i), v)
	}
	for i := range keys {
		f.Add(uint8(i), "x")
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		key := keys[int(which)%len(keys)]
		if strings.ContainsRune(value, 0) {
			return // an environment cannot hold it
		}
		c, err := Load(Source{Env: []string{key.Env + "=" + value}, Hostname: "robot", defaultPath: "/nowhere/config.yaml"})
		if err == nil {
			if got := mustLoad(t, c.Show(false)); got.Heartbeat != c.Heartbeat || !cmp.Equal(got.Telemetry, c.Telemetry) || got.Log != c.Log {
				t.Errorf("%s=%q does not read back", key.Env, value)
			}
			return
		}
		if !strings.HasPrefix(err.Error(), envPrefix) || strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), Deceptive) {
			t.Errorf("%s=%q: %q", key.Env, value, err)
		}
	})
}

// TestServiceVariables compares with the pattern that the names follow.
func TestServiceVariables(t *testing.T) {
	pattern := regexp.MustCompile(
		`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	for _, name := range []string{
		"_SERVICE_HOST", "X_SERVICE_PORT", "X_SERVICE_PORT_", "X_SERVICE_PORT_HTTP_2", "X_SERVICE_PORT_http",
		"X_PORT", "XPORT", "X_PORT_", "X_PORT_80", "X_PORT_80_TCP", "X_PORT_80_UDP", "X_PORT_80_SCTP", "X_PORT_80_ICMP",
		"X_PORT__TCP", "X_PORT_8a_TCP", "X_PORT_80_TCP_PROTO", "X_PORT_80_TCP_PORT",
		"X_PORT_80_TCP_ADDR", "X_PORT_80_TCP_NAME", "X_PORT_80_ADDR", "X_80_TCP", "X_TCP", "X_SERVICE_HOSTS", "", "_", "X_HEARTBEAT_INTERVAL",
	} {
		if got, want := isServiceVariable(name), pattern.MatchString(name); got != want {
			t.Errorf("isServiceVariable(%q) = %t, want %t", name, got, want)
		}
	}
}
