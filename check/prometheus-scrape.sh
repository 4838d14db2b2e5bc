#!/usr/bin/env bash
# Lets a real Prometheus scrape a live agent, and checks the metrics with promtool. The
# files of deploy/prometheus are the ones that run: scrape configuration, alert rules with
# their unit tests, agent mode with remote write; every query of the dashboard in
# deploy/grafana finds something. The last part is TLS with passwords.
source "$(dirname "$0")/steps.sh"
begin "a real Prometheus scrapes the agent"
need prometheus prometheus
need promtool prometheus
need htpasswd apache2-utils
need openssl openssl
need curl curl
need jq jq
build

start_sandbox
start_runtime
configure demo "$runtime"
started run "$agent" run --config "$work/config.yaml"
run_pid=$last

metrics() { curl -sf --max-time 3 "http://$telemetry/metrics"; }
lint() { metrics | promtool check metrics; }
within 10 "the agent serves /metrics" metrics
ok "promtool finds nothing in the metrics of an unenrolled agent" lint
enroll
within 15 "/readyz is 200" answers 200 "http://$telemetry/readyz"
ok "promtool finds nothing in the metrics of a live agent" lint
echo "   $(metrics | grep -c '^# TYPE peaqos_agent_') own metrics, $(metrics | wc -c) bytes"
agent_id=$(jq -r .agent_id "$work/enrolled.json")
leaks() { metrics | grep -E "$machine|$agent_id|did:peaq:42|$api_key" | grep -v _info; }
not "no id and no key in them, except in _info" leaks

# scraper ARGUMENT…: a Prometheus; its URL is in $prometheus.
scraper() {
  local name=$1; shift
  prometheus=http://127.0.0.1:$(free_port)
  started "$name" prometheus --web.listen-address "${prometheus#http://}" "$@"
}
curl_options=()
ask() { curl -sf --max-time 3 "${curl_options[@]}" "$prometheus/api/v1/$1" "${@:2}"; }
query() { # EXPRESSION VALUE
  ask query --data-urlencode "query=$1" | tee "$work/query" |
    jq -e --arg v "$2" '.data.result[0].value[1] == $v' >/dev/null || { cat "$work/query"; return 1; }
}

ok "promtool takes the alert rules" promtool check rules deploy/prometheus/peaqos-agent.rules.yaml
unit_tests() { (cd deploy/prometheus && promtool test rules peaqos-agent.rules.test.yaml); }
ok "each alert is quiet and fires in its unit test" unit_tests
cp -r deploy/prometheus "$work/deploy"
example=$work/deploy/prometheus.yml
sed -i "s/127.0.0.1:9757/$telemetry/; s/15s/1s/" "$example"
ok "promtool takes the example configuration" promtool check config "$example"
scraper prometheus --config.file "$example" --storage.tsdb.path "$work/tsdb"
within 20 "Prometheus reports up" query 'up{job="peaqos-agent"}' 1
within 5 "state online is 1" query 'peaqos_agent_state{machine="main",state="online"}' 1
within 5 "the endpoint is up" query 'peaqos_agent_endpoint_up{machine="main",provider="demo"}' 1
within 5 "the machine can be told apart by ID, identity and label" query \
  "peaqos_agent_identity_info{machine_id=\"$machine\", agent_id=\"$agent_id\", identity_ref=\"did:peaq:42\", agent_label!=\"\"}" 1
within 15 "the number of heartbeats rises" query 'increase(peaqos_agent_heartbeats_total{machine="main",result="success"}[20s]) > bool 0' 1
within 5 "the last heartbeat is recent" query 'time() - peaqos_agent_heartbeat_last_success_timestamp_seconds{machine="main"} < bool 6' 1
rules_run() { ask rules | tee "$work/rules" | jq -e '[.data.groups[].rules[] | .health == "ok"] | length > 20 and all' >/dev/null; }
within 10 "every rule is evaluated without an error" rules_run
quiet() { ask alerts | tee "$work/alerts" | jq -e '[.data.alerts[] | select(.labels.alertname != "PeaqosStoreNotDurable")] == []' >/dev/null || { cat "$work/alerts"; return 1; }; }
ok "no alert is pending for a machine that is online" quiet # the store of this check is in memory

kill "$runtime_pid"
within 15 "the runtime is stopped: the endpoint is down" query 'peaqos_agent_endpoint_up{machine="main",provider="demo"}' 0
within 15 "state idle is 1" query 'peaqos_agent_state{machine="main",state="idle"}' 1
within 15 "the alert of the endpoint is pending" query 'ALERTS{alertname="PeaqosEndpointDown", provider="demo", alertstate="pending"}' 1

# Every query of the dashboard, with its variables filled in, finds something.
dashboard() {
  local empty=0 number=0 title expr
  while IFS=$'\t' read -r title expr; do
    number=$((number + 1))
    expr=${expr//\$__rate_interval/30s} expr=${expr//\$instance/.*} expr=${expr//\$machine/.*}
    if ! ask query --data-urlencode "query=$expr" | jq -e '.status == "success" and (.data.result | length > 0)' >/dev/null; then
      echo "$title: nothing for $expr"
      empty=$((empty + 1))
    fi
  done < <(jq -r '.panels[] | .title as $t | .targets[]? | [$t, .expr] | @tsv' deploy/grafana/peaqos-agent.json | sed 's/\\\\/\\/g')
  echo "$number" >"$work/queries"
  [ "$empty" -eq 0 ] && [ "$number" -gt 20 ]
}
ok "every query of the dashboard finds something" dashboard
echo "   $(<"$work/queries") queries"
variables() { # the queries of the dashboard's variables name labels that exist
  local label
  for label in instance machine; do
    ask "label/$label/values" --data-urlencode "match[]=peaqos_agent_state" -G | jq -e '.data | length > 0' >/dev/null || { echo "$label"; return 1; }
  done
}
ok "the labels of its variables have values" variables

# TLS and passwords: the web configuration of the agent is also that of Prometheus itself.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
    -addext "subjectAltName=IP:127.0.0.1" -keyout "$work/web.key" -out "$work/web.crt"
}
ok "a certificate is made" certificate first
echo any-password >"$work/password"
cat >"$work/web.yml" <<YAML
tls_server_config: {cert_file: web.crt, key_file: web.key, min_version: TLS12}
basic_auth_users:
  prometheus: "$(htpasswd -nbBC 10 prometheus any-password | cut -d: -f2)"
YAML
kill "$run_pid"
wait "$run_pid" 2>/dev/null || true
sed -i "s|^telemetry: {|telemetry: {web_config_file: \"$work/web.yml\", |" "$work/config.yaml"
ok "config check takes the web configuration" "$agent" config check --config "$work/config.yaml"
started runtime "$agent" sandbox --listen "${runtime#http://}"
started run "$agent" run --config "$work/config.yaml"
run_pid=$last
https() { # STATUS [CURL ARGUMENT…]
  [ "$(curl -s -o "$work/answer" -w '%{http_code}' --max-time 5 --cacert "$work/web.crt" "https://$telemetry/metrics" "${@:2}")" = "$1" ]
}
within 10 "with TLS and the password: 200" https 200 -u prometheus:any-password
ok "without the password: 401" https 401
ok "with another password: 401" https 401 -u prometheus:another
ok "without TLS: 400" answers 400 "http://$telemetry/metrics"
not "TLS 1.1 is refused" https 200 -u prometheus:any-password --tls-max 1.1
sed -i "s/# scheme: https/scheme: https/; s|# tls_config: .*|tls_config: {ca_file: $work/web.crt}|
  s|# basic_auth: .*|basic_auth: {username: prometheus, password_file: $work/password}|" "$example"
ok "promtool takes the example with TLS" promtool check config "$example"
scraper prometheus-tls --config.file "$example" --storage.tsdb.path "$work/tsdb-tls"
within 20 "Prometheus scrapes over TLS with the password" query 'up{job="peaqos-agent"}' 1
ok "the certificate is renewed" certificate second
within 10 "the renewed certificate is in use without a restart" https 200 -u prometheus:any-password

# A robot that nobody can reach: Prometheus in agent mode writes to a central one, which
# has the same web configuration.
kill "$last" "$run_pid"
wait "$run_pid" 2>/dev/null || true
sed -i "/web_config_file/s|web_config_file: \"[^\"]*\", ||" "$work/config.yaml"
started run "$agent" run --config "$work/config.yaml"
within 15 "the agent is on plain loopback again" answers 200 "http://$telemetry/readyz"
scraper central --config.file "$work/deploy/agent-mode/central.yml" --storage.tsdb.path "$work/tsdb-central" \
  --web.enable-remote-write-receiver --web.config.file "$work/web.yml"
central=${prometheus/http:/https:}
robot=$work/deploy/agent-mode/robot.yml
sed -i "s|https://CENTRAL|$central|; s/NAME/robot-1/; s/127.0.0.1:9757/$telemetry/; s/15s/1s/
  s|# tls_config: .*|tls_config: {ca_file: $work/web.crt}|
  s|# basic_auth: .*|basic_auth: {username: prometheus, password_file: $work/password}|" "$robot"
agent_mode=--enable-feature=agent
if prometheus --help 2>&1 | grep -q -- '--agent '; then agent_mode=--agent; fi # Prometheus 3
ok "promtool takes the robot's configuration" promtool check config --agent "$robot"
scraper robot "$agent_mode" --config.file "$robot" --storage.agent.path "$work/wal"
robot_pid=$last
prometheus=$central curl_options=(--cacert "$work/web.crt" -u prometheus:any-password)
within 30 "the central Prometheus has the robot's state" query 'peaqos_agent_state{instance="robot-1", state="online"}' 1
ok "and its identity" query "peaqos_agent_identity_info{instance=\"robot-1\", machine_id=\"$machine\"}" 1
within 10 "the rules run there" rules_run
echo "   Prometheus in agent mode: $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$robot_pid/status") MB of memory"
kill "$robot_pid"
vanished=$(sed -n "/alert: PeaqosAgentVanished/{n;s/.*expr: '\(.*\)'$/\1/p}" deploy/prometheus/peaqos-agent.rules.yaml)
vanishes() { ask query --data-urlencode "query=$vanished" | jq -e '.data.result[0].metric.instance == "robot-1"' >/dev/null; }
not "a robot that writes has not vanished" vanishes
# Samples are stale after five minutes; the query is asked for a time after that.
vanishes_later() { ask query --data-urlencode "query=$vanished" --data-urlencode "time=$(($(date +%s) + 360))" | tee "$work/query" |
  jq -e '.data.result[0].metric.instance == "robot-1"' >/dev/null || { cat "$work/query"; return 1; }; }
ok "six minutes after its last sample it has" vanishes_later
finish
