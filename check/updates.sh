#!/usr/bin/env bash
# Updates that replace the root file system, with the programs that do it: RAUC, SWUpdate and
# Mender write a signed image into the other of two read-only slots, OSTree deploys a commit. Each
# time the machine boots what was written, and goes back; it remains the agent that enrolled once.
# The systems are set up with the commands and lines of docs/golden-images.md, read from there.
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

# Root file systems and images are on a disk, also where $work is in memory.
roots=$(mktemp -d -p "$cache" roots.XXXXXX)
loops=() mounts=() # in the order in which they were made
leave() {
  local i
  cut_all_power
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do umount "${mounts[i]}"; done
  for i in "${loops[@]}"; do losetup -d "$i"; done
  chattr -fi "$roots"/tools/srv/sysroot/ostree/deploy/*/deploy/*.[0-9] # OSTree makes deployments immutable
  rm -rf --one-file-system "$roots"
}
at_end+=(leave)

# The same deb as a later version, with a program that says so.
release_clone "$work/clone"
make -s -C "$work/clone" build version=9.0.0 >/dev/null
dpkg-deb -R "$deb" "$work/next"
install -m 755 "$work/clone/bin/peaqos-agent" "$work/next/usr/bin/peaqos-agent"
sed -i 's/^Version: .*/Version: 9.0.0-1/' "$work/next/DEBIAN/control"
rm "$work/next/DEBIAN/md5sums"
next=$work/peaqos-agent_9.0.0-1.deb
dpkg-deb --root-owner-group -Znone -b "$work/next" "$next" >/dev/null
today=$(dpkg-deb -f "$deb" Version | sed 's/-1$//')

# $srv is /srv of every system: the lab, which outlives each of them, and what enrollment needs.
srv=$roots/srv
mkdir -m 755 "$srv"
cp "$work/clone/bin/peaqos-agent" "$srv/lab"

# block WORDS prints the first block of lines after those words in the document.
block() {
  awk -v words="$1" 'index($0, words) { found = 1 } found && sub(/^    /, "") { print; shown = 1; next } shown { exit }' \
    docs/golden-images.md
}

# The operator's computer, with the programs that make updates. Robots have the same system.
tools=$roots/tools
debian_root bookworm "$tools" rauc,rauc-service,squashfs-tools,swupdate,mender-client,mender-artifact,cpio,ostree,ostree-boot
operator() { # COMMAND…
  # shellcheck disable=SC2016 # the inner shell's
  unshare --mount sh -ec 'mount --bind /proc "$0/proc"; exec chroot "$0" "$@"' "$tools" "$@"
}
make_key() {
  operator openssl req -x509 -newkey rsa:2048 -nodes -keyout /srv/key.pem -out /srv/cert.pem -subj /CN=robots -days 2 &&
    operator openssl x509 -in /srv/cert.pem -pubkey -noout -out /srv/public.pem &&
    operator openssl rsa -traditional -in /srv/key.pem -out /srv/mender.pem
}
ok "a key that signs updates" make_key

# The tree of the robot, made where no systemd runs.
tree=$roots/tree
install_deb() {
  cp "$1" "$tree/agent.deb"
  chroot "$tree" dpkg -i /agent.deb && rm "$tree/agent.deb"
}
cp -al "$tools" "$tree" # whatever is changed there becomes a new file
rm "$tree"/srv/*
rm -rf "$tree"/usr/share/{doc,locale,man} "$tree"/usr/lib/python3* "$tree"/usr/bin/mender-artifact "${tree:?}"/dev/*
mkdir -p "$tree"/usr/lib/systemd/system-preset
echo 'disable *' >"$tree/usr/lib/systemd/system-preset/00-none.preset" # the policy of some distributions
ok "the deb is installed in a tree, where no systemd runs" install_deb "$deb"
wants=$tree/etc/systemd/system/multi-user.target.wants
not "the policy of the tree holds: the service is not enabled" test -L "$wants/peaqos-agent.service"
block "preset file of the tree" >"$tree/enable.sh"
ok "it is enabled there" chroot "$tree" sh -e /enable.sh
cat >"$tree/etc/peaqos-agent/config.yaml" <<'CONFIG'
orchestrator: {url: "http://127.0.0.1:8787"}
machines: [{endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:9000"}]}]
heartbeat: {lease_ttl: 6s}
CONFIG
cat >"$tree/etc/systemd/system/orchestrator.service" <<UNIT
[Unit]
Before=peaqos-agent.service
[Service]
ExecStart=/srv/lab sandbox --listen 127.0.0.1:8787 --state /srv/orchestrator.json \\
  --api-key-file /srv/key --controller $controller_address
UNIT
printf '[Service]\nExecStart=/srv/lab sandbox --listen 127.0.0.1:9000\n' >"$tree/etc/systemd/system/runtime.service"
ln -s ../orchestrator.service ../runtime.service "$wants"
for unit in swupdate.service swupdate.socket swupdate-progress.service mender-client.service; do
  ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done
truncate -s 0 "$tree/etc/machine-id"
write_init "$tree"

inside() { in_root "$system" "$@"; }
web() { nsenter -t "${leaders[$system]}" -n -- curl -s --max-time 3 "$@"; }
live() { [ "$(web -o "$work/ready" -w '%{http_code}' http://127.0.0.1:9757/readyz)" = 200 ] || { cat "$work/ready"; return 1; }; }
new_lab() { # of a robot that never enrolled
  rm -f "$srv/orchestrator.json"
  write_keys "$srv"
}
enroll_inside() {
  inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file /srv/ctl.hex --api-key-file /srv/key \
    --json >"$work/enrolled.json" &&
    machine=$(jq -r .machine_id "$work/enrolled.json") && agent_id=$(jq -r .agent_id "$work/enrolled.json")
}
same_agent() { # and the machine never had another
  web -H "x-api-key: $api_key" "http://127.0.0.1:8787/api/v1/machines/$machine/agents" |
    jq -e --arg id "$agent_id" '[.items[] | .id + " " + .status] == [$id + " active"]' &&
    [ "$(inside peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]
}
has_version() { says "$1 " inside peaqos-agent version; }
continues() { # WHAT VERSION
  within 30 "$1: live" live
  ok "$1: the same agent, without an enrollment" same_agent
  ok "$1: the agent is version $2" has_version "$2"
}

# Two slots as block devices, /dev/mmcblk0p2 and p3, of which the robot's boot loader starts
# one; here, that is the check. /data is a file system of its own.
cp -al "$tree" "$roots/slot"
tree=$roots/slot
mkdir "$tree/data" "$tree/partition" "$tree/etc/rauc"
rm "$tree/etc/fstab"
echo '/partition /data none bind,nofail 0 0' >"$tree/etc/fstab"
block "in both slots" >>"$tree/etc/fstab"
block "If the slots are read-only" >"$tree/read-only.sh"
ok "the mount point and the link of a read-only slot" chroot "$tree" sh -e /read-only.sh
echo 'tmpfs /var/lib/systemd tmpfs defaults 0 0' >>"$tree/etc/fstab" # Debian's own need
cp "$tools/srv/cert.pem" "$tools/srv/public.pem" "$tree/etc/"
cat >"$tree/etc/rauc/system.conf" <<'CONF'
[system]
compatible=robot
bootloader=custom
statusfile=/data/rauc.status
[keyring]
path=/etc/cert.pem
[handlers]
bootloader-custom-backend=/usr/lib/boot-slots
[slot.rootfs.0]
device=/dev/mmcblk0p2
type=ext4
bootname=A
[slot.rootfs.1]
device=/dev/mmcblk0p3
type=ext4
bootname=B
CONF
mkdir "$tree/etc/systemd/system/rauc.service.d"
cat >"$tree/etc/systemd/system/rauc.service.d/slot.conf" <<'CONF'
[Service]
PassEnvironment=BOOT_SLOT
ExecStart=
ExecStart=/usr/bin/rauc --mount=/run/rauc service --override-boot-slot=${BOOT_SLOT}
CONF
cat >"$tree/usr/lib/boot-slots" <<'SCRIPT'
#!/bin/sh
cd /data/boot || exit 1
case $1 in
  get-primary) cat slot ;;
  set-primary) echo "$2" >slot ;;
  get-state) cat "state-$2" ;;
  set-state) echo "$3" >"state-$2" ;;
esac
SCRIPT
# Mender wants U-Boot, and its environment with the number of the partition.
echo 'artifact_name=robot-1' >"$tree/etc/mender/artifact_info"
cat >"$tree/usr/bin/fw_printenv" <<'SCRIPT'
#!/bin/sh
for name in "$@"; do grep "^$name=" /data/boot/env; done
SCRIPT
cat >"$tree/usr/bin/fw_setenv" <<'SCRIPT'
#!/bin/sh
if [ "$1" = -s ]; then cat "$2"; else echo "$1=$2"; fi | tr ' ' = | while IFS='=' read -r name value; do
  sed -i "/^$name=/d" /data/boot/env
  echo "$name=$value" >>/data/boot/env
done
SCRIPT
chmod 755 "$tree/usr/lib/boot-slots" "$tree"/usr/bin/fw_*
echo 'robot 1.0' >"$tree/etc/hwrevision"

image() { # FILE
  truncate -s 360M "$1" && mkfs.ext4 -q -d "$tree" "$1"
}
image "$roots/a"
ok "the next version is installed in the tree" install_deb "$next"
image "$tools/srv/rootfs.ext4"
rm -r "$tree"

rauc_bundle() {
  mkdir "$tools/srv/bundle"
  ln "$tools/srv/rootfs.ext4" "$tools/srv/bundle"
  cat >"$tools/srv/bundle/manifest.raucm" <<'CONF'
[update]
compatible=robot
version=2
[image.rootfs]
filename=rootfs.ext4
CONF
  operator rauc bundle --cert=/srv/cert.pem --key=/srv/key.pem --mksquashfs-args='-comp lz4' /srv/bundle /srv/update.raucb
}
swupdate_image() {
  gzip -1 <"$tools/srv/rootfs.ext4" >"$tools/srv/rootfs.gz"
  cat >"$tools/srv/sw-description" <<CONF
software = { version = "2"; hardware-compatibility = [ "1.0" ]; stable = { second = { images: ( {
  filename = "rootfs.gz"; device = "/dev/mmcblk0p3"; type = "raw"; compressed = "zlib"; installed-directly = true;
  sha256 = "$(sha256sum "$tools/srv/rootfs.gz" | cut -d ' ' -f 1)"; } ); }; }; }
CONF
  operator sh -ec 'cd /srv
    openssl cms -sign -in sw-description -out sw-description.sig -signer cert.pem -inkey key.pem \
      -outform DER -nosmimecap -binary
    printf "%s\n" sw-description sw-description.sig rootfs.gz | cpio --quiet -o -H crc >update.swu'
}
mender_artifact() {
  operator mender-artifact write rootfs-image --no-progress --compression none -t robot -n robot-2 \
    -f /srv/rootfs.ext4 -k /srv/mender.pem -o /srv/update.mender
}
ok "RAUC: a signed bundle" rauc_bundle
ok "SWUpdate: a signed image" swupdate_image
ok "Mender: a signed artifact" mender_artifact

loop() { # FILE; the block device is in $device
  device=$(losetup --find --show "$1") || die "there is no loop device"
  loops+=("$device")
}
truncate -s 360M "$roots/b"
truncate -s 1G "$roots/data"
mkfs.ext4 -q "$roots/data"
loop "$roots/a"; a=$device
loop "$roots/b"; b=$device
loop "$roots/data"
data=$work/data
mkdir "$data"
mount "$device" "$data"
mounts+=("$data")
mkdir "$data/boot" "$data/mender"
echo A >"$data/boot/slot"
echo bad | tee "$data/boot/state-A" >"$data/boot/state-B"
echo device_type=robot >"$data/mender/device_type"
printf 'mender_boot_part=%s\nupgrade_available=0\nbootcount=0\n' "${b#/dev/loop}" >"$data/boot/env"
# Mender looks for the device of the root file system by its own name.
echo "{\"RootfsPartA\": \"$a\", \"RootfsPartB\": \"$b\", \"ArtifactVerifyKey\": \"/etc/public.pem\"}" >"$data/mender/mender.conf"
mv "$tools"/srv/update.* "$data"
block "Create the directory once" | sed "s#/data#$data#" >"$work/create.sh"
ok "the directory of the state" sh -e "$work/create.sh"

slots=()
for device in /dev/loop-control /dev/loop[0-9]*; do slots+=(--bind="$device"); done # RAUC mounts bundles
start_slot() { # NAME, of the slot that the boot loader starts; with another argument, without /data
  local slot device=$a partition=()
  slot=$(cat "$data/boot/slot")
  [ "$slot" = "$1" ] || die "slot $1 is the next one, not $slot"
  [ "$slot" = A ] || device=$b
  system=slot-$slot
  mkdir -p "$work/$system"
  mount "$device" "$work/$system"
  mounts+=("$work/$system")
  [ $# -gt 1 ] || partition=(--bind="$data:/partition")
  boot "$system" "$work/$system" --read-only "${partition[@]}" --bind="$srv:/srv" --setenv=BOOT_SLOT="$slot" \
    --bind="$a:/dev/mmcblk0p2" --bind="$b:/dev/mmcblk0p3" "${slots[@]}"
}
stop_slot() {
  power_off "$system"
  umount "$work/$system"
  unset "mounts[-1]"
}

new_lab
start_slot A
read_only() { inside sh -c '! touch /etc/x && ! touch /var/lib/private/x && findmnt -n /var/lib/private/peaqos-agent'; }
ok "slot A is read-only" read_only
ok "peaqos-agent enroll" enroll_inside
continues "slot A" "$today"
ok "rauc install" inside rauc install /data/update.raucb
stop_slot
start_slot B
continues "slot B of RAUC" 9.0.0
ok "rauc status mark-good" inside rauc status mark-good
ok "rauc status mark-active other: back" inside rauc status mark-active other
stop_slot
start_slot A
continues "slot A again" "$today"

dd if=/dev/zero of="$b" bs=1M count=4 status=none
ok "swupdate" inside swupdate -k /etc/cert.pem -e stable,second -i /data/update.swu
echo B >"$data/boot/slot"
stop_slot
start_slot B
continues "slot B of SWUpdate" 9.0.0

mender_slot() { # as U-Boot would start it
  case /dev/loop$(sed -n 's/^mender_boot_part=//p' "$data/boot/env") in
    "$a") echo A ;;
    "$b") echo B ;;
  esac >"$data/boot/slot"
}
ok "mender install" inside mender install /data/update.mender
mender_slot
stop_slot
start_slot A
continues "slot A of Mender" 9.0.0
ok "mender rollback" inside mender rollback
mender_slot
stop_slot
start_slot B
continues "slot B again" 9.0.0

# Without the partition.
stop_slot
has_booted() { [ "$(in_root "$1" systemctl is-system-running 2>/dev/null)" = degraded ]; } # the mounts fail
start_slot B missing
says_inactive() { [ "$(inside systemctl show -P ActiveState,SubState peaqos-agent | tr '\n' ' ')" = 'inactive dead ' ]; }
ok "without the shared partition it boots, and the service does not start" says_inactive
names_mount() { # COMMAND…: it fails and says so
  ! inside peaqos-agent "$@" >"$work/said" 2>&1 || return 1
  cat "$work/said"
  grep -q 'mount it with mount /var/lib/private/peaqos-agent' "$work/said"
}
ok "status names the mount, not an enrollment" names_mount status
ok "doctor as well" names_mount doctor
ok "enroll by root is refused" names_mount enroll --identity-ref did:peaq:42 --api-key-file /srv/key
stop_slot
has_booted() { [ "$(in_root "$1" systemctl is-system-running 2>/dev/null)" = running ]; }

# OSTree: the tree as it wants it, with a stand-in for the kernel. Its own ostree-prepare-root makes
# the root file system of the deployment that the boot loader's entry names, as in an initramfs.
sysroot=$tools/srv/sysroot
commit() { # DEB: of a new tree with that version
  tree=$tools/srv/tree
  rm -rf "$tree"
  cp -al "$roots/tree" "$tree"
  install_deb "$1" || return 1
  rm -rf "${tree:?}"/{var,home,srv,mnt,root,tmp,etc/machine-id}
  mkdir -p "$tree"/{var,sysroot,usr/lib/modules/6.1.0}
  ln -s var/{home,srv,mnt} sysroot/{tmp,ostree} "$tree"
  ln -s var/roothome "$tree/root"
  touch "$tree"/usr/lib/modules/6.1.0/{vmlinuz,initramfs.img}
  mv "$tree/etc" "$tree/usr/etc"
  operator ostree --repo=/srv/sysroot/ostree/repo commit --branch=robot /srv/tree
}
new_sysroot() {
  mkdir "$sysroot" &&
    operator ostree admin init-fs /srv/sysroot &&
    operator ostree admin os-init --sysroot=/srv/sysroot robot &&
    operator ostree --repo=/srv/sysroot/ostree/repo config set sysroot.bootloader none &&
    operator ostree --repo=/srv/sysroot/ostree/repo config set core.fsync false
}
ok "ostree: a sysroot" new_sysroot
ok "ostree commit" commit "$deb"
ok "ostree admin deploy" operator ostree admin deploy --sysroot=/srv/sysroot --os=robot robot
start_deployment() { # INDEX, as the boot loader's entries have it
  grep -l "ostree:$1)" "$sysroot"/boot/loader/entries/* | xargs sed -n 's/^options //p' >"$work/cmdline"
  cat >"$work/initramfs.sh" <<INITRAMFS
mount -t tmpfs none /run
mount --bind $work/cmdline /proc/cmdline
mount --bind $sysroot $sysroot
$tools/usr/lib/ostree/ostree-prepare-root $sysroot
echo prepared
exec sleep infinity
INITRAMFS
  system=deployment-$1
  started initramfs unshare --mount sh -e "$work/initramfs.sh"
  initramfs=$last
  within 10 "ostree-prepare-root" grep -q prepared "$work/initramfs.log"
  boot_within=(nsenter --mount --target "$initramfs")
  boot "$system" "$sysroot" --bind="$sysroot/ostree/deploy/robot/var:/var" --bind="$srv:/var/srv"
  inside touch /run/ostree-booted
  boot_within=()
}
stop_deployment() {
  power_off "$system"
  kill "$initramfs"
}
undeployed() { [ "$(inside ostree admin status | grep ' robot ' | cut -c 1-7)" = '* robot' ]; }

new_lab
start_deployment 0
ok "/usr is read-only" inside sh -c '! touch /usr/x'
ok "the service is enabled after the first boot, which had no machine ID" inside systemctl is-enabled peaqos-agent
ok "peaqos-agent enroll" enroll_inside
continues "the first deployment" "$today"
id=$(inside cat /etc/machine-id)
inside sh -c 'echo "# edited" >>/etc/peaqos-agent/config.yaml'
ok "ostree commit, with the next version" commit "$next"
ok "ostree admin deploy, on the robot" inside ostree admin deploy --os=robot robot
stop_deployment
start_deployment 0
continues "the next deployment" 9.0.0
ok "the edited configuration is kept" inside grep -q '^# edited' /etc/peaqos-agent/config.yaml
ok "the machine ID is kept" test "$(inside cat /etc/machine-id)" = "$id"
stop_deployment
start_deployment 1
continues "the first deployment again" "$today"
ok "ostree admin undeploy" inside ostree admin undeploy 0
ok "the booted deployment is the only one" undeployed
stop_deployment
finish
