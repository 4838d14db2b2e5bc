"""oci.py NAME FILE=PATH… [-- ARGUMENT…] > image.tar

Writes an OCI image archive for `ctr images import`: the files in one layer, an
unprivileged user, and the arguments as the entry point. It is for what the pods of the
check need beside the agent; the agent's image is made by deploy/container/image.py.
"""
import hashlib, io, json, os, sys, tarfile

name, *rest = sys.argv[1:]
cut = rest.index("--") if "--" in rest else len(rest)
files, entrypoint = rest[:cut], rest[cut + 1:]
archive = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")


def add(path, data, mode=0o644, to=archive):
    info = tarfile.TarInfo(path)
    info.mode, info.size = mode, len(data)
    to.addfile(info, io.BytesIO(data))


def add_directory(path, to):
    info = tarfile.TarInfo(path)
    info.mode, info.type = 0o755, tarfile.DIRTYPE
    to.addfile(info)


def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    add("blobs/sha256/" + digest, data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}


layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as root:
    seen = set()
    for file in files:
        path, source = file.split("=", 1)
        parts = path.strip("/").split("/")
        for n in range(1, len(parts)):
            parent = "/".join(parts[:n])
            if parent not in seen:
                add_directory(parent, root)
            seen.add(parent)
        with open(source, "rb") as f:
            add("/".join(parts), f.read(), 0o755 if os.access(source, os.X_OK) else 0o644, to=root)
data = layer.getvalue()
machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
config = blob(json.dumps({
    "architecture": machine, "os": "linux",
    "config": {"User": "65532:65532", "Entrypoint": entrypoint},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]},
}).encode(), "config.v1+json")
manifest = blob(json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": config, "layers": [blob(data, "layer.v1.tar")],
}).encode(), "manifest.v1+json")
manifest["annotations"] = {"io.containerd.image.name": name}
add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
archive.close()
