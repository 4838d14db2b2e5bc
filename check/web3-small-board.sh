#!/usr/bin/env bash
# Imports Web3 key files with the ARM binary, emulated, within the 512 MB of a small
# board: time and peak memory of both scrypt strengths; an error, not a kill, when
# memory is short; and a daemon that starts in 64 MB although the key is stored.
# The emulator is about 5 times slower than a server and uses about 30 MB itself.
source "$(dirname "$0")/steps.sh"
begin "Web3 key files on a 512 MB board"
need_root
need qemu-arm-static qemu-user-static
need python3 python3
make -s cross >"$work/cross" || die "make cross" "$work/cross"
build

# A memory control group below our own, cgroup v1 or v2.
own=$(awk -F: '$2 == "memory" { print $3 }' /proc/self/cgroup)
if [ -n "$own" ]; then
  group=/sys/fs/cgroup/memory$own/web3-$$ limit=memory.limit_in_bytes
else
  group=/sys/fs/cgroup$(awk -F: '$1 == 0 { print $3 }' /proc/self/cgroup)/web3-$$ limit=memory.max
fi
mkdir "$group" && [ -f "$group/$limit" ] || die "no memory control group can be made here"
leave() { rmdir "$group"; }
at_end+=(leave)

printf 'test passphrase' >"$work/passphrase"
cp "$top"/keystore/testdata/web3/*.json "$work"
chmod 600 "$work"/passphrase "$work"/*.json

# within_memory MB COMMAND… runs it in the group and prints wall time, processor time and peak.
within_memory() {
  echo $(($1 << 20)) >"$group/$limit"; shift
  python3 - "$group/cgroup.procs" "$@" <<'PY'
import os, resource, subprocess, sys, time
def enter(): open(sys.argv[1], "w").write(str(os.getpid()))
start = time.time()
code = subprocess.run(sys.argv[2:], preexec_fn=enter).returncode
use = resource.getrusage(resource.RUSAGE_CHILDREN)
wall, cpu, peak = time.time() - start, use.ru_utime + use.ru_stime, use.ru_maxrss / 1024
print(f"took {wall:.1f} s ({cpu:.1f} s of processor), peak {peak:.0f} MB", flush=True)
sys.exit(code if code >= 0 else 128 - code)
PY
}

import_file() { # MB FILE
  rm -rf "$work/state"
  mkdir -m 700 "$work/state"
  within_memory "$1" qemu-arm-static -cpu "$cpu" "$binary" identity import "$work/$2" \
    --passphrase-file "$work/passphrase" --keystore-dir "$work/state" --volatile
}
address=0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A

# imports WHAT MB FILE: the import works; prints its figures.
imports() {
  ok "$1" import_file "$2" "$3"
  grep -q "$address" "$work/step" || fail "$1: another address" "$work/step"
  grep '^took' "$work/step" | sed 's/^/   /' || true
}

# refuses WHAT MB FILE: the import fails with an error and an exit code, and is not killed.
refuses() {
  local code=0
  import_file "$2" "$3" >"$work/step" 2>&1 || code=$?
  if [ "$code" -lt 128 ] && [ "$code" -ne 0 ] && grep -q 'not enough memory' "$work/step"; then
    pass "$1"
  else
    fail "$1 (exit $code)" "$work/step"
  fi
  grep 'not enough memory' "$work/step" | sed 's/^/   /' || true
}

for board in "armv7 cortex-a7" "armv6 arm1176"; do
  read -r arch cpu <<<"$board"
  binary=$top/bin/peaqos-agent-linux-$arch
  imports "$arch, a standard file within 512 MB" 512 geth-standard.json
  refuses "$arch, a standard file within 256 MB is refused with an error" 256 geth-standard.json
  imports "$arch, a light file within 64 MB" 64 geth-light.json
done

# The daemon of a store that contains the key.
start_sandbox
start_runtime
configure demo "$runtime"
ok "a store that contains the key" import_file 64 geth-light.json
(
  echo $BASHPID >"$group/cgroup.procs"
  exec qemu-arm-static -cpu "$cpu" "$binary" run --config "$work/config.yaml"
) >"$work/agent.log" 2>&1 &
pids+=($!)
at_end=(stop_agent leave)
stop_agent() { kill "${pids[-1]}"; wait "${pids[-1]}" 2>/dev/null; }
within 60 "the daemon starts within 64 MB, the key in its store" answers 503 "http://$telemetry/readyz"
finish
