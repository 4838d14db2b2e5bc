package config

// The table of keys, in the order of configs/agent.yaml. A key is added by one
// field in config.go with its comment and one row here, once its feature is built.

func orchestratorRows() []row {
	return []row{
		{
			Key: Key{Path: "orchestrator.url", Default: "https://orchestration.peaq.xyz", Restart: true},
			at:  func(p place) any { return &p.config.Orchestrator.URL },
		},
		{
			Key:  Key{Path: "orchestrator.ca_file"},
			file: true,
			at:   func(p place) any { return &p.config.Orchestrator.CAFile },
		},
		{
			Key:  Key{Path: "orchestrator.client_cert_file"},
			file: true,
			at:   func(p place) any { return &p.config.Orchestrator.ClientCertFile },
		},
		{
			Key:  Key{Path: "orchestrator.client_key_file"},
			file: true,
			at:   func(p place) any { return &p.config.Orchestrator.ClientKeyFile },
		},
		{
			Key: Key{Path: "orchestrator.allow_plain_http", Default: "false"},
			at:  func(p place) any { return &p.config.Orchestrator.AllowPlainHTTP },
		},
		{
			Key: Key{Path: "orchestrator.identity_refs", Default: "any", Values: []string{"any", "decimal"}},
			at:  func(p place) any { return &p.config.Orchestrator.IdentityRefs },
		},
		{
			Key: Key{Path: "network.metered", Default: "false"},
			at:  func(p place) any { return &p.config.Network.Metered },
		},
	}
}

func machineRows() []row {
	return []row{
		{
			Key:     Key{Path: "machines[].name"},
			example: "main",
			at:      func(p place) any { return &p.machine.Name },
		},
		{
			Key: Key{Path: "machines[].id", Restart: true},
			at:  func(p place) any { return &p.machine.ID },
		},
		{
			Key: Key{Path: "machines[].identity_ref"},
			at:  func(p place) any { return &p.machine.IdentityRef },
		},
		{
			Key:  Key{Path: "machines[].identity_ref_file"},
			file: true,
			at:   func(p place) any { return &p.machine.IdentityRefFile },
		},
		{
			Key: Key{Path: "machines[].agent_label"},
			at:  func(p place) any { return &p.machine.AgentLabel },
		},
		{
			Key: Key{Path: "machines[].register.display_name"},
			at:  func(p place) any { return &p.machine.Register.DisplayName },
		},
		{
			Key: Key{Path: "machines[].register.owner_id"},
			at:  func(p place) any { return &p.machine.Register.OwnerID },
		},
		{
			Key: Key{Path: "machines[].register.machine_type", Default: "edge-node"},
			at:  func(p place) any { return &p.machine.Register.MachineType },
		},
		{
			Key: Key{Path: "machines[].register.runtime_profile"},
			at:  func(p place) any { return &p.machine.Register.RuntimeProfile },
		},
		{
			Key: Key{Path: "machines[].register.capabilities"},
			at:  func(p place) any { return &p.machine.Register.Capabilities },
		},
		{
			Key: Key{Path: "machines[].register.skill_keys"},
			at:  func(p place) any { return &p.machine.Register.SkillKeys },
		},
		{
			Key: Key{Path: "machines[].register.labels"},
			at:  func(p place) any { return &p.machine.Register.Labels },
		},
		{
			Key: Key{Path: "machines[].allowed_provider_keys"},
			at:  func(p place) any { return &p.machine.AllowedProviderKeys },
		},
	}
}

func endpointRows() []row {
	return []row{
		{
			Key:     Key{Path: "machines[].endpoints[].provider_key"},
			example: "qvac",
			at:      func(p place) any { return &p.endpoint.ProviderKey },
		},
		{
			Key:     Key{Path: "machines[].endpoints[].base_url"},
			example: "http://127.0.0.1:11435",
			at:      func(p place) any { return &p.endpoint.BaseURL },
		},
		{
			Key: Key{Path: "machines[].endpoints[].probe_url"},
			at:  func(p place) any { return &p.endpoint.ProbeURL },
		},
		{
			Key: Key{Path: "machines[].endpoints[].probe_path"},
			at:  func(p place) any { return &p.endpoint.ProbePath },
		},
		{
			Key: Key{Path: "machines[].endpoints[].probe_timeout", Default: "3s"},
			at:  func(p place) any { return &p.endpoint.ProbeTimeout },
		},
		{
			Key:  Key{Path: "machines[].endpoints[].ca_file"},
			file: true,
			at:   func(p place) any { return &p.endpoint.CAFile },
		},
		{
			Key: Key{Path: "machines[].endpoints[].auth_type", Default: "none", Values: []string{"none", "api-key", "bearer"}},
			at:  func(p place) any { return &p.endpoint.AuthType },
		},
		{
			Key:  Key{Path: "machines[].endpoints[].auth_token_file"},
			file: true,
			at:   func(p place) any { return &p.endpoint.AuthTokenFile },
		},
		{
			Key: Key{Path: "machines[].endpoints[].share_auth_token", Default: "false"},
			at:  func(p place) any { return &p.endpoint.ShareAuthToken },
		},
		{
			Key: Key{Path: "machines[].endpoints[].model_alias"},
			at:  func(p place) any { return &p.endpoint.ModelAlias },
		},
		{
			Key: Key{Path: "machines[].endpoints[].network_scope", Default: "loopback", Values: []string{"loopback", "lan", "vpn", "public"}},
			at:  func(p place) any { return &p.endpoint.NetworkScope },
		},
	}
}

func serviceRows() []row {
	return []row{
		{
			Key:  Key{Path: "heartbeat.interval", Default: "auto"},
			auto: true,
			at:   func(p place) any { return &p.config.Heartbeat.Interval },
		},
		{
			Key: Key{Path: "heartbeat.lease_ttl", Default: "90s"},
			at:  func(p place) any { return &p.config.Heartbeat.LeaseTTL },
		},
		{
			Key: Key{Path: "presence.enabled", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Presence.Enabled },
		},
		{
			Key: Key{Path: "presence.url", Default: "https://heartbeat.peaq.xyz", Restart: true},
			at:  func(p place) any { return &p.config.Presence.URL },
		},
		{
			Key: Key{Path: "presence.interval", Default: "60s", Restart: true},
			at:  func(p place) any { return &p.config.Presence.Interval },
		},
		{
			Key: Key{Path: "presence.machine_id", Restart: true},
			at:  func(p place) any { return &p.config.Presence.MachineID },
		},
		{
			Key: Key{Path: "control.enabled", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Control.Enabled },
		},
		{
			Key: Key{Path: "control.hooks", Restart: true},
			at:  func(p place) any { return &p.config.Control.Hooks },
		},
		{
			Key:  Key{Path: "keystore.dir", Default: "/var/lib/peaqos-agent", Restart: true},
			file: true,
			at:   func(p place) any { return &p.config.Keystore.Dir },
		},
		{
			Key: Key{Path: "keystore.seal", Default: "auto", Values: []string{"auto", "keyfile", "passphrase", "credential"}, Restart: true},
			at:  func(p place) any { return &p.config.Keystore.Seal },
		},
		{
			Key:  Key{Path: "keystore.passphrase_file", Restart: true},
			file: true,
			at:   func(p place) any { return &p.config.Keystore.PassphraseFile },
		},
		{
			Key: Key{Path: "keystore.bind_host", Default: "auto", Values: []string{"auto", "true", "false"}, Restart: true},
			at:  func(p place) any { return &p.config.Keystore.BindHost },
		},
		{
			Key: Key{Path: "keystore.volatile", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Keystore.Volatile },
		},
		{
			Key: Key{Path: "telemetry.listen", Default: "127.0.0.1:9757", Restart: true},
			at:  func(p place) any { return &p.config.Telemetry.Listen },
		},
		{
			Key: Key{Path: "telemetry.allow_plain", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Telemetry.AllowPlain },
		},
		{
			Key: Key{Path: "telemetry.allowed_hosts", Restart: true},
			at:  func(p place) any { return &p.config.Telemetry.AllowedHosts },
		},
		{
			Key:  Key{Path: "telemetry.web_config_file", Restart: true},
			file: true,
			at:   func(p place) any { return &p.config.Telemetry.WebConfigFile },
		},
		{
			Key: Key{Path: "enroll.auto", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Enroll.Auto },
		},
		{
			Key: Key{Path: "enroll.ephemeral", Default: "false", Restart: true},
			at:  func(p place) any { return &p.config.Enroll.Ephemeral },
		},
		{
			Key: Key{Path: "log.level", Default: "info", Values: []string{"debug", "info", "warn", "error"}},
			at:  func(p place) any { return &p.config.Log.Level },
		},
		{
			Key: Key{Path: "log.format", Default: "auto", Values: []string{"auto", "json", "console"}, Restart: true},
			at:  func(p place) any { return &p.config.Log.Format },
		},
	}
}
