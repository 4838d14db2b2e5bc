#!/usr/bin/env bash
# Gives agents the resolvers and the TLS servers that they meet: dnsmasq, unbound, a
# nameserver that is silent, search domains, nginx that wants a client certificate, and
# openssl s_server with every certificate and version that must be refused by name. In a
# network namespace of its own, so that no packet leaves the machine.
source "$(dirname "$0")/steps.sh"
begin "agents with dnsmasq, unbound and openssl s_server"
need_root
need nginx nginx-light
need dnsmasq dnsmasq-base
need unbound unbound
need openssl openssl
need ip iproute2
need unshare util-linux
need curl curl
need jq jq
if [ "${1:-}" != inside ]; then
  build
  unshare -n -m --propagation private check/network-peers.sh inside
  exit
fi
agent=$top/bin/peaqos-agent

# Proxy variables do not apply to loopback addresses, so that the servers have others.
host=10.88.0.1 dnsmasq=10.88.0.53 unbound=10.88.0.54 silent=10.88.0.55
ip link set lo up
for address in $host $dnsmasq $unbound $silent; do ip addr add "$address/32" dev lo; done
name=orchestrator.plant.test

# certificate FILE START END SAN, signed by the authority of the plant.
mkdir "$work/ca"
cd "$work/ca"
touch index.txt
cat >ca.cnf <<'CNF'
[ca]
default_ca = plant
[plant]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
CNF
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=plant authority" -keyout ca.key -out ca.pem 2>/dev/null
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext "subjectAltName=$4" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -startdate "$2" -enddate "$3" -in "$1.csr" -out "$1.pem" -notext 2>/dev/null
}
certificate server 20200101000000Z 20450101000000Z "IP:$host,DNS:$name"
certificate robot 20200101000000Z 20450101000000Z "DNS:robot"
certificate expired 20200101000000Z 20210101000000Z "IP:$host"
certificate early 20440101000000Z 20450101000000Z "IP:$host"
certificate other 20200101000000Z 20450101000000Z "DNS:another.test"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=unknown -addext "subjectAltName=IP:$host" \
  -keyout unknown.key -out unknown.pem 2>/dev/null
cd "$top"

start_sandbox
start_runtime
mkdir "$work/nginx"
cat >"$work/nginx.conf" <<NGINX
daemon off; master_process off; pid $work/nginx/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
  ssl_certificate $work/ca/server.pem; ssl_certificate_key $work/ca/server.key;
  proxy_set_header Host \$http_host;
  server { listen $host:443 ssl; location / { proxy_pass $orchestrator; } }
  server {
    listen $host:8444 ssl; ssl_client_certificate $work/ca/ca.pem; ssl_verify_client on;
    location / { proxy_pass $orchestrator; }
  }
}
NGINX
started nginx nginx -p "$work/nginx" -c "$work/nginx.conf"
started dnsmasq dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --listen-address=$dnsmasq --bind-interfaces \
  --pid-file= --user=root --host-record=$name,$host --local=/test/
cat >"$work/unbound.conf" <<UNBOUND
server:
  interface: $unbound
  access-control: 10.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "$work"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "test." static
  local-data: "$name. 5 IN A $host"
remote-control:
  control-enable: no
UNBOUND
started unbound unbound -c "$work/unbound.conf"
started silent python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$silent', 53))
time.sleep(600)"
for port in 443 8444; do within 20 "port $port is open" bash -c "exec 3<>/dev/tcp/$host/$port"; done
resolves() { # ADDRESS: that nameserver knows the orchestrator
  python3 - "$1" $name <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + b"".join(bytes([len(p)]) + p.encode() for p in sys.argv[2].split(".")) + b"\0\0\x01\0\x01"
s.sendto(query, (sys.argv[1], 53))
sys.exit(socket.inet_aton("10.88.0.1") not in s.recv(512))
PYTHON
}
within 20 "dnsmasq responds" resolves $dnsmasq
within 20 "unbound responds" resolves $unbound

# with_resolver FILE COMMAND… runs a command with that file as its resolv.conf.
with_resolver() { unshare -m --propagation private sh -c 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' sh "$@"; }

# agent NAME IDENTITY URL KEYS RESOLV.CONF enrolls one and starts it.
telemetry_of=()
agent() {
  local what=$1 identity=$2 url=$3 keys=$4 listen
  listen=127.0.0.1:$(free_port)
  printf '%b' "$5" >"$work/$what.resolv"
  mkdir -m 700 "$work/$what-state"
  config_text "$url\", ca_file: \"$work/ca/ca.pem$keys" demo "$runtime" "" "$work/$what-state" "$listen" >"$work/$what.yaml"
  ok "$what: enroll" with_resolver "$work/$what.resolv" "$agent" enroll --config "$work/$what.yaml" --identity-ref "$identity" \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key"
  started "$what" with_resolver "$work/$what.resolv" "$agent" run --config "$work/$what.yaml"
  telemetry_of+=("$what=$listen")
}
agent dnsmasq did:peaq:1 "https://$name" "" "nameserver $dnsmasq\n"
agent unbound did:peaq:2 "https://$name" "" "nameserver $unbound\n"
agent silent-first did:peaq:3 "https://$name" "" "nameserver $silent\nnameserver $unbound\n"
agent search-domains did:peaq:4 "https://$name" "" \
  "search robots.svc.cluster.test svc.cluster.test cluster.test\noptions ndots:5\nnameserver $dnsmasq\n"
agent client-certificate did:peaq:5 "https://$host:8444" \
  "\", client_cert_file: \"$work/ca/robot.pem\", client_key_file: \"$work/ca/robot.key" "nameserver $dnsmasq\n"

count() { # ADDRESS RESULT: heartbeats with that result
  curl -sf --max-time 3 "http://$1/metrics" | sed -n "s/^peaqos_agent_heartbeats_total{machine=\"main\",result=\"$2\"} //p"
}
enough() { [ "$(count "$1" success)" -ge 10 ]; }
failures() { curl -sf --max-time 3 "http://$1/metrics" | grep '^peaqos_agent_heartbeats_total' | grep -v 'result="success"' | grep -v ' 0$'; }
for entry in "${telemetry_of[@]}"; do within 60 "${entry%%=*}: 10 heartbeats" enough "${entry#*=}"; done
for entry in "${telemetry_of[@]}"; do
  [ "${entry%%=*}" = silent-first ] || not "${entry%%=*}: none of them failed" failures "${entry#*=}"
done
# The resolver's own timeout of 5 s is longer than a heartbeat may take at this lease.
at_most_one() { local n; n=$(count "$1" dns); [ "${n:-0}" -le 1 ]; }
for entry in "${telemetry_of[@]}"; do
  [ "${entry%%=*}" != silent-first ] || ok "${entry%%=*}: at most one failed, while the first answer was late" at_most_one "${entry#*=}"
done

# What cannot work is named for what it is.
printf 'nameserver %s\n' $dnsmasq >"$work/none.resolv"
names() { # "CODE…" URL [CA]: one of these codes
  config_text "$2\", ca_file: \"${3:-$work/ca/ca.pem}" demo "$runtime" "" "$work/none" 127.0.0.1:0 >"$work/none.yaml"
  with_resolver "$work/none.resolv" "$agent" enroll --config "$work/none.yaml" --identity-ref did:peaq:9 \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key" --json >"$work/refused" 2>&1 || true
  jq -e --arg c " $1 " '.error.code as $is | $c | contains(" \($is) ")' "$work/refused" || { cat "$work/refused"; return 1; }
}
port=8500
s_server() { # CODE CERTIFICATE OPTION…
  local code=$1 certificate=$2
  shift 2
  port=$((port + 1))
  started "s_server-$port" openssl s_server -accept $host:$port -cert "$work/ca/$certificate.pem" -key "$work/ca/$certificate.key" -www -quiet "$@"
  within 20 "port $port is open" bash -c "exec 3<>/dev/tcp/$host/$port"
  ok "s_server with ${*:-$certificate} is $code" names "$code" "https://$host:$port"
}
s_server tls_version server -no_tls1_2 -no_tls1_3 -cipher 'ALL:@SECLEVEL=0'
s_server tls_client_cert server -Verify 1 -verify_return_error -CAfile "$work/ca/ca.pem"
s_server tls_expired expired
s_server "tls_not_yet_valid clock" early # the clock, where nothing says that it is right
s_server tls_name other
s_server unknown_ca unknown
s_server tls_handshake server -tls1_2 -cipher AES128-SHA256
ok "nginx that gets no client certificate is tls_client_cert" names tls_client_cert "https://$host:8444"
ok "a name that dnsmasq does not know is dns" names dns "https://nobody.plant.test"
finish
