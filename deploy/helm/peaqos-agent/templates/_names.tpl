{{/* Names and labels. */}}

{{- define "peaqos-agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough that a StatefulSet can append a number and a hash. A release may have dots
in its name, a Service and a StatefulSet may not. */}}
{{- define "peaqos-agent.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What every object of the chart has in its metadata. */}}
{{- define "peaqos-agent.metadata" -}}
name: {{ include "peaqos-agent.fullname" . | quote }}
namespace: {{ .Release.Namespace | quote }}
labels:
  {{- include "peaqos-agent.labels" . | nindent 2 }}
{{- end -}}

{{- define "peaqos-agent.selectorLabels" -}}
app.kubernetes.io/name: {{ include "peaqos-agent.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "peaqos-agent.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | quote }}
{{ include "peaqos-agent.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "peaqos-agent.serviceAccountName" -}}
{{- if (.Values.serviceAccount).create -}}
{{- default (include "peaqos-agent.fullname" .) (.Values.serviceAccount).name -}}
{{- else -}}
{{- default "default" (.Values.serviceAccount).name -}}
{{- end -}}
{{- end -}}

{{- define "peaqos-agent.image" -}}
{{- with default .Values.image.registry (.Values.global).imageRegistry }}{{ printf "%s/" (trimSuffix "/" .) }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* imagePullSecrets of the chart and of its parents, by name or as Kubernetes has them. */}}
{{- define "peaqos-agent.imagePullSecrets" -}}
{{- range concat (default list (.Values.global).imagePullSecrets) (default list .Values.imagePullSecrets) | uniq }}
{{- if kindIs "string" . }}
- name: {{ . | quote }}
{{- else }}
- name: {{ .name | quote }}
{{- end }}
{{- end }}
{{- end -}}
