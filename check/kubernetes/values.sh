# What people set in every chart; check/kubernetes.sh sources this before it starts a cluster.

helm3=$tools/helm3
release_names=(n 1e3 hall.1-robots "$(printf 'a%.0s' {1..49}).bcd")

same_with_helm3() { # FILE…
  renders "$@" >"$work/helm4.yaml" && "$helm3" lint --strict "$chart" "$@" && "$helm3" template peaqos-agent "$chart" "$@" >"$work/helm3.yaml" &&
    diff -B "$work/helm4.yaml" "$work/helm3.yaml"
}
# without_each: a value that is null is left out, or the schema says that it is missing. An
# upgrade with --reuse-values from a chart that did not have it yet is the same.
without_each() {
  local key count=0
  for key in $(sed -n 's/^\([a-zA-Z]*\):.*/\1/p' "$chart/values.yaml"); do
    count=$((count + 1))
    if ! renders --set "$key=null" >"$work/step.null" 2>&1 && ! grep -q "missing property '$key'" "$work/step.null"; then
      echo "$key=null"
      cat "$work/step.null"
      return 1
    fi
  done
  [ "$count" -ge 40 ]
}
in_its_namespace() { # each object names the namespace, so that a plain kubectl apply finds it
  renders -n elsewhere -f "$chart/ci/full-values.yaml" >"$work/rendered.yaml"
  [ "$(grep -c '^  namespace: "elsewhere"$' "$work/rendered.yaml")" -eq "$(grep -c '^kind: ' "$work/rendered.yaml")" ]
}
job_of_alerts() { # both monitors give the job the name that the alerts select
  [ "$(renders -f "$chart/ci/full-values.yaml" | grep -c '{targetLabel: job, replacement: peaqos-agent}')" -eq 2 ] &&
    grep -q 'job="peaqos-agent"' deploy/prometheus/peaqos-agent.rules.yaml
}
name_accepted() {
  "$helm" template "$1" "$chart" -n restricted --set podMonitor.enabled=true,networkPolicy.enabled=true,podDisruptionBudget.enabled=true \
    >"$work/rendered.yaml" && server_accepts restricted <"$work/rendered.yaml"
}
image_is() { # IMAGE SETTING…
  local image=$1 setting arguments=(); shift
  for setting in "$@"; do arguments+=(--set "$setting"); done
  says "image: \"$image\"" renders "${arguments[@]}"
}

no_ids() { # a null removes the key, and a user's group goes with it
  ! renders -f "$chart/ci/platform-values.yaml" | grep -E 'runAsUser|runAsGroup|fsGroup:|: null$' &&
    renders --set podSecurityContext.runAsUser=1,podSecurityContext.runAsNonRoot=false | grep -A 8 '^      securityContext:' >"$work/context" &&
    grep -q 'runAsUser: 1$' "$work/context" && grep -q 'runAsNonRoot: false' "$work/context" && grep -q 'runAsGroup: 65532' "$work/context"
}
notes_say() { # TEXT ARGUMENTS…
  local text=$1; shift
  "$helm" install peaqos-agent "$chart" --dry-run=client "$@" | sed -n '/^NOTES:/,$p' >"$work/notes" && says "$text" cat "$work/notes"
}

ok "Helm 3 ($("$helm3" version --short)) renders the same as Helm 4" same_with_helm3
for values in "$chart"/ci/*-values.yaml; do
  ok "Helm 3, $(basename "$values")" same_with_helm3 -f "$values"
done
ok "every value may be null, or is said to be missing" without_each
ok "the objects name their namespace" in_its_namespace
ok "the monitors name the job that the alerts select" job_of_alerts
ok "ids can be left to the platform" no_ids
ok "image.registry" image_is "reg.example/peaqnetwork/peaqos-agent:$version" image.registry=reg.example
ok "global.imageRegistry comes first" image_is "mirror.example/a/b:v1" image.registry=reg.example global.imageRegistry=mirror.example/ \
  image.repository=a/b image.tag=v1
ok "the notes say how to enroll, for every endpoint" notes_say "--provider-key qvac,demo --identity-ref" \
  --set 'config.machines[0].endpoints[1].provider_key=demo' --set 'config.machines[0].endpoints[1].base_url=http://127.0.0.1:1' \
  --set 'config.machines[0].endpoints[0].provider_key=qvac' --set 'config.machines[0].endpoints[0].base_url=http://127.0.0.1:2'
ok "and where a failed enrollment is explained" notes_say "kubectl logs -n default peaqos-agent-0 -c peaqos-agent-enroll" \
  --set enrollment.method=keys,enrollment.existingSecret=account
ok "refused: a pod without an identity" refuses "no entry for the pod peaqos-agent-1" replicas=2 identities.peaqos-agent-0=did:peaq:42
ok "refused: an identity that the agent refuses" refuses "/identities/peaqos-agent-0" identities.peaqos-agent-0=did:peaq:0042
ok "refused: the same one in config" refuses "/identity_ref" 'config.machines[0].identity_ref=did:peaq:0042'
ok "refused: a label that the chart sets" refuses "set by the chart" 'podLabels.app\.kubernetes\.io/name=x'
ok "refused: such a label on everything" refuses "set by the chart" 'commonLabels.helm\.sh/chart=x'
ok "refused: a disruption budget of a DaemonSet" refuses "a drain leaves" mode=daemonset podDisruptionBudget.enabled=true
