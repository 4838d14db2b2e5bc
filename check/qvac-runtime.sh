#!/usr/bin/env bash
# Publishes a real QVAC server, with and without a key: the agent enrolls, sends
# heartbeats and publishes what the server lists, and omits it when the key is wrong,
# the model is not listed, or the server stops.
# The server comes from npm; check/qvac/README.md lists which part of it is stubbed.
source "$(dirname "$0")/steps.sh"
begin "a real QVAC runtime"
need npm "nodejs npm"
need curl curl
need jq jq
build

qvac=$cache/qvac
if [ ! -x "$qvac/node_modules/.bin/qvac" ]; then
  echo "   installing the QVAC server (once)"
  mkdir -p "$qvac"
  cp -r check/qvac/. "$qvac"
  npm_install() { (cd "$qvac" && npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --prefer-offline); }
  npm_install >"$work/npm.log" 2>&1 || die "npm install" "$work/npm.log"
fi

echo qvac-secret >"$work/qvac-key"
echo wrong-secret >"$work/wrong-key"
chmod 600 "$work"/*-key
models() { curl -sf --max-time 3 "${@:2}" "$1/v1/models"; }

# serve OPTIONS… starts a server and waits until it listens, with or without a key.
serve() {
  port=$(free_port) runtime=http://127.0.0.1:$port
  (cd "$qvac" && exec ./node_modules/.bin/qvac serve --openai --port "$port" "$@") >"$work/qvac.log" 2>&1 &
  server=$!
  pids+=("$server")
  for _ in $(seq 300); do
    curl -s -o /dev/null --max-time 3 "$runtime/v1/models" && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  die "the QVAC server does not start" "$work/qvac.log"
}
stop() { kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }
run=

# live KEYS… starts an agent with a new store and these keys of its endpoint.
live() {
  if [ -n "$run" ]; then stop "$run"; fi
  rm -rf "$work/state"
  configure qvac "$runtime" "$@"
  enroll
  started run "$agent" run --config "$work/config.yaml"
  run=$last
}
ready() { answers "$1" "http://$telemetry/readyz"; }
not_ready_because() { ready 503 && grep -qi -- "$1" "$work/answer" || { cat "$work/answer"; return 1; }; }
published() { endpoint '.status == "active" and .source == "agent" and .providerKey == "qvac"'; }
unpublished() { api "/machines/$machine/runtime-endpoints" | jq -e '.items | length == 0 or .[0].status == "unreachable"'; }

start_sandbox

echo "-- without a key, without a model"
echo '{"serve": {"models": {}}}' >"$work/none.config.json"
serve -c "$work/none.config.json"
ok "the server lists no model" jq -e '.object == "list" and .data == []' <(models "$runtime")
live
within 15 "published, active, source agent" published
within 15 "/readyz is 200" ready 200
ok "status shows online" says online "$agent" status --config "$work/config.yaml"
stop "$server"
within 15 "the server is stopped: /readyz is 503" ready 503
within 15 "its lease expires" unpublished

echo "-- with a key and an idle model"
serve -c qvac.config.json --api-key-file "$work/qvac-key"
ok "without the key it responds with 401" answers 401 "$runtime/v1/models"
ok "with it, it lists the idle model" jq -e '.data[0] | .id == "my-llm" and .state == "idle"' \
  <(models "$runtime" -H "Authorization: Bearer qvac-secret")

live "auth_type: bearer, auth_token_file: $work/qvac-key, model_alias: my-llm"
within 15 "published with its model" endpoint '.status == "active" and .modelAlias == "my-llm" and .authType == "bearer"'
ok "the orchestrator was not given the key" endpoint '.hasAuthToken == false'
within 15 "/readyz is 200" ready 200
ok "status shows online" says online "$agent" status --config "$work/config.yaml"
ok "endpoints check reports it up" "$agent" endpoints check --config "$work/config.yaml"
not "the key is in no log" grep -r qvac-secret "$work/run.log" "$work/sandbox.log"

live "auth_type: bearer, auth_token_file: $work/wrong-key"
within 15 "a wrong key: not published, and /readyz reports 401" not_ready_because 401
within 10 "the orchestrator no longer lists it as active" unpublished

live "auth_type: bearer, auth_token_file: $work/qvac-key, model_alias: no-such-model"
within 15 "a model that is not listed: not published, and /readyz reports it" not_ready_because no-such-model
within 10 "the orchestrator no longer lists it as active" unpublished
stop "$server"
finish
