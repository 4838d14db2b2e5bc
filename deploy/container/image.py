#!/usr/bin/env python3
"""Writes the container image as an OCI layout, with the standard library and zstd.

    image.py --out DIR --version 0.2.0 --tag NAME:TAG amd64=FILE arm/v6=FILE …

The image is FROM scratch: the binary, the root certificates of the machine that builds
it, a user and an empty state directory. It has two layers: what all platforms share, and
the binary. In the layout, each platform's manifest has an SPDX document as a referrer,
which names the modules in the binary and the certificates. DIR.tar is the image alone,
without referrers, because podman does not load a layout with more than one entry.

The same inputs give the same digest: the binaries, --version, --revision, --tag,
SOURCE_DATE_EPOCH, the certificates, and the version of zstd.
"""

import argparse
import datetime
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

SOURCE = "https://github.com/peaqnetwork/peaqos-agent"
BINARY = "usr/bin/peaqos-agent"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
STATE = "var/lib/peaqos-agent"
USER = 65532
LIMIT = 8_000_000  # bytes that a pull of one platform transfers

OCI = "application/vnd.oci.image."
SPDX = "application/spdx+json"
MACHINES = {"386": 3, "amd64": 62, "arm/v6": 40, "arm/v7": 40, "arm64": 183, "riscv64": 243}  # as in an ELF file


def main():
    args = arguments()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    certificates, binaries = inputs(args)

    if os.path.exists(args.out) and not os.path.exists(os.path.join(args.out, "oci-layout")) and os.listdir(args.out):
        raise SystemExit(f"error: {args.out} is not a layout that could be replaced: name another directory with --out")
    shutil.rmtree(args.out, ignore_errors=True)
    os.makedirs(os.path.join(args.out, "blobs", "sha256"))
    layout = Layout(args.out)
    shared = layout.layer(shared_files(certificates), epoch)
    labels = {
        "org.opencontainers.image.title": "peaqos-agent",
        "org.opencontainers.image.description": "Enrolls a machine with a peaqOS orchestrator and keeps it online",
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": args.version,
        "org.opencontainers.image.revision": args.revision,
        "org.opencontainers.image.created": created,
        "xyz.peaq.agent.ca-certificates.sha256": digest(certificates),
    }

    manifests, referrers = [], []
    for platform, path in sorted(args.binaries.items()):
        binary = binaries[platform]
        layers = [shared, layout.layer([("usr/bin", 0o755, b"", 0), (BINARY, 0o755, binary, 0)], epoch)]
        manifest = layout.image(platform, layers, labels, created)
        total = manifest["size"] + sum(layer["size"] for layer, _ in layers)
        print(f"{platform:<8} {total:>9} bytes compressed, {len(binary)} the binary")
        if total > LIMIT:
            raise SystemExit(f"error: {platform} is larger than {LIMIT} bytes")
        manifests.append(manifest)
        document = sbom(args, platform, path, binary, certificates, created)
        referrers.append(layout.referrer(manifest, document, created))

    index = layout.json(OCI + "index.v1+json", {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                                                "manifests": manifests, "annotations": labels})
    name, _, tag = args.tag.rpartition(":")
    index["annotations"] = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": f"{name}:{tag}"}
    archive(args.out, args.out + ".tar", layout.finish([index]), epoch)
    layout.finish([index] + referrers)
    print(index["digest"])


def arguments():
    parser = argparse.ArgumentParser(description="Write the container image as an OCI layout.")
    parser.add_argument("--out", required=True, help="directory of the layout; replaced. OUT.tar is written as well")
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", default="", help="the commit")
    parser.add_argument("--tag", required=True, help="NAME:TAG, by which the image is imported")
    parser.add_argument("--certificates", default="/" + CERTIFICATES, help="root certificates, PEM (default: this machine's)")
    parser.add_argument("binaries", nargs="+", metavar="PLATFORM=FILE", help="amd64, arm64, arm/v6, arm/v7, 386 or riscv64")
    args = parser.parse_args()
    pairs = [pair.partition("=") for pair in args.binaries]
    for platform, _, path in pairs:
        if platform not in MACHINES or not path:
            parser.error(f"{platform}={path} is not PLATFORM=FILE with one of {', '.join(MACHINES)}")
    args.binaries = {platform: path for platform, _, path in pairs}
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*", args.tag):
        parser.error(f"--tag {args.tag} is not NAME:TAG")
    for program in ("go", "zstd"):
        if not shutil.which(program):
            parser.error(f"the program {program} is missing")
    return args


def inputs(args):
    """The certificates, and the binary of each platform."""
    def content(path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise SystemExit(f"error: {path}: {error.strerror}") from error

    certificates = content(args.certificates)
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        raise SystemExit(f"error: {args.certificates} has no certificate in PEM: the image would trust no orchestrator")
    binaries = {platform: content(path) for platform, path in args.binaries.items()}
    for platform, binary in binaries.items():
        if binary[:4] != b"\x7fELF" or int.from_bytes(binary[18:20], "little") != MACHINES[platform]:
            raise SystemExit(f"error: {args.binaries[platform]} is not a program for {platform}")
    return certificates, binaries


def digest(data):
    return hashlib.sha256(data).hexdigest()


def shared_files(certificates):
    """The entries (name, mode, content, owner) that all platforms share; without content a directory."""
    passwd = f"root:x:0:0:root:/:/sbin/nologin\npeaqos-agent:x:{USER}:{USER}::/{STATE}:/sbin/nologin\n"
    group = f"root:x:0:\npeaqos-agent:x:{USER}:\n"
    return [
        ("etc", 0o755, b"", 0),
        ("etc/passwd", 0o644, passwd.encode(), 0),
        ("etc/group", 0o644, group.encode(), 0),
        ("etc/peaqos-agent", 0o755, b"", 0),
        ("etc/ssl", 0o755, b"", 0),
        ("etc/ssl/certs", 0o755, b"", 0),
        (CERTIFICATES, 0o644, certificates, 0),
        ("usr", 0o755, b"", 0),
        ("var", 0o755, b"", 0),
        ("var/lib", 0o755, b"", 0),
        (STATE, 0o700, b"", USER),
    ]


class Layout:
    """An OCI layout that is being written: blobs by their digest, then the index."""

    def __init__(self, root):
        self.root = root

    def blob(self, media_type, data):
        name = digest(data)
        with open(os.path.join(self.root, "blobs", "sha256", name), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(data)}

    def json(self, media_type, value):
        return self.blob(media_type, json.dumps(value, sort_keys=True).encode())

    def layer(self, entries, epoch):
        """A layer's descriptor, and the digest of its content before compression."""
        raw = tar(entries, epoch)
        packed = subprocess.run(["zstd", "-12", "-T1", "-q", "-c"], input=raw, check=True, capture_output=True).stdout
        return self.blob(OCI + "layer.v1.tar+zstd", packed), "sha256:" + digest(raw)

    def image(self, platform, layers, labels, created):
        architecture, _, variant = platform.partition("/")
        where = {"architecture": architecture, "os": "linux"}
        if variant:
            where["variant"] = variant
        config = self.json(OCI + "config.v1+json", {
            **where,
            "created": created,
            "config": {
                "User": f"{USER}:{USER}",
                "Env": ["PATH=/usr/bin"],
                "Entrypoint": ["/" + BINARY],
                "Cmd": ["run"],
                "Volumes": {"/" + STATE: {}},
                "StopSignal": "SIGTERM",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
            "history": [{"created": created, "created_by": what} for what in ("certificates and user", "binary")],
        })
        manifest = self.json(OCI + "manifest.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config,
            "layers": [layer for layer, _ in layers],
        })
        return {**manifest, "platform": where}

    def referrer(self, subject, document, created):
        """An SPDX document as an artifact that refers to a manifest."""
        empty = self.blob("application/vnd.oci.empty.v1+json", b"{}")
        content = self.json(SPDX, document)
        subject = {key: subject[key] for key in ("mediaType", "digest", "size")}
        manifest = self.json(OCI + "manifest.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "artifactType": SPDX, "config": empty,
            "layers": [content], "subject": subject, "annotations": {"org.opencontainers.image.created": created},
        })
        return {**manifest, "artifactType": SPDX}

    def finish(self, manifests):
        """Writes the index; returns the digests of the blobs that can be reached from it."""
        self.write("index.json", {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": manifests})
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        return sorted({found for manifest in manifests for found in self.reachable(manifest)})

    def reachable(self, descriptor):
        found = {descriptor["digest"].removeprefix("sha256:")}
        if descriptor["mediaType"] in (OCI + "index.v1+json", OCI + "manifest.v1+json"):
            with open(os.path.join(self.root, "blobs", "sha256", *found), encoding="utf-8") as file:
                content = json.load(file)
            for child in content.get("manifests", []) + content.get("layers", []) + [content.get("config")]:
                found |= self.reachable(child) if child else set()
        return found

    def write(self, name, value):
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as file:
            json.dump(value, file, sort_keys=True)


def tar(entries, epoch):
    """An archive of entries with nothing of this machine in it: no names, no times of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive_file:
        for name, mode, data, owner in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime, info.uid, info.gid = mode, epoch, owner, owner
            if not data:
                info.type = tarfile.DIRTYPE
                archive_file.addfile(info)
            else:
                info.size = len(data)
                archive_file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive(root, path, blobs, epoch):
    """The layout with some of its blobs as one file."""
    entries = [("blobs", 0o755, b"", 0), ("blobs/sha256", 0o755, b"", 0)]
    for name in ["oci-layout", "index.json"] + ["blobs/sha256/" + blob for blob in blobs]:
        with open(os.path.join(root, name), "rb") as file:
            entries.append((name, 0o644, file.read(), 0))
    with open(path, "wb") as file:
        file.write(tar(entries, epoch))


def modules(path):
    """The Go version and the modules (path, version, sum) in a binary, as the Go command reads them."""
    out = subprocess.run(["go", "version", "-m", path], check=True, capture_output=True, text=True).stdout.splitlines()
    found = []
    for line in out[1:]:
        kind, *fields = line.strip().split("\t")
        if kind in ("dep", "=>"):
            if kind == "=>":
                found.pop()
            found.append((fields + ["", ""])[:3])
    return out[0].rpartition(" ")[2], found


def sbom(args, platform, path, binary, certificates, created):
    """What is in one platform's image, as an SPDX 2.3 document."""
    go, found = modules(path)

    def package(ident, name, version, **more):
        return {"SPDXID": "SPDXRef-" + ident, "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
                "copyrightText": "NOASSERTION", **more}

    def purl(name, version):
        return {"externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                  "referenceLocator": f"pkg:golang/{name}@{version}"}]}

    def checksum(data):
        return {"checksums": [{"algorithm": "SHA256", "checksumValue": digest(data)}]}

    packages = [
        package("agent", "peaqos-agent", args.version, packageFileName="/" + BINARY, **checksum(binary)),
        package("certificates", "ca-certificates.crt", digest(certificates)[:12],
                packageFileName="/" + CERTIFICATES, **checksum(certificates)),
        package("go", "stdlib", go.removeprefix("go"), **purl("stdlib", go.removeprefix("go"))),
    ]
    for n, (name, version, _) in enumerate(found):
        packages.append(package(f"module-{n}", name, version, **purl(name, version)))
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-agent"), ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-certificates")]
    relations += [("SPDXRef-agent", "DEPENDS_ON", p["SPDXID"]) for p in packages[2:]]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"peaqos-agent {args.version} image linux/{platform}",
        "documentNamespace": f"{SOURCE}/image/{args.version}/{platform}/{digest(binary + certificates)}",
        "creationInfo": {"created": created, "creators": ["Tool: peaqos-agent-image"]},
        "packages": packages,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations],
    }


if __name__ == "__main__":
    main()
