#!/usr/bin/env bash
# Lets a real Prometheus scrape a live agent, and checks the metrics with promtool.
source "$(dirname "$0")/steps.sh"
begin "a real Prometheus scrapes the agent"
need prometheus prometheus
need promtool prometheus
need curl curl
need jq jq
build

start_sandbox
start_runtime
configure demo "$runtime"
started run "$agent" run --config "$work/config.yaml"

metrics() { curl -sf --max-time 3 "http://$telemetry/metrics"; }
lint() { metrics | promtool check metrics; }
within 10 "the agent serves /metrics" metrics
ok "promtool finds nothing in the metrics of an unenrolled agent" lint
enroll
within 15 "/readyz is 200" answers 200 "http://$telemetry/readyz"
ok "promtool finds nothing in the metrics of a live agent" lint
echo "   $(metrics | grep -c '^# TYPE peaqos_agent_') own metrics, $(metrics | wc -c) bytes"
leaks() { metrics | grep -E "$machine|$(jq -r .agent_id "$work/enrolled.json")|$api_key" | grep -v _info; }
not "no id and no key in them, except in _info" leaks

port=$(free_port)
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: peaqos-agent
    static_configs: [{targets: ["$telemetry"]}]
YAML
ok "promtool takes the configuration" promtool check config "$work/prometheus.yml"
started prometheus prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/tsdb" --web.listen-address "127.0.0.1:$port"
query() { # EXPRESSION VALUE
  curl -sf --max-time 3 "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1" | tee "$work/query" |
    jq -e --arg v "$2" '.data.result[0].value[1] == $v' >/dev/null || { cat "$work/query"; return 1; }
}
within 20 "Prometheus reports up" query 'up{job="peaqos-agent"}' 1
within 5 "state online is 1" query 'peaqos_agent_state{machine="main",state="online"}' 1
within 5 "the endpoint is up" query 'peaqos_agent_endpoint_up{machine="main",provider="demo"}' 1
within 15 "the number of heartbeats rises" query 'increase(peaqos_agent_heartbeats_total{machine="main",result="success"}[20s]) > bool 0' 1
within 5 "the last heartbeat is recent" query 'time() - peaqos_agent_heartbeat_last_success_timestamp_seconds{machine="main"} < bool 6' 1

kill "$runtime_pid"
within 15 "the runtime is stopped: the endpoint is down" query 'peaqos_agent_endpoint_up{machine="main",provider="demo"}' 0
within 15 "state idle is 1" query 'peaqos_agent_state{machine="main",state="idle"}' 1
finish
