#!/usr/bin/env bash
# The Go of releases, which may be newer than this machine's: every test passes with it,
# and no known vulnerability is reached in what it builds.
source "$(dirname "$0")/steps.sh"
begin "the Go that releases are built with"
toolchain=$(sed -n 's/^toolchain := //p' Makefile)
echo "   $toolchain; here is $(go env GOVERSION)"
ok "all tests pass" env GOTOOLCHAIN="$toolchain" go test ./...
ok "no known vulnerability is reached" check/vuln.sh
older() { ! TOOLCHAIN=go1.26.8 check/vuln.sh >"$work/older" 2>&1 && grep '^Vulnerability #' "$work/older"; }
ok "those that an older Go has are reported" older
finish
