# The lifetime of the documented installations; check/kubernetes.sh sources this.

first=(did:peaq:1000 did:peaq:1001)
all=("${first[@]}")
for n in $(seq 2 $((machines - 1))); do all+=("did:peaq:100$n"); done
robots() { # ARGUMENTS… of helm upgrade
  local n identities=()
  for n in $(seq 0 $((machines - 1))); do identities+=(--set "identities.robots-peaqos-agent-$n=did:peaq:100$n"); done
  (cd "$work/doc" && helm upgrade robots deploy/helm/peaqos-agent -n robots --reuse-values "${identities[@]}" "$@" --wait --timeout 3m) ||
    { explain_pods; return 1; }
}
all_live() { local ref; for ref in "${all[@]}"; do live "$ref" >/dev/null || { live "$ref"; return 1; }; done; }
same_agents() { # the ids are those from before, and no other agent was ever enrolled
  agents "${all[@]}" >"$work/agents.now"
  diff "$work/agents" "$work/agents.now"
}

ok "upgrade to $machines machines" robots --set "replicas=$machines"
ok "2/2 Ready, all of them" pods_ready robots 2 "$machines"
within 30 "all are live" all_live
agents "${all[@]}" >"$work/agents"
ok "one agent for each machine" test "$(wc -l <"$work/agents")" -eq "$machines"

# ---- what the pod is

in_pod() { kubectl -n robots exec robots-peaqos-agent-0 -c peaqos-agent -- peaqos-agent "$@"; }
pod_ip() { kubectl -n robots get pod robots-peaqos-agent-0 -o jsonpath='{.status.podIP}'; }
confined() { # the agent's process has no capability, a filter of system calls and no way to more
  local pid
  pid=$(process_of robots-peaqos-agent-0)
  grep -q '^CapEff:\s*0*$' "/proc/$pid/status" && grep -q '^Seccomp:\s*2' "/proc/$pid/status" &&
    grep -q '^NoNewPrivs:\s*1' "/proc/$pid/status" && grep -q '^Uid:\s*65532' "/proc/$pid/status" || { cat "/proc/$pid/status"; return 1; }
}
# process_of POD: the agent in its container, by what the container runtime gives every process of a pod.
process_of() {
  local file
  for file in $(grep -lz "^HOSTNAME=$1\$" /proc/[0-9]*/environ 2>/dev/null); do
    if tr '\0' ' ' <"${file%environ}cmdline" 2>/dev/null | grep -qx '/usr/bin/peaqos-agent run '; then
      file=${file#/proc/}
      echo "${file%/environ}"
      return
    fi
  done
  return 1
}
ok "kubectl exec … status: online" says online in_pod status
ok "the store accepts the group of the volume, and keeps its own files private" says '"durable": true' in_pod status --json
ok "metrics on the pod's address" says 'peaqos_agent_state{' curl -sf --max-time 5 "http://$(pod_ip):9757/metrics"
ok "the status is not there" answers 403 "http://$(pod_ip):9757/status"
ok "user 65532, no capability, seccomp, no new privileges" confined

# ---- a hundred kills

# kills_of POD N: SIGKILL of the agent, N times, each after the kubelet started it again.
kills_of() {
  local n pid end=$((SECONDS + 240))
  for n in $(seq "$2"); do
    until pid=$(process_of "$1"); do
      [ "$SECONDS" -lt "$end" ] || { echo "$1 does not run before kill $n"; return 1; }
      sleep 0.1
    done
    sleep "0.$((RANDOM % 6))" # it may be loading, sending its first heartbeat, or idle
    kill -9 "$pid" || { echo "$1: kill $n found no process"; return 1; }
    while [ -e "/proc/$pid" ]; do sleep 0.1; done
  done
}
hundred_kills() {
  local n failed=0 running=()
  for n in $(seq 0 $((machines - 1))); do
    kills_of "robots-peaqos-agent-$n" $((kills / machines)) &
    running+=($!)
  done
  for n in "${running[@]}"; do wait "$n" || failed=1; done
  return "$failed"
}
restarts() { # as the API server counts them
  kubectl -n robots get pods -o json | jq '[.items[].status.containerStatuses[] | select(.name == "peaqos-agent") | .restartCount] | add'
}
start=$SECONDS
ok "kill -9 of the agent in its container, $kills times ($machines machines, $((kills / machines)) each)" hundred_kills
echo "   $((SECONDS - start)) s, with a back-off of 1 s instead of the kubelet's 10 s to 5 min"
within 60 "2/2 Ready, all of them" pods_ready robots 2 "$machines"
within 30 "all are live" all_live
ok "the containers were restarted $kills times" says "$kills" restarts
ok "the same agents, and no other" same_agents

# ---- upgrade, rollback, drain, uninstall

lease_is() { in_pod config show | grep -q "lease_ttl: $1" || { in_pod config show; return 1; }; }
pod_uid() { kubectl -n robots get pod robots-peaqos-agent-0 -o jsonpath='{.metadata.uid}'; }
old=$(pod_uid)
ok "upgrade with another lease, and two machines" robots --set replicas=2 --set config.heartbeat.lease_ttl=45s
ok "2/2 Ready, both" pods_ready robots 2 2
ok "it is a new pod" test "$(pod_uid)" != "$old"
ok "with the new lease" lease_is 45s
ok "rollback" helm rollback robots 2 -n robots --wait --timeout 3m
ok "2/2 Ready, all of them" pods_ready robots 2 "$machines"
ok "the lease is the old one" lease_is '1m30s\|90s'
within 30 "all are live" all_live
ok "the same agents, and no other" same_agents

# Enrolled machines need no Secret any more, also in new pods.
ok "delete the Secret with the account's keys" kubectl -n robots delete secret account
ok "delete the Secret with the grant" kubectl -n fleet delete secret robot-grant
start=$SECONDS
ok "drain the node" kubectl drain real-1 --ignore-daemonsets --timeout 90s
ok "the pods ended before their grace period" test $((SECONDS - start)) -lt 60
ok "no pod of a machine is left there" pods_ready robots 2 0
ok "uncordon" kubectl uncordon real-1
within 90 "2/2 Ready, all of them" pods_ready robots 2 "$machines"
within 60 "the sidecar as well" pods_ready fleet 2 1
within 30 "all are live" all_live
ok "the same agents, and no other" same_agents

claims() { kubectl -n robots get persistentvolumeclaims --no-headers | grep -c Bound; }
ok "uninstall" helm uninstall robots -n robots --wait --timeout 2m
within 60 "no pod is left" says "No resources found" kubectl -n robots get pods
ok "the claims are kept" says "$machines" claims
ok "install again" helm install robots "$work/peaqos-agent-$version.tgz" -n robots -f "$work/doc/robots.yaml" --wait --timeout 3m
within 30 "live" live did:peaq:1000
ok "the same agents, and no other" same_agents
ok "uninstall" helm uninstall robots -n robots --wait --timeout 2m

# ---- options

# sealed: the store has a passphrase, the listener is on loopback with probes by command,
# and the CA is the chart's caBundle alone. ephemeral: no volume, enrolled by the daemon.
sealed() {
  cd "$work/doc"
  kubectl create namespace options
  kubectl label namespace options pod-security.kubernetes.io/enforce=restricted
  kubectl -n options create secret generic account --from-file=api-key=key --from-file=controller-key=ctl.hex \
    --from-literal=passphrase="words of the check"
  kubectl -n options create configmap roots --from-file=ca.crt="$ca"
  cat >options.yaml <<YAML
image: {tag: $version}
telemetry: {expose: false}
caBundle: {configMap: roots}
extraEnv: [{name: SSL_CERT_FILE, value: /none}]
enrollment: {existingSecret: account, secretKeys: {controllerKey: controller-key}}
config:
  orchestrator: {url: "$orchestrator"}
  machines:
    - endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:8080"}]
extraContainers:
  - name: runtime
    image: example.com/runtime:1
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
YAML
  helm install sealed deploy/helm/peaqos-agent -n options -f options.yaml --set enrollment.method=keys \
    --set keystore.passphraseSecret.name=account --set identities.sealed-peaqos-agent-0=did:peaq:5000 --wait --timeout 3m
}
ephemeral() {
  cd "$work/doc"
  helm install ephemeral deploy/helm/peaqos-agent -n options -f options.yaml --set enrollment.method=auto --set enrollment.ephemeral=true \
    --set persistence.type=emptyDir --set 'config.machines[0].identity_ref=did:peaq:4000' --set 'config.machines[0].agent_label=ephemeral' \
    --set 'config.machines[0].endpoints[0].provider_key=demo,config.machines[0].endpoints[0].base_url=http://127.0.0.1:8080' \
    --wait --timeout 3m
}
replaced() { # DID LABEL: of two agents with that label one is active and one revoked
  api "/machines/$(machine_of "$1")/agents" | jq -ce --arg name "$2" \
    '[.items[] | select(.label | startswith($name + "#")) | .status] | sort == ["active", "revoked"]' ||
    { api "/machines/$(machine_of "$1")/agents"; return 1; }
}
# alone FUNCTION: in a shell of its own, where an error ends it.
alone() {
  bash -euo pipefail -c "$(declare -f "$1"); $(declare -p work orchestrator agent ca version helm3); $1" || { explain_pods; return 1; }
}
# platform: Helm 3, a name that YAML takes for a boolean, ids as OpenShift gives them, a
# configuration of one's own, a drain that spares machines, and a Secret that comes later.
platform() {
  cd "$work/doc"
  cat >own.yaml <<YAML
orchestrator: {url: "$orchestrator"}
keystore: {dir: /nowhere}
machines:
  - identity_ref_file: /etc/peaqos-agent-identity
    endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:8080"}]
YAML
  kubectl -n options create configmap own --from-file=config.yaml=own.yaml
  "$helm3" install n deploy/helm/peaqos-agent -n options -f options.yaml --set enrollment.method=keys --set existingConfigMap=own \
    --set identities.n-peaqos-agent-0=did:peaq:5001 --set podDisruptionBudget.enabled=true --set commonLabels.team=robotics \
    --set podSecurityContext.runAsUser=1000700000 --set podSecurityContext.runAsGroup=0 --set podSecurityContext.fsGroup=1000700000 \
    --set enrollment.existingSecret=later
  local said=""
  for _ in $(seq 200); do
    said=$(kubectl -n options logs n-peaqos-agent-0 -c peaqos-agent-enroll 2>/dev/null | grep 'api-key does not exist') && break
    sleep 0.3
  done
  [ -n "$said" ]
  kubectl -n options create secret generic later --from-file=api-key=key --from-file=controller-key=ctl.hex
  kubectl -n options rollout status statefulset n-peaqos-agent --timeout 3m
}
ok "sealed with a passphrase, listener on loopback, caBundle: ready" alone sealed
ok "the store is sealed with it" says '"passphrase"' kubectl -n options exec sealed-peaqos-agent-0 -c peaqos-agent -- peaqos-agent status --json
within 20 "live" live did:peaq:5000
ok "by Helm 3, with a ConfigMap of one's own and an arbitrary user: ready" alone platform
within 20 "live" live did:peaq:5001
budget() { says 1/1 kubectl -n options get poddisruptionbudgets -l team=robotics -o jsonpath='{.items[0].status.currentHealthy}/{.items[0].status.disruptionsAllowed}'; }
within 20 "its disruption budget counts it" budget
ok "uninstall it" "$helm3" uninstall n -n options --wait --timeout 2m

# ---- plain manifests

plain() {
  cd "$work/doc/deploy/kubernetes"
  sed -i -e "s,https://.*,$orchestrator," -e 's,provider_key: .*,provider_key: demo,' -e 's,base_url: .*,base_url: http://127.0.0.1:8080,' \
    components/sidecar/config.yaml
  kubectl create namespace plain
  kubectl label namespace plain pod-security.kubernetes.io/enforce=restricted
  kubectl -n plain apply -k overlays/sidecar
  kubectl -n plain rollout status deployment runtime --timeout 2m
  "$agent" enroll --grant-out - --provider-key demo --identity-ref did:peaq:4000 --controller-key-file "$work/ctl.hex" \
    --api-key-file "$work/key" --orchestrator-url "$orchestrator" |
    kubectl -n plain exec -i deployment/runtime -c peaqos-agent -- peaqos-agent enroll --grant -
}
ok "the sidecar by kustomize, enrolled with a grant" alone plain
within 20 "live" live did:peaq:4000
ok "remove it" kubectl delete namespace plain --timeout 90s
ok "the same machine without a volume: enrolled by the daemon" alone ephemeral
ok "another start" kubectl -n options delete pod ephemeral-peaqos-agent-0 --timeout 60s
within 90 "2/2 Ready" pods_ready options 2 2
within 30 "it has a new agent, and the one before is revoked" replaced did:peaq:4000 ephemeral
ok "uninstall both" helm uninstall sealed ephemeral -n options --wait --timeout 2m

# ---- a hundred nodes

everywhere() { # the DaemonSet is ready on each node
  kubectl -n nodes get daemonset nodes-peaqos-agent -o json |
    jq -e ".status | .desiredNumberScheduled == $((fakes + 1)) and .numberReady == $((fakes + 1)) and .updatedNumberScheduled == $((fakes + 1))"
}
ok "$fakes more nodes" fake_nodes "$fakes"
within 90 "the DaemonSet is ready on all $((fakes + 1)) nodes, one of them real" everywhere
with_strategy() {
  (cd "$work/doc" && helm upgrade nodes deploy/helm/peaqos-agent -n nodes --reuse-values \
    --set config.heartbeat.lease_ttl=60s --set updateStrategy.rollingUpdate.maxUnavailable=100%)
}
ok "upgrade with another lease" with_strategy
within 90 "it is replaced on all of them" everywhere
within 20 "the real one is live, with the token in the node's directory" live did:peaq:2000
ok "uninstall" helm uninstall nodes -n nodes --wait --timeout 2m
ok "uninstall the sidecar" helm uninstall robot -n fleet --wait --timeout 2m
