#!/usr/bin/env bash
# From nothing to an online machine: two commands on the sandbox, at most 15 seconds; the
# questions of enroll on a real terminal; and the command that an ordinary user is given.
source "$(dirname "$0")/steps.sh"
begin "the first contact"
need_root
need curl curl
need jq jq
need setpriv util-linux
need python3 python3
build
chmod 755 "$work"
install -m 755 "$agent" "$work/peaqos-agent"
agent=$work/peaqos-agent
export XDG_CACHE_HOME=$work/cache

echo "-- two commands"
start=$(date +%s%N)
started sandbox "$agent" sandbox --listen 127.0.0.1:0 --with-runtime
listens sandbox
orchestrator=$url
for _ in $(seq 100); do
  line=$(sed -n 's/^  \(.*peaqos-agent enroll .*\)/\1/p' "$work/sandbox.log")
  [ -n "$line" ] && break
  sleep 0.1
done
printed() { PATH=$work:$PATH bash -c "$line"; }
ok "the enroll that the sandbox prints ends with a live machine" says "Live:      yes" printed
took=$((($(date +%s%N) - start) / 1000000))
ok "from nothing to online in $took ms, at most 15 s" test "$took" -le 15000
keys=$(sed 's/.*--config \([^ ]*\)\/config.yaml.*/\1/' <<<"$line")
api_key=$(cat "$keys/api-key")
live() { api /machines | jq -e '.items | length == 1 and .[0].status == "active"'; }
ok "the orchestrator has the machine" live

echo "-- on a terminal, without a configuration"
runtime=$(sed -n 's/^runtime on //p' "$work/sandbox.log")
cat >"$work/answer.py" <<'PYTHON'
# Runs a command on a pseudo-terminal and answers its questions, one after the other.
import os, pty, select, sys, time
answers, command = sys.argv[1].split("|"), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, until = b"", time.time() + 60
while time.time() < until:
    if select.select([fd], [], [], 0.3)[0]:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        seen += data
        sys.stdout.write(data.decode().replace("\r", ""))
    elif answers and seen.endswith(b": "):
        os.write(fd, answers.pop(0).encode() + b"\n")
        seen = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
asked() { # ANSWERS COMMAND…
  python3 "$work/answer.py" "$@"
}
config=$work/new/config.yaml
questions="$orchestrator|did:peaq:7|$keys/api-key|$keys/controller.hex|qvac=$runtime|y"
ok "it asks, writes the configuration and enrolls" says "Live:      yes" asked "$questions" \
  "$agent" enroll --config "$config" --keystore-dir "$work/new/state" --volatile
ok "the file can be read by the service" test "$(stat -c %a "$config")" = 644
not "no secret, and no path of one, is in it" grep -q -e "$api_key" -e api-key -e controller "$config"
ok "the configuration is valid" "$agent" config check --online --config "$config"

echo "-- as an ordinary user"
started open "$agent" sandbox --listen 127.0.0.1:0 --trust-first-signer
listens open
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
unattended() { as_nobody "$agent" enroll --orchestrator-url "$orchestrator" --identity-ref did:peaq:8 \
  --endpoint "qvac=$runtime" --api-key-file /media/key --write-config; }
gives() { unattended >"$work/out" 2>&1 && return 1; cat "$work/out"; grep -qF -- "$1" "$work/out"; }
if [ -e /etc/peaqos-agent ]; then
  echo "   /etc/peaqos-agent exists: the printed command is not compared"
else
  ok "it gets the exact command for root" gives \
    "sudo $agent enroll --orchestrator-url $orchestrator --identity-ref did:peaq:8 --endpoint qvac=$runtime --api-key-file /media/key --write-config"
  interactively() { asked "$url|did:peaq:9||qvac=$runtime" setpriv --reuid 65534 --regid 65534 --clear-groups "$agent" enroll >"$work/out" && return 1; cat "$work/out"; }
  ok "on a terminal it is asked, and gets the command as well" interactively
  ok "which has the answers" grep -qF -- \
    "sudo $agent enroll --orchestrator-url $url --identity-ref did:peaq:9 --endpoint qvac=$runtime --sign-with prompt --write-config" "$work/out"
  ok "an open orchestrator is asked for no API key" grep -q "requires no API key" "$work/out"
  not "nothing was written" test -e /etc/peaqos-agent
fi

finish
