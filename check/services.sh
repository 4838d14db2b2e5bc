#!/usr/bin/env bash
# Kills the agent 100 times while notifications arrive: none that the orchestrator knows
# to have arrived may be lost. In a network namespace of its own, so that no other check
# that looks for servers on loopback disturbs it. A short form is in make test.
source "$(dirname "$0")/steps.sh"
begin "presence and the control socket"
need_root
need ip iproute2
need unshare util-linux
go test -c -o "$work/services.test" ./check/services
kills() { # the directory is that of the package, as with go test
  # shellcheck disable=SC2016
  (cd check/services && PEAQOS_KILLS=100 unshare -n sh -c 'ip link set lo up && exec "$0" -test.timeout 30m' "$work/services.test")
}
ok "100 kills of the agent lose no acknowledged notification" kills
finish
