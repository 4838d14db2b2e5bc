#!/usr/bin/env bash
# The Ansible role of deploy/ansible and the commands of docs/fleet.md, on four booted robots: robot-01 to robot-03 are
# Debian 11, 12 and 13 with the package, reached by nsenter; robot-04 is a Debian 12 with the tarball, reached by ssh and
# sudo. The robots, the control host, an orchestrator with TLS and a Prometheus have a network of their own. Needs root
# and a Debian machine; what is installed for it is made once, in .cache.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
source "$(dirname "$0")/release.sh"
begin "the Ansible role"
need_boot
need curl curl
need jq jq
need ip iproute2
need ssh openssh-client
need python3 python3
need prometheus prometheus
if ! python3 -c 'import ensurepip' 2>/dev/null; then
  may_install || die "python3 has no ensurepip: install the Debian package python3-venv, or run this as root with CHECK_INSTALL=1"
  install_packages python3-venv >"$work/apt.log" 2>&1 || die "python3-venv could not be installed" "$work/apt.log"
fi
build
need_release

# The tools, at the versions of check/ansible/requirements.txt.
mkdir -p "$cache"
tools=$(realpath "$cache")/ansible # its programs have this path in them
exec {tools_lock}>"$tools.lock"
flock "$tools_lock"
if ! cmp -s check/ansible/requirements.txt "$tools/requirements.txt" || ! "$tools/bin/ansible" --version >"$work/step" 2>&1; then
  echo "   installing ansible-core, ansible-lint, molecule and yamllint (once)"
  rm -rf "$tools"
  { python3 -m venv "$tools" && "$tools/bin/pip" install -q -r check/ansible/requirements.txt; } >"$work/pip.log" 2>&1 ||
    die "the tools cannot be installed (python3-venv, pip)" "$work/pip.log"
  cp check/ansible/requirements.txt "$tools/"
fi
exec {tools_lock}>&-
export PATH=$tools/bin:$PATH
export ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$work/ansible

ok "yamllint" yamllint --strict -c deploy/ansible/.yamllint deploy/ansible
lint() { (cd deploy/ansible && ansible-lint --offline --strict --profile production); }
ok "ansible-lint, profile production" lint

# The robots, with a network to the control host and a runtime to publish.
robots=(robot-01 robot-02 robot-03 robot-04)
ip netns add "fleet$$"
at_end+=("ip netns del fleet$$")
control() { nsenter --net="/run/netns/fleet$$" "$@"; }
control ip link set lo up
control ip link add br0 type bridge
control ip addr add 10.77.0.1/24 dev br0
control ip link set br0 up
mkdir "$work/leaders"
ssh_root() { # DIRECTORY: Debian 12 with sshd and sudo, made once
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
  mkdir "$1"
  tar -C "$1" -xpf "$tar"
}
start_robot() { # NUMBER
  local name=robot-0$1
  cp "$agent" "$work/$name/opt/runtime"
  echo "$name" >"$work/$name/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$work/$name/etc/hosts"
  boot "$name" "$work/$name"
  echo "${leaders[$name]}" >"$work/leaders/$name"
  echo "${leaders[$name]}" >"$work/leaders/10.77.0.1$1"
  control ip link add "robot$1" master br0 up type veth peer name host0 netns "${leaders[$name]}"
  in_root "$name" ip addr add "10.77.0.1$1/24" dev host0
  in_root "$name" ip link set host0 up
  in_root "$name" systemd-run -q --unit=runtime /opt/runtime sandbox --listen 127.0.0.1:9000
}
debian_root bullseye "$work/robot-01"
debian_root bookworm "$work/robot-02"
debian_root trixie "$work/robot-03"
ssh_root "$work/robot-04"
for number in 1 2 3 4; do start_robot "$number"; done
ssh-keygen -q -t ed25519 -N '' -f "$work/id"
in_root robot-04 useradd --create-home --shell /bin/bash engineer
echo 'engineer ALL=(ALL) NOPASSWD: ALL' >"$work/robot-04/etc/sudoers.d/engineer"
cp "$work/id.pub" "$work/robot-04/etc/ssh/engineer_keys"
chmod 644 "$work/robot-04/etc/ssh/engineer_keys"
echo 'AuthorizedKeysFile /etc/ssh/engineer_keys' >"$work/robot-04/etc/ssh/sshd_config.d/check.conf"
in_root robot-04 systemctl restart ssh

# The control host: the keys, the orchestrator, and deploy/ansible as somebody adapts it.
mkdir "$work/home"
export HOME=$work/home LEADERS=$work/leaders
write_keys "$HOME"
started orchestrator nsenter --net="/run/netns/fleet$$" "$agent" sandbox --listen 10.77.0.1:8787 --tls "$work/ca" \
  --api-key-file "$HOME/key" --controller "$controller_address"
listens orchestrator
fleet=$work/fleet
cp -r deploy/ansible "$fleet"
mkdir "$fleet/release"
cp "$release"/{SHA256SUMS,SHA256SUMS.sig,release.pub,*_amd64.deb,*_amd64.tar.gz} "$fleet/release/"
release=$fleet/release
awk -F , -v OFS=, 'NR > 1 { if (NR > 5) exit; $2 = "10.77.0.1" NR - 1 } { print }' deploy/ansible/robots.csv >"$fleet/robots.csv"
mkdir "$fleet/host_vars"
cat >"$fleet/group_vars/all.yml" <<YAML
ansible_become: false
ansible_ssh_executable: $top/check/ansible/nsenter-ssh
ansible_ssh_transfer_method: piped
YAML
cat >"$fleet/host_vars/robot-04.yml" <<YAML
ansible_become: true
ansible_user: engineer
ansible_ssh_executable: ssh
ansible_ssh_private_key_file: $work/id
ansible_ssh_common_args: -o UserKnownHostsFile=$work/known_hosts -o StrictHostKeyChecking=accept-new
peaqos_agent_install_from: tarball
YAML
adapt() { # HEARTBEAT_KEYS LISTENER: the example, for these robots
  sed -e 's#https://orchestration.peaq.xyz#https://10.77.0.1:8787#' -e 's#provider_key: qvac#provider_key: demo#' \
    -e 's#http://127.0.0.1:11435#http://127.0.0.1:9000#' -e "s#listen: .*#listen: $2#" deploy/ansible/group_vars/robots.yml
  printf '  heartbeat: {lease_ttl: 6s%s}\n  keystore: {volatile: true}\n' "$1"
  echo "peaqos_agent_ca_file: $work/ca/sandbox-ca.pem"
}
adapt '' 0.0.0.0:9757 >"$fleet/group_vars/robots.yml"
# The grants of the control host go through this, so that the check knows what must stay secret.
mkdir -m 700 "$work/seen"
mkdir "$work/bin"
cat >"$work/bin/peaqos-agent" <<SH
#!/bin/bash
set -o pipefail
case "\$*" in enroll*--grant-out\ -*) "$agent" "\$@" | tee -a "$work/seen/grants" ;; *) exec "$agent" "\$@" ;; esac
SH
chmod 755 "$work/bin/peaqos-agent"
export PATH=$work/bin:$PATH

# written COMMAND: a document has this command.
written() { grep -qF -- "$1" deploy/ansible/README.md docs/fleet.md || { echo "no document has: $1"; return 1; }; }
# play NAME COMMAND runs a command of a document in the directory of the playbook.
play() {
  local log=$work/$1.play
  local command=${2%% -vvv*}
  command=${command%% --limit*}
  written "${command/all,enroll --check --diff/all,enroll}" || return
  control bash -c "cd '$fleet' && export PEAQOS_API_KEY_FILE=~/key PEAQOS_CONTROLLER_KEY_FILE=~/ctl.hex && $2" >"$log" 2>&1 </dev/null ||
    { { grep -E '^(fatal|ERROR)' "$log"; tail -n 6 "$log"; } | cut -c 1-500; return 1; }
}
everything='ansible-playbook robots.yml'
given() { # NAME CONFIGURATION: a play with another configuration
  control bash -c "cd '$fleet' && exec ansible-playbook robots.yml -e '{\"peaqos_agent_config\": $2}'" >"$work/$1.play" 2>&1 </dev/null
}
with() { # NAME ARGUMENTS…: a play with arguments that no document has
  local name=$1; shift
  control bash -c "cd '$fleet' && PEAQOS_API_KEY_FILE=\${KEY-~/key} PEAQOS_CONTROLLER_KEY_FILE=~/ctl.hex ansible-playbook robots.yml $*" \
    >"$work/$name.play" 2>&1 </dev/null
}
unchanged() { # NAME: no task changed anything, on any robot
  [ "$(grep -c ' changed=0 .* failed=0 ' "$work/$1.play")" -eq ${#robots[@]} ] || { tail -n 8 "$work/$1.play"; return 1; }
}
refused() { # NAME TEXT: every robot's play ended with this text
  [ "$(grep -c "^fatal: .*$2" "$work/$1.play")" -eq ${#robots[@]} ] || { cut -c 1-300 "$work/$1.play"; return 1; }
}
each() { # COMMAND…: on every robot
  local robot
  for robot in "${robots[@]}"; do in_root "$robot" "$@" || { echo "on $robot"; return 1; }; done
}
none() { # COMMAND…: on no robot
  local robot
  for robot in "${robots[@]}"; do if in_root "$robot" "$@"; then echo "on $robot"; return 1; fi; done
}
identity() { in_root "$1" peaqos-agent identity show --json | jq -r ".items[0].$2"; }
declare -A machines=()
agents_of() { # ROBOT STATUS prints the ids of its machine's agents with this status
  control curl -sf --max-time 3 --cacert "$work/ca/sandbox-ca.pem" -H "x-api-key: $api_key" \
    "https://10.77.0.1:8787/api/v1/machines/${machines[$1]}/agents" |
    jq -r --arg status "$2" '.items[] | select(.status == $status) | .id'
}
one_agent_each() { # one agent of each machine is active, and the robot uses it
  local robot
  for robot in "${robots[@]}"; do
    [ "$(agents_of "$robot" active)" = "$(identity "$robot" agent_id)" ] || { echo "$robot: $(agents_of "$robot" active)"; return 1; }
  done
}

ok "the table becomes an inventory" play inventory 'python3 inventory_from_csv.py robots.csv > inventory.yml'
printf 'host,identity_ref\na,did:peaq:1\nb,did:peaq:1\n' >"$work/twice.csv"
not "a table with an identity twice does not" python3 deploy/ansible/inventory_from_csv.py "$work/twice.csv"
printf 'Host;Address;Identity Ref;\r\n robot-01;10.77.0.11 ;did:peaq:1001;\r\n;;;\r\n' >"$work/office.csv"
office() {
  python3 deploy/ansible/inventory_from_csv.py "$work/office.csv" | tr -d ' "' | paste -sd ' ' |
    grep -qx -- '--- robots: hosts: robot-01: identity_ref:did:peaq:1001 ansible_host:10.77.0.11'
}
ok "a table as an office program saves it does" office
printf 'host,identity_ref\nr\351,did:peaq:1\n' >"$work/latin.csv"
latin() { ! python3 deploy/ansible/inventory_from_csv.py "$work/latin.csv" >"$work/latin" 2>&1 && grep -qx '.*latin.csv: it is not in UTF-8: save it again as CSV UTF-8' "$work/latin"; }
ok "one that is not in UTF-8 is refused, with what to do" latin

# A configuration that the role's specification refuses is refused before anything is done.
not "a misspelt key" given misspelt '{"heartbeat": {"intervall": "5s"}}'
ok "is refused on every robot" refused misspelt 'intervall. Supported parameters include: interval'
not "a value of another type" given type '{"machines": "did:peaq:42"}'
ok "is refused on every robot" refused type 'Elements value for option .machines.'
not "an unknown word" given word '{"log": {"level": "loud"}}'
ok "is refused on every robot" refused word 'value of level must be one of: debug, info, warn, error, got: loud'
nothing_done() { none test -e /etc/peaqos-agent && ! grep -h TASK "$work"/{misspelt,type,word}.play | grep -v 'Validating arguments'; }
ok "nothing was done on any robot" nothing_done

# One byte of the release is another one.
cp -r "$release" "$work/whole"
for file in "$release"/*_amd64.deb "$release"/*_amd64.tar.gz; do printf x | dd of="$file" bs=1 seek=1000 conv=notrunc status=none; done
not "a tampered package or tarball" play tampered "$everything"
ok "is refused on every robot" refused tampered 'is not the file that SHA256SUMS lists'
(cd "$release" && sha256sum -- *.deb *.tar.gz >SHA256SUMS)
not "sums that fit the tampered files" play forged "$everything"
ok "are refused on every robot" refused forged 'SHA256SUMS is not signed by'
rm -r "$release" && mv "$work/whole" "$release"
ok "nothing was installed" none ls /usr/bin/peaqos-agent /usr/local/bin/peaqos-agent /etc/peaqos-agent

not "enrollment before the installation" play early "$everything --tags enroll"
ok "is refused on every robot" refused early 'run the playbook without --tags first'

# From nothing to online.
start=$SECONDS
ok "--check --diff on robots without an agent" play rehearsal "$everything --tags all,enroll --check --diff"
ok "it installed nothing" none ls /usr/bin/peaqos-agent /usr/local/bin/peaqos-agent /etc/peaqos-agent
ok "install, configure and enroll four robots, with -vvv" play enroll "$everything --tags all,enroll -vvv"
echo "   $((SECONDS - start)) s"
ok "every robot is live" each peaqos-agent status --check live
for robot in "${robots[@]}"; do machines[$robot]=$(identity "$robot" machine_id); done
ok "one agent each" one_agent_each
ok "the second run" play second "$everything --tags all,enroll"
ok "it changes nothing" unchanged second
ok "--check --diff" play check "$everything --check --diff"
ok "it finds nothing to change" unchanged check

# A Prometheus with the targets of the table, and the queries of docs/fleet.md.
ok "the table becomes targets" play targets 'python3 inventory_from_csv.py --prometheus robots.csv > targets.json'
# shellcheck disable=SC2016 # the backquotes of Markdown
(cd "$fleet" && { echo 'global: {scrape_interval: 1s}'; sed -n '/^```yaml$/,/^```$/p' "$top/docs/fleet.md" | grep -v '^```'; } >prometheus.yml)
started prometheus nsenter --net="/run/netns/fleet$$" prometheus --config.file "$fleet/prometheus.yml" --storage.tsdb.path "$work/tsdb" --web.listen-address 127.0.0.1:9090
answer() { control curl -sf --max-time 3 http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1"; }
query() { # EXPRESSION FILTER: a query of the document, and what is true of its result
  written "\`${1//|/\\|}\`" || return
  answer "$1" | tee "$work/answer" | jq -e ".data.result | $2" >/dev/null || { cat "$work/answer"; return 1; }
}
within 20 "four machines are online" query 'sum(peaqos_agent_state{state="online"})' '.[0].value[1] == "4"'
ok "no others" query 'peaqos_agent_state{state="online"} == 0' '. == []'
ok "one version" query 'count by (version) (peaqos_agent_build_info)' 'length == 1 and .[0].value[1] == "4"'
valid_queries() {
  local count=0 text
  # shellcheck disable=SC2016
  while read -r text; do
    count=$((count + 1))
    answer "${text//\\|/|}" | jq -e '.status == "success"' || { echo "$text"; return 1; }
  done < <(sed -n 's/^| .*? | `\(.*\)` |$/\1/p' docs/fleet.md)
  [ "$count" -ge 7 ]
}
ok "Prometheus accepts every query" valid_queries
in_root robot-02 systemctl stop runtime
within 20 "a runtime stops: the robot is named" query 'peaqos_agent_state{state="online"} == 0' 'map(.metric.robot) == ["robot-02"]'
within 5 "and why" query peaqos_agent_cause 'map([.metric.robot, .metric.cause]) == [["robot-02", "nothing_up"]]'
in_root robot-02 systemd-run -q --unit=runtime /opt/runtime sandbox --listen 127.0.0.1:9000

# Changes of the configuration.
pids() { each systemctl show -P MainPID peaqos-agent; }
before=$(pids)
adapt ', interval: 2s' 0.0.0.0:9757 >"$fleet/group_vars/robots.yml"
ok "--check --diff with another configuration" play diff "$everything --check --diff"
shows_diff() { [ "$(grep -c '^+  interval: 2s' "$work/diff.play")" -eq ${#robots[@]} ]; }
ok "it shows the difference for each robot" shows_diff
ok "a change of the configuration" play change "$everything --tags configure"
reloaded() { [ "$(pids)" = "$before" ] && each sh -c 'peaqos-agent status --json | grep -q "\"interval_seconds\": 2"'; }
ok "it is applied without a restart" reloaded
adapt ', interval: 2s' 0.0.0.0:9758 >"$fleet/group_vars/robots.yml"
ok "a change that cannot be reloaded" play restart "$everything --tags configure"
restarted() { [ "$(pids)" != "$before" ] && control curl -sf -o "$work/answer" http://10.77.0.13:9758/metrics; }
within 10 "the agents were restarted" restarted
adapt ', interval: 5 apples' 0.0.0.0:9758 >"$fleet/group_vars/robots.yml"
not "a configuration that the agent refuses" play apples "$everything --tags configure"
ok "the agent of every robot says why" refused apples 'is not a duration'
ok "the file was not replaced" each grep -q 'interval: 2s' /etc/peaqos-agent/config.yaml
adapt ', interval: 2s' 0.0.0.0:9758 >"$fleet/group_vars/robots.yml"

# A corrected identity: the robot stays the machine that it is until its agent is revoked.
not "another identity for an enrolled robot" with other-identity --tags configure,enroll --limit robot-02 -e identity_ref=did:peaq:9
ok "is refused, with both identities" grep -q '^fatal: .robot-02.*holds did:peaq:1002, which stays in use, but the configuration names did:peaq:9' "$work/other-identity.play"
ok "with the right one and a timeout from the command line it passes" with timeout --tags configure,enroll --limit robot-02 -e peaqos_agent_live_timeout=20

# New agents and tokens, without an account key on a robot.
ok "rotate" play rotate "$everything --tags rotate"
ok "every robot is live" each peaqos-agent status --check live
ok "one agent each" one_agent_each
revoked() { local robot; for robot in "${robots[@]}"; do [ "$(agents_of "$robot" revoked | wc -l)" -eq 1 ] || return 1; done; }
ok "the previous agents are revoked" revoked
ok "no rotation is left unfinished" none sh -c 'peaqos-agent identity show --json | grep replaced_agent_id'

# What must stay secret.
secrets=$work/seen/secrets
jq -r .agent_token "$work/seen/grants" >"$secrets"
printf '%s\n' "$api_key" "${controller_key#0x}" >>"$secrets"
ok "the check knows eight tokens and two keys" test "$(sort -u "$secrets" | wc -l)" -eq 10
not "none of them is in the output of Ansible" grep -lFf "$secrets" "$work"/*.play
journals() { each journalctl --no-pager -o cat >"$work/journals"; grep -Ff "$secrets" "$work/journals"; }
not "nor in a journal" journals
found_on_disk() { local robot; for robot in "${robots[@]}"; do grep -rlFf "$secrets" "$work/$robot/"{etc,home,root,srv,tmp,var} && return; done; return 1; }
not "nor in a file of a robot" found_on_disk
not "nothing is left on the control host" ls -d "${TMPDIR:-/tmp}"/peaqos-agent.*

# The commands of docs/fleet.md without Ansible, on robot-01.
mkdir "$work/manual"
cp "$HOME/key" "$HOME/ctl.hex" "$work/manual/"
head -n 2 "$fleet/robots.csv" >"$work/manual/robots.csv"
export PEAQOS_AGENT_ORCHESTRATOR_URL=https://10.77.0.1:8787 PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=$work/ca/sandbox-ca.pem
# shellcheck disable=SC2016 # for the script
printf '#!/bin/sh\nhost=$1; shift\nexec "%s" "$host" "${*#sudo }"\n' "$top/check/ansible/nsenter-ssh" >"$work/ssh"
chmod 755 "$work/ssh"
by_hand() { # DIRECTORY WORDS: runs the block of docs/fleet.md that begins with these words; magt_OLD and mach_ID are robot-01's
  sed -n "/^    $2/,/^\$/p" docs/fleet.md | sed "s/magt_OLD/$replaced/; s/mach_ID/${machines[robot-01]}/" >"$work/block.sh"
  [ -s "$work/block.sh" ] || return
  # shellcheck disable=SC2317
  (cd "$1" && ssh() { "$work/ssh" "$@"; } && export -f ssh && export work && control bash -ec "$(<"$work/block.sh")")
}
revoke() { control peaqos-agent agents revoke "$(agents_of "$1" active)" --machine-id "${machines[$1]}" --api-key-file "$HOME/key"; }
replaced=$(identity robot-01 agent_id)
ok "rotate by hand" by_hand "$work/manual" 'peaqos-agent enroll --grant-out - '
ok "one agent each" one_agent_each
not "that of robot-01 is another one" test "$(identity robot-01 agent_id)" = "$replaced"
ok "its rotation is complete" test "$(identity robot-01 replaced_agent_id)" = null
in_root robot-01 peaqos-agent unenroll --local-only >"$work/step" 2>&1
revoke robot-01 >"$work/step" 2>&1
KEY=/nowhere not "a key file that does not exist" with nokey --tags enroll --limit robot-01
ok "the play says so" grep -q 'No grant for robot-01: Error: a secret file cannot be used.*/nowhere does not exist' "$work/nokey.play"
config=$work/robot-01/etc/peaqos-agent/config.yaml
sed -i 's#10.77.0.1:8787#10.77.0.1:8788#' "$config"
in_root robot-01 systemctl restart peaqos-agent
not "a robot with another orchestrator in its file" play other "$everything --tags enroll --limit robot-01"
ok "refuses the grant" grep -q 'robot-01 refused the grant, and its agent was revoked.*the grant is for https://10.77.0.1:8787' "$work/other.play"
ok "its agent is revoked" test -z "$(agents_of robot-01 active)"
sed -i 's#10.77.0.1:8788#10.77.0.1:8787#' "$config"
in_root robot-01 systemctl restart peaqos-agent
ok "make grants from the table" by_hand "$work/manual" 'mkdir -m 700 grants'
ok "a robot takes its grant" by_hand "$work/manual" 'ssh robot-01 sudo peaqos-agent enroll'
ok "one agent each" one_agent_each
not "its file is gone" test -e "$work/manual/grants/robot-01"

# The connection breaks after the grant was made.
cat >"$work/bin/broken" <<SH
#!/bin/bash
"$work/bin/peaqos-agent" "\$@" || exit
case "\$*" in enroll*)
  nsenter -t ${leaders[robot-04]} -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'systemctl stop ssh.service; pkill -x sshd' >/dev/null 2>&1 ;;
esac
exit 0
SH
chmod 755 "$work/bin/broken"
not "robot-04 becomes unreachable while its new grant is sent" with broken --tags rotate --limit robot-04 -e "peaqos_agent_operator_command=$work/bin/broken"
in_root robot-04 systemctl start ssh
left_over() {
  local command
  command=$(sed -n "s/^fatal: .robot-04.*revoke that one: \(peaqos-agent agents revoke .*\)\"}$/\1/p" "$work/broken.play")
  [ -n "$command" ] && control $command
}
ok "the command that the play prints revokes the agent that is left over" left_over
ok "rotate it again" with again --tags rotate --limit robot-04
ok "one agent each" one_agent_each

ok "take robot-03 out of the fleet" by_hand "$fleet" 'ssh robot-03 sudo peaqos-agent unenroll'
gone() { ! in_root "$1" pidof peaqos-agent && ! in_root "$1" ls /usr/bin/peaqos-agent /usr/local/bin/peaqos-agent; }
ok "it has no agent any more" gone robot-03
ok "its agent is revoked from the control host" revoke robot-03
ok "the others are live" in_root robot-04 peaqos-agent status --check live

ok "--check of the removal" with unremoved --tags remove --check
ok "it shows a change on each robot that has the agent" test "$(grep -c ' changed=1 .* failed=0 ' "$work/unremoved.play")" -eq 3
ok "remove" play remove "$everything --tags remove"
ok "no robot has an agent" none ls /usr/bin/peaqos-agent /usr/local/bin/peaqos-agent
ok "no robot runs one" none pidof peaqos-agent
ok "the state is kept" each test -d /var/lib/private/peaqos-agent/keystore
ok "again" play removed "$everything --tags remove"
ok "it changes nothing" unchanged removed
names() { [ "$(grep -c "Still active; to revoke it: peaqos-agent agents revoke magt_.* --machine-id mach_" "$work/remove.play")" -eq 3 ]; }
ok "the three agents that are active are named, with the command that revokes them" names

# The molecule scenario, on robot-02.
in_root robot-02 sh -c 'rm -rf /var/lib/private/peaqos-agent /var/lib/peaqos-agent /etc/peaqos-agent'
scenario() {
  (cd "$fleet/roles/peaqos_agent" &&
    ROBOT=robot-02 ROBOT_BECOME=false ROBOT_SSH=$top/check/ansible/nsenter-ssh RELEASE=$release molecule test)
}
ok "molecule: converge, idempotence, verify, cleanup" scenario
finish
