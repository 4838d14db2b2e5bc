#!/usr/bin/env bash
# What "make release" makes. Two builds in different directories and caches are the same;
# a changed byte is noticed; what each file contains; lintian and rpmlint; the ARM programs
# under emulation. check/packages-booted.sh installs the packages.
source "$(dirname "$0")/steps.sh"
source "$(dirname "$0")/release.sh"
begin "the files of a release"
need_root
need mmdebstrap mmdebstrap
need jq jq
need qemu-arm-static qemu-user-static

need_release
dist=$work/dist # parts of it are changed below
cp -r "$release" "$dist"
deb=$(echo "$dist"/*_amd64.deb) rpm=$(echo "$dist"/*.x86_64.rpm)
[ -s "$deb" ] || die "there is no deb"
count() { [ "$(find "$dist" -name "$1" | wc -l)" -eq "$2" ] || { ls "$dist"; return 1; }; }
six() { count '*_linux_*.tar.gz' 6 && count '*.rpm' 6 && count '*.apk' 6 && count '*.deb' 5 && count '*dx.json' 12; }
ok "make release makes six architectures; one deb is for both 32-bit ARMs" six

# What cannot be a release is refused before anything is built.
keys=$work/keys
mkdir "$keys"
openssl genrsa -out "$keys/rsa" 2048 2>/dev/null
openssl genpkey -algorithm ed25519 -out "$keys/ed25519"
openssl ecparam -genkey -name secp384r1 -noout -out "$keys/p384"
openssl ec -in "$release_key" -aes256 -passout pass:x -out "$keys/encrypted" 2>/dev/null
openssl ec -in "$release_key" -pubout -out "$keys/public" 2>/dev/null
echo '-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----' >"$keys/cosign"
refused() { # TEXT KEY
  ! timeout 60 make -s release RELEASE_KEY="$2" targets="amd64=linux/amd64/" </dev/null >"$work/refused" 2>&1 &&
    grep -F -- "$1" "$work/refused"
}
for kind in rsa ed25519 p384; do ok "a key of another kind is refused: $kind" refused "another kind than ECDSA on P-256" "$keys/$kind"; done
ok "an encrypted key is refused, and nobody is asked for its passphrase" refused "is encrypted" "$keys/encrypted"
ok "a public key is refused" refused "not a private key" "$keys/public"
ok "a key of cosign is refused where there is no cosign" refused "cosign, which is not installed" "$keys/cosign"
ok "a missing key is refused" refused "cannot be read" "$keys/none"
archive() { # without git, as a downloaded source archive
  mkdir "$work/archive" && git archive "$release_commit" | tar -xC "$work/archive" && ! make -s -C "$work/archive" release >"$work/refused" 2>&1 &&
    grep -F "not a clone with git" "$work/refused"
}
ok "without git a release is refused" archive

# Two builds. The second is signed by a key of cosign.
need_linters
mkdir "$work/bin"
ln -s "$linters/usr/bin/cosign" "$work/bin/"
export COSIGN_PASSWORD=x
(cd "$keys" && rm cosign && "$work/bin/cosign" generate-key-pair) 2>"$work/step" || die "cosign makes no key" "$work/step"
deep="$work/a deeper/directory/peaqos-agent"
mkdir -p "$(dirname "$deep")"
(umask 077 && release_clone "$deep")
again() { PATH=$PATH:$work/bin GOCACHE=$work/gocache make -s -C "$deep" release RELEASE_KEY="$keys/cosign.key" targets=amd64=linux/amd64/; }
ok "make release, in a deeper directory with a blank, another umask and an empty cache" again
same() { # PATTERN
  local file count=0
  for file in "$deep"/bin/release/$1; do
    cmp "$dist/$(basename "$file")" "$file" && count=$((count + 1)) || return 1
  done
  [ "$count" -gt 0 ]
}
ok "the tarball, with its binary, is the same" same '*_linux_amd64.tar.gz'
ok "the deb is the same" same '*.deb'
ok "the rpm is the same" same '*.rpm'
ok "the apk is the same" same '*.apk'
ok "the SBOMs are the same" same '*dx.json'
ok "the chart and the role are the same" eval "same '*.tgz' && same '*_ansible.tar.gz'"
image_for_amd64() { # DIRECTORY OF A RELEASE: the digest of its manifest, which names all that is in it
  python3 - "$1"/*_image.tar <<'PYTHON'
import json, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    index = json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]
    platforms = json.load(tar.extractfile("blobs/sha256/" + index.removeprefix("sha256:")))["manifests"]
print([p["digest"] for p in platforms if p["platform"]["architecture"] == "amd64"][0])
PYTHON
}
same_image() { local digest; digest=$(image_for_amd64 "$dist") && says "$digest" image_for_amd64 "$deep/bin/release"; }
ok "the image is the same" same_image
by_cosign() { openssl dgst -sha256 -verify "$keys/cosign.pub" -signature SHA256SUMS.sig SHA256SUMS && cmp "$keys/cosign.pub" release.pub; }
ok "OpenSSL verifies the signature by a key of cosign" eval '(cd "$deep/bin/release" && by_cosign)'
rm -rf "$deep" "$work/gocache"

# Sums and signature.
sums_hold() { (cd "$dist" && sha256sum --strict -c SHA256SUMS); }
is_signed() { openssl dgst -sha256 -verify "$dist/release.pub" -signature "$dist/SHA256SUMS.sig" "$dist/SHA256SUMS"; }
all_listed() {
  (cd "$dist" && for file in *; do
    case $file in SHA256SUMS* | release.pub) ;; *) grep -qF "  $file" SHA256SUMS || { echo "$file"; exit 1; } ;; esac
  done)
}
ok "SHA256SUMS holds" sums_hold
ok "it lists every file" all_listed
ok "OpenSSL verifies its signature" is_signed
ok "cosign verifies it" "$work/bin/cosign" verify-blob --key "$dist/release.pub" --insecure-ignore-tlog=true \
  --signature "$dist/SHA256SUMS.sig" "$dist/SHA256SUMS"
flip() { # FILE: changes one byte in its middle, or changes it back
  python3 - "$1" <<'PYTHON'
import os, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(os.path.getsize(sys.argv[1]) // 2)
    byte = f.read(1)[0] ^ 1
    f.seek(-1, os.SEEK_CUR)
    f.write(bytes([byte]))
PYTHON
}
flip "$deb"
not "a changed byte of the deb is refused" sums_hold
flip "$deb" && flip "$dist/SHA256SUMS"
not "a changed byte of SHA256SUMS is refused" is_signed
flip "$dist/SHA256SUMS" && flip "$dist/SHA256SUMS.sig"
not "a changed byte of the signature is refused" is_signed
flip "$dist/SHA256SUMS.sig"
ok "unchanged again, all is accepted" eval 'sums_hold && is_signed'
not "the private key is nowhere in the release" grep -rqF "$(sed -n 2p "$release_key")" "$dist"

# What is in it.
modules() { jq -e '[.packages[].name] | index("github.com/prometheus/client_golang") and index("stdlib")' "$1"; }
ok "SPDX lists the modules and the standard library" modules "$(echo "$dist"/*_linux_amd64.spdx.json)"
components() { jq -e '.bomFormat == "CycloneDX" and ([.components[].name] | index("github.com/prometheus/client_golang"))' "$1"; }
ok "CycloneDX lists the modules" components "$(echo "$dist"/*_linux_amd64.cdx.json)"
names_deb() {
  jq -e --arg name "$(basename "$deb")" --arg sum "$(sha256sum <"$deb" | cut -d ' ' -f 1)" --arg commit "$release_commit" \
    '(.subject | any(.name == $name and .digest.sha256 == $sum)) and
     .predicate.buildDefinition.resolvedDependencies[0].digest.gitCommit == $commit' "$dist/provenance.json"
}
ok "the provenance names the deb's sum and the commit" names_deb
ok "the notes have the changelog's section" grep -q '^### Added' "$dist/RELEASE_NOTES.md"
tar -C "$work" -xzf "$(echo "$dist"/*_linux_amd64.tar.gz)"
unpacked=$(echo "$work"/peaqos-agent_*_linux_amd64)
complete() {
  for file in peaqos-agent LICENSE NOTICE README.md CHANGELOG.md peaqos-agent.service config.yaml \
    man/man1/peaqos-agent-enroll.1 man/man5/peaqos-agent.5 completions/{peaqos-agent.bash,_peaqos-agent,peaqos-agent.fish} \
    deploy/init/README.md deploy/{openrc,procd}/peaqos-agent deploy/{runit,s6}/{run,finish,log/run}; do
    [ -s "$unpacked/$file" ] || { echo "$file is missing"; return 1; }
  done
}
ok "the tarball is complete" complete
ok "its configuration is valid" "$unpacked/peaqos-agent" config check --config "$unpacked/config.yaml"
ok "the packages' configuration is valid" "$unpacked/peaqos-agent" config check --config deploy/packages/config.yaml
with_go() { go version "$unpacked/peaqos-agent" | grep -F "$(sed -n 's/^toolchain := //p' Makefile)"; }
ok "it was built with the toolchain of releases" with_go

# What other checks run of the source is the same in these files.
sources=$work/sources
mkdir "$sources" "$work/role" "$work/chart"
git archive "$release_commit" deploy | tar -xC "$sources"
same_role() { tar -C "$work/role" -xzf "$(echo "$dist"/*_ansible.tar.gz)" && diff -r "$work"/role/* "$sources/deploy/ansible"; }
ok "the role is that of deploy/ansible" same_role
same_chart() { tar -C "$work/chart" -xzf "$(echo "$dist"/peaqos-agent-*.tgz)" && diff -r -x ci "$work/chart/peaqos-agent" "$sources/deploy/helm/peaqos-agent"; }
ok "the chart is that of deploy/helm" same_chart
ok "install.sh is that of the commit" eval 'git show "$release_commit:install.sh" | cmp - "$dist/install.sh"'
image_has_program() {
  python3 - "$dist"/*_image.tar "$unpacked/peaqos-agent" <<'PYTHON'
import io, json, subprocess, sys, tarfile
with tarfile.open(sys.argv[1]) as image:
    def blob(descriptor):
        return image.extractfile("blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")).read()
    platforms = json.loads(blob(json.load(image.extractfile("index.json"))["manifests"][0]))["manifests"]
    assert len(platforms) == 6, platforms
    manifest = [json.loads(blob(p)) for p in platforms if p["platform"]["architecture"] == "amd64"][0]
    layer = subprocess.run(["zstd", "-dc"], input=blob(manifest["layers"][-1]), stdout=subprocess.PIPE, check=True).stdout
with tarfile.open(fileobj=io.BytesIO(layer)) as files, open(sys.argv[2], "rb") as program:
    assert files.extractfile("usr/bin/peaqos-agent").read() == program.read()
PYTHON
}
ok "the image has the program of the tarball" image_has_program
attached() { # one for each platform, and the digests of both files are the same
  tar -xOf "$(echo "$dist"/*_image_with_sboms.tar)" index.json >"$work/index.json"
  jq -e '[.manifests[] | select(.artifactType == "application/spdx+json")] | length == 6' "$work/index.json" &&
    says "$(jq -r '.manifests[0].digest' "$work/index.json")" tar -xOf "$(echo "$dist"/*_image.tar)" index.json
}
ok "an SBOM is attached to the image of each platform" attached

# The structure of the apk: a gzip member each for the control data and the data, whose sum the first one has.
apk_structure() {
  python3 - "$(echo "$dist"/*.x86_64.apk)" <<'PYTHON'
import hashlib, io, sys, tarfile, zlib
data, members = open(sys.argv[1], "rb").read(), []
while data:
    d = zlib.decompressobj(31)
    text = d.decompress(data) + d.flush()
    members.append((text, data[:len(data) - len(d.unused_data)]))
    data = d.unused_data
control, files = members
names = {i.name.lstrip("/"): i for i in tarfile.open(fileobj=io.BytesIO(files[0]))}
info = control[0][control[0].index(b"pkgname"):].split(b"\0")[0].decode().splitlines()
assert all(" = " in line for line in info), info
fields = dict(line.split(" = ", 1) for line in info)
assert fields["datahash"] == hashlib.sha256(files[1]).hexdigest(), fields
for name in ("usr/bin/peaqos-agent", "etc/init.d/peaqos-agent"):
    assert names[name].mode == 0o755, name
assert "usr/lib/systemd/system/peaqos-agent.service" not in names
for script in (b".pre-install", b".post-install", b".post-upgrade", b".pre-deinstall", b".post-deinstall"):
    assert script in control[0], script
print(fields)
PYTHON
}
ok "the apk is well formed" apk_structure

# The linters of both formats.
lint() { # COMMAND, in that system; the packages are in /srv
  unshare --mount sh -c 'mount --bind "$2" "$1/srv" && exec chroot "$1" sh -c "$3"' sh "$linters" "$dist" "$1"
}
cp deploy/packages/rpmlint.toml "$dist/"
ok "lintian reports nothing" lint 'lintian --allow-root --fail-on error,warning /srv/*.deb'
ok "rpmlint reports nothing" lint 'rpmlint --strict -c /srv/rpmlint.toml /srv/*.rpm' # else a warning would pass
rm "$dist/rpmlint.toml"

# ARM, under emulation.
runs_from() { # DEB EMULATOR…
  local file=$1; shift
  rm -rf "$work/arm"
  dpkg-deb -x "$dist/$file" "$work/arm" && "$@" "$work/arm/usr/bin/peaqos-agent" config check --config "$work/arm/usr/share/peaqos-agent/config.yaml"
}
ok "the armhf deb runs on an arm1176 (Pi Zero)" runs_from "$(basename "$dist"/*_armhf.deb)" qemu-arm-static -cpu arm1176
ok "the arm64 deb runs on a cortex-a53 (Pi 3)" runs_from "$(basename "$dist"/*_arm64.deb)" qemu-aarch64-static -cpu cortex-a53
finish
