#!/usr/bin/env bash
# Runs the agent in a container that contains only the binary, configured by
# environment variables: read-only, without capabilities, another user, 64 MB. The
# volume outlives the container, and so does the identity.
source "$(dirname "$0")/steps.sh"
begin "a FROM scratch container"
need_root
need podman "podman buildah runc netavark"
need runc runc
need curl curl
need jq jq
build

# Works without an init system and with either cgroup version.
cat >"$work/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
export CONTAINERS_CONF=$work/containers.conf STORAGE_DRIVER=vfs
pod() { podman --root "$work/store" --runroot "$work/runroot" "$@"; }
remove_all() { pod rm -fa -t 1 >/dev/null 2>&1; }
at_end+=(remove_all)

mkdir "$work/image" "$work/volume" "$work/keys"
cp "$agent" "$work/image/"
cat >"$work/image/Containerfile" <<'CONTAINERFILE'
FROM scratch
COPY peaqos-agent /peaqos-agent
USER 65532:65532
ENTRYPOINT ["/peaqos-agent"]
CMD ["run"]
CONTAINERFILE
ok "build the image" pod build -q --isolation=chroot -t localhost/peaqos-agent:check "$work/image"

start_sandbox
start_runtime
telemetry=127.0.0.1:$(free_port)
write_keys "$work/keys"
chmod 755 "$work"
chown -R 65532:65532 "$work/volume" "$work/keys"
contained() {
  pod run --network host --read-only --cap-drop all --security-opt no-new-privileges --memory 64m \
    -v "$work/volume:/state" \
    -e PEAQOS_ORCHESTRATION_URL="$orchestrator" \
    -e PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=demo \
    -e PEAQOS_AGENT_ENDPOINT_BASE_URL="$runtime" \
    -e PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=6s \
    -e PEAQOS_AGENT_KEYSTORE_DIR=/state \
    -e PEAQOS_AGENT_TELEMETRY_LISTEN="$telemetry" \
    "$@"
}
run() { contained -d --name agent localhost/peaqos-agent:check; }
enroll_in() {
  contained --rm -v "$work/keys:/keys:ro" localhost/peaqos-agent:check enroll --identity-ref did:peaq:42 \
    --controller-key-file /keys/ctl.hex --api-key-file /keys/key --json
}
one_agent() { api "/machines/$machine/agents" | jq -e --arg id "$id" '.items | length == 1 and .[0].id == $id'; }

ok "run, with environment variables alone" run
within 15 "it waits, unenrolled" answers 503 "http://$telemetry/readyz"
ok "stop" pod stop -t 10 agent
ok "it ended with 0" test "$(pod inspect -f '{{.State.ExitCode}}' agent)" = 0
ok "remove" pod rm agent

ok "enroll in a container of its own" enroll_in
machine=$(jq -r .machine_id "$work/step") id=$(jq -r .agent_id "$work/step")
ok "run again, without the keys" run
within 15 "live" answers 200 "http://$telemetry/readyz"
within 10 "the endpoint is active, from the agent" endpoint '.status == "active" and .source == "agent"'
ok "remove it with force" pod rm -f -t 0 agent
ok "a new container on the same volume" run
within 15 "live" answers 200 "http://$telemetry/readyz"
ok "same agent, no new enrollment" one_agent
second() {
  timeout 40 podman --root "$work/store" --runroot "$work/runroot" run --rm --network host -v "$work/volume:/state" \
    -e PEAQOS_ORCHESTRATION_URL="$orchestrator" -e PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=demo \
    -e PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:1 \
    -e PEAQOS_AGENT_KEYSTORE_DIR=/state -e PEAQOS_AGENT_TELEMETRY_LISTEN=off localhost/peaqos-agent:check
}
not "a second container on the volume does not take it over" second
echo "   $(grep -m 1 Error "$work/step" || true)"
finish
