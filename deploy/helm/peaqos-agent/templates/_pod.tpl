{{/*
The parts of a pod. A parent chart gives the context of this one:
  {{ include "peaqos-agent.container" (index .Subcharts "peaqos-agent") | nindent 8 }}
*/}}

{{/* The pod restarts when its configuration changes. */}}
{{- define "peaqos-agent.podAnnotations" -}}
checksum/peaqos-agent: {{ printf "%s%s" (include "peaqos-agent.config" .) (toYaml .Values.identities) | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "peaqos-agent.podSecurityContext" -}}
{{- $root := eq (include "peaqos-agent.persistenceType" .) "hostPath" -}}
{{- $default := dict "runAsUser" 65532 "runAsGroup" 65532 "runAsNonRoot" true "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" -}}
{{- if $root -}}
{{- $default = dict "runAsUser" 0 "runAsGroup" 0 -}}
{{- end -}}
{{- $_ := set $default "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $default (deepCopy .Values.podSecurityContext)) -}}
{{- end -}}

{{- define "peaqos-agent.securityContext" -}}
{{- $default := dict
  "allowPrivilegeEscalation" false
  "readOnlyRootFilesystem" true
  "capabilities" (dict "drop" (list "ALL")) -}}
{{- if eq .Values.mode "sidecar" -}}
{{- $default = merge $default (dict "runAsUser" 65532 "runAsGroup" 65532 "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault")) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $default (deepCopy .Values.securityContext)) -}}
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
{{- if .Values.keystore.passphraseSecret.name }}
- name: peaqos-agent-passphrase
  mountPath: /var/run/secrets/peaqos-agent-store
  readOnly: true
{{- end }}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}
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
  startupProbe:
    httpGet: {path: /healthz, port: peaqos-metrics}
    {{- toYaml .Values.startupProbe | nindent 4 }}
  livenessProbe:
    httpGet: {path: /healthz, port: peaqos-metrics}
    {{- toYaml .Values.livenessProbe | nindent 4 }}
  readinessProbe:
    httpGet: {path: {{ $ready }}, port: peaqos-metrics}
    {{- toYaml .Values.readinessProbe | nindent 4 }}
  {{- else if eq $ready "/readyz" }}
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

{{/* Empty unless the enrollment needs one. Enrolling again changes nothing, also offline. */}}
{{- define "peaqos-agent.initContainers" -}}
{{- $s := .Values.enrollment.secretKeys -}}
{{- if has .Values.enrollment.method (list "grant" "keys") -}}
- name: peaqos-agent-enroll
  image: {{ include "peaqos-agent.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - enroll
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
    name: {{ include "peaqos-agent.fullname" . }}
{{- if eq $type "existingClaim" }}
- name: peaqos-agent-state
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim }}
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
    name: {{ include "peaqos-agent.fullname" . }}-identities
{{- end }}
{{- if ne .Values.enrollment.method "manual" }}
- name: peaqos-agent-enrollment
  secret:
    secretName: {{ .Values.enrollment.existingSecret }}
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
{{- with .Values.keystore.passphraseSecret }}
{{- if .name }}
- name: peaqos-agent-passphrase
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - {key: {{ .key | quote }}, path: passphrase}
{{- end }}
{{- end }}
{{- with .Values.caBundle }}
{{- if .configMap }}
- name: peaqos-agent-ca
  configMap:
    name: {{ .configMap }}
    items:
      - {key: {{ .key | quote }}, path: ca.crt}
{{- else if .secret }}
- name: peaqos-agent-ca
  secret:
    secretName: {{ .secret }}
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
    storageClassName: {{ . }}
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
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "peaqos-agent.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
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
