#!/usr/bin/env bash
# The Ansible role of deploy/ansible on four booted robots: Debian 11, 12 and 13 with the package, over nsenter, and one
# more Debian 12 with the tarball, over ssh and sudo. The control host, an orchestrator with TLS and the robots have a
# network of their own. Needs root and a Debian machine; what is installed for it is made once, in .cache.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
begin "the Ansible role"
need_boot
need curl curl
need jq jq
need openssl openssl
need ip iproute2
need ssh openssh-client
need python3 python3
build

# The tools, at the versions of check/ansible/requirements.txt.
tools=$cache/ansible
exec {tools_lock}>"$tools.lock"
flock "$tools_lock"
if ! cmp -s check/ansible/requirements.txt "$tools/requirements.txt"; then
  echo "   installing ansible-core, ansible-lint, molecule and yamllint (once)"
  rm -rf "$tools"
  { python3 -m venv "$tools" && "$tools/bin/pip" install -q -r check/ansible/requirements.txt; } >"$work/pip.log" 2>&1 ||
    die "the tools cannot be installed (python3-venv, pip)" "$work/pip.log"
  cp check/ansible/requirements.txt "$tools/"
fi
exec {tools_lock}>&-
export PATH=$tools/bin:$PATH
export ANSIBLE_CONFIG=$top/deploy/ansible/ansible.cfg ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$work/ansible

ok "yamllint" yamllint --strict -c deploy/ansible/.yamllint deploy/ansible
lint() { (cd deploy/ansible && ansible-lint --offline --strict --profile production); }
ok "ansible-lint, profile production" lint


# A release: the package and the tarball, their sums, and a signature.
release=$work/release
make_release() {
  local version arch tree=$work/deb
  version=$("$agent" version --json | jq -r .version) arch=$(dpkg --print-architecture)
  mkdir -p "$release" "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$work/tar/peaqos-agent-$version"
  cp "$agent" "$tree/usr/bin/"
  cp deploy/systemd/peaqos-agent.service "$tree/usr/lib/systemd/system/"
  printf '%s\n' 'Package: peaqos-agent' "Version: $version" "Architecture: $arch" \
    'Maintainer: check <check@example.org>' 'Description: peaqos-agent, packaged by a check' >"$tree/DEBIAN/control"
  printf '#!/bin/sh\nsystemctl daemon-reload\nsystemctl enable --now peaqos-agent\n' >"$tree/DEBIAN/postinst"
  printf '#!/bin/sh\nsystemctl disable --now peaqos-agent\n' >"$tree/DEBIAN/prerm"
  chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
  dpkg-deb -Znone --root-owner-group -b "$tree" "$release/peaqos-agent_${version}_$arch.deb"
  cp "$agent" "$work/tar/peaqos-agent-$version/"
  tar -C "$work/tar" -czf "$release/peaqos-agent-$version-linux-amd64.tar.gz" "peaqos-agent-$version"
  (cd "$release" && sha256sum ./*.deb ./*.gz | sed 's#\./##' >SHA256SUMS)
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/release.key"
  openssl pkey -in "$work/release.key" -pubout -out "$release/peaqos-agent.pub"
  openssl dgst -sha256 -sign "$work/release.key" -out "$release/SHA256SUMS.sig" "$release/SHA256SUMS"
}
make_release >"$work/release.log" 2>&1 || die "the release" "$work/release.log"

# The robots, with a network to the control host and a runtime to publish.
ip netns add "fleet$$"
at_end+=("ip netns del fleet$$")
control() { nsenter --net="/run/netns/fleet$$" "$@"; }
control ip link set lo up
control ip link add br0 type bridge
control ip addr add 10.77.0.1/24 dev br0
control ip link set br0 up
mkdir "$work/leaders"
ssh_tar() { # Debian 12 with sshd and sudo, made once
  local tar=$cache/debian-bookworm-ssh.tar
  exec {ssh_lock}>"$tar.lock"
  flock "$ssh_lock"
  if [ ! -s "$tar" ]; then
    echo "   making the root file system of a Debian 12 with sshd (once)"
    mmdebstrap --quiet --format=tar --variant=minbase \
      --include=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,python3,openssh-server,sudo \
      bookworm "$tar.part" >"$work/mmdebstrap.log" 2>&1 || die "mmdebstrap" "$work/mmdebstrap.log"
    mv "$tar.part" "$tar"
  fi
  exec {ssh_lock}>&-
  mkdir "$work/ssh"
  tar -C "$work/ssh" -xpf "$tar"
}
start_robot() { # NAME NUMBER
  echo "$1" >"$work/$1/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$1" >"$work/$1/etc/hosts"
  boot "$1" "$work/$1"
  echo "${leaders[$1]}" >"$work/leaders/$1"
  control ip link add "robot$2" master br0 up type veth peer name host0 netns "${leaders[$1]}"
  in_root "$1" ip addr add "10.77.0.1$2/24" dev host0
  in_root "$1" ip link set host0 up
  in_root "$1" systemd-run -q --unit=runtime /opt/runtime sandbox --listen 127.0.0.1:9000
}
robots=(bullseye bookworm trixie ssh)
ssh_tar
for robot in bullseye bookworm trixie; do debian_root "$robot" "$work/$robot"; done
number=0
for robot in "${robots[@]}"; do
  number=$((number + 1))
  cp "$agent" "$work/$robot/opt/runtime"
  start_robot "$robot" "$number"
done
ssh-keygen -q -t ed25519 -N '' -f "$work/id"
in_root ssh useradd --create-home --shell /bin/bash engineer
echo 'engineer ALL=(ALL) NOPASSWD: ALL' >"$work/ssh/etc/sudoers.d/engineer"
in_root ssh sh -c 'cat >/etc/ssh/engineer_keys' <"$work/id.pub"
echo 'AuthorizedKeysFile /etc/ssh/engineer_keys' >"$work/ssh/etc/ssh/sshd_config.d/check.conf"
in_root ssh systemctl restart ssh

# The control host: its keys, the orchestrator, the inventory and what differs from the example.
write_keys "$work"
started orchestrator control "$agent" sandbox --listen 10.77.0.1:8787 --tls "$work/ca" \
  --api-key-file "$work/key" --controller "$controller_address"
listens orchestrator
cat >"$work/robots.csv" <<CSV
host,address,identity_ref,display_name
bullseye,bullseye,did:peaq:11,Debian 11
bookworm,bookworm,did:peaq:12,Debian 12
trixie,trixie,did:peaq:13,Debian 13
ssh,10.77.0.14,did:peaq:14,"Debian 12, ssh"
CSV
python3 deploy/ansible/inventory_from_csv.py "$work/robots.csv" >"$work/inventory.yml"
cat >"$work/lab.yml" <<YAML
robots:
  hosts:
    ssh:
      ansible_user: engineer
      ansible_ssh_private_key_file: $work/id
      ansible_ssh_common_args: -o UserKnownHostsFile=$work/known_hosts -o StrictHostKeyChecking=accept-new
      peaqos_agent_install_from: tarball
  children:
    contained:
      hosts: {bullseye: , bookworm: , trixie: }
      vars:
        ansible_become: false
        ansible_ssh_executable: $top/check/ansible/nsenter-ssh
        ansible_ssh_transfer_method: piped
YAML
# The grants go through this, so that the check knows the secrets that must not be anywhere else.
mkdir -m 700 "$work/seen"
cat >"$work/operator" <<SH
#!/bin/sh
if [ "\$1" = enroll ]; then "$agent" "\$@" | tee -a "$work/seen/grants"; else exec "$agent" "\$@"; fi
SH
chmod 755 "$work/operator"
variables() { # HEARTBEAT_KEYS
  cat <<YAML
peaqos_agent_release: $release
peaqos_agent_public_key: $release/peaqos-agent.pub
peaqos_agent_ca_file: $work/ca/sandbox-ca.pem
peaqos_agent_operator_command: $work/operator
peaqos_agent_config:
  orchestrator: {url: "https://10.77.0.1:8787"}
  machines:
    - identity_ref: "{{ identity_ref }}"
      endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:9000"}]
      register: {display_name: "{{ display_name }}"}
  heartbeat: {lease_ttl: 6s${1:+, $1}}
  keystore: {volatile: true}
  telemetry: {listen: "0.0.0.0:9757", allow_plain: true}
YAML
}
variables >"$work/vars.yml"
export LEADERS=$work/leaders PEAQOS_API_KEY_FILE=$work/key PEAQOS_CONTROLLER_KEY_FILE=$work/ctl.hex
play() { # NAME OPTION…
  local log=$work/$1.play; shift
  control ansible-playbook deploy/ansible/robots.yml -i "$work/inventory.yml" -i "$work/lab.yml" -e "@$work/vars.yml" "$@" \
    >"$log" 2>&1 </dev/null || { { grep -E '^(fatal|ERROR)' "$log"; tail -n 6 "$log"; } | cut -c 1-500; return 1; }
}
unchanged() { # NAME: no task changed anything, on any robot
  [ "$(grep -c ' changed=0 .* failed=0 ' "$work/$1.play")" -eq ${#robots[@]} ] || { tail -n 8 "$work/$1.play"; return 1; }
}
each() { # COMMAND…: on every robot
  local robot
  for robot in "${robots[@]}"; do in_root "$robot" "$@" || { echo "on $robot"; return 1; }; done
}
none() { # COMMAND…: on no robot
  local robot
  for robot in "${robots[@]}"; do if in_root "$robot" "$@"; then echo "on $robot"; return 1; fi; done
}
refused() { # NAME TEXT: every robot's play ended with this text
  [ "$(grep -c "^fatal: .*$2" "$work/$1.play")" -eq ${#robots[@]} ] || { cut -c 1-300 "$work/$1.play"; return 1; }
}
fleet() { control curl -sf --max-time 3 --cacert "$work/ca/sandbox-ca.pem" -H "x-api-key: $api_key" "https://10.77.0.1:8787/api/v1$1"; }
agents_of() { # ROBOT STATUS prints the ids of its machine's agents with this status
  fleet "/machines/$(in_root "$1" peaqos-agent identity show --json | jq -r '.items[0].machine_id')/agents" |
    jq -r --arg status "$2" '.items[] | select(.status == $status) | .id'
}
one_agent_each() { # one agent of each machine is active, and the robot uses it
  local robot id
  for robot in "${robots[@]}"; do
    id=$(in_root "$robot" peaqos-agent identity show --json | jq -r '.items[0].agent_id')
    [ "$(agents_of "$robot" active)" = "$id" ] || { echo "$robot uses $id; active: $(agents_of "$robot" active)"; return 1; }
  done
}

# A configuration that the role's specification refuses is refused before anything is done.
not "a misspelt key" play misspelt -e '{"peaqos_agent_config": {"heartbeat": {"intervall": "5s"}}}'
ok "is refused on every robot" refused misspelt 'intervall. Supported parameters include: interval'
not "a value of another type" play type -e '{"peaqos_agent_config": {"machines": "did:peaq:42"}}'
ok "is refused on every robot" refused type 'Elements value for option .machines.'
not "an unknown word" play word -e '{"peaqos_agent_config": {"log": {"level": "loud"}}}'
ok "is refused on every robot" refused word 'value of level must be one of: debug, info, warn, error, got: loud'
nothing_done() { none test -e /etc/peaqos-agent && ! grep -h 'TASK' "$work"/{misspelt,type,word}.play | grep -v "Validating arguments"; }
ok "nothing was done on any robot" nothing_done

# A byte of a file of the release, or of the sums, is another one.
for file in "$release"/*.deb "$release"/*.tar.gz; do
  cp "$file" "$work/whole"
  printf 'x' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
  cp "$work/whole" "$work/${file##*/}"
done
not "a tampered package or tarball" play tampered
ok "is refused on every robot" refused tampered 'is not the file that SHA256SUMS lists'
cp "$release/SHA256SUMS" "$work/"
(cd "$release" && sha256sum ./*.deb ./*.gz | sed 's#\./##' >SHA256SUMS)
not "sums that fit the tampered files are refused: their signature is not valid" play forged
ok "openssl says why" grep -qi 'verification failure' "$work/forged.play"
for file in "$release"/*.deb "$release"/*.tar.gz SHA256SUMS; do cp "$work/${file##*/}" "$release/"; done
ok "nothing was installed" none test -e /usr/bin/peaqos-agent

# From nothing to online, in one run.
start=$SECONDS
ok "--check on robots without an agent" play rehearsal --check --diff
ok "--check installed nothing" none ls /usr/bin/peaqos-agent /usr/local/bin/peaqos-agent /etc/peaqos-agent
ok "install, configure and enroll four robots" play enroll -vvv --tags all,enroll
echo "   $((SECONDS - start)) s"
ok "every robot is live" each peaqos-agent status --check live
ok "one agent each" one_agent_each
metrics() { control curl -sf "http://10.77.0.1$1:9757/metrics" | grep -F 'peaqos_agent_state{machine="main",state="online"} 1'; }
metrics_of_all() { metrics 1 && metrics 2 && metrics 3 && metrics 4; }
ok "another host reads the metrics of each" metrics_of_all

ok "the second run" play second --tags all,enroll
ok "it changes nothing" unchanged second
ok "--check --diff" play check --check --diff
ok "it finds nothing to change" unchanged check

# Changes of the configuration.
pids() { each systemctl show -P MainPID peaqos-agent; }
variables 'interval: 2s' >"$work/vars.yml"
before=$(pids)
ok "--check --diff with another configuration" play diff --check --diff
shows_diff() { [ "$(grep -c '^+  interval: 2s' "$work/diff.play")" -eq ${#robots[@]} ]; }
ok "it shows the difference for each robot" shows_diff
ok "a change of the configuration" play change
reloaded() { [ "$(pids)" = "$before" ] && each sh -c 'peaqos-agent status --json | grep -q "\"interval_seconds\": 2"'; }
ok "it is applied without a restart" reloaded
sed -i 's/telemetry: .*/telemetry: {listen: "0.0.0.0:9758", allow_plain: true}/' "$work/vars.yml"
ok "a change that cannot be reloaded" play restart
restarted() { [ "$(pids)" != "$before" ] && control curl -sf -o /dev/null http://10.77.0.13:9758/metrics; }
within 10 "the agents were restarted" restarted
not "a configuration that the agent refuses" play refused -e '{"peaqos_agent_config": {"heartbeat": {"interval": "5 apples"}}}'
ok "the agent says why" grep -q 'is not a duration' "$work/refused.play"
kept() { each grep -q 'interval: 2s' /etc/peaqos-agent/config.yaml; }
ok "the file was not replaced" kept

# New agents and tokens, without an account key on a robot.
ok "rotate" play rotate --tags rotate
ok "every robot is live" each peaqos-agent status --check live
ok "one agent each" one_agent_each
revoked_one() { local robot; for robot in "${robots[@]}"; do [ "$(agents_of "$robot" revoked | wc -l)" -eq 1 ] || return 1; done; }
ok "the previous agents are revoked" revoked_one
complete() { none sh -c 'peaqos-agent identity show --json | grep replaced_agent_id'; }
ok "no rotation is left unfinished" complete

# What must stay secret.
secrets=$work/seen/secrets
jq -r .agent_token "$work/seen/grants" >"$secrets"
printf '%s\n' "$api_key" "${controller_key#0x}" >>"$secrets"
ok "the check knows eight tokens and two keys" test "$(sort -u "$secrets" | wc -l)" -eq 10
not "none of them is in the output of Ansible, with -vvv" grep -lFf "$secrets" "$work"/*.play
journals() { local robot; for robot in "${robots[@]}"; do in_root "$robot" journalctl --no-pager -o cat; done >"$work/journals"; grep -cFf "$secrets" "$work/journals"; }
not "nor in a journal" journals
found_on_disk() { local robot; for robot in "${robots[@]}"; do grep -rlFf "$secrets" --exclude-dir={proc,sys,dev,run} "$work/$robot/"{etc,home,root,srv,tmp,var} && return; done; return 1; }
not "nor in a file of a robot" found_on_disk
left_over() { ls -d "${TMPDIR:-/tmp}"/peaqos-agent.* 2>/dev/null; }
not "nothing is left on the control host" left_over

ok "remove" play remove --tags remove
stopped() { none pidof peaqos-agent && none test -e /usr/bin/peaqos-agent && none test -e /usr/local/bin/peaqos-agent; }
ok "no robot runs it or has it" stopped
ok "the state is kept" each test -d /var/lib/private/peaqos-agent/keystore
names_agents() { [ "$(grep -c 'still active.*agents revoke magt_.* --machine-id mach_' "$work/remove.play")" -eq ${#robots[@]} ]; }
ok "and every robot's agent is named, with the command that revokes it" names_agents
finish
