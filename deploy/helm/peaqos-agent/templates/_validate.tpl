{{/* What the schema cannot say: values that exclude or need each other. */}}

{{- define "peaqos-agent.persistenceType" -}}
{{- .Values.persistence.type | default (ternary "hostPath" "volumeClaim" (eq .Values.mode "daemonset")) -}}
{{- end -}}

{{- define "peaqos-agent.validate" -}}
{{- $type := include "peaqos-agent.persistenceType" . -}}
{{- $e := .Values.enrollment -}}
{{- if and (eq $type "emptyDir") (not $e.ephemeral) -}}
{{- fail "persistence.type emptyDir loses the token with the pod: use a volume, or accept a new agent at each start with enrollment.ephemeral: true" -}}
{{- end -}}
{{- if and $e.ephemeral (ne $type "emptyDir") -}}
{{- fail (printf "enrollment.ephemeral is for a store that is lost with the pod, but persistence.type is %s" $type) -}}
{{- end -}}
{{- if and $e.ephemeral (ne $e.method "auto") -}}
{{- fail "enrollment.ephemeral enrolls at each start, so enrollment.method must be auto" -}}
{{- end -}}
{{- if and (eq .Values.mode "daemonset") (not (has $type (list "hostPath" "emptyDir"))) -}}
{{- fail (printf "the pods of a DaemonSet would share persistence.type %s, and a token must not be shared: use hostPath" $type) -}}
{{- end -}}
{{- if and (ne .Values.mode "daemonset") (eq $type "hostPath") -}}
{{- fail (printf "persistence.type hostPath is for mode daemonset: a pod of mode %s can move to another node; use a volume" .Values.mode) -}}
{{- end -}}
{{- if and (eq $type "existingClaim") (not .Values.persistence.existingClaim) -}}
{{- fail "persistence.type existingClaim needs persistence.existingClaim" -}}
{{- end -}}
{{- if and (eq .Values.mode "statefulset") (eq $type "existingClaim") (gt (int .Values.replicas) 1) -}}
{{- fail "replicas would share persistence.existingClaim, and a token must not be shared: use volumeClaim" -}}
{{- end -}}
{{- if and (ne $e.method "manual") (not $e.existingSecret) -}}
{{- fail (printf "enrollment.method %s needs enrollment.existingSecret" $e.method) -}}
{{- end -}}
{{- if and (eq $e.method "grant") (or (eq .Values.mode "daemonset") (and (eq .Values.mode "statefulset") (gt (int .Values.replicas) 1))) -}}
{{- fail "a grant is for one machine: use replicas: 1, or another enrollment.method" -}}
{{- end -}}
{{- if and .Values.hostNetwork (ne .Values.mode "daemonset") -}}
{{- fail "hostNetwork is for mode daemonset" -}}
{{- end -}}
{{- if and (.Values.caBundle).configMap (.Values.caBundle).secret -}}
{{- fail "give caBundle.configMap or caBundle.secret, not both" -}}
{{- end -}}
{{- if and (or (.Values.podMonitor).enabled (.Values.serviceMonitor).enabled) (not .Values.telemetry.expose) -}}
{{- fail "podMonitor and serviceMonitor need telemetry.expose: true" -}}
{{- end -}}
{{- if and (or (.Values.podMonitor).enabled (.Values.serviceMonitor).enabled (.Values.networkPolicy).enabled) (eq .Values.mode "sidecar") -}}
{{- fail "monitors and a networkPolicy select pods, which the parent chart makes in mode sidecar: put them there" -}}
{{- end -}}
{{- range $path, $instead := dict
  "keystore.dir" "persistence"
  "keystore.passphrase_file" "keystore.passphraseSecret"
  "orchestrator.ca_file" "caBundle"
  "telemetry.listen" "telemetry.port"
  "telemetry.allow_plain" "telemetry.expose"
  "enroll.auto" "enrollment.method"
  "enroll.ephemeral" "enrollment.ephemeral" }}
{{- $parts := splitList "." $path -}}
{{- if hasKey (default dict (get $.Values.config (first $parts))) (last $parts) -}}
{{- fail (printf "config.%s is set by the chart: use the value %s" $path $instead) -}}
{{- end -}}
{{- end -}}
{{- range $value, $keys := dict
  "podLabels" (list "app.kubernetes.io/name" "app.kubernetes.io/instance")
  "commonLabels" (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") }}
{{- range $keys -}}
{{- if hasKey (get $.Values $value | default dict) . -}}
{{- fail (printf "%s: %s is set by the chart: use nameOverride, or a label of another name" $value .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (.Values.podDisruptionBudget).enabled (ne .Values.mode "statefulset") -}}
{{- fail (printf "a podDisruptionBudget is for mode statefulset: %s" (ternary "a drain leaves the pods of a DaemonSet alone" "the parent chart makes the pods of a sidecar" (eq .Values.mode "daemonset"))) -}}
{{- end -}}
{{- if and .Values.identities (eq .Values.mode "statefulset") -}}
{{- range until (int .Values.replicas) -}}
{{- $pod := printf "%s-%d" (include "peaqos-agent.fullname" $) . -}}
{{- if not (hasKey $.Values.identities $pod) -}}
{{- fail (printf "identities has no entry for the pod %s, but for %s: a pod without one does not start" $pod (keys $.Values.identities | sortAlpha | join ", " | trunc 200)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.identities (not .Values.existingConfigMap) -}}
{{- if ne (len .Values.config.machines) 1 -}}
{{- fail "identities need exactly one entry of config.machines" -}}
{{- end -}}
{{- range list "identity_ref" "identity_ref_file" -}}
{{- if hasKey (first $.Values.config.machines) . -}}
{{- fail (printf "give identities or config.machines[0].%s, not both" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
