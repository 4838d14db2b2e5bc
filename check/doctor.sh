#!/usr/bin/env bash
# doctor on a booted systemd: it says nothing while the service is live, for root and for
# another user, and finds and repairs what is broken one after the other: open files of the
# store, a unit of another version, a service that does not stay up, a service with another
# configuration. The support bundle has the unit, the journal and the metrics, and no secret.
# Needs root and a Debian machine.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/booted.sh"
suite=${SUITE:-$(host_suite)}
begin "doctor on a booted systemd ($suite)"
need_boot
need jq jq
build

root=$work/root
debian_root "$suite" "$root"
cp "$agent" "$root/usr/local/bin/"
mkdir -p "$root/etc/peaqos-agent"
write_keys "$root/root"
cp "$root/root/key" "$root/var/lib/lab-key"
config_installed >"$root/etc/peaqos-agent/config.yaml"
unit=$root/etc/systemd/system/peaqos-agent.service
store=$root/var/lib/private/peaqos-agent/keystore

boot device "$root"
inside() { in_root device "$@"; }
other() { inside setpriv --reuid 1234 --regid 1234 --clear-groups "$@"; }
# finds CODE COMMAND…: the command reports this code and fails, or only warns.
finds() {
  local code=$1 out; shift
  out=$("$@" 2>&1) || true
  grep -qF "[$code]" <<<"$out" || { echo "$out"; return 1; }
}
silent() { # COMMAND…
  local out
  if out=$("$@" 2>"$work/silent") && [ -z "$out" ]; then return; fi
  echo "$out"
  cat "$work/silent"
  return 1
}

ok "before anything is installed it names the enrollment" finds not_enrolled inside peaqos-agent doctor
not "and makes no store" test -e "$root/var/lib/peaqos-agent"
inside systemd-run -q --unit=orchestrator peaqos-agent sandbox --listen 127.0.0.1:8787 \
  --api-key-file /var/lib/lab-key --controller "$controller_address"
inside systemd-run -q --unit=runtime peaqos-agent sandbox --listen 127.0.0.1:9000
ok "service install" inside peaqos-agent service install
ok "service start" inside peaqos-agent service start
ok "enroll" inside peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ~root/ctl.hex --api-key-file ~root/key
within 20 "live" inside peaqos-agent status --check ready

ok "nothing to say to root" silent inside peaqos-agent doctor --quiet
ok "nor with the API key" silent inside peaqos-agent doctor --quiet --api-key-file ~root/key
ok "nor to another user" silent other peaqos-agent doctor --quiet
ok "who is sent to sudo for the store" says "sudo peaqos-agent doctor" other peaqos-agent doctor

chmod 644 "$store/seal.a"
ok "a file of the store that others can read is found" finds store_modes inside peaqos-agent doctor
not "and not repaired by looking" test "$(stat -c %a "$store/seal.a")" = 600
ok "--fix closes it" says "closed /var/lib/peaqos-agent/keystore/seal.a to other users" inside peaqos-agent doctor --fix
ok "and it is closed" test "$(stat -c %a "$store/seal.a")" = 600

cp "$unit" "$work/installed"
sed -i '/^WatchdogSec=/d' "$unit"
inside systemctl daemon-reload
ok "a unit of another version is found" finds old_unit inside peaqos-agent doctor
ok "--fix renews it" says "renewed the unit" inside peaqos-agent doctor --fix
ok "to what service install writes" cmp "$unit" "$work/installed"
ok "systemd has read it" test "$(inside systemctl show -P NeedDaemonReload peaqos-agent)" = no
ok "nothing to say any more" silent inside peaqos-agent doctor --quiet

cp "$root/etc/peaqos-agent/config.yaml" "$root/etc/robot.yaml"
ok "another configuration than the service's is found" finds unit_config inside peaqos-agent doctor --config /etc/robot.yaml

bundle=$root/var/tmp/support.tar.gz
ok "--bundle" inside peaqos-agent doctor --bundle /var/tmp/support.tar.gz --api-key-file ~root/key
tar -C "$work" -xzf "$bundle"
ok "mode 0600" test "$(stat -c %a "$bundle")" = 600
for file in config.txt doctor.json status.json metrics.txt unit.txt journal.txt store.txt version.txt; do
  ok "it has $file" test -s "$work/peaqos-agent/$file"
done
not "it has no secret" grep -rqF -e "$api_key" -e "${controller_key#0x}" "$work/peaqos-agent"
machine=$(inside peaqos-agent status --json | jq -r '.machines[0].machine_id')
ok "--anonymize" inside peaqos-agent doctor --bundle /var/tmp/anonymous.tar.gz --anonymize
mkdir "$work/anonymous"
tar -C "$work/anonymous" -xzf "$root/var/tmp/anonymous.tar.gz"
not "names neither machine nor identity" grep -rqF -e "$machine" -e did:peaq:42 "$work/anonymous"
not "another user gets no bundle" other peaqos-agent doctor --bundle /var/tmp/other.tar.gz
not "and leaves no file" test -e "$root/var/tmp/other.tar.gz"

mkdir -p "$unit.d"
printf '[Service]\nExecStart=\nExecStart=/bin/sh -c "exit 7"\nRestartSec=1\n' >"$unit.d/override.conf"
inside systemctl daemon-reload
inside systemctl restart peaqos-agent 2>/dev/null || true
within 20 "a service that does not stay up is found" finds service_failing inside peaqos-agent doctor
ok "with the drop-in that is to blame" finds unit_drop_in inside peaqos-agent doctor
rm "$unit.d/override.conf"
inside systemctl daemon-reload
inside systemctl reset-failed peaqos-agent || true
ok "without it the service starts" inside systemctl restart peaqos-agent
within 20 "live again" inside peaqos-agent status --check ready
ok "nothing to say" silent inside peaqos-agent doctor --quiet
finish
