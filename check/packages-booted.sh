#!/usr/bin/env bash
# The packages of a release on booted systems: Debian 11, 12 and 13, and Debian 12 for
# arm64 and armhf under emulation. The path of somebody who has never seen it (apt install,
# enroll, online), removal, purge, upgrade from 0.1.0 with a lease that does not expire,
# downgrade; the rpm's scripts; install.sh on ARM.
#
#   SUITES="bookworm" ARCHITECTURES="arm64"    others than all of them
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
source "$(dirname "$0")/release.sh"
begin "packages on booted systems"
need_boot
need curl curl
need jq jq
need_release
need_linters # for its rpm
deb=$(echo "$release"/*_amd64.deb) rpm=$(echo "$release"/*.x86_64.rpm)
[ -s "$deb" ] || die "there is no deb"

# The state is on a disk, also where the work directory is in memory.
roots=$(mktemp -d -p "$cache" roots.XXXXXX)
remove_roots() { rm -rf "$roots"; }
at_end+=(remove_roots)

# lab_of ARCHITECTURE ROOT: the program, as orchestrator and runtime, of the tarball.
lab_of() {
  tar -C "$work" -xzf "$(echo "$release"/*_linux_"$1".tar.gz)"
  mv "$work"/peaqos-agent_*_linux_"$1"/peaqos-agent "$2/srv/lab"
  rm -r "$work"/peaqos-agent_*_linux_"$1"
  write_keys "$2/srv"
}

# The same deb as version 0.1.0, with the program of the last commit that had that
# version; where the history is cut off, with today's.
old=$work/old
dpkg-deb -R "$deb" "$old"
sed -i 's/^Version: .*/Version: 0.1.0-1/' "$old/DEBIAN/control"
first=$(git log --format=%H -S'"0.2.0"' -- sdk/version.go sdk/client.go | tail -n 1)
build_old() { # DIRECTORY
  make -s -C "$1" build version=0.1.0 && install -m 755 "$1/bin/peaqos-agent" "$old/usr/bin/peaqos-agent"
}
is_history() { [ -n "$first" ] && git rev-parse -q --verify "$first^" >"$work/previous"; }
if is_history; then
  git clone -q --shared "$top" "$work/previous-tree" && git -C "$work/previous-tree" checkout -q "$(cat "$work/previous")"
  ok "0.1.0 is built from commit $(git rev-parse --short "$first^")" build_old "$work/previous-tree"
else
  ok "0.1.0 is today's program: its commit is not in this clone" build_old "$top"
  build
fi
# Its own program is another file than the list of sums says.
rm "$old/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$old" "$work/peaqos-agent_0.1.0-1_amd64.deb" >/dev/null

# And as the next version, with another configuration.
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/Version: 9.0.0-1/' "$work/next/DEBIAN/control"
find "$work/next" -name config.yaml -exec sed -i '1i # The next version has another text.' {} +
rm "$work/next/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/next" "$work/peaqos-agent_9.0.0-1_amd64.deb" >/dev/null

# One booted Debian, whose name is $system: that of its release, or its architecture.
inside() { in_root "$system" "$@"; }
web() { nsenter -t "${leaders[$system]}" -n -- curl -s --max-time 3 "$@"; }
service_is() { [ "$(inside systemctl show -P "$1" peaqos-agent)" = "$2" ] || { inside systemctl status --no-pager peaqos-agent; return 1; }; }
state_is() { [ "$(inside peaqos-agent status --json | jq -r '.machines[0].state')" = "$1" ] || { inside peaqos-agent status; return 1; }; }
is_ready() { web -f -o /dev/null http://127.0.0.1:9757/readyz; }
api() { web -f -H "x-api-key: $api_key" "http://127.0.0.1:8787/api/v1/machines/$machine/$1"; }
one_agent() {
  api agents | jq -e --arg id "$agent_id" '[.items[] | select(.status == "active") | .id] == [$id]' &&
    [ "$(inside peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]
}
apt_install() { inside env DEBIAN_FRONTEND=noninteractive apt-get install -qy "$@"; }
state=/var/lib/private/peaqos-agent
store_is_empty() { [ -z "$(find "$root$state" -type f ! -empty)" ]; } # its lock is an empty file
start_lab() { # the orchestrator, and a server that responds to /health
  inside systemd-run -q --unit=orchestrator /srv/lab sandbox --listen 127.0.0.1:8787 \
    --api-key-file /srv/key --controller "$controller_address"
  inside systemd-run -q --unit=runtime /srv/lab sandbox --listen 127.0.0.1:9000
}
configure_inside() {
  cat >"$root/etc/peaqos-agent/config.yaml" <<'CONFIG'
# edited
orchestrator: {url: "http://127.0.0.1:8787"}
machines: [{endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:9000"}]}]
heartbeat: {lease_ttl: 6s}
CONFIG
  inside systemctl restart peaqos-agent
}
enroll_inside() { # IDENTITY OPTION…
  inside peaqos-agent enroll --identity-ref "$@" --controller-key-file /srv/ctl.hex --api-key-file /srv/key --json >"$work/enrolled.json" &&
    machine=$(jq -r .machine_id "$work/enrolled.json") && agent_id=$(jq -r .agent_id "$work/enrolled.json")
}

# newcomer IDENTITY WHAT COMMAND…: two commands, the first of which installs.
newcomer() {
  local identity=$1 start=$EPOCHREALTIME; shift
  ok "$system: $1" "${@:2}"
  ok "$system: the service runs and is enabled" eval 'service_is ActiveState active && service_is UnitFileState enabled'
  ok "$system: it waits, unenrolled" state_is unenrolled
  ok "$system: it has made no identity" store_is_empty
  ok "$system: its configuration is valid" inside peaqos-agent config check
  ok "$system: peaqos-agent enroll" enroll_inside "$identity" --orchestrator-url http://127.0.0.1:8787 \
    --endpoint demo=http://127.0.0.1:9000 --write-config
  within 15 "$system: online" is_ready
  not "$system: nothing is logged as an error" eval "inside journalctl -u peaqos-agent -o cat | grep '\"level\":\"error\"'"
  ok "$system: the orchestrator lists the endpoint" eval "api runtime-endpoints | jq -e '[.items[].status] == [\"active\"]'"
  ok "$system: metrics are scraped" eval "web -f http://127.0.0.1:9757/metrics | grep -E '^peaqos_agent_heartbeats_total.*success.* [1-9]'"
  ok "$system: the page opens" eval "web -f http://127.0.0.1:9757/ | grep -i '<title>'"
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "   %.1f s from the installation\n", b - a; exit b - a >= 60 }' >"$work/took" &&
    pass "$system: within a minute" || fail "$system: within a minute" "$work/took"
  cat "$work/took"
}

with_deb() {
  newcomer did:peaq:42 "apt install ./peaqos-agent_….deb" apt_install "/srv/$(basename "$deb")"
  ok "$system: man pages and completions are in their places" inside sh -ec 'zcat /usr/share/man/man1/peaqos-agent-enroll.1.gz | grep -q "^.TH"
    bash -n /usr/share/bash-completion/completions/peaqos-agent; dpkg -V peaqos-agent | { ! grep -v config.yaml; }'
}

enroll_again() { inside env "$@" peaqos-agent enroll --machine-id "$machine" --api-key-file /srv/key; }

# The next version has another configuration, and nobody answers a question. What the
# administrator has decided about the service holds.
unattended() {
  ok "$system: the next version, with nobody to ask" apt_install /srv/peaqos-agent_9.0.0-1_amd64.deb </dev/null
  ok "$system: the configuration that enroll wrote is kept" grep -q 'url: http://127.0.0.1:8787' "$root/etc/peaqos-agent/config.yaml"
  within 15 "$system: online" is_ready
  ok "$system: stopped and disabled" inside systemctl disable --now peaqos-agent
  ok "$system: an upgrade" apt_install --reinstall /srv/peaqos-agent_9.0.0-1_amd64.deb
  ok "$system: does not start or enable it" eval 'service_is ActiveState inactive && service_is UnitFileState disabled'
  ok "$system: enroll names the command that starts it" says "Next: peaqos-agent service start" enroll_again
  ok "$system: for a user of sudo, with sudo" says "Next: sudo peaqos-agent service start" enroll_again SUDO_UID=1000
  ok "$system: masked" inside systemctl mask peaqos-agent
  ok "$system: an upgrade" apt_install --reinstall /srv/peaqos-agent_9.0.0-1_amd64.deb
  ok "$system: does not start or unmask it" eval 'service_is ActiveState inactive && service_is UnitFileState masked'
  ok "$system: unmasked, started" inside sh -c 'systemctl unmask peaqos-agent && systemctl enable --now peaqos-agent'
  ok "$system: back to today's version" apt_install --allow-downgrades "/srv/$(basename "$deb")"
  within 15 "$system: online" is_ready
}

# A mistake in the configuration.
mistake() {
  local pid
  pid=$(inside systemctl show -P MainPID peaqos-agent)
  echo 'heartbeats: {}' >>"$root/etc/peaqos-agent/config.yaml"
  ok "$system: an upgrade with a wrong configuration names the mistake" says "did you mean heartbeat" \
    apt_install --reinstall "/srv/$(basename "$deb")"
  ok "$system: the agent runs on" service_is MainPID "$pid"
  ok "$system: stopped" inside systemctl stop peaqos-agent
  ok "$system: removal says that it cannot name the agent" says "may not be named" inside apt-get remove -qy peaqos-agent
  sed -i '/^heartbeats/d' "$root/etc/peaqos-agent/config.yaml"
  ok "$system: installed again" apt_install "/srv/$(basename "$deb")"
  within 60 "$system: online" is_ready
}

# policy-rc.d, as image builders have it, forbids to stop a service.
stays_running() {
  ok "$system: where policy-rc.d forbids to stop it, the removal says so" says "To stop it: systemctl stop peaqos-agent" inside sh -c \
    'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && apt-get remove -qy peaqos-agent'
  inside rm /usr/sbin/policy-rc.d
  ok "$system: installed again" apt_install "/srv/$(basename "$deb")"
}

removal() {
  ok "$system: removal names the enrolled agent" says "agents revoke $agent_id --orchestrator-url http://127.0.0.1:8787 --machine-id $machine" \
    inside apt-get remove -qy peaqos-agent
  ok "$system: no agent runs" eval '! inside pgrep -f "peaqos-agent run"'
  not "$system: its state is kept" store_is_empty
  ok "$system: installed again" apt_install "/srv/$(basename "$deb")"
  within 60 "$system: online" is_ready # the next heartbeat of a lease of 90 s
  ok "$system: the same agent, with no enrollment" one_agent
  ok "$system: purge keeps the state and names it" says "can undo: sudo rm -rf $state" inside SUDO_UID=1000 apt-get purge -qy peaqos-agent
  not "$system: it is there" store_is_empty
  not "$system: the configuration is gone" test -e "$root/etc/peaqos-agent/config.yaml"
  inside rm -rf $state /var/lib/peaqos-agent
  ok "$system: installed again" apt_install "/srv/$(basename "$deb")"
  ok "$system: it waits, unenrolled" state_is unenrolled
  ok "$system: purge of a state without an identity" inside apt-get purge -qy peaqos-agent
  not "$system: leaves nothing" eval "find '$root'/etc '$root'/var/lib/private '$root'/usr '$root'/lib/systemd -name '*peaqos*' | grep ."
}

# watch_lease writes down the endpoint's status ten times a second.
watch_lease() {
  while [ -e "$work/watching" ] && sleep 0.1; do
    api runtime-endpoints | jq -r '.items[0].status // "none"' >>"$work/statuses" || echo failed >>"$work/statuses"
  done
}
only_active() { sort "$work/statuses" | uniq -c; [ "$(sort -u "$work/statuses")" = active ]; }

upgrade() {
  local pid watch
  ok "$system: apt install 0.1.0" apt_install /srv/peaqos-agent_0.1.0-1_amd64.deb
  ok "$system: configured" configure_inside
  ok "$system: 0.1.0 enrolls" enroll_inside did:peaq:43
  within 15 "$system: online" is_ready
  rm -f "$work/statuses"
  touch "$work/watching"
  pid=$(inside systemctl show -P MainPID peaqos-agent)
  watch_lease & watch=$!
  ok "$system: apt install of today's version" apt_install "/srv/$(basename "$deb")"
  ok "$system: it is today's version" says "$(dpkg-deb -f "$deb" Version | sed 's/-1$//')" inside peaqos-agent version
  not "$system: the service was restarted" service_is MainPID "$pid"
  within 15 "$system: online" is_ready
  sleep 7 # a lease is 6 s
  rm "$work/watching"
  wait "$watch" || true
  ok "$system: the lease never expired" only_active
  sed 's/^/  /' "$work/step"
  ok "$system: the same agent" one_agent
  ok "$system: the edited configuration is kept" grep -q '^# edited' "$root/etc/peaqos-agent/config.yaml"
  not "$system: apt refuses a downgrade" apt_install /srv/peaqos-agent_0.1.0-1_amd64.deb
  within 5 "$system: online" is_ready
  ok "$system: a downgrade that is forced" apt_install --allow-downgrades /srv/peaqos-agent_0.1.0-1_amd64.deb
  if is_history; then
    within 15 "$system: 0.1.0 refuses the newer store, and says why" says store_newer web http://127.0.0.1:9757/readyz
    ok "$system: and sends nothing" says "peaqos_agent_heartbeats_total{machine=\"main\",result=\"success\"} 0" web http://127.0.0.1:9757/metrics
  fi
  ok "$system: upgraded again" apt_install "/srv/$(basename "$deb")"
  within 15 "$system: online" is_ready
  ok "$system: the same agent" one_agent
}

# The scripts of the rpm, on a system whose package manager it is not, with the rpm of
# the linters' system.
rpm() {
  inside RPM_CONFIGDIR=/opt/linters/usr/lib/rpm /opt/linters/lib64/ld-linux-x86-64.so.2 \
    --library-path /opt/linters/usr/lib/x86_64-linux-gnu /opt/linters/usr/bin/rpm "$@"
}
with_rpm() {
  local file pid
  file=/srv/$(basename "$rpm")
  inside apt-get purge -qy peaqos-agent >"$work/purge" 2>&1 || die "purge" "$work/purge"
  inside rm -rf $state /var/lib/peaqos-agent
  ok "rpm: -U installs" rpm -U --nodeps "$file"
  ok "rpm: the service runs and is enabled" eval 'service_is ActiveState active && service_is UnitFileState enabled'
  ok "rpm: it waits, unenrolled" state_is unenrolled
  ok "rpm: every file is as packaged" rpm -V --nodeps peaqos-agent
  ok "rpm: configured" configure_inside
  ok "rpm: enrolled" enroll_inside did:peaq:44
  within 15 "rpm: online" is_ready
  pid=$(inside systemctl show -P MainPID peaqos-agent)
  ok "rpm: -U over it" rpm -U --nodeps --force "$file"
  not "rpm: the service was restarted" service_is MainPID "$pid"
  within 15 "rpm: online" is_ready
  ok "rpm: the same agent, with the edited configuration" eval "one_agent && grep -q '^# edited' '$root/etc/peaqos-agent/config.yaml'"
  ok "rpm: -e names the enrolled agent" says "agents revoke $agent_id" rpm -e peaqos-agent
  ok "rpm: no agent runs" eval '! inside pgrep -f "peaqos-agent run"'
  not "rpm: its state is kept" store_is_empty
}

# install.sh on a processor that is not this machine's. What its kernel would say of a
# 32-bit one, the emulator does not, so that --arch has to.
with_script() { # OPTION…
  cp "$release"/{install.sh,SHA256SUMS,SHA256SUMS.sig,release.pub,*_linux_"$1".tar.gz} "$root/srv/"
  newcomer did:peaq:45 "install.sh --tarball" inside sh /srv/install.sh --from /srv --key /srv/release.pub --tarball --yes "${@:2}"
  ok "$system: install.sh --uninstall names the active agent" says "$agent_id" inside sh /srv/install.sh --uninstall --yes
  not "$system: the program is gone" inside peaqos-agent version
}

# The lines of docs/install.md for a Raspberry Pi, but the first, which writes the card.
from_empty_card() {
  sed -n '/^## A Raspberry Pi/,/^## C/s/^[2-6]\. `\([^`]*\)`.*/\1/p' docs/install.md |
    sed -e "s/peaqos-agent_VERSION-1_arm64.deb/$(basename "$deb")/; s/qvac/demo/; s/did:peaq:42/did:peaq:46/; \$!s/\$/ \&\&/" >"$work/lines"
  sed -e 's#https://.*#http://127.0.0.1:8787#; s/qvac/demo/; s/:11435/:9000/' configs/minimal.yaml >"$root/srv/config.yaml"
  [ "$(wc -l <"$work/lines")" -eq 5 ] && (
    cd "$root/srv" || exit
    # shellcheck disable=SC2317 # the lines call them
    scp() { cp "${@:1:$#-1}" "$root/root/"; }
    # shellcheck disable=SC2317
    ssh() { shift; local command=$*; inside sh -c "cd /root && ${command//sudo /}"; }
    # shellcheck disable=SC2317
    peaqos-agent() { nsenter -t "${leaders[$system]}" -n -- env PEAQOS_ORCHESTRATION_URL=http://127.0.0.1:8787 "$root/srv/lab" "$@"; }
    source "$work/lines"
  )
}
with_card() {
  ok "$system: the lines for an empty card" from_empty_card
  within 15 "$system: online" is_ready
  inside apt-get purge -qy peaqos-agent >"$work/purge" 2>&1 || die "purge" "$work/purge"
  inside rm -rf $state /var/lib/peaqos-agent
}

for system in ${SUITES-bookworm bullseye trixie}; do
  root=$roots/$system
  debian_root "$system" "$root"
  cp "$deb" "$rpm" "$work"/peaqos-agent_{0.1.0,9.0.0}-1_amd64.deb "$root/srv/"
  lab_of amd64 "$root"
  boot "$system" "$root" --bind-ro="$linters:/opt/linters"
  start_lab
  with_deb
  unattended
  mistake
  stays_running
  removal
  upgrade
  if [ "$system" = bookworm ]; then with_rpm; fi
  power_off "$system"
done

emulated=${ARCHITECTURES-arm64 armhf}
# shellcheck disable=SC2086
if ! need_emulation $emulated 2>"$work/step"; then
  echo "   NOT RUN: $emulated, because this machine runs no programs of other processors ($(tail -n 1 "$work/step"))"
  emulated=""
fi
for system in $emulated; do
  root=$roots/$system
  deb=$(echo "$release"/*_"$system".deb)
  debian_root bookworm "$root" openssl,procps "$system"
  cp "$deb" "$root/srv/"
  case $system in armhf) lab_of armv6 "$root" ;; *) lab_of "$system" "$root" ;; esac
  boot "$system" "$root"
  start_lab
  with_deb
  removal
  with_card
  case $system in armhf) with_script armv6 --arch armv6 ;; *) with_script "$system" ;; esac
  cut_power "$system"
done
finish
