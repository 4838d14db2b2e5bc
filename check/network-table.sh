#!/usr/bin/env bash
# Breaks the network between a real agent and its sandbox in each way of the table and
# prints the table: in namespaces of its own, so that no packet leaves the machine.
source "$(dirname "$0")/steps.sh"
begin "the network table"
need_root
need python3 python3
need openssl openssl
need ip iproute2
need unshare util-linux
build
if unshare -n -m -u --propagation private python3 check/network/table.py "$agent" "$@" | tee "$work/table"; then
  pass "every row of the table"
else
  fail "every row of the table"
fi
finish
