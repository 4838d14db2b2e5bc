#!/usr/bin/env bash
# install.sh: what it accepts and refuses, what it makes of each processor, and two
# commands on a booted Debian from nothing to live: install.sh offline, and enroll.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
source "$(dirname "$0")/release.sh"
begin "install.sh"
need_root
need_boot
need openssl openssl
need curl curl
need jq jq
need script bsdutils
need shellcheck shellcheck
need busybox busybox
build

ok "shellcheck" shellcheck "$top/install.sh"

# A release: for this processor the real program, for the others something that does not run.
version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' sdk/version.go)
native=$(dpkg --print-architecture)
name=peaqos-agent_${version}_linux_$native
dist=$work/dist
mkdir -p "$dist" "$work/files/$name" "$work/deb/DEBIAN" "$work/deb/usr/bin" "$work/deb/lib/systemd/system" "$work/deb/etc/peaqos-agent"
cp "$agent" LICENSE "$work/files/$name"
cp configs/minimal.yaml "$work/files/$name/config.yaml"
printf '.TH PEAQOS-AGENT 1\n' >"$work/files/$name/peaqos-agent.1"
tar -C "$work/files" -czf "$dist/$name.tar.gz" "$name"
cp "$agent" "$work/deb/usr/bin"
echo '# of the package' >"$work/deb/etc/peaqos-agent/config.yaml"
echo /etc/peaqos-agent/config.yaml >"$work/deb/DEBIAN/conffiles"
cp deploy/systemd/peaqos-agent.service "$work/deb/lib/systemd/system"
printf 'Package: peaqos-agent\nVersion: %s-1\nArchitecture: %s\nMaintainer: check\nDescription: check\n' "$version" "$native" >"$work/deb/DEBIAN/control"
dpkg-deb -Zgzip -z1 --root-owner-group -b "$work/deb" "$dist/peaqos-agent_$version-1_$native.deb" >/dev/null
mkdir "$work/foreign"
printf '\177ELF of another processor' >"$work/foreign/peaqos-agent"
chmod 755 "$work/foreign/peaqos-agent"
for arch in armv6 armv7 arm64 amd64 386 riscv64; do
  file=$dist/peaqos-agent_${version}_linux_$arch.tar.gz
  [ -e "$file" ] || tar -C "$work/foreign" -czf "$file" peaqos-agent
done
for file in peaqos-agent_"$version"-1_{armhf,arm64,i386}.deb peaqos-agent-"$version"-1.{x86_64,aarch64,armv6hl,armv7hl,i386}.rpm \
  peaqos-agent-"$version"-r1.{x86_64,aarch64,armhf,armv7,x86}.apk; do
  [ -e "$dist/$file" ] || echo "$file" >"$dist/$file"
done
openssl ecparam -genkey -name prime256v1 -noout -out "$work/release.key"
openssl ec -in "$work/release.key" -pubout -out "$work/release.pub" 2>/dev/null
openssl ecparam -genkey -name prime256v1 -noout | openssl ec -pubout -out "$work/other.pub" 2>/dev/null
(cd "$dist" && sha256sum -- *.tar.gz *.deb *.rpm *.apk >SHA256SUMS && openssl dgst -sha256 -sign "$work/release.key" -out SHA256SUMS.sig SHA256SUMS)
chmod 755 "$work"

prefix=$work/prefix
install_sh() { rm -rf "$prefix"; sh "$top/install.sh" --from "$dist" --prefix "$prefix" "$@"; }
installs() { install_sh --yes "$@" && "$prefix/bin/peaqos-agent" version; }
refuses() { # TEXT OPTION…: it fails with these words, before it writes anything
  local text=$1 out; shift
  if out=$(install_sh "$@" 2>&1 </dev/null); then echo "$out"; return 1; fi
  if [ -n "$(find "$prefix" -type f 2>/dev/null)" ] || ! grep -qF -- "$text" <<<"$out"; then echo "$out"; return 1; fi
}
key=(--key "$work/release.pub")

ok "a signed release is installed" installs "${key[@]}"
ok "with manual and completion" test -s "$prefix/share/man/man1/peaqos-agent.1" -a -s "$prefix/share/bash-completion/completions/peaqos-agent"
ok "without a key it refuses, and names the way without" refuses "--no-signature" --yes
ok "--no-signature installs and says so" says "NOT verified" installs --no-signature
ok "another key is refused" refuses "does not belong to" --key "$work/other.pub" --yes
ok "another version is refused" refuses "no file for" "${key[@]}" --version 9.9.9 --yes
ok "this version is accepted" installs "${key[@]}" --version "$version"
ok "without a terminal it stops" refuses "standard input is not a terminal" "${key[@]}"
ok "--dry-run prints and writes nothing" says "--dry-run" install_sh "${key[@]}" --dry-run
not "nothing is written" test -e "$prefix"
answered() { rm -rf "$prefix"; printf '%s\n' "$1" | script -qec "sh '$top/install.sh' --from '$dist' --prefix '$prefix' --key '$work/release.pub'" /dev/null; }
not "on a terminal, no ends it" answered n
not "nothing is written" test -e "$prefix"
ok "on a terminal, yes installs" says "Installed" answered y
ok "the program of another processor replaces nothing" refuses "does not run on this machine" "${key[@]}" --arch riscv64 --yes

# Changed bytes. The originals are put back.
changed() { # FILE COMMAND…: with the last byte of a file changed
  local file=$dist/$1 result=0; shift
  cp "$file" "$work/original"
  python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(-1, 2); b = f.read(1); f.seek(-1, 2); f.write(bytes([b[0] ^ 1]))' "$file"
  "$@" || result=1
  cp "$work/original" "$file"
  return "$result"
}
ok "a changed byte of the tarball is refused" changed "$name.tar.gz" refuses "damaged or was changed" "${key[@]}" --yes
ok "also without the signature" changed "$name.tar.gz" refuses "damaged or was changed" --no-signature --yes
ok "a changed byte of SHA256SUMS is refused" changed SHA256SUMS refuses "does not belong to" "${key[@]}" --yes
ok "a changed byte of the signature is refused" changed SHA256SUMS.sig refuses "does not belong to" "${key[@]}" --yes
base64 "$dist/SHA256SUMS.sig" >"$work/base64"
cp "$dist/SHA256SUMS.sig" "$work/der"
cp "$work/base64" "$dist/SHA256SUMS.sig"
ok "a signature in base64 is accepted" installs "${key[@]}"
ok "and refused when changed" changed SHA256SUMS refuses "does not belong to" "${key[@]}" --yes
rm "$dist/SHA256SUMS.sig"
ok "no signature is refused" refuses "no SHA256SUMS.sig" "${key[@]}" --yes
cp "$work/der" "$dist/SHA256SUMS.sig"

# A script that arrives in part does nothing.
cut_off() {
  local size at
  size=$(stat -c %s "$top/install.sh")
  for at in $(seq 200 331 $((size - 12))); do
    rm -rf "$prefix"
    head -c "$at" "$top/install.sh" | sh -s -- --from "$dist" --prefix "$prefix" "${key[@]}" --yes >/dev/null 2>&1 || true
    [ ! -e "$prefix" ] || { echo "cut at $at, it installed"; return 1; }
  done
}
ok "cut off anywhere, it installs nothing" cut_off

# From a web server.
started web python3 -u -m http.server --bind 127.0.0.1 --directory "$dist" 0
serves() { web=$(sed -n 's/.*(\(http:[^)]*\)).*/\1/p' "$work/web.log"); [ -n "$web" ]; }
within 10 "a web server" serves
from_web() { rm -rf "$prefix"; sh "$top/install.sh" --url "${web%/}" --prefix "$prefix" --yes "$@" </dev/null; }
ok "from a web address" says "Installed" from_web "${key[@]}"
unencrypted() { ! from_web --no-signature >"$work/out" 2>&1 && grep "is not encrypted" "$work/out"; }
ok "http without a signature is refused" unencrypted

# As another user.
as_user() { setpriv --reuid 1234 --regid 1234 --clear-groups env HOME="$work/user" "$@"; }
install -d -o 1234 "$work/user"
cp install.sh "$work/install.sh"
user_install() { as_user sh "$work/install.sh" --from "$dist" "${key[@]}" --yes "$@"; }
chmod -R a+rX "$dist" "$work/release.pub"
ok "without root, below a directory of one's own" says "Installed" user_install --prefix "$work/user/.local"
ok "the program there runs" as_user "$work/user/.local/bin/peaqos-agent" version
not "without root and --prefix it refuses" user_install
ok "--uninstall removes it" as_user sh "$work/install.sh" --uninstall --prefix "$work/user/.local" --yes
ok "no file is left" test -z "$(find "$work/user/.local" -type f)"

# A prefix that is spelled in two ways, and one with blanks and quotes.
spelled() { # AT_INSTALLATION AT_REMOVAL
  rm -rf "$work/pre" && mkdir "$work/pre" && ln -sfn pre "$work/link"
  (cd "$work" && sh "$top/install.sh" --from "$dist" "${key[@]}" --yes --prefix "$1" && test -x "$work/pre/bin/peaqos-agent" &&
    sh "$top/install.sh" --uninstall --yes --prefix "$2" && test -z "$(find pre -type f)")
}
ok "installed in pre, removed from ./pre" spelled pre ./pre
ok "installed in pre/, removed from it" spelled pre/ "$work/pre"
ok "installed through a link, removed without it" spelled "$work/link" pre
blanks() {
  local dir="$work/it's a \"new\" \\name"
  mkdir -p "$dir" && cp -r "$dist" "$dir/re lease" && cp "$work/release.pub" "$dir/k ey" &&
    sh "$top/install.sh" --from="$dir/re lease" --key="$dir/k ey" --prefix="$dir/to" --yes && "$dir/to/bin/peaqos-agent" version &&
    sh "$top/install.sh" --uninstall --prefix "$dir/to" --yes && test -z "$(find "$dir/to" -type f)"
}
ok "blanks, quotes and a backslash in every path, and --option=value" blanks
# shellcheck disable=SC2016
ok "a ~ that the shell has not replaced is refused" says "did not replace the ~" eval 'install_sh "${key[@]}" "--prefix=~/x" 2>&1 || true'

# Other shells, and what is missing.
with() { # SHELL…
  rm -rf "$prefix"
  "$@" "$top/install.sh" --from "$dist" --prefix "$prefix" --yes "${key[@]}" && "$prefix/bin/peaqos-agent" version
}
ok "with BusyBox's shell" with busybox sh
ok "with bash" with bash
# shellcheck disable=SC2016
ok "with umask 077 others can run it" eval '(umask 077; with sh) && test "$(stat -c %a "$prefix/bin/peaqos-agent")" = 755'
ok "without HOME" with env -u HOME sh
without() { # PROGRAM…: a PATH with everything but these
  rm -rf "$work/path"
  mkdir "$work/path"
  ln -s /usr/bin/* /usr/sbin/* "$work/path/" 2>/dev/null || true
  (cd "$work/path" && rm -f "$@")
}
without openssl
# shellcheck disable=SC2016
ok "without openssl it refuses" eval 'PATH=$work/path refuses "openssl is not installed" --yes "${key[@]}"'
without sha256sum
# shellcheck disable=SC2016
ok "without sha256sum it is openssl that sums" eval 'PATH=$work/path with sh'
without sha256sum openssl
# shellcheck disable=SC2016
ok "without both it refuses" eval 'PATH=$work/path refuses "neither sha256sum nor openssl" --yes --no-signature'
sed -i.unix 's/$/\r/' "$dist/SHA256SUMS"
ok "a list with the line ends of Windows is named" refuses "line ends of Windows" --yes "${key[@]}"
(cat "$dist/SHA256SUMS.unix" "$dist/SHA256SUMS.unix"; printf '%s  a\\nb\n' "$(printf x | sha256sum | cut -c 1-64)") >"$dist/SHA256SUMS"
ok "a file that is listed twice is one, and a name of two lines is ignored" installs --no-signature
mv "$dist/SHA256SUMS.unix" "$dist/SHA256SUMS"
full() { # SIZE VARIABLE: with a full file system for the prefix, or for temporary files
  # shellcheck disable=SC2016
  unshare -m sh -c 'mkdir -p "$0" && mount -t tmpfs -o size="$1" none "$0" || exit; shift
    "$@"; result=$?; find "$0" -name "*.new"; [ "$result" -ne 0 ] && [ -z "$(find "$0" -name "*.new")" ]' "$work/small" "$@"
}
ok "a full disk for temporary files is named" says "cannot be copied to" full 1m \
  env TMPDIR="$work/small" sh "$top/install.sh" --from "$dist" --prefix "$prefix" --yes "${key[@]}"
ok "a full disk leaves no half program" says "cannot be written" full 8m \
  sh "$top/install.sh" --from "$dist" --prefix "$work/small/p" --yes "${key[@]}"

# What is there already.
there() { # VERSION
  mkdir -p "$prefix/bin" && printf '#!/bin/sh\necho peaqos-agent %s x\n' "$1" >"$prefix/bin/peaqos-agent" && chmod 755 "$prefix/bin/peaqos-agent" &&
    sh "$top/install.sh" --from "$dist" --prefix "$prefix" --yes "${key[@]}"
}
ok "an upgrade names the version before" says "in the place of 0.0.9" there 0.0.9
ok "a downgrade is called one" says "OLDER than the installed 99.1.0" there 99.1.0
at_once() {
  local run runs=()
  for run in 1 2 3 4; do
    sh "$top/install.sh" --from "$dist" --prefix "$prefix" --yes "${key[@]}" >"$work/run-$run" 2>&1 &
    runs+=($!)
  done
  for run in "${runs[@]}"; do wait "$run" || return 1; done
  "$prefix/bin/peaqos-agent" version
}
ok "four runs at once" at_once
killed() { # the old or the new program is there, whenever it is killed
  local at pid
  for at in 0.02 0.05 0.1 0.15 0.2 0.25 0.3 0.4; do
    setsid sh "$top/install.sh" --from "$dist" --prefix "$prefix" --yes "${key[@]}" >/dev/null 2>&1 &
    pid=$!
    sleep "$at"
    kill -9 -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    "$prefix/bin/peaqos-agent" version || { echo "killed after $at s"; return 1; }
  done
}
ok "killed at any time" killed
# shellcheck disable=SC2016
ok "again, to the end" eval 'there 0.0.9 && test -z "$(find "$prefix" -name "*.new")"'

# The processor, by what the kernel says of it. The lines are those of real machines.
detected() { # MACHINE BITS CPUINFO
  mkdir -p "$work/fake"
  printf '#!/bin/sh\necho %s\n' "$1" >"$work/fake/uname"
  printf '#!/bin/sh\necho %s\n' "$2" >"$work/fake/getconf"
  chmod 755 "$work/fake/uname" "$work/fake/getconf"
  printf '%b\n' "$3" >"$work/fake/cpuinfo"
  # shellcheck disable=SC2016
  unshare -m sh -c 'mount --bind "$0/cpuinfo" /proc/cpuinfo && PATH=$0:$PATH exec sh "$@"' "$work/fake" \
    "$top/install.sh" --from "$dist" "${key[@]}" --prefix "$prefix" --dry-run
}
is_detected() { says "peaqos-agent_${version}_linux_$1.tar.gz has" detected "$2" "$3" "$4"; }
zero='processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\nFeatures\t: half thumb fastmult vfp edsp java tls\nCPU architecture: 7'
pi2='model name\t: ARMv7 Processor rev 5 (v7l)\nFeatures\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm\nCPU architecture: 7'
pi4='Features\t: fp asimd evtstrm crc32 cpuid\nCPU architecture: 8'
ok "Pi Zero: armv6, although it says architecture 7" is_detected armv6 armv6l 32 "$zero"
ok "Pi 2: armv7" is_detected armv7 armv7l 32 "$pi2"
ok "ARMv7 without VFPv3: armv6" is_detected armv6 armv7l 32 'Features\t: half thumb fastmult vfp edsp\nCPU architecture: 7'
ok "Pi 4 with a 64-bit system: arm64" is_detected arm64 aarch64 64 "$pi4"
ok "Pi 4 with a 32-bit system: armv7" is_detected armv7 aarch64 32 "$pi4"
ok "PC: amd64" is_detected amd64 x86_64 64 'flags\t\t: sse sse2'
ok "32-bit PC: 386" is_detected 386 i686 32 'flags\t\t: fpu sse sse2'
ok "RISC-V: riscv64" is_detected riscv64 riscv64 64 'isa\t: rv64imafdc'
not "ARMv5 is refused" detected armv5tel 32 'Features\t: swp half'
not "a PC without SSE2 is refused" detected i586 32 'flags\t\t: fpu'
not "an ARM without floating point is refused" detected armv6l 32 'Features\t: half thumb'

# On a booted Debian, with the release: tarball and service, then the package on the same state.
need_release
root=$work/root
debian_root "$(host_suite)" "$root"
cp -r "$release" "$root/opt/release"
chmod 755 "$root/opt/release"
write_keys "$root/root"
cp "$agent" "$root/opt/lab"

# What a system of another kind would be given.
foreign() { # FORMAT MARKER ARCH: the same root with another package manager
  # shellcheck disable=SC2016
  unshare -m sh -c 'mount -t tmpfs none "$1/var/lib/dpkg" && mkdir -p "$1/$3" && printf "#!/bin/sh\n" >"$1/usr/local/bin/$2" &&
    chmod 755 "$1/usr/local/bin/$2" && touch "$1/$3/installed" &&
    chroot "$1" sh /opt/release/install.sh --from /opt/release --key /opt/release/release.pub --arch "$4" --dry-run' sh "$root" "$1" "$2" "$3"
  local result=$?
  rm -rf "${root:?}/usr/local/bin/$1" "${root:?}/$2"
  return "$result"
}
is_package() { # FORMAT MARKER, then ARCH=FILE…
  local format=$1 marker=$2 pair; shift 2
  for pair in "$@"; do
    says "${pair#*=} has" foreign "$format" "$marker" "${pair%%=*}" || return 1
  done
}
ok "with rpm it is the rpm package of each processor" is_package rpm usr/lib/sysimage/rpm amd64=.x86_64.rpm \
  arm64=.aarch64.rpm armv6=.armv6hl.rpm armv7=.armv7hl.rpm 386=.i386.rpm
ok "with apk it is the apk package of each processor" is_package apk lib/apk/db amd64=.x86_64.apk \
  arm64=.aarch64.apk armv6=.armhf.apk armv7=.armv7.apk 386=.x86.apk
deb_for() {
  chroot "$root" sh /opt/release/install.sh --from /opt/release --key /opt/release/release.pub --arch "$1" --dry-run
}
ok "armhf is for both 32-bit ARMs" says "_armhf.deb has" deb_for armv7
ok "and for the Pi Zero" says "_armhf.deb has" deb_for armv6

# While an image is made, nothing runs: the service is enabled.
in_image() { # OPTION…
  # shellcheck disable=SC2016
  unshare -m sh -c 'mount -t proc none "$0/proc" && exec chroot "$0" sh /opt/release/install.sh --yes "$@"' "$root" "$@"
}
ok "in an image: what comes next" says "boot this system" in_image --from /opt/release --key /opt/release/release.pub --tarball
ok "the service is enabled" test -L "$root/etc/systemd/system/multi-user.target.wants/peaqos-agent.service"
ok "the configuration is that of the packages" cmp deploy/packages/config.yaml "$root/etc/peaqos-agent/config.yaml"
ok "removed again" in_image --uninstall
not "there is no unit" test -e "$root/etc/systemd/system/peaqos-agent.service"

# Where there is no systemd, what comes next is in the tarball, or in Alpine's package.
without_systemd() { # OPTION…
  # shellcheck disable=SC2016
  unshare -m sh -c 'mount -t proc none "$0/proc" && mount -t tmpfs none "$0/usr/lib/systemd" && exec chroot "$0" sh /opt/release/install.sh --yes "$@"' \
    "$root" "$@"
}
ok "without systemd: where the service files are" says "see deploy/init/README.md in it" \
  without_systemd --from /opt/release --key /opt/release/release.pub --tarball
ok "the tarball has them" eval 'tar -tzf "$(echo "$release"/*_linux_amd64.tar.gz)" | grep /deploy/init/README.md'
not "there is no unit" test -e "$root/etc/systemd/system/peaqos-agent.service"
ok "removed again" without_systemd --uninstall
rm -r "$root/etc/peaqos-agent"

boot lab "$root"
inside() { in_root lab "$@"; }
web() { nsenter -t "${leaders[lab]}" -n -- curl -s --max-time 3 "$@"; }
inside systemd-run -q --unit=orchestrator /opt/lab sandbox --listen 127.0.0.1:8787 --api-key-file ~root/key --controller "$controller_address"
inside systemd-run -q --unit=runtime /opt/lab sandbox --listen 127.0.0.1:9000
within 10 "the orchestrator responds" web -f -o /dev/null http://127.0.0.1:8787/health
script_inside() { inside sh /opt/release/install.sh "$@"; }
start=$EPOCHREALTIME
ok "install.sh, offline, with the tarball; root needs no sudo" says "Next:  peaqos-agent enroll" script_inside --from /opt/release --key /opt/release/release.pub --tarball --yes
enroll_inside() {
  inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key --json \
    --orchestrator-url http://127.0.0.1:8787 --endpoint demo=http://127.0.0.1:9000 --write-config
}
ok "enroll" enroll_inside
agent_id=$(jq -r .agent_id "$work/step")
within 60 "live" ready_is 200
awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "   %.1f s\n", b - a; exit b - a >= 60 }' >"$work/took" &&
  pass "two commands, within a minute" || fail "two commands, within a minute" "$work/took"
cat "$work/took"
ok "the page responds" says "<html" web http://127.0.0.1:9757/
ok "metrics are served" says peaqos_agent_state web http://127.0.0.1:9757/metrics
ok "run again, it restarts the service" script_inside --from /opt/release --key /opt/release/release.pub --tarball --yes
within 60 "live, the same agent" ready_is 200 # the next heartbeat of a lease of 90 s
mkdir -p "$root/etc/systemd/system/peaqos-agent.service.d"
printf '[Service]\nEnvironment=A=b\n' >"$root/etc/systemd/system/peaqos-agent.service.d/mine.conf"
uninstalled() { script_inside --uninstall --yes | tee "$work/uninstalled"; }
ok "--uninstall names the active agent" says "$agent_id" uninstalled
ok "and how it is ended" grep -F "first run:  /usr/local/bin/peaqos-agent unenroll" "$work/uninstalled"
ok "and the drop-in that it keeps" grep -F "drop-ins in /etc/systemd/system" "$work/uninstalled"
not "the service is gone" inside systemctl cat peaqos-agent
not "the program is gone" inside which peaqos-agent
ok "the state is kept" test -d "$root/var/lib/private/peaqos-agent/keystore"
ok "install.sh, with the package" says "dpkg -i" script_inside --from /opt/release --key /opt/release/release.pub --yes
service_runs() { inside systemctl is-active peaqos-agent && inside systemctl is-enabled peaqos-agent; }
ok "its service runs and is enabled" service_runs
within 60 "live" ready_is 200
ok "the same agent" same_agent
not "the tarball beside the package is refused" script_inside --from /opt/release --key /opt/release/release.pub --tarball --yes
ok "--uninstall removes the package" says "dpkg -r" script_inside --uninstall --yes
ok "the state is kept" test -d "$root/var/lib/private/peaqos-agent/keystore"

# By hand from the tarball, with the commands of deploy/arm/README.md; the configuration is edited as that of before.
by_hand() {
  local commands
  commands=$(awk '/^Edit `config.yaml`/ { on = 1 } /^The agent is now running/ { exit } on && /^    / { print substr($0, 5) }' \
    deploy/arm/README.md | sed 's/^sudo //')
  [ -n "$commands" ] && inside sh -exuc "cd ~root && tar -xzf /opt/release/*_linux_$native.tar.gz && cd peaqos-agent_*_linux_$native
    cp /etc/peaqos-agent/config.yaml .
    $commands"
}
ok "by hand, from the tarball" says "The service is started" by_hand
within 60 "live" ready_is 200
ok "the same agent" same_agent
finish
