#!/usr/bin/env bash
# Updates that replace the whole root file system, with the programs that do it: RAUC
# writes a signed bundle into the other slot, OSTree deploys a commit. Each time the machine
# boots what was written, then goes back; it stays the same agent, which enrolled once. What
# is done to the systems is what docs/golden-images.md says, read from there.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
source "$(dirname "$0")/release.sh"
begin "updates that replace the root file system"
need_boot
need curl curl
need jq jq
need mkfs.ext4 e2fsprogs
need_release
deb=$(echo "$release"/*_"$(dpkg --print-architecture)".deb)
[ -s "$deb" ] || die "there is no deb"

# Root file systems, images and sysroots are on a disk, also where $work is in memory.
roots=$(mktemp -d -p "$cache" roots.XXXXXX)
loops=() mounts=()
leave() {
  local m l
  cut_all_power
  for ((m = ${#mounts[@]} - 1; m >= 0; m--)); do umount "${mounts[m]}"; done
  for l in "${loops[@]}"; do losetup -d "$l"; done
  rm -rf --one-file-system "$roots"
}
at_end+=(leave)

# The same deb as a later version, with a program that says so.
release_clone "$work/tree"
make -s -C "$work/tree" build version=9.0.0 >/dev/null
dpkg-deb -R "$deb" "$work/next"
install -m 755 "$work/tree/bin/peaqos-agent" "$work/next/usr/bin/peaqos-agent"
sed -i 's/^Version: .*/Version: 9.0.0-1/' "$work/next/DEBIAN/control"
rm "$work/next/DEBIAN/md5sums"
next=$work/peaqos-agent_9.0.0-1.deb
dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/next" "$next" >/dev/null
today=$(dpkg-deb -f "$deb" Version | sed 's/-1$//')

# /srv of every system is this directory: an orchestrator that outlives each of them, and
# what enrollment needs.
srv=$work/srv
mkdir -m 755 "$srv"
cp "$work/tree/bin/peaqos-agent" "$srv/lab"
write_keys "$srv"

# compose DIR DEB: what an image is made of, on a computer on which this is no systemd's root.
compose() {
  local wants=$1/etc/systemd/system/multi-user.target.wants
  cp "$2" "$1/tmp/agent.deb"
  ok "the deb is installed where no systemd runs" chroot "$1" dpkg -i /tmp/agent.deb
  rm "$1/tmp/agent.deb"
  ok "it is enabled there" test -L "$wants/peaqos-agent.service"
  cat >"$1/etc/peaqos-agent/config.yaml" <<'CONFIG'
orchestrator: {url: "http://127.0.0.1:8787"}
machines: [{endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:9000"}]}]
heartbeat: {lease_ttl: 6s}
CONFIG
  printf '[Unit]\nBefore=peaqos-agent.service\n[Service]\nExecStart=%s\n' \
    "/srv/lab sandbox --listen 127.0.0.1:8787 --state /srv/orchestrator.json --api-key-file /srv/key --controller $controller_address" \
    >"$1/etc/systemd/system/orchestrator.service"
  printf '[Service]\nExecStart=/srv/lab sandbox --listen 127.0.0.1:9000\n' >"$1/etc/systemd/system/runtime.service"
  ln -s ../orchestrator.service ../runtime.service "$wants"
  rm -rf "$1"/usr/share/{doc,locale,man,perl} "$1"/usr/lib/python3* "$1"/var/lib/apt/lists
  truncate -s 0 "$1/etc/machine-id"
}

web() { nsenter -t "${leaders[$system]}" -n -- curl -s --max-time 3 "$@"; }
inside() { in_root "$system" "$@"; }
live() { [ "$(web -o "$work/ready" -w '%{http_code}' http://127.0.0.1:9757/readyz)" = 200 ] || { cat "$work/ready"; return 1; }; }
enroll_inside() {
  inside peaqos-agent enroll --identity-ref "$1" --controller-key-file /srv/ctl.hex --api-key-file /srv/key --json >"$work/enrolled.json" &&
    machine=$(jq -r .machine_id "$work/enrolled.json") && agent_id=$(jq -r .agent_id "$work/enrolled.json")
}
# same_agent: it is the one that enrolled, and the machine never had another.
same_agent() {
  web -H "x-api-key: $api_key" "http://127.0.0.1:8787/api/v1/machines/$machine/agents" |
    jq -e --arg id "$agent_id" '[.items[] | .id + " " + .status] == [$id + " active"]' &&
    [ "$(inside peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]
}
version_is() { says "$1" inside peaqos-agent version; }
# continues WHAT VERSION: after a boot.
continues() {
  within 30 "$1: live" live
  ok "$1: the same agent, and no other ever enrolled" same_agent
  ok "$1: its version is $2" version_is "$2"
}

# block WORDS prints the first block of commands, or lines, after those words in the document.
block() {
  awk -v words="$1" 'index($0, words) { found = 1 } found && sub(/^    /, "") { print; shown = 1; next } shown { exit }' \
    docs/golden-images.md
}



# Two slots on loop devices, and the partition that both share.
tools=$roots/tools
debian_root bookworm "$tools" rauc,rauc-service,squashfs-tools,swupdate,mender-client
slots=$work/slots
mkdir -p "$slots"
loop() { # NAME: an image as a block device, whose name is then in ${device[NAME]}
  device[$1]=$(losetup --find --show "$2") && loops+=("${device[$1]}")
}
declare -A device=()

compose "$tools" "$deb"
mkdir "$tools/data"
block "in both slots" >>"$tools/etc/fstab"
mkdir "$tools/etc/rauc"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/rauc.key" -out "$tools/etc/rauc/cert.pem" -subj /CN=robots -days 2 2>/dev/null
cat >"$tools/etc/rauc/system.conf" <<'CONF'
[system]
compatible=Robot
bootloader=custom
statusfile=/data/rauc.status
[keyring]
path=cert.pem
[handlers]
bootloader-custom-backend=/usr/lib/bootloader
[slot.rootfs.0]
device=/dev/slot-a
type=ext4
bootname=A
[slot.rootfs.1]
device=/dev/slot-b
type=ext4
bootname=B
CONF
# Its boot loader is the check, which boots the slot that this file names.
cat >"$tools/usr/lib/bootloader" <<'SCRIPT'
#!/bin/sh
cd /data/boot || exit 1
case $1 in
  get-primary) cat primary ;;
  set-primary) echo "$2" >primary ;;
  get-state) cat "state-$2" ;;
  set-state) echo "$3" >"state-$2" ;;
esac
SCRIPT
chmod 755 "$tools/usr/lib/bootloader"
mkdir "$tools/etc/systemd/system/rauc.service.d"
cat >"$tools/etc/systemd/system/rauc.service.d/slot.conf" <<'CONF'
[Service]
PassEnvironment=BOOT_SLOT
ExecStart=
ExecStart=/usr/bin/rauc --mount=/run/rauc service --override-boot-slot=${BOOT_SLOT}
CONF
for u in swupdate.service swupdate.socket swupdate-progress.service mender-client.service; do ln -sf /dev/null "$tools/etc/systemd/system/$u"; done
image() { truncate -s 400M "$1" && mkfs.ext4 -q -d "$tools" "$1"; }
image "$roots/a.ext4"
cp "$next" "$tools/tmp/agent.deb"
chroot "$tools" dpkg -i /tmp/agent.deb
rm "$tools/tmp/agent.deb"
mkdir "$work/bundle"
image "$work/bundle/rootfs.ext4"
cat >"$work/bundle/manifest.raucm" <<'CONF'
[update]
compatible=Robot
version=2
[image.rootfs]
filename=rootfs.ext4
CONF
mkdir "$tools/srv/bundle"
mv "$work/bundle"/* "$tools/srv/bundle"
cp "$work/rauc.key" "$tools/srv"
ok "rauc bundle" chroot "$tools" rauc bundle --cert=/etc/rauc/cert.pem --key=/srv/rauc.key --mksquashfs-args="-comp lz4" /srv/bundle /srv/update.raucb

truncate -s 400M "$roots/b.ext4"
loop a "$roots/a.ext4"
loop b "$roots/b.ext4"
data=$work/data
mkdir "$data"
truncate -s 600M "$roots/data.ext4"
mkfs.ext4 -q "$roots/data.ext4"
loop data "$roots/data.ext4"
mount "${device[data]}" "$data"
mounts+=("$data")
mkdir "$data/boot"
mv "$tools/srv/update.raucb" "$data"
rm -r "$tools/srv"/*
echo A >"$data/boot/primary"
block "Create the directory once" | head -n1
mkdir -m 700 "$data/peaqos-agent"

start() {
  local root; start=$SECONDS
  slot=$(cat "$data/boot/primary")
  system=slot-$slot
  root=$work/$system
  mkdir -p "$root"
  mount "${device[${slot,}]}" "$root"
  mounts+=("$root")
  boot "$system" "$root" $RO --bind="$data:/data" --bind="$srv:/srv" --setenv=BOOT_SLOT="$slot" \
    --bind="${device[a]}:/dev/slot-a" --bind="${device[b]}:/dev/slot-b" \
    --bind=/dev/loop-control $(printf -- '--bind=%s ' /dev/loop[0-9]*)
  echo "   slot $slot after $((SECONDS - start)) s"
}
RO=${RO:-}
stop() {
  power_off "$system"
  umount "$work/$system"
  unset "mounts[-1]"
}
start
inside systemctl --failed
ok enroll enroll_inside did:peaq:42
within 15 live live
ok same same_agent
inside rauc status
ok install inside rauc install /data/update.raucb
cat $work/step
stop
start
continues B 9.0.0
inside rauc status mark-good
inside rauc status mark-active other
stop
start
continues A "$today"
stop
finish
