#!/usr/bin/env bash
# make vuln: reports known vulnerabilities in the code that the agent calls, with
# govulncheck. The Go vulnerability database is taken as a module from the module
# proxy, at its latest version, so that nothing else needs to be reachable.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=$PWD/.cache
version=$(cd tools && go list -m -f '{{.Version}}' golang.org/x/vulndb@latest)
database=$cache/vulndb-$version
if [ ! -d "$database" ]; then
  echo "making the vulnerability database, golang.org/x/vulndb@$version (once)"
  dir=$(cd tools && go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  rm -rf "$cache"/vulndb-* "$database.part"
  mkdir -p "$database.part"
  go run "golang.org/x/vulndb/cmd/indexdb@$version" -vulns "$dir/data/osv" -out "$database.part"
  mv "$database.part" "$database"
fi
"$cache/tools/govulncheck" -db "file://$database" ./...
