#!/usr/bin/env bash
# Measures what the heartbeats cost on the wire: bytes and packets per day at 60 s, with a
# connection that is kept and with a server that closes each one.
source "$(dirname "$0")/steps.sh"
begin "bytes on the wire"
need_root
need python3 python3
need openssl openssl
need ip iproute2
need nsenter util-linux
build
if unshare -n -m -u --propagation private python3 check/network/wire.py "$agent"; then
  pass "kept alive at most 1.45 MB and 4,400 packets a day, closed each time at most 3.6 MB"
else
  fail "kept alive at most 1.45 MB and 4,400 packets a day, closed each time at most 3.6 MB"
fi
finish
