#!/usr/bin/env bash
# Runs all Go tests under the race detector and ends with their count.
# A package that passes shows what its tests report (figures), one that fails
# everything.
set -euo pipefail
cd "$(dirname "$0")/.."

race=(-race)
export CGO_ENABLED=1 # the race detector needs it; the program is never built so
if ! command -v "$(go env CC)" >/dev/null; then
  race=() CGO_ENABLED=0
  echo "NOTE: no C compiler here, so the tests run WITHOUT the race detector"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
set +e
go test "${race[@]}" -v "$@" ./... 2>&1 | tee "$log" | awk '
  / *=== (RUN|PAUSE|CONT|NAME) / || /^ *--- PASS/ || /^PASS$/ || /no test files/ { next }
  { lines[n++] = $0 }
  /^(ok|FAIL) *\t/ {
    for (i = 0; i < n; i++) if ($1 == "FAIL" || lines[i] ~ /^([^ ]|    [a-z0-9_]+_test\.go:)/) print lines[i]
    n = 0; fflush()
  }
  END { for (i = 0; i < n; i++) print lines[i] }'
status=${PIPESTATUS[0]}
set -e

count() { grep -cE "^ *--- $1" "$log" || true; }
passed=$(count PASS) failed=$(count FAIL) skipped=$(count SKIP)
# A package that does not build, or panics, fails without a test's name.
broken=$(grep -cE '^FAIL\s.*\[(build|setup) failed\]|^panic: ' "$log" || true)
failed=$((failed + broken))
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ "$skipped" -gt 0 ]; then echo "$skipped skipped"; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
