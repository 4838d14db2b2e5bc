#!/usr/bin/env bash
# Builds the image of deploy/container/ and runs it: with containerd, then with podman,
# over TLS, configured by environment variables alone, read-only, without capabilities,
# another user, 64 MB. The volume outlives the container, and so does the identity. Then
# the ARM images under emulation, the Containerfile, and the compose file.
source "$(dirname "$0")/steps.sh"
begin "a FROM scratch container"
need_root
need podman "podman buildah runc netavark"
need runc runc
need curl curl
need jq jq
need qemu-arm-static qemu-user-static
need docker-compose docker-compose
need ctr containerd
need zstd zstd
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
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/store" "$work/runroot" >"$work/storage.conf"
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
remove_all() { podman rm -fa -t 1 >/dev/null 2>&1; }
at_end+=(remove_all)

# The image: the same from the same inputs, and what it must contain.
make_image() { make -s image image="$1"; }
ok "make image" make_image bin/image
sed -n 's/^\([a-z0-9/]*\) *\([0-9]*\) bytes compressed.*/   \1: \2 bytes compressed/p' "$work/step"
make_again() { make_image "$work/again" && diff -r bin/image "$work/again" && cmp bin/image.tar "$work/again.tar"; }
ok "built again, it is identical" make_again
ok "the layout is complete, and each platform has a list of its components" python3 - bin/image <<'PYTHON'
import hashlib, json, os, sys
blobs = os.path.join(sys.argv[1], "blobs", "sha256")
for name in os.listdir(blobs):
    with open(os.path.join(blobs, name), "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == name, name
def get(descriptor):
    with open(os.path.join(blobs, descriptor["digest"].removeprefix("sha256:")), encoding="utf-8") as file:
        return json.load(file)
with open(os.path.join(sys.argv[1], "index.json"), encoding="utf-8") as file:
    image, *referrers = json.load(file)["manifests"]
described = {}
for referrer in referrers:
    manifest = get(referrer)
    described[manifest["subject"]["digest"]] = get(manifest["layers"][0])
platforms = get(image)["manifests"]
names = ["/".join(v for k, v in sorted(p["platform"].items()) if k != "os") for p in platforms]
assert names == ["386", "amd64", "arm/v6", "arm/v7", "arm64", "riscv64"], names
for platform in platforms:
    manifest = get(platform)
    size = platform["size"] + manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
    assert size <= 8_000_000, size
    config = get(manifest["config"])["config"]
    assert config["User"] == "65532:65532" and config["Labels"]["org.opencontainers.image.version"], config
    packages = {p["name"] for p in described[platform["digest"]]["packages"]}
    assert {"peaqos-agent", "ca-certificates.crt", "stdlib", "github.com/spf13/cobra"} <= packages, packages
PYTHON

version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' sdk/version.go)
tag=localhost/peaqos-agent:$version
ok "podman loads it" says "$tag" podman load -i bin/image.tar
certificates() {
  podman create --name files "$tag" && podman cp files:/etc/ssl/certs/ca-certificates.crt "$work/roots" && podman rm files &&
    cmp "$work/roots" /etc/ssl/certs/ca-certificates.crt
}
ok "its root certificates are this system's" certificates

# containerd, which Kubernetes uses.
cat >"$work/containerd.toml" <<CONF
version = 2
root = "$work/containerd"
state = "$work/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$work/containerd.sock"
CONF
started containerd containerd --config "$work/containerd.toml"
with_containerd() { ctr -a "$work/containerd.sock" "$@"; }
within 10 "containerd" with_containerd version
ok "containerd imports it" with_containerd images import --snapshotter native bin/image.tar
contained_version() { with_containerd run --rm --snapshotter native --read-only "$tag" check /usr/bin/peaqos-agent version; }
ok "containerd runs it" says "peaqos-agent $version" contained_version

# The orchestrator speaks TLS with an authority of its own. An image whose certificates
# include it needs no other setting.
write_keys "$work"
started sandbox "$agent" sandbox --listen 127.0.0.1:0 --tls "$work/tls" --api-key-file "$work/key" --controller "$controller_address"
listens sandbox
orchestrator=$url
export CURL_CA_BUNDLE=$work/tls/sandbox-ca.pem
cat /etc/ssl/certs/ca-certificates.crt "$work/tls/sandbox-ca.pem" >"$work/bundle.pem"
ok "an image with another authority" python3 deploy/container/image.py --out "$work/private" --version check \
  --tag localhost/private:check --certificates "$work/bundle.pem" amd64=bin/peaqos-agent-linux-amd64
ok "load it" podman load -i "$work/private.tar"
refuses() { # TEXT ARGUMENTS…: no image is written, and the reason contains the text
  local text=$1; shift
  ! python3 deploy/container/image.py --version check "$@" >"$work/refused" 2>&1 && [ ! -e "$work/none" ] &&
    tail -n 1 "$work/refused" | grep -qF -- "$text" || { cat "$work/refused"; return 1; }
}
roots=/etc/ssl/certs/ca-certificates.crt
ok "no image of another architecture" refuses "is not a program for arm64" --out "$work/none" --tag a:b arm64=bin/peaqos-agent-linux-amd64
ok "none that trusts nobody" refuses "has no certificate" --out "$work/none" --tag a:b --certificates /etc/passwd amd64=bin/peaqos-agent-linux-amd64
ok "none without its binary" refuses "/nowhere: No such file" --out "$work/none" --tag a:b --certificates $roots amd64=/nowhere
mkdir "$work/home" && touch "$work/home/letter"
ok "a directory with something else is not replaced" refuses "name another directory" --out "$work/home" --tag a:b amd64=bin/peaqos-agent-linux-amd64
ok "and has still what it had" test -e "$work/home/letter"
start_runtime

mkdir "$work/keys" "$work/volume"
write_keys "$work/keys"
chmod 755 "$work"
chown -R 65532:65532 "$work/keys" "$work/volume"
volume=$work/volume identity=42
contained() {
  podman run --network host --read-only --cap-drop all --security-opt no-new-privileges \
    -v "$volume:/var/lib/peaqos-agent" \
    -e PEAQOS_ORCHESTRATION_URL="$orchestrator" \
    -e PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=demo \
    -e PEAQOS_AGENT_ENDPOINT_BASE_URL="$runtime" \
    -e PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=6s \
    -e PEAQOS_AGENT_TELEMETRY_LISTEN="$telemetry" \
    "$@"
}
telemetry=127.0.0.1:$(free_port)
run() { contained -d --name agent --memory 64m localhost/private:check; }
enroll_in() { # IMAGE [COMMAND…]
  contained --rm -v "$work/keys:/keys:ro" "$@" enroll --identity-ref "did:peaq:$identity" \
    --controller-key-file /keys/ctl.hex --api-key-file /keys/key --json
}
one_agent() { api "/machines/$machine/agents" | jq -e --arg id "$id" '.items | length == 1 and .[0].id == $id'; }
health() { podman exec agent peaqos-agent status --check live; }
health_is() { local code=0; health || code=$?; [ "$code" = "$1" ]; }

untrusted() { enroll_in "$tag"; }
not "without the authority the orchestrator is not trusted" untrusted
echo "   $(jq -r .error.message "$work/step" 2>/dev/null | cut -c 1-120 || true)"
ok "run, with environment variables alone" run
within 15 "it waits, unenrolled" answers 503 "http://$telemetry/readyz"
ok "the health command reports 2" health_is 2
ok "stop" podman stop -t 10 agent
ok "it ended with 0" test "$(podman inspect -f '{{.State.ExitCode}}' agent)" = 0
ok "remove" podman rm agent

ok "enroll in a container of its own" enroll_in localhost/private:check
machine=$(jq -r .machine_id "$work/step") id=$(jq -r .agent_id "$work/step")
ok "run again, without the keys" run
within 15 "live" answers 200 "http://$telemetry/readyz"
within 10 "the endpoint is active, from the agent" endpoint '.status == "active" and .source == "agent"'
listing() { find "$volume" -printf '%p %T@ %C@ %s\n' | sort; }
health_writes_nothing() { listing >"$work/before"; health_is 0; listing | diff "$work/before" -; }
ok "the health command reports 0 and writes nothing" health_writes_nothing
ok "kill it" podman kill -s KILL agent
ok "start the container again" podman start agent
within 15 "live" answers 200 "http://$telemetry/readyz"
ok "same agent, no new enrollment" one_agent
ok "remove it with force" podman rm -f -t 0 agent
ok "a new container on the same volume" run
within 15 "live" answers 200 "http://$telemetry/readyz"
ok "same agent, no new enrollment" one_agent
second() {
  timeout 40 podman run --rm --network host -v "$volume:/var/lib/peaqos-agent" \
    -e PEAQOS_ORCHESTRATION_URL="$orchestrator" -e PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=demo \
    -e PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:1 \
    -e PEAQOS_AGENT_TELEMETRY_LISTEN=off "$tag"
}
second >"$work/second" 2>&1 & # it waits 30 s for the store
second=$!

# The ARM images. The emulator is mounted, so that nothing is registered on this machine.
emulated() { # PLATFORM-FLAGS QEMU CPU
  local image qemu
  # shellcheck disable=SC2086
  image=$(podman pull -q $1 oci-archive:bin/image.tar) || return 1
  qemu=$(command -v "$2")
  local volume=$work/volume-$2
  install -d -o 65532 -g 65532 "$volume"
  local start=(-v "$qemu:/qemu:ro" -v "$CURL_CA_BUNDLE:/ca.pem:ro" -e PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=/ca.pem --entrypoint /qemu)
  enroll_in "${start[@]}" "$image" -cpu "$3" /usr/bin/peaqos-agent >"$work/enrolled" || return 1
  machine=$(jq -r .machine_id "$work/enrolled") id=$(jq -r .agent_id "$work/enrolled")
  contained "${start[@]}" -d --name board "$image" -cpu "$3" /usr/bin/peaqos-agent run
}
chmod 644 "$work/tls/sandbox-ca.pem" && chmod 755 "$work/tls"
for board in "arm64:--arch arm64:qemu-aarch64-static:cortex-a53" "armv6:--arch arm --variant v6:qemu-arm-static:arm1176"; do
  IFS=: read -r name flags qemu cpu <<<"$board"
  identity=$((identity + 1)) telemetry=127.0.0.1:$(free_port)
  ok "$name: enroll and run" emulated "$flags" "$qemu" "$cpu"
  within 60 "$name: live" answers 200 "http://$telemetry/readyz"
  ok "$name: one agent" one_agent
  ok "$name: remove it" podman rm -f -t 10 board
done

not "a second container on the volume does not take it over" wait "$second"
echo "   $(grep -m 1 Error "$work/second" || true)"
ok "remove the first" podman rm -f -t 10 agent

# A bind mount belongs to who made it, mostly root.
mkdir "$work/of-root"
explains_volume() {
  podman run --rm --network host -v "$work/of-root:/var/lib/peaqos-agent" -e PEAQOS_AGENT_TELEMETRY_LISTEN=off localhost/private:check >"$work/refused" 2>&1 && return 1
  grep -q '/var/lib/peaqos-agent belongs to user 0, and this process runs as user 65532' "$work/refused" &&
    grep -q 'chown -R 65532' "$work/refused" && ! grep -q sudo "$work/refused" || { cat "$work/refused"; return 1; }
}
ok "a volume of root: it says whose it is and what to do" explains_volume

# The Containerfile, with the commands in its own comment.
containerfile() {
  mkdir "$work/context" && cp "$agent" /etc/ssl/certs/ca-certificates.crt "$work/context" && mkdir "$work/context/state" &&
    podman build -q --isolation=chroot -f deploy/container/Containerfile -t localhost/peaqos-agent:file "$work/context"
}
ok "the Containerfile builds the same contents" containerfile
same_settings() {
  local format='{{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Env}} {{.Config.Volumes}}'
  [ "$(podman image inspect -f "$format" localhost/peaqos-agent:file)" = "$(podman image inspect -f "$format" localhost/private:check)" ]
}
ok "and the same settings" same_settings

# The commands of docs/install.md, beside a container named runtime. Only what depends on this machine is replaced.
ok "podman loads this machine's image again" podman load -i bin/image.tar
port=$(free_port) telemetry=127.0.0.1:$(free_port)
ok "a container named runtime" podman run -d --name runtime --network host "$tag" sandbox --listen "127.0.0.1:$port"
ln -s "$agent" "$work/home/peaqos-agent"
as_documented() { # WORDS: the block that begins with them
  sed -n '/^## Containers/,$p' docs/install.md | awk -v words="    $1" 'index($0, words) == 1 { on = 1 } !/^    / { if (on) exit } on { print substr($0, 5) }' |
    sed -e "s/:11435/:$port/; s/qvac/demo/; s/did:peaq:42/did:peaq:49/; s,bin/image.tar,$top/&," -e "s,run -d,& -v $CURL_CA_BUNDLE:/ca.pem:ro \
      -e PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=/ca.pem -e PEAQOS_ORCHESTRATION_URL=$orchestrator -e PEAQOS_AGENT_TELEMETRY_LISTEN=$telemetry," >"$work/documented"
  [ -s "$work/documented" ] && (cd "$work" && PATH=$work/home:$PATH PEAQOS_ORCHESTRATION_URL=$orchestrator \
    PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=$CURL_CA_BUNDLE bash -euo pipefail documented)
}
ok "load and run, as documented" as_documented "podman load"
within 15 "it waits, unenrolled" answers 503 "http://$telemetry/readyz"
ok "enroll it with a grant, as documented" as_documented "peaqos-agent enroll"
within 15 "live" answers 200 "http://$telemetry/readyz"
ok "remove both" eval 'podman rm -f -t 10 agent && podman rm -f -t 10 runtime'

# The compose file: the agent shares the loopback of the runtime. Only what depends on
# this machine is replaced: the network, ports, and the orchestrator's authority.
port=$(free_port) telemetry=127.0.0.1:$(free_port)
cat >"$work/override.yaml" <<YAML
services:
  runtime:
    network_mode: host
    command: sandbox --listen 127.0.0.1:$port
  agent:
    environment:
      PEAQOS_AGENT_ENDPOINT_BASE_URL: http://127.0.0.1:$port
      PEAQOS_AGENT_HEARTBEAT_LEASE_TTL: 6s
      PEAQOS_AGENT_TELEMETRY_LISTEN: $telemetry
      PEAQOS_AGENT_ORCHESTRATOR_CA_FILE: /ca.pem
    volumes:
      - $CURL_CA_BUNDLE:/ca.pem:ro
YAML
started podman podman system service -t 0 "unix://$work/podman.sock"
compose() {
  DOCKER_HOST=unix://$work/podman.sock PEAQOS_ORCHESTRATION_URL=$orchestrator \
    docker-compose --ansi never -p robot -f deploy/container/compose.yaml -f "$work/override.yaml" "$@"
}
compose_ps() { podman ps -q --filter label=com.docker.compose.service="$1"; }
both_run() { [ -n "$(compose_ps runtime)" ] && [ -n "$(compose_ps agent)" ]; }
grant() {
  PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=$CURL_CA_BUNDLE "$agent" enroll --grant-out - --provider-key demo \
    --identity-ref did:peaq:50 --controller-key-file "$work/ctl.hex" --api-key-file "$work/key" --orchestrator-url "$orchestrator"
}
# The command of the file's comment, with the options of this check.
grant_through() {
  grep -qF '| docker-compose -f deploy/container/compose.yaml exec -T agent peaqos-agent enroll --grant -' deploy/container/compose.yaml &&
    grant | compose exec -T agent peaqos-agent enroll --grant -
}
within 5 "docker-compose reads it, through podman" compose config -q
ok "compose up" compose up -d
within 15 "both containers run" both_run
within 15 "the agent waits, unenrolled" answers 503 "http://$telemetry/readyz"
ok "enroll it with a grant through a pipe: no key in a container" grant_through
within 15 "live" answers 200 "http://$telemetry/readyz"
ok "the file's health check passes" podman healthcheck run "$(compose_ps agent)"
read_only() { [ "$(podman inspect -f '{{.HostConfig.ReadonlyRootfs}}' "$(compose_ps agent)")" = true ]; }
ok "its root is read-only" read_only
ok "compose down" compose down -t 10
ok "compose up again" compose up -d
within 15 "live, from the volume" answers 200 "http://$telemetry/readyz"
ok "compose down" compose down -t 10
finish
