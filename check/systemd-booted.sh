#!/usr/bin/env bash
# Boots a real systemd in a container and takes the service through install, waiting
# unenrolled, enroll as root through the admin socket, live, kill -9, SIGSTOP under
# the watchdog, power cut, offline boot, rotate, quarantine and adopt, sealing by a
# credential, unenroll and uninstall.
# Needs root and a Debian machine; the root file system is made once. SUITE names
# another Debian release than that of this machine: SUITE=bullseye, SUITE=trixie.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
suite=${SUITE:-$(host_suite)}
begin "the unit on a booted systemd ($suite)"
need_boot
need curl curl
need jq jq
need openssl openssl
build

root=$work/root
debian_root "$suite" "$root"

cp "$agent" "$root/usr/local/bin/"
mkdir -p "$root/etc/peaqos-agent"
write_keys "$root/root"
config_installed >"$root/etc/peaqos-agent/config.yaml"

inside() { in_root lab "$@"; }
web() { nsenter -t "${leaders[lab]}" -n -- curl -s --max-time 3 "$@"; }
property() { inside systemctl show -P "$1" peaqos-agent; }
is() { local got; got=$(property "$1"); [ "$got" = "$2" ] || { echo "$1=$got"; return 1; }; }
state_is() {
  [ "$(inside peaqos-agent status --json | jq -r '.machines[0].state')" = "$1" ] || { inside peaqos-agent status; return 1; }
}
start_lab() { # the orchestrator, and a server that responds to /health
  inside systemd-run -q --unit=orchestrator peaqos-agent sandbox --listen 127.0.0.1:8787 \
    --api-key-file /var/lib/lab-key --controller "$controller_address" --state /var/lib/orchestrator.json
  inside systemd-run -q --unit=runtime peaqos-agent sandbox --listen 127.0.0.1:9000
}
agents() { web -H "x-api-key: $api_key" "http://127.0.0.1:8787/api/v1/machines/$machine/agents"; }
enrollments=1
one_agent() { # one agent is active, and no others were ever enrolled than by this check
  agents | jq -e --arg id "$agent_id" --argjson all "$enrollments" \
    '.items | length == $all and [.[] | select(.status == "active") | .id] == [$id]'
}

boot lab "$root"
systemd=$(inside systemctl --version | awk 'NR == 1 { print $2 }')
cp "$root/root/key" "$root/var/lib/lab-key"

ok "service install" inside peaqos-agent service install
ok "systemd-analyze verify finds no error" inside systemd-analyze verify peaqos-agent.service
unit=/etc/systemd/system/peaqos-agent.service
if [ "$systemd" -ge 250 ]; then # the first that can look at a file
  ok "systemd-analyze security is at most 1.5" inside systemd-analyze security --no-pager --offline=true --threshold=15 "$unit"
  echo "   $(inside systemd-analyze security --no-pager --offline=true "$unit" 2>/dev/null | sed -n 's/^→ //p')"
fi
not "service status reports that it does not run" inside peaqos-agent service status
mkdir -p "$root/etc/systemd/system/peaqos-agent.service.d"
printf '[Service]\nWatchdogSec=4\nRestartSec=1\n' >"$root/etc/systemd/system/peaqos-agent.service.d/quick.conf"
inside systemctl daemon-reload

ok "service start returns when the agent is ready, without an orchestrator" inside peaqos-agent service start
ok "service status reports that it runs" says "is running" inside peaqos-agent service status
ok "it waits, unenrolled" state_is unenrolled
ok "/readyz is 503" ready_is 503
echo "   $(head -c 150 "$work/ready" | tr '\n' ' ')"
pid=$(property MainPID)
uid=$(awk '/^Uid:/ { print $2 }' "/proc/$(pgrep -P "${leaders[lab]}" -f 'peaqos-agent run')/status")
ok "its user is a dynamic one" test "$uid" -ge 61184 -a "$uid" -le 65519
ok "its state directory is 0700" test "$(stat -c %a "$root/var/lib/private/peaqos-agent")" = 700
other() { inside setpriv --reuid 1234 --regid 1234 --clear-groups "$@"; }
ok "another user can read the status" says unenrolled other peaqos-agent status
not "another user cannot read its state" other ls /var/lib/private/peaqos-agent

start_lab
enrolled=$work/enrolled.json
within 10 "the orchestrator responds" web -f -o /dev/null http://127.0.0.1:8787/health
install -o 1234 -m 600 "$root/root/key" "$root/root/ctl.hex" -t "$root/var/tmp"
not "another user cannot enroll it" \
  other peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file /var/tmp/ctl.hex --api-key-file /var/tmp/key
echo "   $(head -c 150 "$work/step" | tr '\n' ' ')"
rm "$root/var/tmp/key" "$root/var/tmp/ctl.hex"
ok "it is still unenrolled" state_is unenrolled
enroll_command() {
  inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key --json
}
enroll_inside() { enroll_command >"$enrolled"; }
ok "enroll as root, through the socket" enroll_inside
machine=$(jq -r .machine_id "$enrolled") agent_id=$(jq -r .agent_id "$enrolled")
ok "it changed something and is live" jq -e '.changed and .live' "$enrolled"
ok "the daemon is the same process" is MainPID "$pid"
ok "no file of the store belongs to root" test -z "$(find "$root/var/lib/private/peaqos-agent" -uid 0)"
ok "enroll again changes nothing" says '"changed": false' enroll_command
rm "$root/root/key" "$root/root/ctl.hex"
within 10 "live: /readyz is 200" ready_is 200
ok "the orchestrator lists one agent" one_agent

ok "service restart, without any key" inside peaqos-agent service restart
within 10 "live again" ready_is 200
ok "same agent" same_agent

# A wrong configuration does not end an agent that works.
pid=$(property MainPID)
config=$root/etc/peaqos-agent/config.yaml
cp "$config" "$work/right.yaml"
echo 'heartbeats: {}' >>"$config"
not "service restart refuses a wrong configuration" inside peaqos-agent service restart
ok "the agent still runs" is MainPID "$pid"
ok "status shows the agent and the mistake" says "did you mean heartbeat" inside peaqos-agent status
chmod 600 "$config"
cp "$work/right.yaml" "$config"
helps() { ! inside peaqos-agent "$@" >"$work/said" 2>&1 && grep "chmod o+r /etc/peaqos-agent/config.yaml" "$work/said"; }
ok "a configuration that the service's user cannot read is named, with what helps" helps service restart
ok "also by doctor" helps doctor
chmod 644 "$config"
ok "right again, it starts" inside peaqos-agent service start
within 10 "live again" ready_is 200

restarts=$(property NRestarts)
inside systemctl kill -s KILL peaqos-agent
within 10 "kill -9: systemd starts it again" is NRestarts $((restarts + 1))
within 10 "live again" ready_is 200
ok "same agent, no new enrollment" one_agent

pid=$(property MainPID) restarts=$(property NRestarts)
stopped=$SECONDS
inside systemctl kill -s STOP peaqos-agent
within 20 "SIGSTOP: the watchdog restarts it" is NRestarts $((restarts + 1))
echo "   after $((SECONDS - stopped)) s with WatchdogSec=4"
ok "the journal names the watchdog" says "watchdog" inside journalctl --no-pager -u peaqos-agent -o cat
within 10 "live again, same agent" one_agent

cut_power lab
boot lab "$root"
within 40 "the agent started by itself, with the orchestrator down" state_is offline
start_lab
within 20 "live again" ready_is 200
ok "same agent, no new enrollment" one_agent

# The commands, through the socket of the daemon with its dynamic user.
write_keys "$root/root"
rotate_inside() { inside peaqos-agent rotate --api-key-file ~root/key --json >"$enrolled"; }
ok "rotate as root, through the socket" rotate_inside
agent_id=$(jq -r .agent_id "$enrolled") enrollments=2
ok "the new agent is proven and live" jq -e '.changed and .live and (.pending | not)' "$enrolled"
ok "the old agent is revoked" one_agent
ok "no file of the store belongs to root" test -z "$(find "$root/var/lib/private/peaqos-agent" -uid 0)"
not "another user cannot rotate it" other peaqos-agent rotate --api-key-file ~root/key

# Host binding is off in a container, so the configuration turns it on; the container
# gets a network card and a machine id.
card() { # MAC MACHINE-ID
  umount_card
  mkdir -p "$root/var/lib/cards/eth0/device"
  echo "$1" >"$root/var/lib/cards/eth0/address"
  echo 1 >"$root/var/lib/cards/eth0/type"
  echo 0 >"$root/var/lib/cards/eth0/addr_assign_type"
  inside mount --bind /var/lib/cards /sys/class/net
  mkdir -p "$root/var/lib/disks"
  inside mount --bind /var/lib/disks /sys/block # those of this computer are not the container's
  echo "$2" >"$root/etc/machine-id"
}
umount_card() { inside umount /sys/class/net /sys/block 2>/dev/null || true; }
shell_state_is() { # what a shell sees without the daemon
  inside peaqos-agent service stop
  state_is "$1"
}
own_id=$(cat "$root/etc/machine-id")
sed -i 's/^keystore:.*/keystore: {bind_host: true, volatile: true}/' "$root/etc/peaqos-agent/config.yaml"
card 00:11:22:33:44:55 "$own_id"
ok "bound to this host" inside peaqos-agent service restart
within 10 "live" ready_is 200
ok "a shell gets the same result as the unit" shell_state_is idle
card 00:11:22:66:77:88 "$own_id"
ok "with another network card" inside peaqos-agent service start
within 10 "live: one changed fact is accepted" ready_is 200
inside peaqos-agent service stop
card 00:11:22:99:aa:bb 0123456789abcdef0123456789abcdef
ok "with another machine id and another card" inside peaqos-agent service start
ok "quarantined" state_is quarantined
silent() { # the metrics report the clone, and no heartbeat
  web http://127.0.0.1:9757/metrics >"$work/metrics"
  grep -q '^peaqos_agent_clone_suspected{machine="main"} 1$' "$work/metrics" &&
    grep -q '^peaqos_agent_heartbeats_total{machine="main",result="success"} 0$' "$work/metrics" &&
    not_one '^peaqos_agent_heartbeats_total{.*} [1-9]'
}
not_one() { ! grep "$1" "$work/metrics"; }
sleep 4 # two intervals
ok "no heartbeat in quarantine, and the metrics report the reason" silent
not "rotate is refused in quarantine" inside peaqos-agent rotate --api-key-file ~root/key
not "unenroll is refused as well: it would revoke the original" inside peaqos-agent unenroll --api-key-file ~root/key
ok "a shell gets the same result" shell_state_is quarantined
inside peaqos-agent service start
ok "adopt, through the socket" says "network interfaces, machine id" inside peaqos-agent adopt
within 10 "live again" ready_is 200
ok "same agent" one_agent
sed -i 's/^keystore:.*/keystore: {volatile: true}/' "$root/etc/peaqos-agent/config.yaml"
inside peaqos-agent service stop
umount_card
echo "$own_id" >"$root/etc/machine-id"

# Sealed by a systemd credential, which only the unit can decrypt.
sealed=$work/sealed
seal_inside() { inside peaqos-agent service seal --host-key >"$sealed"; }
protected_by() { [ "$(inside peaqos-agent status --json | jq -r .keystore.protector)" = "$1" ]; }
recovered() {
  [ "$(inside PEAQOS_AGENT_KEYSTORE_PASSPHRASE_FILE=~root/recovery peaqos-agent status --json | jq -r '.machines[0].state')" = idle ]
}
inside peaqos-agent service start
if [ "$systemd" -ge 250 ]; then
  ok "service seal --host-key" seal_inside
  within 10 "live with the credential" ready_is 200
  not "sealing twice is refused: it would lock the store" inside peaqos-agent service seal --host-key
  ok "status shows what protects the store" protected_by credential
  ok "same agent, no new enrollment" one_agent
  ok "without the credential a shell reports it locked" shell_state_is locked
  sed -n 's/^  \([0-9a-f]\{64\}\)$/\1/p' "$sealed" >"$root/root/recovery"
  chmod 600 "$root/root/recovery"
  ok "the recovery passphrase opens it" recovered
  not "the recovery passphrase is not in the journal" says "$(cat "$root/root/recovery")" inside journalctl --no-pager -u peaqos-agent -o cat
  inside peaqos-agent service start
  within 10 "live again" ready_is 200
else
  not "service seal is refused: credentials came with systemd 250" seal_inside
  within 10 "still live" ready_is 200
fi

# TLS for the listener, with a key that the service may read through a group.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
    -addext "subjectAltName=IP:127.0.0.1" -keyout "$work/web.key" -out "$work/web.crt" 2>/dev/null
  install -g "$(awk -F: '$1 == "tls" { print $3 }' "$root/etc/group")" -m 640 "$work/web.key" "$work/web.crt" -t "$root/etc/peaqos-agent"
}
inside groupadd --system tls
ok "a certificate for the listener" certificate first
echo 'tls_server_config: {cert_file: web.crt, key_file: web.key}' >"$root/etc/peaqos-agent/web.yml"
cp "$root/etc/peaqos-agent/config.yaml" "$work/plain.yaml"
echo 'telemetry: {web_config_file: web.yml}' >>"$root/etc/peaqos-agent/config.yaml"
printf '[Service]\nSupplementaryGroups=tls\n' >"$root/etc/systemd/system/peaqos-agent.service.d/tls.conf"
inside systemctl daemon-reload
inside peaqos-agent service restart
tls_ready() { [ "$(web --cacert "$work/web.crt" -o "$work/ready" -w '%{http_code}' https://127.0.0.1:9757/readyz)" = 200 ] || { inside peaqos-agent status --all; return 1; }; }
within 10 "live, over TLS" tls_ready
ok "the certificate is renewed" certificate second
within 5 "the renewed one is in use" tls_ready
cp "$work/plain.yaml" "$root/etc/peaqos-agent/config.yaml"
rm "$root/etc/systemd/system/peaqos-agent.service.d/tls.conf"
inside systemctl daemon-reload
inside peaqos-agent service restart
within 10 "live on plain loopback again" ready_is 200

without_ids() { # a line of the log since the agent was last started that does not say which machine it is about
  inside journalctl --no-pager -u peaqos-agent -o cat _PID="$(property MainPID)" | jq -cR 'fromjson? | select(.code != "telemetry_listening" and .machine_id == null)' | grep .
}
not "every line of the log says which machine it is about" without_ids
not "the API key is not in the journal" says "$api_key" inside journalctl --no-pager -u peaqos-agent -o cat
not "the controller key is not in the journal" says "${controller_key#0x}" inside journalctl --no-pager -u peaqos-agent -o cat

ok "service stop" inside peaqos-agent service stop
ok "it exited with success" is Result success
ok "service uninstall" inside peaqos-agent service uninstall
not "the unit is gone" test -e "$root/etc/systemd/system/peaqos-agent.service"
ok "its state is kept" test -d "$root/var/lib/private/peaqos-agent/keystore"

# As a package installs it: the shipped unit, the binary in /usr/bin.
rm "$root/etc/systemd/system/peaqos-agent.service.d/quick.conf"
mv "$root/usr/local/bin/peaqos-agent" "$root/usr/bin/"
mkdir -p "$root/usr/lib/systemd/system" # Debian 11 need not have it
cp deploy/systemd/peaqos-agent.service "$root/usr/lib/systemd/system/"
inside systemctl daemon-reload
ok "the shipped unit starts the agent" inside systemctl start peaqos-agent
within 10 "live, same agent" ready_is 200
not "service install does not shadow a packaged unit" inside peaqos-agent service install
not "service uninstall leaves the unit of a package" inside peaqos-agent service uninstall
ok "masked and stopped" inside systemctl mask --now peaqos-agent
stopped_for_others() { ! other peaqos-agent status >"$work/said" 2>&1 && grep "no agent responds on" "$work/said"; }
ok "another user sees that no agent responds" stopped_for_others
not "service uninstall leaves a mask" inside peaqos-agent service uninstall
ok "it is still masked" says masked eval 'inside systemctl is-enabled peaqos-agent || true'
ok "unmasked" inside systemctl unmask peaqos-agent
ok "started" inside systemctl start peaqos-agent
within 10 "live, same agent" ready_is 200
ok "unenroll, through the socket" inside peaqos-agent unenroll --api-key-file ~root/key
ok "unenrolled" state_is unenrolled
none_active() { agents | jq -e '[.items[] | select(.status == "active")] == []'; }
ok "the orchestrator lists no active agent" none_active
enroll_again() { inside peaqos-agent enroll --machine-id "$machine" --api-key-file ~root/key --json >"$enrolled"; }
ok "enroll again" enroll_again
agent_id=$(jq -r .agent_id "$enrolled") enrollments=3
ok "the orchestrator lists one active agent" one_agent
finish
