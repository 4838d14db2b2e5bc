#!/usr/bin/env bash
# The service files for OpenRC, runit and s6, run by these managers in a Debian root: the
# agent starts, waits unenrolled, goes live, is started again after kill -9, stops
# cleanly, and stays down with a wrong configuration. procd is not in Debian; its file
# runs with procd's functions replaced by ones that print.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
begin "OpenRC, runit, s6 and procd"
need_boot
need shellcheck shellcheck
need curl curl
need jq jq
need busybox busybox
build

scripts=(deploy/openrc/peaqos-agent deploy/procd/peaqos-agent deploy/{runit,s6}/{run,finish,log/run})
ok "shellcheck" shellcheck "${scripts[@]}"
parsed() { for file in "${scripts[@]}"; do busybox ash -n "$file" || return 1; done; }
ok "BusyBox's shell parses them" parsed

# procd: what the file asks of it.
cat >"$work/procd" <<'SH'
procd_open_instance() { echo open; }
procd_set_param() { echo "set $*"; }
procd_close_instance() { echo close; }
SH
as_procd() { # FUNCTION
  sed "s#^PROG=.*#PROG=$work/program#" deploy/procd/peaqos-agent >"$work/procd-service"
  # shellcheck disable=SC2016
  busybox ash -euc '. "$0" && . "$1" && "$2"' "$work/procd" "$work/procd-service" "$1"
}
printf '#!/bin/sh\necho "called $*" >>"%s"\n' "$work/called" >"$work/program"
chmod 755 "$work/program"
procd_starts() {
  as_procd start_service >"$work/asked" && grep -qx "called config check" "$work/called" &&
    grep -qx "set command $work/program run" "$work/asked" && grep -qx "set respawn 3600 5 0" "$work/asked" && [ "$(tail -n 1 "$work/asked")" = close ]
}
ok "procd: checks the configuration, then asks to run and respawn" procd_starts
procd_reloads() { as_procd reload_service && grep -qx "called reload" "$work/called"; }
ok "procd: reload" procd_reloads
printf '#!/bin/sh\nexit 3\n' >"$work/program"
not "procd: a wrong configuration is not started" as_procd start_service

# A Debian root with the three managers.
root=$work/root
debian_root "$(host_suite)" "$root" openrc,runit,s6
cp "$agent" "$root/usr/bin/"
mkdir -p "$root/etc/peaqos-agent"
config_installed >"$root/etc/peaqos-agent/config.yaml"
write_keys "$root/root"

systemd-nspawn -q -D "$root" --as-pid2 --register=no --keep-unit --private-network --console=pipe --machine="init$$" \
  sleep infinity </dev/null >"$work/nspawn.log" 2>&1 &
nspawn=$!
end_container() { pkill -9 -P "$nspawn" 2>/dev/null || true; wait "$nspawn" 2>/dev/null || true; }
at_end+=(end_container)
starts() { leader=$(pgrep -P "$nspawn" | head -n 1) && [ -n "$leader" ] && nsenter -t "$leader" -a true; }
within 10 "a container" starts
nsenter -t "$leader" -n ip link set lo up
inside() { nsenter -t "$leader" -a -- env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root "$@"; }
web() { nsenter -t "$leader" -n -- curl -s --max-time 3 "$@"; }
agent_pid() { inside pgrep -xu peaqos-agent peaqos-agent; }
runs() { [ "$(agent_pid | grep -c .)" = 1 ]; }
stopped() { ! agent_pid; }
background() { inside setsid "$@" </dev/null >"$work/$(basename "$1").out" 2>&1 & }
background peaqos-agent sandbox --listen 127.0.0.1:8787 --api-key-file ~root/key --controller "$controller_address"
background peaqos-agent sandbox --listen 127.0.0.1:9000
within 10 "the orchestrator responds" web -f -o /dev/null http://127.0.0.1:8787/health
ok "the user of README.md" inside useradd --system --home-dir /var/lib/peaqos-agent --shell /usr/sbin/nologin peaqos-agent

enroll_inside() { inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key --json; }
broken() { echo 'nonsense: true' >>"$root/etc/peaqos-agent/config.yaml"; }
repaired() { sed -i '/^nonsense/d' "$root/etc/peaqos-agent/config.yaml"; }

# life NAME START STOP: each a command line. The store is the same for all managers.
life() {
  local name=$1 start=$2 stop=$3 pid
  # shellcheck disable=SC2086
  ok "$name: start" inside $start
  within 15 "$name: it runs, as its own user" runs
  if [ -z "${agent_id:-}" ]; then
    within 10 "$name: it waits, unenrolled" ready_is 503
    ok "$name: enroll as root, through the socket" enroll_inside
    agent_id=$(jq -r .agent_id "$work/step")
  fi
  within 15 "$name: live" ready_is 200
  ok "$name: the same agent" same_agent
  pid=$(agent_pid || true)
  kill_it() { inside kill -9 "$pid"; }
  ok "$name: kill -9" kill_it
  another() { runs && [ "$(agent_pid)" != "$pid" ]; }
  within 20 "$name: started again" another
  within 15 "$name: live" ready_is 200
  # shellcheck disable=SC2086
  ok "$name: stop" inside $stop
  within 12 "$name: it ended" stopped
  sleep 2
  ok "$name: and stays down" stopped
}

# OpenRC enters the runlevel to which the service was added.
install -m 755 deploy/openrc/peaqos-agent "$root/etc/init.d/peaqos-agent"
ok "OpenRC: enable" inside rc-update add peaqos-agent default
inside sh -c 'mkdir -p /run/openrc && touch /run/openrc/softlevel'
life OpenRC "openrc default" "rc-service peaqos-agent stop"
broken
not "OpenRC: a wrong configuration is not started" inside rc-service peaqos-agent start
repaired

install -d "$root/etc/sv" "$root/services"
cp -r deploy/runit "$root/etc/sv/peaqos-agent"
background runsvdir -P /services
ok "runit: enable" inside ln -s /etc/sv/peaqos-agent /services/peaqos-agent
within 10 "runit: it is supervised" inside sv status /services/peaqos-agent
life runit "sv up /services/peaqos-agent" "sv -w 12 down /services/peaqos-agent"
ok "runit: its log" grep -rq '"code":"started"' "$root/var/log/peaqos-agent"
broken
inside sv up /services/peaqos-agent
runit_down() { says "down: /services/peaqos-agent" inside sv status /services/peaqos-agent; }
within 10 "runit: with a wrong configuration it goes down" runit_down
sleep 2
ok "runit: and stays down" stopped
repaired
inside sv exit /services/peaqos-agent
inside rm /services/peaqos-agent

rm -rf "$root/var/log/peaqos-agent"
install -d "$root/s6/peaqos-agent"
cp -r deploy/s6/. "$root/s6/peaqos-agent"
background s6-svscan /s6
within 10 "s6: it is supervised" inside s6-svstat /s6/peaqos-agent
life s6 "s6-svc -u /s6/peaqos-agent" "s6-svc -wd -T 12000 -d /s6/peaqos-agent"
ok "s6: it ended with 0" says "exitcode 0" inside s6-svstat /s6/peaqos-agent
ok "s6: its log" grep -rq '"code":"started"' "$root/var/log/peaqos-agent"
broken
inside s6-svc -u /s6/peaqos-agent
s6_down() { says "exitcode 3" inside s6-svstat /s6/peaqos-agent; }
within 10 "s6: with a wrong configuration it goes down" s6_down
sleep 2
ok "s6: and stays down" stopped
finish
