# A Kubernetes cluster for check/kubernetes.sh, which sources this after steps.sh, in
# network, mount and process namespaces of its own: whatever is started here ends with them.
#
#   cluster_start            etcd, API server, controller manager, scheduler, kwok
#   node_start IMAGE.tar…    the node real-1: containerd and a kubelet
#   volumes N                N local volumes on real-1, and a default storage class for them
#   fake_nodes N             N nodes of kwok
#
# Both commands that people type, kubectl and helm, are in $work/bin.

tools=$cache/kubernetes
node_ip=10.88.1.1

# namespaces makes the directories private that the programs write to without an option.
namespaces() {
  local dir
  for dir in /run /var/log /var/lib/cni; do
    mkdir -p "$dir"
    mount -t tmpfs tmpfs "$dir"
  done
  mkdir -p /run/netns "$work/node-store" /var/lib/peaqos-agent-node
  mount --bind "$work/node-store" /var/lib/peaqos-agent-node # the DaemonSet's directory, on a disk
  mount --make-rshared / # the kubelet's mounts must reach its containers
  ip link set lo up
  ip addr add "$node_ip/32" dev lo
  sysctl -qw net.ipv4.ip_forward=1
}

cluster_start() {
  mkdir -p "$work/bin" "$work/pki"
  openssl genrsa -out "$work/pki/sa.key" 2048 2>/dev/null
  openssl rsa -in "$work/pki/sa.key" -pubout -out "$work/pki/sa.pub" 2>/dev/null
  echo 'check,admin,1,"system:masters"' >"$work/pki/tokens.csv"
  export KUBECONFIG=$work/kubeconfig
  cat >"$KUBECONFIG" <<'YAML'
apiVersion: v1
kind: Config
clusters: [{name: check, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: check}}]
contexts: [{name: check, context: {cluster: check, user: admin}}]
current-context: check
YAML
  printf '#!/bin/sh\nexec %s kubectl "$@"\n' "$tools/controlplane" >"$work/bin/kubectl"
  ln -s "$tools/helm" "$work/bin/helm"
  ln -s "$agent" "$work/bin/peaqos-agent"
  chmod +x "$work/bin/kubectl"
  export PATH=$work/bin:$PATH HOME=$work
  local run=$tools/controlplane
  started etcd "$run" etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
  started apiserver "$run" kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 127.0.0.1 \
    --advertise-address "$node_ip" --endpoint-reconciler-type none --secure-port 6443 --cert-dir "$work/pki" \
    --service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$work/pki/sa.pub" --service-account-signing-key-file "$work/pki/sa.key" \
    --token-auth-file "$work/pki/tokens.csv" --authorization-mode Node,RBAC --kubelet-preferred-address-types InternalIP
  within 120 "the API server is ready" says ok kubectl get --raw /readyz
  local client=(--kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG" --authorization-kubeconfig "$KUBECONFIG"
    --leader-elect=false --bind-address 127.0.0.1 --cert-dir "$work/pki")
  started controllers "$run" kube-controller-manager "${client[@]}" \
    --service-account-private-key-file "$work/pki/sa.key" --root-ca-file "$work/pki/apiserver.crt"
  started scheduler "$run" kube-scheduler "${client[@]}"
  started kwok "$run" kwok --kubeconfig "$KUBECONFIG" --config "$tools/stages.yaml" \
    --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake
}

# snapshotter prints overlayfs, or native where an overlay cannot be mounted on this disk.
snapshotter() {
  local probe=$work/overlay
  mkdir -p "$probe"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null; then
    umount "$probe/merged"
    echo overlayfs
  else
    echo native
  fi
}

node_start() { # IMAGE.tar…
  local node=$work/node image
  mkdir -p "$node/cni"
  cat >"$node/containerd.toml" <<TOML
version = 3
root = "$node/root"
state = "$node/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$node/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "$(snapshotter)"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$tools"]
    conf_dir = "$node/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
  cat >"$node/cni/10-check.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "check", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$node/ipam",
   "ranges": [[{"subnet": "10.88.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  # Settings for cgroup v1 and for a root without every capability, as in a container; and a
  # back-off of 1 s instead of up to 5 minutes, so that a hundred restarts can be seen.
  cat >"$node/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
featureGates: {KubeletInUserNamespace: true, KubeletCrashLoopBackOffMax: true}
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://$node/containerd.sock
address: $node_ip
healthzPort: 0
podLogsDir: $node/podlogs
volumePluginDir: $node/plugins
evictionHard: {memory.available: "50Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
resolvConf: ""
clusterDNS: ["$node_ip"]
YAML
  export PATH=$tools:$PATH
  started containerd containerd -c "$node/containerd.toml"
  within 30 "containerd is ready" ctr -a "$node/containerd.sock" version
  for image in "$@"; do
    ok "import $(basename "$image")" ctr -a "$node/containerd.sock" -n k8s.io images import --local "$image"
  done
  started kubelet kubelet --config "$node/kubelet.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$node/kubelet" \
    --cert-dir "$node/pki" --hostname-override real-1 --node-ip "$node_ip"
  within 120 "a real node is ready: kubelet, containerd, runc" node_ready
}

node_ready() { kubectl get node real-1 --no-headers | grep -q ' Ready'; }

volumes() { # N
  local n
  {
    cat <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
    for n in $(seq "$1"); do
      mkdir -p "$work/volumes/$n"
      cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$n}
spec:
  capacity: {storage: 64Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  local: {path: $work/volumes/$n}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [real-1]}]}]}}
YAML
    done
  } | kubectl apply -f -
}

fake_nodes() { # N
  local n
  for n in $(seq "$1"); do
    cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: fake-$n
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: fake-$n, type: fake}
status:
  allocatable: {cpu: "4", memory: 4Gi, pods: "20"}
  capacity: {cpu: "4", memory: 4Gi, pods: "20"}
YAML
  done | kubectl apply -f -
}
