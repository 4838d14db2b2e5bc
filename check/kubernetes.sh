#!/usr/bin/env bash
# Installs the Helm chart and the plain manifests on a real Kubernetes: an API server, a
# kubelet, containerd and runc, and a hundred nodes of kwok, in namespaces of their own.
# The machines enroll with the sandbox over TLS. The commands of docs/kubernetes.md are
# run as they are written there.
#
#   check/kubernetes.sh                needs root
#   check/kubernetes.sh --build-only   only makes .cache/kubernetes, in the background of other work
source "$(dirname "$0")/steps.sh"
if [ "${1:-}" = --build-only ]; then
  exec nice -n 19 check/kubernetes/build.sh
fi
if [ "${1:-}" != inside ]; then
  begin "Kubernetes"
  need_root
  need runc runc
  need openssl openssl
  need ip iproute2
  need unshare util-linux
  need jq jq
  need curl curl
  need flock util-linux
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    may_install && install_packages python3 python3-venv >"$work/apt.log" 2>&1
    python3 -c 'import venv, ensurepip' || die "Python with its venv module is missing: install python3-venv"
  fi
  unshare --mount --net --pid --fork --mount-proc true 2>"$work/unshare" || die "this machine does not permit namespaces" "$work/unshare"
  build
  started tools check/kubernetes/build.sh
  wait "$last" || die "the tools cannot be built" "$work/tools.log"
  # All that was started ends with the process namespace; its mount points and the kubelet's
  # groups are on the host, and empty then.
  remove_traces() {
    local tries groups
    kill -9 "$inside" 2>/dev/null && wait "$inside"
    for tries in 1 2 3 4 5; do
      for groups in /sys/fs/cgroup/*/k8s.io /sys/fs/cgroup/k8s.io; do
        [ ! -d "$groups" ] || find "$groups" -depth -type d -exec rmdir {} + 2>/dev/null || sleep "0.$tries"
      done
    done
    rmdir /var/lib/peaqos-agent-node /var/lib/cni 2>/dev/null || true
  }
  inside=""
  at_end+=(remove_traces)
  TMPDIR=$work unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private check/kubernetes.sh inside &
  inside=$!
  wait "$inside"
  exit
fi

begin "a control plane and a node, in namespaces of their own"
# Process 1 of its namespace ends all that is in it at once. The API server would wait for
# minutes for the connections of the others. The outer script removes the directory, after the
# mounts in it have ended.
end_all() {
  [ $$ -ne 1 ] || kill -9 -1 2>/dev/null || true
  work=""
}
at_end+=(end_all)
source check/kubernetes/cluster.sh
agent=$top/bin/peaqos-agent
chart=$top/deploy/helm/peaqos-agent
version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' sdk/version.go)
helm=$tools/helm
kills=100 machines=5 fakes=100

# ---- the chart, without a cluster

renders() { "$helm" template peaqos-agent "$chart" "$@"; } # -n NAMESPACE is an option of its own
# refuses TEXT SETTING…: the chart is not rendered, and the reason contains the text.
refuses() {
  local text=$1 setting arguments=(); shift
  for setting in "$@"; do arguments+=(--set "$setting"); done
  if renders "${arguments[@]}" >"$work/refused" 2>&1; then echo "rendered"; return 1; fi
  grep -qF -- "$text" "$work/refused" || { cat "$work/refused"; return 1; }
}
# accepted FILE: the agent accepts the configuration that the chart makes of these values.
accepted() {
  renders -f "$1" >"$work/rendered.yaml" || return 1
  awk '/^  config.yaml: \|/ {inside = 1; next} inside && /^    / {print substr($0, 5); next} inside {exit}' "$work/rendered.yaml" |
    sed "s,/etc/peaqos-agent-identity,$work/identity," >"$work/rendered-config.yaml"
  echo did:peaq:42 >"$work/identity"
  "$agent" config check --config "$work/rendered-config.yaml"
}
same_manifests() {
  cp -r deploy/kubernetes "$work/manifests"
  HELM=$helm deploy/kubernetes/render.sh "$work/manifests"
  diff -r deploy/kubernetes "$work/manifests"
}

ok "the chart has the agent's version" grep -qx "appVersion: $version" "$chart/Chart.yaml"
ok "the plain manifests are what the chart renders (else: make kubernetes-manifests)" same_manifests
ok "helm lint --strict" "$helm" lint --strict "$chart"
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values")
  ok "helm lint --strict, $name" "$helm" lint --strict "$chart" -f "$values"
  ok "the agent accepts the configuration of $name" accepted "$values"
done
ok "refused: a misspelled value" refuses "'replica'" replica=2
ok "refused: a mode that does not exist" refuses "/mode" mode=deployment
ok "refused: an address with a path" refuses "/config/orchestrator/url" config.orchestrator.url=https://host/api/v1
ok "refused: a misspelled section of the configuration" refuses "'machine'" config.machine.id=x
ok "refused: a DaemonSet on emptyDir" refuses "loses the token" mode=daemonset persistence.type=emptyDir
ok "refused: a DaemonSet on one claim" refuses "must not be shared" mode=daemonset persistence.type=existingClaim persistence.existingClaim=a
ok "refused: replicas on one claim" refuses "must not be shared" replicas=2 persistence.type=existingClaim persistence.existingClaim=a
ok "refused: a StatefulSet on a node's directory" refuses "another node" persistence.type=hostPath
ok "refused: ephemeral without enroll.auto" refuses "must be auto" enrollment.ephemeral=true persistence.type=emptyDir
ok "refused: an enrollment without its Secret" refuses "needs enrollment.existingSecret" enrollment.method=keys
ok "refused: one grant for two machines" refuses "for one machine" enrollment.method=grant enrollment.existingSecret=a replicas=2
ok "refused: what the chart decides" refuses "use the value persistence" config.keystore.dir=/tmp
source check/kubernetes/values.sh
ok "helm package" "$helm" package "$chart" -d "$work"

# ---- the cluster

namespaces
write_keys "$work"
started sandbox "$agent" sandbox --listen "$node_ip:8443" --tls "$work/tls" --api-key-file "$work/key" --controller "$controller_address"
listens sandbox
orchestrator=https://$node_ip:8443
ca=$work/tls/sandbox-ca.pem
api() { curl -sf --max-time 5 --cacert "$ca" -H "x-api-key: $api_key" "$orchestrator/api/v1$1"; }
started runtime "$agent" sandbox --listen 127.0.0.1:8080 # the node's own

cluster_start
# The image as it is released, but that the sandbox's CA takes the place of the public ones.
case $(uname -m) in x86_64) platform=amd64 ;; aarch64) platform=arm64 ;; *) die "no image for $(uname -m)" ;; esac
ok "the image, as make image writes it" python3 deploy/container/image.py --out "$work/agent" --version "$version" --revision check \
  --tag "docker.io/peaqnetwork/peaqos-agent:$version" --certificates "$ca" "$platform=$agent"
python3 check/kubernetes/oci.py localhost/pause:1 "/pause=$tools/pause" -- /pause >"$work/pause.tar"
python3 check/kubernetes/oci.py example.com/runtime:1 "/runtime=$agent" -- /runtime sandbox --listen 127.0.0.1:8080 >"$work/runtime.tar"
node_start "$work/pause.tar" "$work/agent.tar" "$work/runtime.tar"
ok "volumes of the node" volumes $((machines + 4))

# ---- every template, against the API server

server_accepts() { # NAMESPACE, manifests on standard input
  kubectl -n "$1" apply --dry-run=server --validate=strict -f - >"$work/applied" 2>&1 || { cat "$work/applied"; return 1; }
  if grep -i warning "$work/applied"; then return 1; fi
}
values_accepted() { renders -n "$2" -f "$1" >"$work/rendered.yaml" && server_accepts "$2" <"$work/rendered.yaml"; }
overlay_accepted() {
  kubectl kustomize "deploy/kubernetes/overlays/$1" | sed '/^kind: Namespace$/,/^---/d; /^  namespace: /d' >"$work/overlay.yaml"
  server_accepts "$2" <"$work/overlay.yaml"
}
misspelled() {
  renders -n restricted | sed 's/automountServiceAccountToken/automountServiceAcountToken/' | server_accepts restricted
}
escalating() {
  renders -n restricted --set securityContext.allowPrivilegeEscalation=true | kubectl -n restricted apply --dry-run=server -f - 2>&1
}
for level in restricted privileged; do
  kubectl create namespace "$level" >/dev/null
  kubectl label namespace "$level" "pod-security.kubernetes.io/enforce=$level" "pod-security.kubernetes.io/warn=$level" >/dev/null
done
ok "the definitions of PodMonitor, ServiceMonitor and PrometheusRule" kubectl apply --server-side -f "$tools/monitors.yaml"
within 30 "they are served" kubectl get podmonitors,servicemonitors,prometheusrules
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values") level=restricted
  case $name in daemonset-*) level=privileged ;; esac
  ok "$name: every object is valid, without a warning of PodSecurity $level" values_accepted "$values" "$level"
done
for name in "${release_names[@]}"; do ok "a release named $name is valid" name_accepted "$name"; done
ok "overlay robots is valid in a restricted namespace" overlay_accepted robots restricted
ok "overlay sidecar is valid in a restricted namespace" overlay_accepted sidecar restricted
ok "overlay nodes is valid" overlay_accepted nodes privileged
not "a misspelled field is refused" misspelled
ok "PodSecurity names the field that is not restricted" says "allowPrivilegeEscalation != false" escalating

# ---- the documented ways

mkdir "$work/doc"
cp -r deploy "$work/doc/"
cp "$work/key" "$work/ctl.hex" "$work/doc/"
export PEAQOS_AGENT_ORCHESTRATOR_CA_FILE=$ca
# documented HEADING: the commands under that heading of docs/kubernetes.md.
documented() {
  run_documented "$@" || { explain_pods; return 1; }
}
explain_pods() { # what is not ready, and why
  kubectl get pods -A --no-headers
  kubectl get events -A --field-selector type=Warning --no-headers | tail -n 5
  kubectl get pods -A --no-headers | awk '$4 !~ /Running/ {print $1, $2}' | head -n 2 | while read -r namespace pod; do
    kubectl -n "$namespace" logs "$pod" --all-containers --tail 6
  done
}
run_documented() {
  awk -v heading="## $1" '/^## / {inside = $0 == heading} inside && /^    / {print substr($0, 5)}' docs/kubernetes.md |
    sed -e "s,https://orchestration.peaq.xyz,$orchestrator," -e 's/NODE/real-1/' >"$work/doc/commands"
  [ -s "$work/doc/commands" ] && (cd "$work/doc" && bash -euo pipefail commands)
}
machine_of() { api /machines | jq -er --arg ref "$1" '[.items[] | select(.identityRef == $ref)] | first | .id'; }
# live DID: one agent, and its endpoint is active.
live() {
  local id
  id=$(machine_of "$1") || { echo "$1 is not registered"; return 1; }
  api "/machines/$id/agents" | jq -e '[.items[] | select(.status == "active")] | length == 1' >/dev/null || { echo "$1: not one active agent"; return 1; }
  api "/machines/$id/runtime-endpoints" | jq -e '.items | length == 1 and .[0].status == "active" and .[0].source == "agent"' ||
    { api "/machines/$id/runtime-endpoints"; return 1; }
}
agents() { # DID…: the agents' ids
  local ref
  for ref in "$@"; do api "/machines/$(machine_of "$ref")/agents" | jq -r '.items[].id'; done
}
pods_ready() { # NAMESPACE CONTAINERS COUNT
  kubectl -n "$1" get pods --no-headers >"$work/pods"
  [ "$(grep -c " $2/$2 *Running" "$work/pods")" -eq "$3" ] || { cat "$work/pods"; return 1; }
}

start=$SECONDS
ok "StatefulSet, as documented: two machines in a restricted namespace register, enroll and are ready" \
  documented "StatefulSet: one machine for each pod"
echo "   $((SECONDS - start)) s"
ok "2/2 Ready, both" pods_ready robots 2 2
for n in 0 1; do ok "robots-$n is live on the orchestrator, over TLS" live "did:peaq:100$n"; done

start=$SECONDS
ok "sidecar, as documented: a chart of one's own, with a grant" documented Sidecar
echo "   $((SECONDS - start)) s"
ok "2/2 Ready" pods_ready fleet 2 1
within 20 "the sidecar is live" live did:peaq:3000

start=$SECONDS
ok "DaemonSet, as documented: enrolled with a grant by kubectl exec" documented "DaemonSet: one machine for each node"
echo "   $((SECONDS - start)) s"
within 20 "the node is live" live did:peaq:2000

ok "monitoring, as documented: the alerts and the dashboard" documented Monitoring
source check/kubernetes/lifetime.sh
finish
