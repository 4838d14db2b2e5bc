#!/usr/bin/env bash
# Boots a real systemd in a container and lives through the service's life there:
# install, wait unenrolled, enroll as root through the admin socket, live, killed,
# stopped dead under the watchdog, power cut, offline boot, uninstall.
# Needs root and a Debian machine; the root file system is made once.
source "$(dirname "$0")/steps.sh"
begin "the unit on a booted systemd"
need_root
need systemd-nspawn systemd-container
need mmdebstrap mmdebstrap
need curl curl
need jq jq
build

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
image=$cache/rootfs-$suite.tar
if [ ! -s "$image" ]; then
  echo "   making the root file system of $suite (once)"
  mkdir -p "$cache"
  mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates \
    "$suite" "$image.part" >"$work/mmdebstrap.log" 2>&1 || die "mmdebstrap" "$work/mmdebstrap.log"
  mv "$image.part" "$image"
fi
root=$work/root
mkdir "$root"
tar -C "$root" -xpf "$image"

cp "$agent" "$root/usr/local/bin/"
mkdir -p "$root/etc/peaqos-agent"
write_keys "$root/root"
cat >"$root/etc/peaqos-agent/config.yaml" <<'YAML'
orchestrator: {url: "http://127.0.0.1:8787"}
machines:
  - endpoints:
      - {provider_key: demo, base_url: "http://127.0.0.1:9000"}
heartbeat: {lease_ttl: 6s}
YAML

boot() {
  systemd-nspawn -q -D "$root" -b --register=no --keep-unit --private-network --console=read-only --machine="lab$$" </dev/null >>"$work/boot.log" 2>&1 &
  nspawn=$!
  for _ in $(seq 100); do
    leader=$(pgrep -P "$nspawn" | head -n 1 || true)
    [ -n "$leader" ] && break
    sleep 0.1
  done
  [ -n "$leader" ] || die "the container does not start" "$work/boot.log"
}
cut_power() {
  kill -9 "$leader" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
}
at_end+=(cut_power)

inside() { nsenter -t "$leader" -a -- env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root "$@"; }
web() { nsenter -t "$leader" -n -- curl -s --max-time 3 "$@"; }
property() { inside systemctl show -P "$1" peaqos-agent; }
is() { local got; got=$(property "$1"); [ "$got" = "$2" ] || { echo "$1=$got"; return 1; }; }
ready_is() { [ "$(web -o "$work/ready" -w '%{http_code}' http://127.0.0.1:9757/readyz)" = "$1" ] || { cat "$work/ready"; return 1; }; }
state_is() { [ "$(inside peaqos-agent status --json | jq -r '.machines[0].state')" = "$1" ] || { inside peaqos-agent status; return 1; }; }
start_lab() { # the orchestrator, and a server that answers /health
  inside systemd-run -q --unit=orchestrator peaqos-agent sandbox --listen 127.0.0.1:8787 --api-key-file /var/lib/lab-key --controller "$controller_address" --state /var/lib/orchestrator.json
  inside systemd-run -q --unit=runtime peaqos-agent sandbox --listen 127.0.0.1:9000
}
agents() { web -H "x-api-key: $api_key" "http://127.0.0.1:8787/api/v1/machines/$machine/agents"; }
one_agent() { agents | jq -e --arg id "$agent_id" '.items | length == 1 and .[0].id == $id and .[0].status == "active"'; }
same_agent() { [ "$(inside peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]; }

boot
cp "$root/root/key" "$root/var/lib/lab-key"
within 30 "systemd is up" inside systemctl is-system-running --wait
echo "   $(inside systemctl --version | head -n 1)"

ok "service install" inside peaqos-agent service install
ok "systemd-analyze verify finds nothing" inside systemd-analyze verify peaqos-agent.service
ok "systemd-analyze security is at most 1.5" inside systemd-analyze security --no-pager --offline=true --threshold=15 /etc/systemd/system/peaqos-agent.service
echo "   $(inside systemd-analyze security --no-pager --offline=true /etc/systemd/system/peaqos-agent.service 2>/dev/null | sed -n 's/^→ //p')"
not "service status says that it does not run" inside peaqos-agent service status
mkdir -p "$root/etc/systemd/system/peaqos-agent.service.d"
printf '[Service]\nWatchdogSec=4\nRestartSec=1\n' >"$root/etc/systemd/system/peaqos-agent.service.d/quick.conf"
inside systemctl daemon-reload

ok "service start returns when it is ready, with no orchestrator there" inside peaqos-agent service start
ok "service status says that it runs" says "runs" inside peaqos-agent service status
ok "it waits, unenrolled" state_is unenrolled
ok "/readyz is 503 and says so" ready_is 503
echo "   $(head -c 150 "$work/ready" | tr '\n' ' ')"
pid=$(property MainPID)
uid=$(awk '/^Uid:/ { print $2 }' "/proc/$(pgrep -P "$leader" -f 'peaqos-agent run')/status")
ok "its user was made for it" test "$uid" -ge 61184 -a "$uid" -le 65519
ok "its state directory is 0700" test "$(stat -c %a "$root/var/lib/private/peaqos-agent")" = 700
other() { inside setpriv --reuid 1234 --regid 1234 --clear-groups "$@"; }
ok "another user can ask how it is" says unenrolled other peaqos-agent status
not "another user cannot read its state" other ls /var/lib/private/peaqos-agent

start_lab
enrolled=$work/enrolled.json
within 10 "the orchestrator answers" web -f -o /dev/null http://127.0.0.1:8787/health
install -o 1234 -m 600 "$root/root/key" "$root/root/ctl.hex" -t "$root/var/tmp"
not "another user cannot enroll it" other peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file /var/tmp/ctl.hex --api-key-file /var/tmp/key
echo "   $(head -c 150 "$work/step" | tr '\n' ' ')"
rm "$root/var/tmp/key" "$root/var/tmp/ctl.hex"
ok "it is still unenrolled" state_is unenrolled
enroll_inside() { inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key --json >"$enrolled"; }
ok "enroll as root, through the socket" enroll_inside
machine=$(jq -r .machine_id "$enrolled") agent_id=$(jq -r .agent_id "$enrolled")
ok "it changed something and is live" jq -e '.changed and .live' "$enrolled"
ok "the daemon is the same process" is MainPID "$pid"
ok "no file of the store belongs to root" test -z "$(find "$root/var/lib/private/peaqos-agent" -uid 0)"
ok "enroll again changes nothing" says '"changed": false' inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key --json
rm "$root/root/key" "$root/root/ctl.hex"
within 10 "live: /readyz is 200" ready_is 200
ok "the orchestrator lists one agent" one_agent

ok "service restart, without any key" inside peaqos-agent service restart
within 10 "live again" ready_is 200
ok "same agent" same_agent

restarts=$(property NRestarts)
inside systemctl kill -s KILL peaqos-agent
within 10 "kill -9: systemd starts it again" is NRestarts $((restarts + 1))
within 10 "live again" ready_is 200
ok "same agent, no new enrollment" one_agent

pid=$(property MainPID) restarts=$(property NRestarts)
stopped=$SECONDS
inside systemctl kill -s STOP peaqos-agent
within 20 "stopped dead: the watchdog restarts it" is NRestarts $((restarts + 1))
echo "   after $((SECONDS - stopped)) s with WatchdogSec=4"
ok "the journal names the watchdog" says "watchdog" inside journalctl --no-pager -u peaqos-agent -o cat
within 10 "live again, same agent" one_agent

cut_power
boot
within 30 "after a power cut systemd is up" inside systemctl is-system-running --wait
within 10 "the agent started by itself, with the orchestrator down" state_is idle
start_lab
within 20 "live again" ready_is 200
ok "same agent, no new enrollment" one_agent

not "the API key is not in the journal" says "$api_key" inside journalctl --no-pager -u peaqos-agent -o cat
not "the controller key is not in the journal" says "${controller_key#0x}" inside journalctl --no-pager -u peaqos-agent -o cat

ok "service stop" inside peaqos-agent service stop
ok "it ended well" is Result success
ok "service uninstall" inside peaqos-agent service uninstall
not "the unit is gone" test -e "$root/etc/systemd/system/peaqos-agent.service"
ok "its state stays" test -d "$root/var/lib/private/peaqos-agent/keystore"

# As a package would bring it: our unit as it is, the binary in /usr/bin.
rm -r "$root/etc/systemd/system/peaqos-agent.service.d"
mv "$root/usr/local/bin/peaqos-agent" "$root/usr/bin/"
cp deploy/systemd/peaqos-agent.service "$root/usr/lib/systemd/system/"
inside systemctl daemon-reload
ok "the shipped unit as it is starts the agent" inside systemctl start peaqos-agent
within 10 "live, same agent" ready_is 200
not "service install does not shadow a packaged unit" inside peaqos-agent service install
finish
