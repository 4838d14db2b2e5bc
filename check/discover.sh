#!/usr/bin/env bash
# endpoints discover recognizes real programs by their responses: QVAC with and without a
# key, Node-RED, nginx, and a WebSocket server of the library that rosbridge uses. The
# runtimes that no package registry carries as a small package are covered by recorded
# responses in agent/discover/testdata.
source "$(dirname "$0")/steps.sh"
begin "runtimes recognized by their responses"
need npm "nodejs npm"
need jq jq
need nginx nginx-light
need curl curl
need python3 "python3 python3-venv"
build

qvac=$cache/qvac nodered=$cache/node-red
if [ ! -x "$qvac/node_modules/.bin/qvac" ]; then
  echo "   installing the QVAC server (once)"
  mkdir -p "$qvac"
  cp -r check/qvac/. "$qvac"
  (cd "$qvac" && npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --prefer-offline) >"$work/npm.log" 2>&1 ||
    die "npm install" "$work/npm.log"
fi
if [ ! -f "$nodered/node_modules/node-red/red.js" ]; then
  echo "   installing Node-RED (once)"
  mkdir -p "$nodered"
  (cd "$nodered" && npm install --ignore-scripts --no-audit --no-fund --prefer-offline node-red@4.1) >"$work/npm.log" 2>&1 ||
    die "npm install node-red" "$work/npm.log"
fi
python=python3
if ! python3 -c 'import tornado, jsonschema, yaml' 2>/dev/null; then
  python=$cache/discover-venv/bin/python
  if ! "$python" -c 'import tornado, jsonschema, yaml' 2>/dev/null; then
    { python3 -m venv "$cache/discover-venv" && "$cache/discover-venv/bin/pip" install -q tornado==6.5.2 jsonschema==4.25.1 pyyaml==6.0.3; } \
      >"$work/pip.log" 2>&1 || die "the Python packages cannot be installed" "$work/pip.log"
  fi
fi

# at NAME PORT: a program was started; wait until its port responds.
at() {
  for _ in $(seq 150); do
    curl -s -o /dev/null --max-time 3 "http://127.0.0.1:$2/" && return
    sleep 0.2
  done
  die "$1 does not start" "$work/$1.log"
}

echo qvac-secret >"$work/qvac-key"
chmod 600 "$work/qvac-key"
echo '{"serve": {"models": {}}}' >"$work/none.json"
serve="$qvac/node_modules/.bin/qvac serve --openai"
with_model=$(free_port)
# shellcheck disable=SC2086
(cd "$qvac" && exec $serve --port "$with_model" -c qvac.config.json) >"$work/qvac.log" 2>&1 &
pids+=($!)
without=$(free_port)
# shellcheck disable=SC2086
(cd "$qvac" && exec $serve --port "$without" -c "$work/none.json") >"$work/qvac-none.log" 2>&1 &
pids+=($!)
keyed=$(free_port)
# shellcheck disable=SC2086
(cd "$qvac" && exec $serve --port "$keyed" -c qvac.config.json --api-key-file "$work/qvac-key") >"$work/qvac-key.log" 2>&1 &
pids+=($!)

flows=$(free_port)
started node-red node "$nodered/node_modules/node-red/red.js" -u "$work/node-red" -p "$flows" -D uiHost=127.0.0.1

pages=$(free_port)
mkdir -p "$work/nginx"
cat >"$work/nginx.conf" <<NGINX
daemon off; pid $work/nginx/pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx; default_type text/html;
  server { listen 127.0.0.1:$pages; root /usr/share/nginx/html; index index.html; }
}
NGINX
started nginx nginx -p "$work/nginx" -c "$work/nginx.conf"

bridge=$(free_port)
cat >"$work/bridge.py" <<'PYTHON'
import sys
import tornado.ioloop, tornado.web, tornado.websocket
tornado.web.Application([(r"/", tornado.websocket.WebSocketHandler), (r"", tornado.websocket.WebSocketHandler)]).listen(int(sys.argv[1]), "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
PYTHON
started bridge "$python" "$work/bridge.py" "$bridge"

at qvac "$with_model"; at qvac-none "$without"; at qvac-key "$keyed"; at node-red "$flows"; at nginx "$pages"; at bridge "$bridge"

# is PORT FILTER: what was found at a port satisfies a jq filter.
is() {
  jq -e --arg url "http://127.0.0.1:$1" ".items[] | select(.base_url == \$url) | $2" "$work/found.json" >/dev/null || { cat "$work/found.json"; return 1; }
}
discover() { "$agent" endpoints discover "$@"; }
look() { discover --json >"$work/found.json"; }

ok "the ports of this machine are asked" look
ok "QVAC with a model" is "$with_model" '.provider_key == "qvac" and .models == ["my-llm"] and .model_alias == "my-llm"'
ok "QVAC without a model" is "$without" '.provider_key == "qvac" and .models == []'
ok "QVAC with a key" is "$keyed" '.provider_key == "qvac" and .needs_key'
ok "Node-RED with its version" is "$flows" '.provider_key == "node-red" and .probe_path == "/" and (.version | startswith("4."))'
ok "nginx is not a runtime" is "$pages" '.name == "nginx" and .provider_key == "" and .probe_path == ""'
ok "a WebSocket server like that of rosbridge" is "$bridge" '.provider_key == "rosbridge" and .probe_path == ""'

cat >"$work/config.yaml" <<YAML
# the robot's configuration
telemetry: {listen: "off"}
keystore: {dir: $work/none} # of this check
machines:
  - endpoints:
      - provider_key: ollama # wrong: this is QVAC
        base_url: http://127.0.0.1:$without
        probe_path: /v1/models
YAML
ok "Node-RED is added to the configuration" says "Added to $work/config.yaml: node-red" \
  discover --config "$work/config.yaml" --host "127.0.0.1:$flows" --write
ok "the rest of the file is unchanged" test "$(head -8 "$work/config.yaml")" = "$(cat "$work/config.yaml.bak")"
ok "the agent's probe accepts what was added" says "up" "$agent" endpoints check --config "$work/config.yaml"
sed -i 's/provider_key: ollama/provider_key: qvac/' "$work/config.yaml"
ok "a qvac without a model is reported" says "it lists no model" "$agent" endpoints check --config "$work/config.yaml"

start_sandbox
ok "config check --online reports it as well" says "it lists no model" "$agent" config check --online --config "$work/config.yaml" \
  --orchestrator-url "$orchestrator"
not "a web server is not an orchestrator" "$agent" config check --online --config "$work/config.yaml" --orchestrator-url "http://127.0.0.1:$pages"

telemetry=127.0.0.1:$(free_port)
config_text "$orchestrator" qvac "http://127.0.0.1:$without" "" "$work/state" "$telemetry" >"$work/live.yaml"
mkdir -m 700 "$work/state"
ok "a qvac without a model is enrolled" "$agent" enroll --config "$work/live.yaml" --identity-ref did:peaq:42 \
  --controller-key-file "$work/ctl.hex" --api-key-file "$work/key"
started run "$agent" run --config "$work/live.yaml"
within 15 "status reports it" says "it lists no model" "$agent" status --config "$work/live.yaml"
ok "and so does the log, with a code" grep -q '"code":"endpoint_mismatch"' "$work/run.log"
ok "and the page" says "it lists no model" curl -s "http://$telemetry/"

"$agent" config schema --format json-schema >"$work/schema.json"
cat >"$work/validate.py" <<'PYTHON'
import json, sys, jsonschema, yaml
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
for name in sys.argv[2:]:
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(open(name)))
PYTHON
sed 's/level:/levle:/' configs/agent.yaml >"$work/bad.yaml"
ok "the shipped configurations are valid by the JSON Schema" "$python" "$work/validate.py" "$work/schema.json" configs/*.yaml "$work/config.yaml"
not "a misspelled key is not" "$python" "$work/validate.py" "$work/schema.json" "$work/bad.yaml"

finish
