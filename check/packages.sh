#!/usr/bin/env bash
# What "make release" makes, and what people do with it. Two builds in different
# directories and caches are the same; a changed byte is noticed; lintian and rpmlint;
# the ARM packages under emulation. Then, on booted Debian 11, 12 and 13: the path of
# somebody who has never seen it (apt install, enroll, online), removal, purge, upgrade
# from 0.1.0 with a lease that does not expire, downgrade; and the rpm's scripts.
#
#   SUITES="bookworm"    other Debian releases than all three
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
begin "release and packages"
need_boot
need curl curl
need jq jq
need openssl openssl
need zstd zstd
need qemu-arm-static qemu-user-static

# The state is on a disk, also where the work directory is in memory.
roots=$(mktemp -d -p "$cache" roots.XXXXXX)
remove_roots() { rm -rf "$roots"; }
at_end+=(remove_roots)

# The commit that is released: that of the working tree, with its changes.
commit=$(git stash create)
commit=${commit:-HEAD}
clone() { # DIRECTORY
  git clone -q --shared "$top" "$1" && git -C "$1" checkout -q "$(git rev-parse "$commit")" && ln -sfn "$cache" "$1/.cache"
}
release() { # DIRECTORY TARGETS
  make -s -C "$1" release RELEASE_KEY="$work/release.key" targets="$2"
}
openssl ecparam -genkey -name prime256v1 -noout -out "$work/release.key"

# What cannot be a release is refused before anything is built.
keys=$work/keys
mkdir "$keys"
openssl genrsa -out "$keys/rsa" 2048 2>/dev/null
openssl genpkey -algorithm ed25519 -out "$keys/ed25519"
openssl ecparam -genkey -name secp384r1 -noout -out "$keys/p384"
openssl ec -in "$work/release.key" -aes256 -passout pass:x -out "$keys/encrypted" 2>/dev/null
openssl ec -in "$work/release.key" -pubout -out "$keys/public" 2>/dev/null
echo '-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----' >"$keys/cosign"
refused() { # TEXT KEY
  ! timeout 60 make -s release RELEASE_KEY="$2" targets="amd64=linux/amd64/" </dev/null >"$work/refused" 2>&1 &&
    grep -F -- "$1" "$work/refused"
}
for kind in rsa ed25519 p384; do ok "a key of another kind is refused: $kind" refused "another kind than ECDSA on P-256" "$keys/$kind"; done
ok "an encrypted key is refused, and nobody is asked for its passphrase" refused "is encrypted" "$keys/encrypted"
ok "a public key is refused" refused "not a private key" "$keys/public"
ok "a key of cosign is refused" refused "key of cosign" "$keys/cosign"
ok "a missing key is refused" refused "cannot be read" "$keys/none"
archive() { # without git, as a downloaded source archive
  mkdir "$work/archive" && git archive "$commit" | tar -xC "$work/archive" && ! make -s -C "$work/archive" release >"$work/refused" 2>&1 &&
    grep -F "not a clone with git" "$work/refused"
}
ok "without git a release is refused" archive

deep="$work/a deeper/directory/peaqos-agent"
mkdir -p "$(dirname "$deep")"
clone "$work/one" && (umask 077 && clone "$deep")
ok "make release" release "$work/one" "armv6=linux/arm/6 arm64=linux/arm64/ amd64=linux/amd64/"
sed 's/^/   /' "$work/step"
dist=$work/one/bin/release
deb=$(echo "$dist"/*_amd64.deb) rpm=$(echo "$dist"/*.x86_64.rpm)
[ -s "$deb" ] || die "there is no deb"

# Two builds.
again() { GOCACHE=$work/gocache release "$deep" "amd64=linux/amd64/"; }
ok "make release, in a deeper directory with a blank, another umask and an empty cache" again
same() { # PATTERN
  local file count=0
  for file in "$deep"/bin/release/$1; do
    cmp "$dist/$(basename "$file")" "$file" && count=$((count + 1)) || return 1
  done
  [ "$count" -gt 0 ]
}
ok "the tarball, with its binary, is the same" same '*_linux_amd64.tar.gz'
ok "the deb is the same" same '*.deb'
ok "the rpm is the same" same '*.rpm'
ok "the apk is the same" same '*.apk'
ok "the SBOMs are the same" same '*dx.json'
rm -rf "$deep" "$work/gocache"

# Sums and signature.
sums_hold() { (cd "$dist" && sha256sum --strict -c SHA256SUMS); }
is_signed() { openssl dgst -sha256 -verify "$dist/release.pub" -signature "$dist/SHA256SUMS.sig" "$dist/SHA256SUMS"; }
all_listed() {
  (cd "$dist" && for file in *; do
    case $file in SHA256SUMS* | release.pub) ;; *) grep -qF "  $file" SHA256SUMS || { echo "$file"; exit 1; } ;; esac
  done)
}
ok "SHA256SUMS holds" sums_hold
ok "it lists every file" all_listed
ok "openssl verifies its signature" is_signed
flip() { # FILE: changes one byte in its middle, or changes it back
  python3 - "$1" <<'PYTHON'
import os, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(os.path.getsize(sys.argv[1]) // 2)
    byte = f.read(1)[0] ^ 1
    f.seek(-1, os.SEEK_CUR)
    f.write(bytes([byte]))
PYTHON
}
flip "$deb"
not "a changed byte of the deb is refused" sums_hold
flip "$deb" && flip "$dist/SHA256SUMS"
not "a changed byte of SHA256SUMS is refused" is_signed
flip "$dist/SHA256SUMS" && flip "$dist/SHA256SUMS.sig"
not "a changed byte of the signature is refused" is_signed
flip "$dist/SHA256SUMS.sig"
ok "unchanged again, all is accepted" eval 'sums_hold && is_signed'
not "the private key is nowhere in the release" grep -rqF "$(sed -n 2p "$work/release.key")" "$dist"

# What is in it.
modules() { jq -e '[.packages[].name] | index("github.com/prometheus/client_golang") and index("stdlib")' "$1"; }
ok "SPDX lists the modules and the standard library" modules "$(echo "$dist"/*_linux_amd64.spdx.json)"
components() { jq -e '.bomFormat == "CycloneDX" and ([.components[].name] | index("github.com/prometheus/client_golang"))' "$1"; }
ok "CycloneDX lists the modules" components "$(echo "$dist"/*_linux_amd64.cdx.json)"
names_deb() {
  jq -e --arg name "$(basename "$deb")" --arg sum "$(sha256sum <"$deb" | cut -d ' ' -f 1)" --arg commit "$(git -C "$work/one" rev-parse HEAD)" \
    '(.subject | any(.name == $name and .digest.sha256 == $sum)) and
     .predicate.buildDefinition.resolvedDependencies[0].digest.gitCommit == $commit' "$dist/provenance.json"
}
ok "the provenance names the deb's sum and the commit" names_deb
ok "the notes have the changelog's section" grep -q '^### Added' "$dist/RELEASE_NOTES.md"
tar -C "$work" -xzf "$(echo "$dist"/*_linux_amd64.tar.gz)"
unpacked=$(echo "$work"/peaqos-agent_*_linux_amd64)
complete() {
  for file in peaqos-agent LICENSE NOTICE README.md CHANGELOG.md peaqos-agent.service config.yaml \
    man/man1/peaqos-agent-enroll.1 man/man5/peaqos-agent.5 completions/{peaqos-agent.bash,_peaqos-agent,peaqos-agent.fish}; do
    [ -s "$unpacked/$file" ] || { echo "$file is missing"; return 1; }
  done
}
ok "the tarball is complete" complete
ok "its configuration is valid" "$unpacked/peaqos-agent" config check --config "$unpacked/config.yaml"
ok "the packages' configuration is valid" "$unpacked/peaqos-agent" config check --config deploy/packages/config.yaml
with_go() { go version "$unpacked/peaqos-agent" | grep -F "$(sed -n 's/^toolchain := //p' Makefile)"; }
ok "it was built with the toolchain of releases" with_go

# The structure of the apk: a gzip member each for the control data and the data, whose sum the first one has.
apk_structure() {
  python3 - "$(echo "$dist"/*.x86_64.apk)" <<'PYTHON'
import hashlib, io, sys, tarfile, zlib
data, members = open(sys.argv[1], "rb").read(), []
while data:
    d = zlib.decompressobj(31)
    text = d.decompress(data) + d.flush()
    members.append((text, data[:len(data) - len(d.unused_data)]))
    data = d.unused_data
control, files = members
names = {i.name.lstrip("/"): i for i in tarfile.open(fileobj=io.BytesIO(files[0]))}
info = control[0][control[0].index(b"pkgname"):].split(b"\0")[0].decode().splitlines()
assert all(" = " in line for line in info), info
fields = dict(line.split(" = ", 1) for line in info)
assert fields["datahash"] == hashlib.sha256(files[1]).hexdigest(), fields
for name in ("usr/bin/peaqos-agent", "etc/init.d/peaqos-agent"):
    assert names[name].mode == 0o755, name
assert "usr/lib/systemd/system/peaqos-agent.service" not in names
for script in (b".pre-install", b".post-install", b".post-upgrade", b".pre-deinstall", b".post-deinstall"):
    assert script in control[0], script
print(fields)
PYTHON
}
ok "the apk is well formed" apk_structure

# The linters of both formats, in a Debian of their own.
linters=$cache/linters
if [ ! -e "$linters/.ready" ]; then
  echo "   making a system with lintian and rpmlint (once)"
  rm -rf "$linters"
  mmdebstrap --quiet --variant=apt --include=lintian,rpmlint,rpm trixie "$linters" >"$work/mmdebstrap.log" 2>&1 ||
    die "mmdebstrap" "$work/mmdebstrap.log"
  touch "$linters/.ready"
fi
lint() { # COMMAND, in that system; the packages are in /srv
  unshare --mount sh -c 'mount --bind "$2" "$1/srv" && exec chroot "$1" sh -c "$3"' sh "$linters" "$dist" "$1"
}
cp deploy/packages/rpmlint.toml "$dist/"
ok "lintian reports nothing" lint 'lintian --allow-root --fail-on error,warning /srv/*_amd64.deb'
ok "rpmlint reports nothing" lint 'rpmlint -c /srv/rpmlint.toml /srv/*.x86_64.rpm'
rm "$dist/rpmlint.toml"

# ARM, under emulation.
runs_from() { # DEB EMULATOR…
  local file=$1; shift
  rm -rf "$work/arm"
  dpkg-deb -x "$dist/$file" "$work/arm" && "$@" "$work/arm/usr/bin/peaqos-agent" config check --config "$work/arm/usr/share/peaqos-agent/config.yaml"
}
ok "the armhf deb runs on an arm1176 (Pi Zero)" runs_from "$(basename "$dist"/*_armhf.deb)" qemu-arm-static -cpu arm1176
ok "the arm64 deb runs on a cortex-a53 (Pi 3)" runs_from "$(basename "$dist"/*_arm64.deb)" qemu-aarch64-static -cpu cortex-a53

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

# One booted Debian; its name is that of its release.
inside() { in_root "$suite" "$@"; }
web() { nsenter -t "${leaders[$suite]}" -n -- curl -s --max-time 3 "$@"; }
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

newcomer() {
  local start=$EPOCHREALTIME
  ok "$suite: apt install ./peaqos-agent_….deb" apt_install "/srv/$(basename "$deb")"
  ok "$suite: the service runs and is enabled" eval 'service_is ActiveState active && service_is UnitFileState enabled'
  ok "$suite: it waits, unenrolled" state_is unenrolled
  ok "$suite: it has made no identity" store_is_empty
  ok "$suite: its configuration is valid" inside peaqos-agent config check
  ok "$suite: peaqos-agent enroll" enroll_inside did:peaq:42 --orchestrator-url http://127.0.0.1:8787 \
    --endpoint demo=http://127.0.0.1:9000 --write-config
  within 15 "$suite: online" is_ready
  ok "$suite: the orchestrator lists the endpoint" eval "api runtime-endpoints | jq -e '[.items[].status] == [\"active\"]'"
  ok "$suite: metrics are scraped" eval "web -f http://127.0.0.1:9757/metrics | grep -E '^peaqos_agent_heartbeats_total.*success.* [1-9]'"
  ok "$suite: the page opens" eval "web -f http://127.0.0.1:9757/ | grep -i '<title>'"
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "   %.1f s from apt install\n", b - a; exit b - a >= 60 }' >"$work/took" &&
    pass "$suite: within a minute" || fail "$suite: within a minute" "$work/took"
  cat "$work/took"
  ok "$suite: man pages and completions are in their places" inside sh -ec 'zcat /usr/share/man/man1/peaqos-agent-enroll.1.gz | grep -q "^.TH"
    bash -n /usr/share/bash-completion/completions/peaqos-agent; dpkg -V peaqos-agent | { ! grep -v config.yaml; }'
}

enroll_again() { inside env "$@" peaqos-agent enroll --machine-id "$machine" --api-key-file /srv/key; }

# The next version has another configuration, and nobody answers a question. What the
# administrator has decided about the service holds.
unattended() {
  ok "$suite: the next version, with nobody to ask" apt_install /srv/peaqos-agent_9.0.0-1_amd64.deb </dev/null
  ok "$suite: the configuration that enroll wrote is kept" grep -q 'url: http://127.0.0.1:8787' "$root/etc/peaqos-agent/config.yaml"
  within 15 "$suite: online" is_ready
  ok "$suite: stopped and disabled" inside systemctl disable --now peaqos-agent
  ok "$suite: an upgrade" apt_install --reinstall /srv/peaqos-agent_9.0.0-1_amd64.deb
  ok "$suite: does not start or enable it" eval 'service_is ActiveState inactive && service_is UnitFileState disabled'
  ok "$suite: enroll names the command that starts it" says "Next: peaqos-agent service start" enroll_again
  ok "$suite: for a user of sudo, with sudo" says "Next: sudo peaqos-agent service start" enroll_again SUDO_UID=1000
  ok "$suite: masked" inside systemctl mask peaqos-agent
  ok "$suite: an upgrade" apt_install --reinstall /srv/peaqos-agent_9.0.0-1_amd64.deb
  ok "$suite: does not start or unmask it" eval 'service_is ActiveState inactive && service_is UnitFileState masked'
  ok "$suite: unmasked, started" inside sh -c 'systemctl unmask peaqos-agent && systemctl enable --now peaqos-agent'
  ok "$suite: back to today's version" apt_install --allow-downgrades "/srv/$(basename "$deb")"
  within 15 "$suite: online" is_ready
}

# A mistake in the configuration.
mistake() {
  local pid
  pid=$(inside systemctl show -P MainPID peaqos-agent)
  echo 'heartbeats: {}' >>"$root/etc/peaqos-agent/config.yaml"
  ok "$suite: an upgrade with a wrong configuration names the mistake" says "did you mean heartbeat" \
    apt_install --reinstall "/srv/$(basename "$deb")"
  ok "$suite: the agent runs on" service_is MainPID "$pid"
  ok "$suite: stopped" inside systemctl stop peaqos-agent
  ok "$suite: removal says that it cannot name the agent" says "may not be named" inside apt-get remove -qy peaqos-agent
  sed -i '/^heartbeats/d' "$root/etc/peaqos-agent/config.yaml"
  ok "$suite: installed again" apt_install "/srv/$(basename "$deb")"
  within 60 "$suite: online" is_ready
}

# policy-rc.d, as image builders have it, forbids to stop a service.
stays_running() {
  ok "$suite: where policy-rc.d forbids to stop it, the removal says so" says "sudo systemctl stop peaqos-agent" inside sh -c \
    'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && apt-get remove -qy peaqos-agent'
  inside rm /usr/sbin/policy-rc.d
  ok "$suite: installed again" apt_install "/srv/$(basename "$deb")"
}

removal() {
  ok "$suite: removal names the enrolled agent" says "agents revoke $agent_id --orchestrator-url http://127.0.0.1:8787 --machine-id $machine" \
    inside apt-get remove -qy peaqos-agent
  ok "$suite: no agent runs" eval '! inside pgrep -f "peaqos-agent run"'
  not "$suite: its state is kept" store_is_empty
  ok "$suite: installed again" apt_install "/srv/$(basename "$deb")"
  within 60 "$suite: online" is_ready # the next heartbeat of a lease of 90 s
  ok "$suite: the same agent, with no enrollment" one_agent
  ok "$suite: purge keeps the state and names it" says "rm -rf $state" inside apt-get purge -qy peaqos-agent
  not "$suite: it is there" store_is_empty
  not "$suite: the configuration is gone" test -e "$root/etc/peaqos-agent/config.yaml"
  inside rm -rf $state /var/lib/peaqos-agent
  ok "$suite: installed again" apt_install "/srv/$(basename "$deb")"
  ok "$suite: it waits, unenrolled" state_is unenrolled
  ok "$suite: purge of a state without an identity" inside apt-get purge -qy peaqos-agent
  not "$suite: leaves nothing" eval "find '$root'/etc '$root'/var/lib/private '$root'/usr '$root'/lib/systemd -name '*peaqos*' | grep ."
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
  ok "$suite: apt install 0.1.0" apt_install /srv/peaqos-agent_0.1.0-1_amd64.deb
  ok "$suite: configured" configure_inside
  ok "$suite: 0.1.0 enrolls" enroll_inside did:peaq:43
  within 15 "$suite: online" is_ready
  rm -f "$work/statuses"
  touch "$work/watching"
  pid=$(inside systemctl show -P MainPID peaqos-agent)
  watch_lease & watch=$!
  ok "$suite: apt install of today's version" apt_install "/srv/$(basename "$deb")"
  ok "$suite: it is today's version" says "$(dpkg-deb -f "$deb" Version | sed 's/-1$//')" inside peaqos-agent version
  not "$suite: the service was restarted" service_is MainPID "$pid"
  within 15 "$suite: online" is_ready
  sleep 7 # a lease is 6 s
  rm "$work/watching"
  wait "$watch" || true
  ok "$suite: the lease never expired" only_active
  sed 's/^/  /' "$work/step"
  ok "$suite: the same agent" one_agent
  ok "$suite: the edited configuration is kept" grep -q '^# edited' "$root/etc/peaqos-agent/config.yaml"
  not "$suite: apt refuses a downgrade" apt_install /srv/peaqos-agent_0.1.0-1_amd64.deb
  within 5 "$suite: online" is_ready
  ok "$suite: a downgrade that is forced" apt_install --allow-downgrades /srv/peaqos-agent_0.1.0-1_amd64.deb
  if is_history; then
    not "$suite: 0.1.0 sends nothing with the newer store" is_ready
    inside peaqos-agent status 2>&1 | head -n 4 | sed 's/^/   /'
  fi
  ok "$suite: upgraded again" apt_install "/srv/$(basename "$deb")"
  within 15 "$suite: online" is_ready
  ok "$suite: the same agent" one_agent
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

for suite in ${SUITES:-bookworm bullseye trixie}; do
  root=$roots/$suite
  debian_root "$suite" "$root"
  cp "$deb" "$rpm" "$work"/peaqos-agent_{0.1.0,9.0.0}-1_amd64.deb "$root/srv/"
  cp "$unpacked/peaqos-agent" "$root/srv/lab"
  write_keys "$root/srv"
  boot "$suite" "$root" --bind-ro="$linters:/opt/linters"
  start_lab
  newcomer
  unattended
  mistake
  stays_running
  removal
  upgrade
  if [ "$suite" = bookworm ]; then with_rpm; fi
  power_off "$suite"
done
finish
