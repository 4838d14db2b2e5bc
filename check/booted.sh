# What the checks share that boot a whole Debian under systemd-nspawn. Sourced after
# steps.sh; needs root and a Debian machine. Several can run at the same time.
#
#   need_boot                  the programs are required
#   debian_root SUITE DIR [PACKAGE,…]
#                              makes DIR, a new root file system of a Debian release (bullseye, bookworm, trixie);
#                              with apt, systemd, Python and the packages, from a tar that is made once, in .cache
#   debian_root SUITE DIR PACKAGE,… ARCHITECTURE
#                              the same for a processor that is emulated, with little more than apt and systemd
#   need_emulation ARCHITECTURE…
#                              programs for arm64 or armhf run on this machine, until the check ends; fails where
#                              the machine does not permit that
#   boot NAME DIR [OPTION…]    boots it and waits for its systemd; its network has only a loopback, and its cgroups
#                              are its own, so that the limits of its units apply. OPTIONs are systemd-nspawn's
#   boot_within=(COMMAND…)     runs systemd-nspawn, as in another mount namespace, where DIR may be something else: it
#                              needs what "write_init DIR" writes
#   in_root NAME COMMAND…      runs a command inside, as root with a clean environment
#   ${leaders[NAME]}           the pid of its init, for nsenter
#   ready_is CODE, same_agent  the status of /readyz; the agent is still $agent_id. Both use what the check has
#                              named inside and web: a command, and curl, in one of them
#   power_off NAME             shuts it down in order
#   cut_power NAME             kills all of it at once
#
# What still runs when a check ends loses its power.

declare -A leaders=() nspawns=()
boot_within=()
at_end+=(cut_all_power)

need_boot() {
  need_root
  need systemd-nspawn systemd-container
  need mmdebstrap mmdebstrap
}

# host_suite: the Debian release of this machine.
host_suite() { (. /etc/os-release && echo "${VERSION_CODENAME:-stable}"); }

# debian_tar SUITE PACKAGES ARCHITECTURE makes the cached tar, once; its name is in $debian_tar.
debian_tar() {
  local packages=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,python3 options=()
  debian_tar=$cache/debian-$1${2:+-${2//,/-}}${3:+-$3}.tar
  if [ -n "$3" ]; then
    packages=systemd,systemd-sysv
    # need_emulation has looked; and a mirror may not have the security updates of every architecture.
    # shellcheck disable=SC2016 # mmdebstrap's shell
    options=(--architectures="$3" --skip=check/qemu --setup-hook='sed -i /-security/d "$1/etc/apt/sources.list"')
  fi
  mkdir -p "$cache"
  exec {tar_lock}>"$debian_tar.lock"
  flock "$tar_lock"
  if [ ! -s "$debian_tar" ]; then
    echo "   making the root file system of Debian $1${3:+ for $3}${2:+ with $2} (once)"
    mmdebstrap --quiet --format=tar --variant=minbase --include="$packages${2:+,$2}" "${options[@]}" \
      "$1" "$debian_tar.part" >"$work/mmdebstrap.log" 2>&1 || die "mmdebstrap $1" "$work/mmdebstrap.log"
    mv "$debian_tar.part" "$debian_tar"
  fi
  exec {tar_lock}>&-
}

debian_root() {
  debian_tar "$1" "${3:-}" "${4:-}"
  mkdir "$2"
  tar -C "$2" -xpf "$debian_tar"
  if [ -n "${4:-}" ]; then lower_for_emulation "$2"; fi
}

# lower_for_emulation DIR: QEMU does not emulate the new mount calls, by which systemd passes
# credentials, nor user namespaces, and its own memory counts as the program's.
lower_for_emulation() {
  local unit
  for unit in sysctl sysusers tmpfiles-setup-dev tmpfiles-setup tmpfiles-clean; do
    ln -s /dev/null "$1/etc/systemd/system/systemd-$unit.service"
  done
  mkdir "$1/etc/systemd/system/service.d"
  printf '[Service]\nPrivateUsers=no\nMemoryMax=256M\n' >"$1/etc/systemd/system/service.d/emulated.conf"
}

need_emulation() {
  local formats=/proc/sys/fs/binfmt_misc architecture name mounted=""
  need qemu-aarch64-static qemu-user-static
  if [ ! -e $formats/register ]; then
    mount -t binfmt_misc binfmt_misc $formats || return
    mounted=yes
  fi
  for architecture in "$@"; do
    case $architecture in arm64) name=qemu-aarch64 ;; armhf) name=qemu-arm ;; *) die "no emulator for $architecture" ;; esac
    if [ ! -e "$formats/$name" ]; then
      cat "/usr/lib/binfmt.d/$name.conf" >$formats/register || return
      at_end+=("end_emulation $formats/$name")
    fi
  done
  if [ -n "$mounted" ]; then at_end+=("umount $formats"); fi
}

end_emulation() { echo -1 >"$1"; }

# cgroup_dirs NAME lists the cgroup of that name in each hierarchy that systemd uses.
cgroup_dirs() {
  local hierarchy
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    echo "/sys/fs/cgroup/$1"
    return
  fi
  for hierarchy in memory cpu cpuacct pids systemd unified; do
    if [ -d "/sys/fs/cgroup/$hierarchy" ]; then echo "/sys/fs/cgroup/$hierarchy/$1"; fi
  done
}

# write_init DIR: systemd-nspawn mounts the limiting cgroup v1 hierarchies read-only; this init undoes it.
write_init() {
  cat >"$1/check-init" <<'INIT'
#!/bin/sh
for c in memory cpu cpuacct pids; do
  if [ -d /sys/fs/cgroup/$c ]; then mount -o remount,rw,bind /sys/fs/cgroup/$c; fi
done
exec /lib/systemd/systemd
INIT
  chmod 755 "$1/check-init"
}

boot() {
  local name=$1 dir=$2 cgroups; shift 2
  local machine=check$$-$name log=$work/$name.boot.log
  write_init "$dir"
  cgroups=$(cgroup_dirs "$machine")
  (
    for cgroup in $cgroups; do
      mkdir -p "$cgroup"
      echo "$BASHPID" >"$cgroup/cgroup.procs"
    done
    exec "${boot_within[@]}" systemd-nspawn -q -D "$dir" --register=no --keep-unit --private-network --console=read-only \
      --kill-signal=SIGRTMIN+3 --machine="$machine" "$@" /check-init
  ) </dev/null >>"$log" 2>&1 &
  nspawns[$name]=$!
  for _ in $(seq 300); do
    # The first child of systemd-nspawn is not yet the init.
    leaders[$name]=$(pgrep -P "${nspawns[$name]}" | head -n 1 || true)
    if [ -n "${leaders[$name]}" ] && has_booted "$name"; then
      echo "   $name: $(in_root "$name" systemctl --version | head -n 1)"
      return
    fi
    kill -0 "${nspawns[$name]}" 2>/dev/null || break
    sleep 0.2
  done
  die "$name does not boot: $(in_root "$name" systemctl --failed --no-legend 2>&1 | head -c 300 || true)" "$log"
}

# has_booted NAME: every unit of the boot has started.
has_booted() { [ "$(in_root "$1" systemctl is-system-running 2>/dev/null)" = running ]; }

in_root() {
  local name=$1; shift
  nsenter -t "${leaders[$name]}" -a -- \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}

ready_is() { [ "$(web -o "$work/ready" -w '%{http_code}' http://127.0.0.1:9757/readyz)" = "$1" ] || { cat "$work/ready"; return 1; }; }
same_agent() { [ "$(inside peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]; }

power_off() {
  in_root "$1" systemctl poweroff --no-block
  wait "${nspawns[$1]}" 2>/dev/null || true
  forget "$1"
}

cut_power() {
  kill -9 "${leaders[$1]}" 2>/dev/null || true
  pkill -9 -P "${nspawns[$1]}" 2>/dev/null || true # what is not yet its init, while it boots
  wait "${nspawns[$1]}" 2>/dev/null || true
  forget "$1"
}

# forget NAME removes what a stopped one leaves behind.
forget() {
  local cgroup
  for cgroup in $(cgroup_dirs "check$$-$1"); do
    if [ -d "$cgroup" ]; then find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true; fi
  done
  unset "leaders[$1]" "nspawns[$1]"
}

cut_all_power() {
  local name
  for name in "${!nspawns[@]}"; do cut_power "$name"; done
}
