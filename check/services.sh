#!/usr/bin/env bash
# Kills the agent 100 times while notifications arrive: none that the orchestrator knows
# to have arrived may be lost. A short form is in make test.
source "$(dirname "$0")/steps.sh"
title="presence and the control socket"
echo "== $title"
if PEAQOS_KILLS=100 go test -count=1 -timeout 30m ./check/services; then
  echo "PASS 100 kills of the agent lose no acknowledged notification"
else
  echo "FAIL 100 kills of the agent"
  exit 1
fi
