package agent

import (
	"fmt"
	"strconv"
	"time"
)

// key is one setting: where it stands in the file, and how its text gets into
// the configuration. The same table serves the file, the environment and Show,
// so that no key is known in one of them only.
type key struct {
	path    string // heartbeat.interval
	restart bool   // cannot change while the agent runs
	set     func(*Config, string) error
	get     func(*Config) string
}

// env is the variable of a key: heartbeat.interval is PEAQOS_AGENT_HEARTBEAT_INTERVAL.
func (k key) env() string { return envPrefix + envName(k.path) }

// processKeys are the settings of the whole process.
func processKeys() []key {
	return []key{
		text("orchestrator.url", true, func(c *Config) *string { return &c.Orchestrator.URL }),
		text("orchestrator.ca_file", false, func(c *Config) *string { return &c.Orchestrator.CAFile }),
		boolean("orchestrator.allow_plain_http", func(c *Config) *bool { return &c.Orchestrator.AllowPlainHTTP }),
		duration("heartbeat.interval", "auto", func(c *Config) *time.Duration { return &c.Heartbeat.Interval }),
		duration("heartbeat.lease_ttl", "", func(c *Config) *time.Duration { return &c.Heartbeat.LeaseTTL }),
		text("keystore.dir", true, func(c *Config) *string { return &c.Keystore.Dir }),
		text("telemetry.listen", true, func(c *Config) *string { return &c.Telemetry.Listen }),
		boolean("telemetry.allow_plain", func(c *Config) *bool { return &c.Telemetry.AllowPlain }),
		choice("log.level", func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
		choice("log.format", func(c *Config) *string { return &c.Log.Format }, "auto", "json", "console"),
	}
}

func text(path string, restart bool, at func(*Config) *string) key {
	return key{path, restart, func(c *Config, s string) error { *at(c) = s; return nil }, func(c *Config) string { return strconv.Quote(*at(c)) }}
}

func boolean(path string, at func(*Config) *bool) key {
	return key{path, false, func(c *Config, s string) error {
		b, err := parseBool(s)
		*at(c) = b
		return err
	}, func(c *Config) string { return strconv.FormatBool(*at(c)) }}
}

func parseBool(s string) (bool, error) {
	if s == "true" || s == "false" {
		return s == "true", nil
	}
	return false, fmt.Errorf("%.40q is neither true nor false", s)
}

// duration takes 90s, 5m, 1h; zero names the word for "let the agent choose".
func duration(path, zero string, at func(*Config) *time.Duration) key {
	return key{path, false, func(c *Config, s string) error {
		if zero != "" && s == zero {
			*at(c) = 0
			return nil
		}
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return fmt.Errorf("%.40q is not a duration: write 90s, 5m or 1h", s)
		}
		*at(c) = d
		return nil
	}, func(c *Config) string {
		if *at(c) == 0 && zero != "" {
			return zero
		}
		return at(c).String()
	}}
}

func choice(path string, at func(*Config) *string, allowed ...string) key {
	return key{path, false, func(c *Config, s string) error {
		*at(c) = s
		return oneOf(s, allowed...)
	}, func(c *Config) string { return *at(c) }}
}

func oneOf(s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	return fmt.Errorf("%.40q is not one of %v", s, allowed)
}

// machineText are a machine's settings that are one text; they can come from the
// environment too, when there is one machine.
func machineText(m *Machine) map[string]*string {
	return map[string]*string{
		"name": &m.Name, "id": &m.ID, "identity_ref": &m.IdentityRef, "agent_label": &m.AgentLabel,
		"register.display_name": &m.Register.DisplayName, "register.owner_id": &m.Register.OwnerID,
		"register.machine_type": &m.Register.MachineType, "register.runtime_profile": &m.Register.RuntimeProfile,
	}
}

// machineLists are its settings that are lists; in the environment, with commas.
func machineLists(m *Machine) map[string]*[]string {
	return map[string]*[]string{
		"allowed_provider_keys": &m.AllowedProviderKeys, "register.capabilities": &m.Register.Capabilities, "register.skill_keys": &m.Register.SkillKeys,
	}
}

// endpointText are an endpoint's settings that are one text.
func endpointText(e *Endpoint) map[string]*string {
	return map[string]*string{
		"provider_key": &e.ProviderKey, "base_url": &e.BaseURL, "probe_url": &e.ProbeURL, "probe_path": &e.ProbePath, "auth_type": &e.AuthType,
		"auth_token_file": &e.AuthTokenFile, "model_alias": &e.ModelAlias, "network_scope": &e.NetworkScope,
	}
}
