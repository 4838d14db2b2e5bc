#!/usr/bin/env bash
# Machines that nobody logs in to. cloud-init: a Debian boots for the first time with
# deploy/cloud-init/user-data.yaml, installs the agent offline and enrolls with a grant.
# A/B slots: the second root file system continues as the same agent, because the state is
# on a data partition, as docs/golden-images.md has it.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
source "$(dirname "$0")/release.sh"
begin "first boot"
need_boot
need curl curl
need jq jq
build

# What is put onto the boot partition: of the release, this processor's package.
need_release
medium=$work/medium
mkdir "$medium"
cp "$release"/{install.sh,SHA256SUMS,SHA256SUMS.sig,release.pub,*_"$(dpkg --print-architecture)".deb} "$medium"

# The grant is made before the machine exists, on this computer.
write_keys "$work"
started sandbox "$agent" sandbox --listen 127.0.0.1:0 --state "$work/orchestrator.json" --api-key-file "$work/key" --controller "$controller_address"
listens sandbox
make_grant() {
  "$agent" enroll --grant-out "$medium/grant" --provider-key demo --identity-ref did:peaq:42 --controller-key-file "$work/ctl.hex" \
    --api-key-file "$work/key" --orchestrator-url "$url" --keystore-dir "$work/none"
}
ok "a grant" make_grant
kill "$last"
wait "$last" 2>/dev/null || true

# lab DIR: with an orchestrator and a runtime inside, as units.
lab() {
  cp "$agent" "$1/opt/lab"
  cp "$work/orchestrator.json" "$work/key" "$1/opt"
  mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
  printf '[Unit]\nBefore=cloud-final.service peaqos-agent.service\n[Service]\nExecStart=%s\n' \
    "/opt/lab sandbox --listen ${url#http://} --state /opt/orchestrator.json --api-key-file /opt/key --controller $controller_address" \
    >"$1/etc/systemd/system/orchestrator.service"
  printf '[Service]\nExecStart=/opt/lab sandbox --listen 127.0.0.1:9000\n' >"$1/etc/systemd/system/runtime.service"
  ln -s ../orchestrator.service ../runtime.service "$1/etc/systemd/system/multi-user.target.wants"
}
for_lab() { sed -e 's#https://orchestration.peaq.xyz#'"$url"'#' -e 's#:11435#:9000#' -e 's#provider_key: qvac#provider_key: demo#' "$1"; }
web() { local name=$1; shift; nsenter -t "${leaders[$name]}" -n -- curl -s --max-time 3 "$@"; }
live() { [ "$(web "$1" -o "$work/ready" -w '%{http_code}' http://127.0.0.1:9757/readyz)" = 200 ] || { cat "$work/ready"; return 1; }; }

suite=$(host_suite)
root=$work/cloud
debian_root "$suite" "$root" cloud-init
cp deploy/cloud-init/user-data.yaml "$root/opt"
ok "cloud-init accepts user-data.yaml" says "Valid cloud-config" chroot "$root" cloud-init schema --config-file /opt/user-data.yaml
lab "$root"
mkdir -p "$root/boot/firmware" "$root/var/lib/cloud/seed/nocloud"
cp -r "$medium" "$root/boot/firmware/peaqos-agent"
for_lab deploy/cloud-init/user-data.yaml >"$root/var/lib/cloud/seed/nocloud/user-data"
echo 'instance-id: first-boot' >"$root/var/lib/cloud/seed/nocloud/meta-data"
# Of cloud-init's modules only those that the file uses: the others are for disks and
# networks, of which a container has none.
cat >"$root/etc/cloud/cloud.cfg.d/99-check.cfg" <<'CONF'
datasource_list: [NoCloud, None]
cloud_init_modules: [write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
CONF
start=$SECONDS
boot cloud "$root"
within 60 "first boot: live" live cloud
echo "   after $((SECONDS - start)) s"
not "the grant is deleted" test -e "$root/boot/firmware/peaqos-agent/grant"
one_active() { web cloud -H "x-api-key: $api_key" "$url/api/v1/machines/$1/agents" | jq -e '[.items[] | select(.status == "active")] | length == 1'; }
machine=$(in_root cloud peaqos-agent status --json | jq -r '.machines[0].machine_id')
agent_id=$(in_root cloud peaqos-agent status --json | jq -r '.machines[0].agent_id')
ok "one agent is active" one_active "$machine"
no_key() { ! grep -rlF -e "$api_key" -e "${controller_key#0x}" "$root/etc" "$root/var" "$root/boot" "$root/root"; }
ok "no account key is on the machine" no_key
power_off cloud
boot cloud "$root"
within 30 "second boot: live" live cloud
same() { [ "$(in_root "$1" peaqos-agent status --json | jq -r '.machines[0].agent_id')" = "$agent_id" ]; }
ok "the same agent" same cloud
power_off cloud

# A/B: two root file systems, one data partition; the state moves there as documented.
cp "$root/opt/orchestrator.json" "$work/orchestrator.json"
data=$work/data
mkdir -p "$data"
slot() { # NAME
  local dir=$work/slot-$1
  debian_root "$suite" "$dir"
  lab "$dir"
  cp "$agent" "$dir/usr/bin/"
  cp deploy/systemd/peaqos-agent.service "$dir/lib/systemd/system/"
  ln -s /lib/systemd/system/peaqos-agent.service "$dir/etc/systemd/system/multi-user.target.wants/"
  mkdir -p "$dir/etc/peaqos-agent" "$dir/data"
  cp "$root/etc/peaqos-agent/config.yaml" "$dir/etc/peaqos-agent/"
  sed -n '/^    \/data/s/^ *//p' docs/golden-images.md >>"$dir/etc/fstab"
}
slot a
slot b
mkdir -p "$data/peaqos-agent"
cp -a "$root/var/lib/private/peaqos-agent/." "$data/peaqos-agent"
boot a "$work/slot-a" --bind="$data:/data"
within 30 "slot A: live, with the state on the data partition" live a
ok "the same agent" same a
power_off a
cp "$work/slot-a/opt/orchestrator.json" "$work/slot-b/opt/"
boot b "$work/slot-b" --bind="$data:/data"
within 30 "slot B, after an update: live" live b
ok "the same agent" same b
not "no slot has a state of its own" test -e "$work/slot-b/var/lib/private/peaqos-agent/keystore"
power_off b
finish
