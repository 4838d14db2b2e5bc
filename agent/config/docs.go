// Code generated from the comments in config.go by go test -run TestDocs -update; DO NOT EDIT.

package config

// configDocs are the words about each key.
func configDocs() map[string]string {
	return map[string]string{
		"orchestrator.url":                        "url is the orchestrator's base URL, without /api/v1. User info, a query and plain http to another host are refused. Default https://orchestration.peaq.xyz. Restart to change.",
		"orchestrator.ca_file":                    "ca_file is an extra root certificate (PEM) trusted beside the system's. A proxy comes from the usual environment (HTTPS_PROXY, NO_PROXY).",
		"orchestrator.allow_plain_http":           "allow_plain_http permits http:// to a host that is not loopback. Without it such a URL is refused: the agent token travels in every beat's body.",
		"machines[].name":                         "name is [a-z0-9-]{1,32}, default main, required from the second machine on. It names the keystore record, the log field and the metric label, so a name that changes is another machine.",
		"machines[].id":                           "id is the orchestrator's machine id (mach_…). Either it or identity_ref may be given; with neither, enroll has to be told one. Restart to change.",
		"machines[].identity_ref":                 "identity_ref is did:peaq:<decimal> or peaqos:machine:<decimal>. The decimal is a canonical uint256: no sign, no leading zero; did:peaq:0x… is refused.",
		"machines[].identity_ref_file":            "identity_ref_file is a file that holds the identity_ref instead, one line, read once at start.",
		"machines[].agent_label":                  "agent_label is how the agent is named on the server, default peaqos-agent@<hostname>. What is sent ends in # and eight random characters, so that an interrupted enrollment can be found again.",
		"machines[].register.display_name":        "display_name is what people see. Default: the agent label.",
		"machines[].register.owner_id":            "owner_id says whose machine it is. Default: the controller's address.",
		"machines[].register.machine_type":        "machine_type is the kind of machine. Default edge-node.",
		"machines[].register.runtime_profile":     "runtime_profile is what the machine runs on. Default linux-native, in a container linux-docker.",
		"machines[].register.capabilities":        "capabilities are words that searches can ask for. Default none.",
		"machines[].register.skill_keys":          "skill_keys are the catalogue's skills this machine offers. Default none.",
		"machines[].register.labels":              "labels are free pairs of text. Default none.",
		"machines[].allowed_provider_keys":        "allowed_provider_keys is fixed at enrollment: provider keys this agent may publish. Default: those of the endpoints below, which a list must contain.",
		"machines[].endpoints[].provider_key":     "provider_key names the runtime's kind (qvac, …): a name, not a secret, [a-z0-9._-]{1,64}, and only one endpoint may have it. Required.",
		"machines[].endpoints[].base_url":         "base_url is the origin to publish: scheme, host and port. A path, query or user info is refused, because the orchestrator drops them. Required.",
		"machines[].endpoints[].probe_url":        "probe_url is the origin where the agent looks when base_url cannot be reached from here (tunnel, port forward). Loopback or private only. Default: the base_url.",
		"machines[].endpoints[].probe_path":       "probe_path is asked with GET. Default /v1/models for qvac, else /health.",
		"machines[].endpoints[].auth_type":        "auth_type is none, api-key or bearer: what the runtime asks of its callers. Default none.",
		"machines[].endpoints[].auth_token_file":  "auth_token_file holds the secret that the local probe sends. Refused with auth type none.",
		"machines[].endpoints[].share_auth_token": "share_auth_token sends that secret to the orchestrator in each beat, so that callers can be let in. Refused for scope loopback. Default false.",
		"machines[].endpoints[].model_alias":      "model_alias is the model that must be listed for the endpoint to count as up (qvac only). Empty: any 2xx will do.",
		"machines[].endpoints[].network_scope":    "network_scope is loopback, lan, vpn or public: who can reach base_url, and which addresses the probe may dial. A base_url that contradicts it is refused. Default loopback.",
		"heartbeat.interval":                      "interval is the time between two beats, 1s to 1h, or auto: a third of the granted lease. More than half of lease_ttl is refused. Default auto.",
		"heartbeat.lease_ttl":                     "lease_ttl is the lease asked for with every beat, whole seconds from 3s to 24h. A dead endpoint stays listed for at most that long. Default 90s.",
		"keystore.dir":                            "dir is the state directory; the keystore makes its own 0700 directory in it. Default /var/lib/peaqos-agent. Restart to change.",
		"keystore.seal":                           "seal is auto, keyfile, passphrase or credential: what has to guard the store's key at least. A store that is guarded better stays so. Auto is the passphrase when passphrase_file is set, else the key file, which guards against partial copies only. Default auto. Restart to change.",
		"keystore.passphrase_file":                "passphrase_file is a secret file with the store's passphrase; one line end at its end is no part of it. It may hold a recovery passphrase, too. Restart to change.",
		"keystore.bind_host":                      "bind_host is auto, true or false: whether a copy of the store is refused on other hardware, until adopt or reset-identity. Auto is true, but false in a container. Default auto. Restart to change.",
		"telemetry.listen":                        "listen is HOST:PORT; \"\" or off switches it off. Off loopback it needs allow_plain. Default 127.0.0.1:9757. Restart to change.",
		"telemetry.allow_plain":                   "allow_plain permits a listener that other hosts can reach, unencrypted. /status and the page stay on loopback all the same. Default false. Restart to change.",
		"enroll.auto":                             "auto lets run enroll a store that never held an identity, with the API key from PEAQOS_API_KEY_FILE, which therefore stays on the device. Default false. Restart to change.",
		"enroll.ephemeral":                        "ephemeral lets Auto use a store that does not outlive the container. Each start is a new agent then, and revokes first whatever carries the machine's agent_label, which must be given and be this machine's alone. Default false. Restart to change.",
		"log.level":                               "level is debug, info, warn or error. Default info.",
		"log.format":                              "format is auto, json or console; auto is console on a terminal. Default auto. Restart to change.",
	}
}
