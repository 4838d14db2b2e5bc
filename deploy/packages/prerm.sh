#!/bin/sh
# Before a removal: names the agent that the orchestrator continues to list, then stops the
# service. An upgrade leaves the service running; it is restarted afterwards. dpkg calls
# this with a word, rpm with 0 (removal) or 1 (upgrade), apk with a version.
set -e

unit=peaqos-agent.service
case "$1" in
  upgrade | failed-upgrade | 1) exit 0 ;;
esac

# With a wrong configuration, the one of the package names the same store.
known=$(timeout 10 peaqos-agent status --json 2>/dev/null) || {
  echo "peaqos-agent: an agent that is still enrolled may not be named here, because the status cannot be read:"
  echo "$known" | awk -F '"' '$2 == "detail" { print "  " $4; exit }'
  known=$(timeout 10 peaqos-agent status --json --config /usr/share/peaqos-agent/config.yaml 2>/dev/null) || true
}

# enrolled prints "AGENT MACHINE ORCHESTRATOR" of each enrolled machine.
enrolled() {
  echo "$known" | awk -F '"' '
    $2 == "machine_id" { machine = $4 }
    $2 == "agent_id" { agent = $4 }
    $2 == "orchestrator" && agent != "" { print agent, machine, $4; agent = "" }'
}

enrolled | while read -r agent machine orchestrator; do
  echo "peaqos-agent: agent $agent of machine $machine is still enrolled at $orchestrator; its token stays on this machine."
  echo "  To revoke it, from any computer with peaqos-agent and the API key:"
  echo "  peaqos-agent agents revoke $agent --orchestrator-url $orchestrator --machine-id $machine --api-key-file FILE"
done

if command -v rc-service >/dev/null; then rc-service --quiet --ifstarted peaqos-agent stop || true; fi
if [ -d /run/systemd/system ]; then
  case "$1" in
    remove | deconfigure) deb-systemd-invoke stop $unit >/dev/null || true ;;
    *) systemctl --no-reload disable --now $unit >/dev/null 2>&1 || true ;;
  esac
fi
