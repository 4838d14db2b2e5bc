#!/usr/bin/env bash
# Runs the demo with the ARM binaries, each on an emulated processor of its kind:
# armv6 on the Pi Zero's own (arm1176), armv7, arm64. To show that the check can
# fail: the armv7 binary crashes on an arm1176.
# The emulator is about 10 times slower than a server; the times are not those of a
# device.
source "$(dirname "$0")/steps.sh"
begin "ARM binaries under emulation"
need qemu-arm-static qemu-user-static
make -s cross >"$work/cross" || die "make cross" "$work/cross"

# The armv6 one is made once more, as somebody does who has only that board.
rm "$top/bin/peaqos-agent-linux-armv6"
for_board() { make -s board BOARD="$1"; }
ok "make board BOARD=pi-zero makes the armv6 one" eval 'for_board pi-zero && test -x bin/peaqos-agent-linux-armv6'
not "a board that is not known is refused" for_board pi-9

# The demo starts the agent as a child process, which also runs under the emulator.
emulated() { # BINARY EMULATOR…
  local binary=$top/bin/peaqos-agent-linux-$1; shift
  PEAQOS_DEMO_RUNNER="$*" timeout 300 "$@" "$binary" demo
}

demo_on() { # WHAT BINARY EMULATOR…
  local what=$1 start=$EPOCHREALTIME; shift
  ok "$what" emulated "$@"
  grep -E '^Done' "$work/step" | sed 's/^/   /' || true
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "   %.1f s in all\n", b - a }'
}

demo_on "armv6 on an arm1176 (Pi Zero, Pi 1) runs the demo" armv6 qemu-arm-static -cpu arm1176
demo_on "armv7 on a cortex-a7 (Pi 2) runs the demo" armv7 qemu-arm-static -cpu cortex-a7
demo_on "arm64 on a cortex-a53 (Pi 3 and later) runs the demo" arm64 qemu-aarch64-static -cpu cortex-a53

v7_on_v6() { qemu-arm-static -cpu arm1176 "$top/bin/peaqos-agent-linux-armv7" version; }
not "the armv7 binary does not run on an arm1176" v7_on_v6
ok "the armv6 binary does" qemu-arm-static -cpu arm1176 "$top/bin/peaqos-agent-linux-armv6" version
finish
