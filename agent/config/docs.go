// Code generated from the comments in config.go by go test -run TestDocs -update; DO NOT EDIT.

package config

// configDocs are the comments of the keys' fields, by path.
func configDocs() map[string]string {
	return map[string]string{
		"orchestrator.url": "url is the orchestrator's base URL, without /api/v1. User info, a query and plain http " +
			"to another host are refused. Default https://orchestration.peaq.xyz. Restart to change.",
		"orchestrator.ca_file": "ca_file is a file of additional root certificates (PEM or DER) to trust next to the " +
			"system's. It is read whole or refused, and read again when it changes. A proxy is taken " +
			"from the usual variables (HTTPS_PROXY, NO_PROXY).",
		"orchestrator.client_cert_file": "client_cert_file is the certificate (PEM, with its chain) for a gateway that requires " +
			"one. It is read again when it changes.",
		"orchestrator.client_key_file": "client_key_file is the private key (PEM, without a passphrase) of client_cert_file: a " +
			"secret file.",
		"orchestrator.allow_plain_http": "allow_plain_http permits http:// to a host that is not loopback. Without it such a URL " +
			"is refused, because every heartbeat carries the agent token. Default false.",
		"orchestrator.identity_refs": "identity_refs is any or decimal: the accepted forms of an identity_ref. With any, " +
			"did:peaq:0x<address> is accepted as well and the orchestrator decides; with decimal it " +
			"is refused here. Default any.",
		"network.metered": "metered avoids what costs bytes and is not needed: the TLS handshake has no post-quantum " +
			"key share (1.2 KB less for each new connection, and a first packet that fits through " +
			"every middlebox). Default false.",
		"machines[].name": "name is [a-z0-9-]{1,32}, default main, required from the second machine on. It names the " +
			"keystore record, the log field and the metric label, so renaming it makes it another " +
			"machine.",
		"machines[].id": "id is the orchestrator's machine id (mach_…). Give either it or identity_ref; with " +
			"neither, pass one to enroll. Restart to change.",
		"machines[].identity_ref": "identity_ref is did:peaq:<decimal>, peaqos:machine:<decimal> or did:peaq:0x<40 hex " +
			"digits>. The decimal is a canonical uint256: no sign, no leading zero. " +
			"orchestrator.identity_refs can refuse the form with an address.",
		"machines[].identity_ref_file": "identity_ref_file is a file that holds the identity_ref on one line, in place of that " +
			"key. It is read once at start.",
		"machines[].agent_label": "agent_label is the agent's name on the orchestrator, default peaqos-agent@<hostname>. A " +
			"# and eight random characters are appended, so that an interrupted enrollment can be " +
			"found again.",
		"machines[].register.display_name": "display_name is the name shown to people. Default: the agent label.",
		"machines[].register.owner_id":     "owner_id identifies the machine's owner. Default: the controller's address.",
		"machines[].register.machine_type": "machine_type is the kind of machine. Default edge-node.",
		"machines[].register.runtime_profile": "runtime_profile is the platform of the machine's runtimes. Default linux-native, in a " +
			"container linux-docker.",
		"machines[].register.capabilities": "capabilities are search terms for what the machine can do. Default none.",
		"machines[].register.skill_keys": "skill_keys are the keys of the catalogue's skills that this machine offers. Default " +
			"none.",
		"machines[].register.labels": "labels are key-value pairs. Default none.",
		"machines[].allowed_provider_keys": "allowed_provider_keys are the provider keys this agent may publish, fixed at enrollment. " +
			"Default: those of the endpoints below, which a list must include.",
		"machines[].endpoints[].provider_key": "provider_key is the kind of runtime (qvac, …): a name, not a secret, [a-z0-9._-]{1,64}, " +
			"unique among the machine's endpoints. Required.",
		"machines[].endpoints[].base_url": "base_url is the origin to publish: scheme, host and port. A path, query or user info is " +
			"refused, because the orchestrator drops them. QVAC's default port, 11434, is Ollama's as " +
			"well: give one of them another. Required.",
		"machines[].endpoints[].probe_url": "probe_url is the origin to probe when base_url cannot be reached from this device " +
			"(tunnel, port forward). Loopback or private addresses only. The Host header remains that " +
			"of base_url. Default: the base_url.",
		"machines[].endpoints[].probe_path": "probe_path is the path that the probe requests with GET. Default /v1/models for qvac, " +
			"else /health.",
		"machines[].endpoints[].probe_timeout": "probe_timeout is how long the runtime may take to respond to a probe, from 100ms to half " +
			"of the heartbeat interval; up to 3s is always accepted. Default 3s.",
		"machines[].endpoints[].ca_file": "ca_file holds certificates (PEM or DER) that the probe of this endpoint trusts in " +
			"addition to the system's: the runtime's own or those of its CA. Needs https. It is read " +
			"again when it changes.",
		"machines[].endpoints[].auth_type": "auth_type is api-key, bearer or none: the authentication the runtime requires. Default " +
			"none.",
		"machines[].endpoints[].auth_token_file": "auth_token_file is a file with the secret that the local probe sends. Refused with auth " +
			"type none.",
		"machines[].endpoints[].share_auth_token": "share_auth_token sends that secret to the orchestrator in each heartbeat, so that " +
			"callers can be admitted. Refused for scope loopback. Default false.",
		"machines[].endpoints[].model_alias": "model_alias is the model that must be listed for the endpoint to count as up (qvac " +
			"only). Empty: any 2xx response is enough.",
		"machines[].endpoints[].network_scope": "network_scope is loopback, lan, vpn or public: who can reach base_url, and which " +
			"addresses the probe may connect to. A base_url that contradicts it is refused. Default " +
			"loopback.",
		"heartbeat.interval": "interval is the time between two heartbeats, 1s to 1h, or auto: a third of the granted " +
			"lease. More than half of lease_ttl is refused. Default auto.",
		"heartbeat.lease_ttl": "lease_ttl is the lease requested with every heartbeat, whole seconds from 3s to 24h. A " +
			"dead endpoint stays listed for at most that long. Default 90s.",
		"presence.enabled": "enabled turns it on. Without a stored controller key nothing is pushed, which status " +
			"shows. Default false. Restart to change.",
		"presence.url": "url is the presence service's base URL, without /api/v1. Plain http to another host " +
			"needs orchestrator.allow_plain_http. Default https://heartbeat.peaq.xyz. Restart to " +
			"change.",
		"presence.interval": "interval is the time between two pushes, 1s to 120s: the service takes a machine for " +
			"offline 180s after the last one. Default 60s. Restart to change.",
		"presence.machine_id": "machine_id is how the presence service names this machine, which is not documented. " +
			"Default: the decimal number of the machine's identity_ref. Refused with several " +
			"machines. Restart to change.",
		"control.enabled": "enabled opens the control socket of each enrolled machine. Needs hooks. Default false. " +
			"Restart to change.",
		"control.hooks": "hooks are the programs that get each notification with an HTTP POST: a loopback URL such " +
			"as http://127.0.0.1:8080/notify, or unix:/run/app.sock. At most 8. A hook has 10s to " +
			"respond with 2xx, else it is tried again, so it may get a notification twice. Default " +
			"none. Restart to change.",
		"keystore.dir": "dir is the state directory; the keystore creates its own 0700 directory in it. Default " +
			"/var/lib/peaqos-agent. Restart to change.",
		"keystore.seal": "seal is auto, keyfile, passphrase or credential: the minimum protection of the store " +
			"key; stronger protection is kept. Auto is the passphrase when passphrase_file is set, " +
			"else the key file, which protects against partial copies only. Default auto. Restart to " +
			"change.",
		"keystore.passphrase_file": "passphrase_file is a secret file with the store's passphrase; a trailing newline is " +
			"ignored. It may also hold a recovery passphrase. Restart to change.",
		"keystore.bind_host": "bind_host is auto, true or false: whether a copy of the store is refused on other " +
			"hardware, until adopt or reset-identity. Auto is true, but false in a container. Default " +
			"auto. Restart to change.",
		"keystore.volatile": "volatile accepts a store in memory (tmpfs, or an overlay over one), whose token and " +
			"controller key are lost at a restart. Default false. Restart to change.",
		"telemetry.listen": "listen is HOST:PORT; \"\" or off disables it. Any address but loopback needs " +
			"web_config_file or allow_plain. Default 127.0.0.1:9757. Restart to change.",
		"telemetry.allow_plain": "allow_plain permits a listener that other hosts can reach, unencrypted. /status and the " +
			"page remain limited to loopback. Default false. Restart to change.",
		"telemetry.allowed_hosts": "allowed_hosts are names by which a reverse proxy or a port forward reaches the listener, " +
			"without port: over loopback, requests for these names also get /metrics, /healthz and " +
			"/readyz. The machine's own names and addresses need no entry. With a web_config_file " +
			"that encrypts and authenticates, they get /status and the page as well, from anywhere. " +
			"Default none. Restart to change.",
		"telemetry.web_config_file": "web_config_file is a file in the format of Prometheus' exporters with tls_server_config, " +
			"basic_auth_users, or both. It is read again when it or a file that it names changes. " +
			"Default none. Restart to change the path.",
		"enroll.auto": "auto lets run enroll a store that never held an identity, with the API key from " +
			"PEAQOS_API_KEY_FILE, which therefore stays on the device. Default false. Restart to " +
			"change.",
		"enroll.ephemeral": "ephemeral allows auto with storage that does not survive the container. Each start " +
			"enrolls a new agent and first revokes agents with the machine's agent_label, which must " +
			"be set and used by this machine alone. Default false. Restart to change.",
		"log.level": "level is debug, info, warn or error. Default info.",
		"log.format": "format is auto, json or console; auto is console on a terminal. Default auto. Restart to " +
			"change.",
	}
}
