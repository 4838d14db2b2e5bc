#!/usr/bin/env bash
# make vuln: reports known vulnerabilities in the code that the agent calls, with
# govulncheck, and fails if there is one. It looks at what is released: the code with the
# Go of releases (TOOLCHAIN names another one). The Go vulnerability database is taken as
# a module from the module proxy, at its latest version, so that nothing else needs to be
# reachable; without the proxy, the one of the last run is used.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=$PWD/.cache
export GOTOOLCHAIN=${TOOLCHAIN:-$(sed -n 's/^toolchain := //p' Makefile)}
if version=$(cd tools && go list -m -f '{{.Version}}' golang.org/x/vulndb@latest 2>/dev/null); then
  database=$cache/vulndb-$version
else
  database=$(find "$cache" -maxdepth 1 -name 'vulndb-v*' ! -name '*.part' | sort | tail -n 1)
  version=${database##*/vulndb-}
  [ -n "$database" ] || { echo "vuln.sh: the module proxy cannot be reached, and no database is cached" >&2; exit 1; }
  echo "the module proxy cannot be reached; this is the database of the last run"
fi
if [ ! -d "$database" ]; then
  echo "making the vulnerability database, golang.org/x/vulndb@$version (once)"
  dir=$(cd tools && go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  rm -rf "$cache"/vulndb-* "$database.part"
  mkdir -p "$database.part"
  go run "golang.org/x/vulndb/cmd/indexdb@$version" -vulns "$dir/data/osv" -out "$database.part"
  mv "$database.part" "$database"
fi

# A program that was built with an older Go cannot read the newer standard library.
govulncheck=$cache/govulncheck-$GOTOOLCHAIN
if [ ! -x "$govulncheck" ] || [ tools/go.mod -nt "$govulncheck" ]; then
  (cd tools && go build -o "$govulncheck" golang.org/x/vuln/cmd/govulncheck)
fi
echo "$(go version), database $version"
"$govulncheck" -db "file://$database" ./...
