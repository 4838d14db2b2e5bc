#!/usr/bin/env bash
# make test: the linters, the virtual environment of the real Python SDK, and all Go
# tests under the race detector. Each stage has a line with its time; the last line
# is the count. Further arguments go to go test: check/test.sh -run TestX
set -euo pipefail
cd "$(dirname "$0")/.."

# stage WHAT COMMAND…: the command, then the time that it took.
stage() {
  local what=$1 start=$SECONDS; shift
  echo "== $what"
  if ! "$@"; then
    echo "FAILED after $((SECONDS - start)) s: $what"
    echo "0 passed, 1 failed"
    exit 1
  fi
  echo "   $((SECONDS - start)) s"
}

stage "go vet, staticcheck, gofumpt" make --no-print-directory lint
stage "virtual environment of the real Python SDK" make --no-print-directory venv

race=(-race) how="with the race detector"
export CGO_ENABLED=1 # the race detector needs it; the program itself is never built with it
if ! command -v "$(go env CC)" >/dev/null; then
  race=() how="WITHOUT the race detector: there is no C compiler" CGO_ENABLED=0
fi
report=.cache/tools/testreport
mkdir -p .cache/tools
CGO_ENABLED=0 go build -o "$report" ./check/testreport
# The root package has only the rules of the repository, which read files one by one.
rules=$(go list .)
mapfile -t packages < <(go list -tags realclient ./... | grep -vx "$rules")
all_tests() {
  local failed=0
  CGO_ENABLED=0 go test -json "$@" "$rules" 2>&1 || failed=1
  go test -json "${race[@]}" -tags realclient "$@" "${packages[@]}" 2>&1 || failed=1
  return "$failed"
}
echo "== tests, $how; a line per package as it ends"
set +e
all_tests "$@" | "$report"
status=("${PIPESTATUS[@]}")
[ "${status[0]}" -eq 0 ] && [ "${status[1]}" -eq 0 ]
