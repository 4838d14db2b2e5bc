#!/usr/bin/env bash
# make check: runs the larger checks one after the other, with a line and the time of
# each, and ends with a table and their count. Names given as arguments run alone: check/all.sh qvac-runtime
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

checks=("$@")
if [ ${#checks[@]} -eq 0 ]; then
  checks=(
    systemd-booted doctor packages packages-booted install-script first-boot init-systems ansible toolchain
    arm-emulated qvac-runtime discover first-contact prometheus-scrape browser-pages container-scratch users
    network-table network-wire network-gateways network-peers faults services web3-small-board kubernetes
  )
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
table="" passed=0 failed=0
for name in "${checks[@]}"; do
  start=$SECONDS result=ok
  "$here/$name.sh" 2>&1 | tee "$log" || result=FAILED
  p=$(grep -c '^PASS ' "$log" || true) f=$(grep -c '^FAIL ' "$log" || true)
  # A check that broke off does not count what it left out.
  if [ "$result" = FAILED ] && [ "$f" -eq 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f))
  table+=$(printf '%-20s %-7s %7d %7d %7d s' "$name" "$result" "$p" "$f" $((SECONDS - start)))$'\n'
  echo "   $name took $((SECONDS - start)) s"
  echo
done

printf '%-20s %-7s %7s %7s %9s\n%s' check result passed failed took "$table"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
