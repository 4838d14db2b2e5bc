{{/*
The parts of a pod. A parent chart gives the context of this one:
  {{ include "peaqos-agent.container" (index .Subcharts "peaqos-agent") | nindent 8 }}
*/}}

{{/* The pod restarts when its configuration changes, but for what is in an existing ConfigMap. */}}
{{- define "peaqos-agent.podAnnotations" -}}
{{- $config := .Values.existingConfigMap | default (include "peaqos-agent.config" .) -}}
checksum/peaqos-agent: {{ printf "%s%s" $config (toYaml .Values.identities) | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A security context and what the values replace in it; null removes a key. A container runtime
refuses a group without a user, so both go together. */}}
{{- define "peaqos-agent.replaced" -}}
{{- $context := index . 0 -}}
{{- $own := index . 1 | default dict -}}
{{- if and (hasKey $own "runAsUser") (kindIs "invalid" $own.runAsUser) -}}
{{- $_ := unset $context "runAsGroup" -}}
{{- end -}}
{{- range $key, $value := mergeOverwrite $context (deepCopy $own) -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $context $key }}{{ end -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "peaqos-agent.podSecurityContext" -}}
{{- $root := eq (include "peaqos-agent.persistenceType" .) "hostPath" -}}
{{- $default := dict "runAsUser" 65532 "runAsGroup" 65532 "runAsNonRoot" true "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" -}}
{{- if $root -}}
{{- $default = dict "runAsUser" 0 "runAsGroup" 0 -}}
{{- end -}}
{{- $_ := set $default "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- include "peaqos-agent.replaced" (list $default .Values.podSecurityContext) -}}
{{- end -}}

{{- define "peaqos-agent.securityContext" -}}
{{- $default := dict
  "allowPrivilegeEscalation" false
  "readOnlyRootFilesystem" true
  "capabilities" (dict "drop" (list "ALL")) -}}
{{- if eq .Values.mode "sidecar" -}}
{{- $default = merge $default (dict "runAsUser" 65532 "runAsGroup" 65532 "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault")) -}}
{{- end -}}
{{- include "peaqos-agent.replaced" (list $default .Values.securityContext) -}}
{{- end -}}

{{/* env and volumeMounts of the agent's container and its init container. */}}
{{- define "peaqos-agent.environment" -}}
env:
  - name: GOMEMLIMIT
    value: {{ .Values.goMemLimit | quote }}
  {{- if .Values.identities }}
  - name: IDENTITY_OF
    valueFrom:
      fieldRef:
        fieldPath: {{ ternary "spec.nodeName" "metadata.name" (eq .Values.mode "daemonset") }}
  {{- end }}
  {{- if .Values.existingConfigMap }}
  {{- include "peaqos-agent.settingsEnvironment" . | nindent 2 }}
  {{- end }}
  {{- if eq .Values.enrollment.method "auto" }}
  - name: PEAQOS_API_KEY_FILE
    value: /var/run/secrets/peaqos-agent/api-key
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "peaqos-agent.volumeMounts" -}}
- name: peaqos-agent-config
  mountPath: /etc/peaqos-agent
  readOnly: true
- name: peaqos-agent-state
  mountPath: /var/lib/peaqos-agent
{{- if .Values.identities }}
- name: peaqos-agent-identities
  mountPath: /etc/peaqos-agent-identity
  subPathExpr: $(IDENTITY_OF)
  readOnly: true
{{- end }}
{{- if ((.Values.keystore).passphraseSecret).name }}
- name: peaqos-agent-passphrase
  mountPath: /var/run/secrets/peaqos-agent-store
  readOnly: true
{{- end }}
{{- if or (.Values.caBundle).configMap (.Values.caBundle).secret }}
- name: peaqos-agent-ca
  mountPath: /etc/peaqos-agent-ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "peaqos-agent.secretMount" -}}
- name: peaqos-agent-enrollment
  mountPath: /var/run/secrets/peaqos-agent
  readOnly: true
{{- end -}}

{{- define "peaqos-agent.container" -}}
{{- $ready := .Values.readinessPath | default (ternary "/healthz" "/readyz" (eq .Values.mode "sidecar")) -}}
- name: peaqos-agent
  image: {{ include "peaqos-agent.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [run]
  {{- include "peaqos-agent.environment" . | nindent 2 }}
  {{- if .Values.telemetry.expose }}
  ports:
    - name: peaqos-metrics
      containerPort: {{ .Values.telemetry.port }}
  {{- with .Values.startupProbe }}
  startupProbe:
    httpGet: {path: /healthz, port: peaqos-metrics}
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.livenessProbe }}
  livenessProbe:
    httpGet: {path: /healthz, port: peaqos-metrics}
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.readinessProbe }}
  readinessProbe:
    httpGet: {path: {{ $ready }}, port: peaqos-metrics}
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- else if and (eq $ready "/readyz") .Values.readinessProbe }}
  readinessProbe:
    exec: {command: [peaqos-agent, status, --check, ready]}
    {{- toYaml .Values.readinessProbe | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "peaqos-agent.securityContext" . | nindent 4 }}
  volumeMounts:
    {{- include "peaqos-agent.volumeMounts" . | nindent 4 }}
    {{- if eq .Values.enrollment.method "auto" }}
    {{- include "peaqos-agent.secretMount" . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Empty unless the enrollment needs one. On an enrolled machine it changes nothing, also offline
and without the Secret. */}}
{{- define "peaqos-agent.initContainers" -}}
{{- $s := .Values.enrollment.secretKeys -}}
{{- if has .Values.enrollment.method (list "grant" "keys") -}}
- name: peaqos-agent-enroll
  image: {{ include "peaqos-agent.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - enroll
    - --if-needed
    {{- if eq .Values.enrollment.method "grant" }}
    - --grant=/var/run/secrets/peaqos-agent/grant
    {{- else }}
    - --api-key-file=/var/run/secrets/peaqos-agent/api-key
    {{- if $s.controllerKey }}
    - --controller-key-file=/var/run/secrets/peaqos-agent/controller-key
    {{- end }}
    {{- end }}
  {{- include "peaqos-agent.environment" . | nindent 2 }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "peaqos-agent.securityContext" . | nindent 4 }}
  volumeMounts:
    {{- include "peaqos-agent.volumeMounts" . | nindent 4 }}
    {{- include "peaqos-agent.secretMount" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "peaqos-agent.volumes" -}}
{{- $type := include "peaqos-agent.persistenceType" . -}}
{{- $s := .Values.enrollment.secretKeys -}}
- name: peaqos-agent-config
  configMap:
    name: {{ default (include "peaqos-agent.fullname" .) .Values.existingConfigMap | quote }}
{{- if eq $type "existingClaim" }}
- name: peaqos-agent-state
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | quote }}
{{- else if eq $type "hostPath" }}
- name: peaqos-agent-state
  hostPath:
    path: {{ .Values.persistence.hostPath }}
    type: DirectoryOrCreate
{{- else if eq $type "emptyDir" }}
- name: peaqos-agent-state
  emptyDir:
    sizeLimit: {{ .Values.persistence.size }}
{{- end }}
{{- if .Values.identities }}
- name: peaqos-agent-identities
  configMap:
    name: {{ printf "%s-identities" (include "peaqos-agent.fullname" .) | quote }}
{{- end }}
{{- if ne .Values.enrollment.method "manual" }}
- name: peaqos-agent-enrollment
  secret:
    secretName: {{ .Values.enrollment.existingSecret | quote }}
    # It may be deleted when the machine is enrolled.
    optional: true
    defaultMode: 0440
    items:
      {{- if eq .Values.enrollment.method "grant" }}
      - {key: {{ $s.grant | quote }}, path: grant}
      {{- else }}
      - {key: {{ $s.apiKey | quote }}, path: api-key}
      {{- if and (eq .Values.enrollment.method "keys") $s.controllerKey }}
      - {key: {{ $s.controllerKey | quote }}, path: controller-key}
      {{- end }}
      {{- end }}
{{- end }}
{{- with (.Values.keystore).passphraseSecret }}
{{- if .name }}
- name: peaqos-agent-passphrase
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .key | quote }}, path: passphrase}
{{- end }}
{{- end }}
{{- with .Values.caBundle }}
{{- if .configMap }}
- name: peaqos-agent-ca
  configMap:
    name: {{ .configMap | quote }}
    items:
      - {key: {{ .key | quote }}, path: ca.crt}
{{- else if .secret }}
- name: peaqos-agent-ca
  secret:
    secretName: {{ .secret | quote }}
    items:
      - {key: {{ .key | quote }}, path: ca.crt}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* For volumeClaimTemplates of a StatefulSet; empty unless persistence.type is volumeClaim. */}}
{{- define "peaqos-agent.volumeClaimTemplate" -}}
{{- if eq (include "peaqos-agent.persistenceType" .) "volumeClaim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: peaqos-agent-state
    {{- with .Values.persistence.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes:
      {{- toYaml .Values.persistence.accessModes | nindent 6 }}
    {{- with .Values.persistence.storageClassName }}
    storageClassName: {{ ternary "" . (eq . "-") | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ .Values.persistence.size }}
{{- end -}}
{{- end -}}

{{/* The pod of the two workloads of this chart. */}}
{{- define "peaqos-agent.podTemplate" -}}
metadata:
  annotations:
    {{- include "peaqos-agent.podAnnotations" . | nindent 4 }}
  labels:
    {{- include "peaqos-agent.selectorLabels" . | nindent 4 }}
    {{- with merge dict (default dict .Values.podLabels) (default dict .Values.commonLabels) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "peaqos-agent.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "peaqos-agent.imagePullSecrets" . }}
  imagePullSecrets:
    {{- trim . | nindent 4 }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with default (ternary "ClusterFirstWithHostNet" "" (eq .Values.hostNetwork true)) .Values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "peaqos-agent.podSecurityContext" . | nindent 4 }}
  {{- $enroll := include "peaqos-agent.initContainers" . }}
  {{- if or $enroll .Values.initContainers }}
  initContainers:
    {{- with .Values.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $enroll }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    {{- include "peaqos-agent.container" . | nindent 4 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "peaqos-agent.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
