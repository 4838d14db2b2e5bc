#!/usr/bin/env bash
# Puts real nginx, HAProxy and Squid between agents and their orchestrator, with the
# keep-alive limits that lose heartbeats of other clients, and lets HAProxy check the
# health of an agent. In a network namespace of its own, so that no packet leaves the
# machine.
source "$(dirname "$0")/steps.sh"
begin "agents behind nginx, HAProxy and Squid"
need_root
need nginx nginx-light
need haproxy haproxy
need squid squid-openssl
need openssl openssl
need ip iproute2
need unshare util-linux
need curl curl
need jq jq
if [ "${1:-}" != inside ]; then
  build
  unshare -n check/network-gateways.sh inside
  exit
fi
agent=$top/bin/peaqos-agent

# Proxy variables do not apply to loopback addresses, so that the servers have another.
host=10.88.0.1
ip link set lo up
ip addr add "$host/32" dev lo
beats=20

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway -addext "subjectAltName=IP:$host" \
  -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
cat "$work/tls.pem" "$work/tls.key" >"$work/both.pem"
start_sandbox
start_runtime
backend=${orchestrator#http://}

# nginx ends a connection that was idle for 1 s, and the one on the next port for as long as an interval.
mkdir "$work/nginx"
cat >"$work/nginx.conf" <<NGINX
daemon off; master_process off; pid $work/nginx/pid; error_log stderr;
events {}
http {
  access_log $work/nginx/access.log;
  client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
  ssl_certificate $work/tls.pem; ssl_certificate_key $work/tls.key;
  server {
    listen $host:8441 ssl; keepalive_timeout 1s;
    location / { proxy_pass http://$backend; proxy_set_header Host \$http_host; }
  }
  server {
    listen $host:8442 ssl; keepalive_timeout 2s;
    location / { proxy_pass http://$backend; proxy_set_header Host \$http_host; }
  }
  server {
    listen $host:8443 ssl; keepalive_requests 3;
    location / { proxy_pass http://$backend; proxy_set_header Host \$http_host; }
  }
  server { listen $host:8444 ssl; location / { return 503 "<html>maintenance</html>"; } }
}
NGINX
started nginx nginx -p "$work/nginx" -c "$work/nginx.conf"

health=127.0.0.1:$(free_port)
cat >"$work/haproxy.cfg" <<HAPROXY
global
  stats socket $work/haproxy.sock
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  timeout http-keep-alive 1500ms
frontend gateway
  bind $host:8445 ssl crt $work/both.pem
  default_backend orchestrator
backend orchestrator
  server sandbox $backend
backend health
  option httpchk GET /healthz HTTP/1.0
  server agent $health check inter 500ms
backend ready
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host $health
  server agent $health check inter 500ms
HAPROXY
started haproxy haproxy -db -f "$work/haproxy.cfg"

# Squid tunnels to the first nginx only, for a client with the right password.
mkdir "$work/squid"
chmod 711 "$work"
chown proxy "$work/squid"
cat >"$work/squid.conf" <<SQUID
http_port $host:3128
pid_filename none
cache deny all
access_log stdio:$work/squid/access.log
cache_log $work/squid/cache.log
acl gateway port 8442
http_access allow CONNECT gateway
http_access deny all
shutdown_lifetime 0 seconds
SQUID
started squid squid -N -f "$work/squid.conf"

for port in 8441 8442 8443 8444 8445 3128; do
  within 20 "port $port is open" bash -c "exec 3<>/dev/tcp/$host/$port"
done

# agent NAME IDENTITY ORCHESTRATOR ADDRESS VARIABLE=VALUE enrolls one and starts it.
telemetry_of=()
agent() {
  local name=$1 identity=$2 url=$3 listen=${4:-127.0.0.1:$(free_port)}
  shift 4
  mkdir -m 700 "$work/$name-state"
  config_text "$url\", ca_file: \"$work/tls.pem" demo "$runtime" "" "$work/$name-state" "$listen" >"$work/$name.yaml"
  ok "$name: enroll" env "$@" "$agent" enroll --config "$work/$name.yaml" --identity-ref "$identity" \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key"
  started "$name" env "$@" "$agent" run --config "$work/$name.yaml"
  telemetry_of+=("$name=$listen")
}
agent "keep-alive-1s" did:peaq:1 "https://$host:8441" "$health" A=
agent "keep-alive-2s" did:peaq:2 "https://$host:8442" "" A=
agent "three-requests" did:peaq:3 "https://$host:8443" "" A=
agent "haproxy" did:peaq:4 "https://$host:8445" "" A=
agent "squid" did:peaq:5 "https://$host:8442" "" "HTTPS_PROXY=http://$host:3128"

count() { # ADDRESS RESULT: heartbeats with that result
  curl -sf --max-time 3 "http://$1/metrics" | sed -n "s/^peaqos_agent_heartbeats_total{machine=\"main\",result=\"$2\"} //p"
}
enough() { [ "$(count "$1" success)" -ge "$beats" ]; }
failures() { curl -sf --max-time 3 "http://$1/metrics" | grep '^peaqos_agent_heartbeats_total' | grep -v 'result="success"' | grep -v ' 0$'; }
for entry in "${telemetry_of[@]}"; do
  within 90 "${entry%%=*}: $beats heartbeats" enough "${entry#*=}"
done
for entry in "${telemetry_of[@]}"; do
  not "${entry%%=*}: none of them failed" failures "${entry#*=}"
done
ok "the heartbeats of one agent went through the proxy" grep -q "CONNECT $host:8442" "$work/squid/access.log"

healthy() { # BACKEND: HAProxy's check of it passes
  python3 - "$work/haproxy.sock" "$1" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"show stat\n")
rows = [line.split(",") for line in s.makefile().read().splitlines()]
state = [r[rows[0].index("status")] for r in rows if r[:2] == [sys.argv[2], "agent"]]
print(state)
sys.exit(state != ["UP"])
PYTHON
}
within 5 "HAProxy's check in HTTP/1.0 passes" healthy health
within 5 "HAProxy's check of /readyz passes" healthy ready

# What cannot work is named for what it is.
names() { # CODE URL VARIABLE=VALUE
  local code=$1 url=$2; shift 2
  config_text "$url\", ca_file: \"$work/tls.pem" demo "$runtime" "" "$work/none" 127.0.0.1:0 >"$work/none.yaml"
  env "$@" "$agent" enroll --config "$work/none.yaml" --identity-ref did:peaq:9 \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key" --json >"$work/refused" 2>&1 || true
  jq -e --arg c "$code" '.error.code == $c' "$work/refused" || { cat "$work/refused"; return 1; }
}
ok "a gateway in maintenance is called one" names gateway "https://$host:8444" A=
ok "a proxy that refuses is called one" names proxy "https://$host:8441" "HTTPS_PROXY=http://$host:3128"
finish
