#!/usr/bin/env bash
# Loads the agent's page and the sandbox's page in a real browser, in every state: the
# text that a person should read there, the layout at 1280 and 390 pixels, contrast in
# light and dark, and the accessibility tree. Screenshots are kept in .cache/screenshots.
source "$(dirname "$0")/steps.sh"
begin "the pages in a real browser"
need chromium "chromium fonts-dejavu-core"
need curl curl
need jq jq
build

mkdir -p "$cache/screenshots"
rm -f "$cache/screenshots"/*.png
page() { # NAME URL WORD…: check/browser/look.py says what is checked
  local name=$1 url=$2 more=(); shift 2
  if [ "$name" = agent-online ]; then more=(--refreshed); fi
  TMPDIR=$work timeout 120 python3 check/browser/look.py --out "$cache/screenshots" --name "$name" "${more[@]}" "$url" "$@"
}
state() { # STATE [MACHINE]
  curl -sf --max-time 3 "http://$telemetry/status" | jq -e --arg s "$1" --arg m "${2:-main}" \
    '.machines[] | select(.machine == $m) | .state == $s' >/dev/null || { cat "$work/run.log"; return 1; }
}

start_sandbox
start_runtime
first_pid=$runtime_pid first=$runtime
start_runtime
configure demo "$first"
sed -i "s|^heartbeat:|      - {provider_key: vision, base_url: \"$runtime\"}\n&|" "$work/config.yaml"
ok "the configuration has two endpoints" "$agent" config check --config "$work/config.yaml"
started run "$agent" run --config "$work/config.yaml"
within 10 "the agent responds" answers 503 "http://$telemetry/readyz"

ok "unenrolled: the state, the next command and links" \
  page agent-unenrolled "http://$telemetry/" "! not ready, unenrolled" "peaqos-agent enroll" Status Readiness Metrics not_enrolled
enroll
within 15 "the agent is online" state online
ok "online: machine, endpoints, orchestrator, heartbeats and events" \
  page agent-online "http://$telemetry/" "✓ ready, online" "$machine" demo vision "$orchestrator" "heartbeat" state_online "s ago"
ok "the sandbox's page shows machine, agent and endpoint" \
  page sandbox "$orchestrator/" "$machine" "did:peaq:42" "$(jq -r .agent_id "$work/enrolled.json")" active demo

kill "$runtime_pid"
within 15 "one of two runtimes is stopped" state degraded
ok "degraded: what is missing" page agent-degraded "http://$telemetry/" "! ready, degraded" vision "peaqos-agent endpoints check" endpoint_down
kill "$first_pid"
within 15 "both runtimes are stopped" state idle
ok "idle: the reason" page agent-idle "http://$telemetry/" idle demo nothing_up

started runtime "$agent" sandbox --listen "${first#http://}"
within 15 "one runtime is back" state degraded
ok "the agent is revoked" "$agent" agents revoke "$(jq -r .agent_id "$work/enrolled.json")" --machine-id "$machine" \
  --config "$work/config.yaml" --api-key-file "$work/key"
within 30 "the agent has noticed that it is revoked" state revoked
ok "revoked: the next command" page agent-revoked "http://$telemetry/" "✗ not ready, revoked" "peaqos-agent rotate" state_revoked
ok "it is rotated" "$agent" rotate --config "$work/config.yaml" --api-key-file "$work/key"
within 15 "it is degraded as before" state degraded
kill "${pids[0]}"
within 30 "the orchestrator is gone" state offline
ok "offline: the reason" page agent-offline "http://$telemetry/" "offline" "connection" state_offline

started sandbox "$agent" sandbox --listen 127.0.0.1:0 --api-key-file "$work/key" --controller "$controller_address"
url=""; listens sandbox; orchestrator=$url
telemetry=127.0.0.1:$(free_port)
mkdir -m 700 "$work/gateway"
cat >"$work/gateway.yaml" <<YAML
orchestrator: {url: "$orchestrator"}
keystore: {dir: "$work/gateway", volatile: true}
heartbeat: {lease_ttl: 6s}
telemetry: {listen: "$telemetry"}
machines:
  - {name: arm-1, endpoints: [{provider_key: demo, base_url: "$first"}]}
  - {name: arm-2, endpoints: [{provider_key: demo, base_url: "$runtime"}]}
  - {name: rover, endpoints: [{provider_key: demo, base_url: "$first"}]}
YAML
for name in arm-1 arm-2; do
  ok "$name of a gateway is enrolled" "$agent" enroll --config "$work/gateway.yaml" --machine "$name" --identity-ref "did:peaq:4${name#arm-}" \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key"
done
started gateway "$agent" run --config "$work/gateway.yaml"
within 20 "arm-1 is online" state online arm-1
within 20 "arm-2 is idle" state idle arm-2
ok "several machines: a card for each" page agent-several "http://$telemetry/" "3 machines: 1 unenrolled, 1 idle, 1 online" arm-1 arm-2 rover

# States that a real agent cannot easily be brought into, and all others with a past.
mkdir "$work/pages"
ok "the pages of the example states are written" \
  env GOFLAGS=-buildvcs=false go test ./agent/telemetry -run TestPageOfEveryState -args -pages "$work/pages"
for name in quarantined locked rejected rotation-pending services-failing port-taken gateway; do
  ok "$name, as an example" page "example-$name" "file://$work/pages/$name.html" Events
done
echo "   $(find "$cache/screenshots" -name '*.png' | wc -l) screenshots are in .cache/screenshots"
finish
