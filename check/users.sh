#!/usr/bin/env bash
# Enrolls as the people and platforms do that the documents are written for: a user with
# sudo, an ordinary user, a pod whose volumes belong to a group, and a disk with FAT. The
# users are made in a mount namespace with its own copy of /etc, so this machine's are
# not touched; no packet leaves it.
source "$(dirname "$0")/steps.sh"
begin "enrollment as the users that do it"
need_root
need sudo sudo
need setpriv util-linux
need fusefat fusefat
need mkfs.vfat dosfstools
need ip iproute2
need jq jq
need curl curl
if [ "${1:-}" != inside ]; then
  build
  unshare -n -m --propagation private check/users.sh inside
  exit
fi
agent=$top/bin/peaqos-agent
ip link set lo up
chmod 755 "$work"
mkdir "$work/bin"
install -m 755 "$agent" "$work/bin/peaqos-agent"
mount --bind "$work/bin" /usr/local/bin # where the README installs it
agent=/usr/local/bin/peaqos-agent
cp -a /etc "$work/etc"
mount --bind "$work/etc" /etc
groupadd -g 42420 robot
useradd -m -d "$work/home" -u 42420 -g 42420 -s /bin/bash robot
echo 'robot ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/robot
chmod 440 /etc/sudoers.d/robot

start_sandbox
start_runtime
as_robot() { setpriv --reuid 42420 --regid 42420 --init-groups env -i HOME="$work/home" PATH=/usr/local/bin:/usr/bin:/bin bash -c "cd ~ && $1"; }

# The configuration of one store. Every identity of these checks is another machine.
identity=100
new_store() { # NAME: $work/NAME.yaml
  identity=$((identity + 1))
  mkdir -m 755 -p "$work/$1"
  config_text "$orchestrator" demo "$runtime" "" "$work/$1/state" "127.0.0.1:$(free_port)" >"$work/$1.yaml"
}

# The README's commands, typed by a user with sudo whose key files are in the home directory.
as_robot "umask 077; echo '$api_key' >key; echo '$controller_key' >ctl.hex"
new_store sudo
ok "sudo enroll with the key files of the user" as_robot \
  "sudo peaqos-agent enroll --config $work/sudo.yaml --identity-ref did:peaq:$identity --controller-key-file ctl.hex --api-key-file key"
started sudo "$agent" run --config "$work/sudo.yaml"
within 20 "the user's status shows online" as_robot "peaqos-agent status --config $work/sudo.yaml | grep -i online"
ok "sudo rotate with the user's key file" as_robot "sudo peaqos-agent rotate --config $work/sudo.yaml --api-key-file key"
not "without sudo, rotate is refused" as_robot "peaqos-agent rotate --config $work/sudo.yaml --api-key-file key"
cp "$work/step" "$work/error"
ok "the command that the error prints works" as_robot "$(grep -o 'sudo .*' "$work/error" || echo false)"
as_robot "chmod 644 key"
new_store open
not "a key file that everybody can read is refused" as_robot \
  "sudo peaqos-agent enroll --config $work/open.yaml --identity-ref did:peaq:$identity --controller-key-file ctl.hex --api-key-file key"
as_robot "$(grep -o 'chmod 600 [^ ]*' "$work/step" | head -n 1)" || true
ok "the command that the error names makes it work" as_robot \
  "sudo peaqos-agent enroll --config $work/open.yaml --identity-ref did:peaq:$identity --controller-key-file ctl.hex --api-key-file key"
for form in "--api-key-file - <key" "--api-key-file /dev/stdin <key" "--api-key-file <(cat key)"; do
  new_store "form$identity"
  name=form$((identity - 1))
  ok "an ordinary user's own store, the key as ${form}" as_robot \
    "mkdir -m 700 -p $name && sed 's|$work/$name/state|$work/home/$name/state|' $work/$name.yaml >$name.yaml &&
     peaqos-agent enroll --config $name.yaml --identity-ref did:peaq:$identity --controller-key-file ctl.hex $form"
done
new_store value
not "the key itself in place of its file" as_robot \
  "sudo peaqos-agent enroll --config $work/value.yaml --identity-ref did:peaq:$identity --controller-key-file ctl.hex --api-key-file '$api_key'"
cp "$work/step" "$work/error"
not "is not printed" grep -F "$api_key" "$work/error"

# A pod: user 65532, its volumes belong to group 2000 (fsGroup), secrets have mode 0440.
pod() { setpriv --reuid 65532 --regid 65532 --groups 2000 env -i HOME=/nonexistent PATH="$PATH" "$@"; }
new_store pod
mkdir -m 755 "$work/secret"
printf '%s\n' "$api_key" >"$work/secret/key"
printf '%s\n' "$controller_key" >"$work/secret/ctl.hex"
chgrp 2000 "$work/secret/key" "$work/secret/ctl.hex"
chmod 440 "$work/secret/key" "$work/secret/ctl.hex"
chgrp 2000 "$work/pod"
chmod 2775 "$work/pod"
pod_enroll() {
  pod "$agent" enroll --config "$work/pod.yaml" --identity-ref "did:peaq:$identity" \
    --controller-key-file "$work/secret/ctl.hex" --api-key-file "$work/secret/key" --json
}
ok "a pod enrolls with secrets of its group, in a volume of its group" pod_enroll
first=$(jq -r .agent_id "$work/step") || true
# What the kubelet does to a volume with fsGroup when the pod starts again.
chgrp -R 2000 "$work/pod"
chmod -R g+rwX "$work/pod"
started pod pod "$agent" run --config "$work/pod.yaml"
online() { pod "$agent" status --config "$work/$1.yaml" --check live; }
within 20 "after the kubelet loosened its files, the agent is online" online pod
closed() { find "$work/pod/state/keystore" -type f -perm /077 >"$work/loose"; [ ! -s "$work/loose" ] || { cat "$work/loose"; return 1; }; }
ok "its files are closed again" closed
same() { [ "$(pod_enroll | jq -r .agent_id)" = "$first" ]; }
ok "enroll changes nothing: it is the same agent" same

# A disk with FAT, which keeps neither owners nor modes.
truncate -s 16M "$work/fat.img"
mkfs.vfat "$work/fat.img" >/dev/null
mkdir "$work/fat"
unmount_fat() { umount "$work/fat"; }
if fusefat -o rw+,allow_other "$work/fat.img" "$work/fat" >/dev/null 2>&1; then
  at_end+=(unmount_fat)
  new_store onfat
  sed -i "s|$work/onfat/state|$work/fat/state|" "$work/onfat.yaml"
  agents() { api /machines | jq '.items | length'; }
  before=$(agents)
  not "a store on FAT is refused" "$agent" enroll --config "$work/onfat.yaml" --identity-ref "did:peaq:$identity" \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key"
  cp "$work/step" "$work/error"
  ok "the error names the file system" grep -i fat "$work/error"
  ok "nothing was spent" test "$(agents)" = "$before"
else
  echo "NOTE a disk with FAT: not run here, this system mounts no file system in user space"
fi
finish
