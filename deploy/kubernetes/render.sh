#!/usr/bin/env bash
# Writes the plain manifests of this directory from the chart, and the agent's version
# into the chart. check/kubernetes.sh holds that nothing changes:
#
#   render.sh [DIRECTORY]     needs helm, or HELM=/path/of/helm; with a directory only the
#                             manifests are written, to there
#
# Written: base/*/manifests.yaml, base/*/config.yaml, components/sidecar/{patch,config}.yaml.
# The rest is written by hand.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath "${1:-$here}")
chart=$here/../helm/peaqos-agent
helm=${HELM:-helm}

if [ $# -eq 0 ]; then
  version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' "$here"/../../sdk/*.go)
  sed -i "s/^\(version\|appVersion\): .*/\1: $version/" "$chart/Chart.yaml"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# render CHART ARGUMENTS…: helm's output without what only Helm uses.
render() {
  "$helm" template peaqos-agent "$@" |
    sed -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: /d' -e '/^  namespace: /d' -e '/^# Source: /d' -e '/^ *checksum\/peaqos-agent: /d' \
      -e '/^ *annotations:$/d' -e '/^$/d'
}

written() { echo "# Written by render.sh from the chart. Do not edit it: use an overlay."; }

# config_of prints the file that is in a rendered ConfigMap.
config_of() { awk '/^  config.yaml: \|/ {inside = 1; next} inside && /^    / {print substr($0, 5); next} {inside = 0}'; }

for mode in statefulset daemonset; do
  dir=$out/base/$mode
  mkdir -p "$dir"
  {
    written
    for template in serviceaccount service "$mode"; do
      # A DaemonSet has no Service.
      if [ "$mode/$template" = daemonset/service ]; then continue; fi
      render "$chart" --set "mode=$mode" --show-only "templates/$template.yaml"
    done
  } >"$dir/manifests.yaml"
  { written; render "$chart" --set "mode=$mode" --show-only templates/configmap.yaml | config_of; } >"$dir/config.yaml"
done

# The sidecar is a patch: what a chart that includes the templates would add to its pod.
mkdir -p "$work/charts" "$work/templates" "$out/components/sidecar"
cp -r "$chart" "$work/charts/"
printf 'apiVersion: v2\nname: parent\nversion: 0.0.0\n' >"$work/Chart.yaml"
cat >"$work/templates/patch.yaml" <<'TEMPLATE'
{{- $agent := index .Subcharts "peaqos-agent" -}}
apiVersion: apps/v1
kind: Workload
metadata:
  name: any
spec:
  template:
    spec:
      securityContext: {fsGroup: 65532}
      containers:
        {{- include "peaqos-agent.container" $agent | nindent 8 }}
      volumes:
        {{- include "peaqos-agent.volumes" $agent | nindent 8 }}
TEMPLATE
sidecar=(--set peaqos-agent.mode=sidecar --set peaqos-agent.fullnameOverride=peaqos-agent
  --set peaqos-agent.persistence.type=existingClaim --set peaqos-agent.persistence.existingClaim=peaqos-agent-state)
{ written; render "$work" "${sidecar[@]}" --show-only templates/patch.yaml; } >"$out/components/sidecar/patch.yaml"
{ written; render "$work" "${sidecar[@]}" --show-only charts/peaqos-agent/templates/configmap.yaml | config_of; } >"$out/components/sidecar/config.yaml"
