#!/usr/bin/env bash
# make check: runs the larger checks, with a line and the time of each, and ends with a
# table and their count. Those that wait most of the time, in namespaces of their
# own, run beside the others, one after the other; their output comes at the end. Names
# given as arguments run alone and in that order: check/all.sh qvac-runtime
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

checks=("$@") beside=()
if [ ${#checks[@]} -eq 0 ]; then
  beside=(network-table network-wire network-gateways network-peers services faults updates packages-booted)
  checks=(
    systemd-booted doctor packages install-script first-boot init-systems ansible toolchain
    arm-emulated qvac-runtime discover first-contact prometheus-scrape browser-pages container-scratch users
    web3-small-board kubernetes
  )
fi

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
table="" passed=0 failed=0

# run NAME: one check; its output goes to the standard output, and is kept for count.
run() {
  local start=$SECONDS result=ok
  "$here/$1.sh" 2>&1 | tee "$logs/$1" || result=FAILED
  echo "$result $((SECONDS - start))" >"$logs/$1.result"
  echo "   $1 took $((SECONDS - start)) s"
  echo
}

count() { # NAME
  local result seconds p f
  read -r result seconds <"$logs/$1.result"
  p=$(grep -c '^PASS ' "$logs/$1" || true) f=$(grep -c '^FAIL ' "$logs/$1" || true)
  # A check that broke off does not count what it left out.
  if [ "$result" = FAILED ] && [ "$f" -eq 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f))
  table+=$(printf '%-20s %-7s %7d %7d %7d s' "$1" "$result" "$p" "$f" "$seconds")$'\n'
}

for name in "${beside[@]}"; do run "$name" >"$logs/$name.output"; done &
for name in "${checks[@]}"; do run "$name"; done
wait
for name in "${beside[@]}"; do cat "$logs/$name.output"; done
for name in "${checks[@]}" "${beside[@]}"; do count "$name"; done

printf '%-20s %-7s %7s %7s %9s\n%s' check result passed failed took "$table"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
