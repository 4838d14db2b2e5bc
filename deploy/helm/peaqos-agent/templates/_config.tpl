{{/* The agent's configuration: config, and what follows from the other values. */}}

{{/* What the chart decides, as sections and keys of the configuration. */}}
{{- define "peaqos-agent.settings" -}}
keystore:
  dir: /var/lib/peaqos-agent
  {{- if ((.Values.keystore).passphraseSecret).name }}
  passphrase_file: /var/run/secrets/peaqos-agent-store/passphrase
  {{- end }}
telemetry:
  {{- if .Values.telemetry.expose }}
  listen: {{ printf ":%d" (int .Values.telemetry.port) | quote }}
  allow_plain: true
  {{- else }}
  listen: {{ printf "127.0.0.1:%d" (int .Values.telemetry.port) | quote }}
  {{- end }}
{{- if eq .Values.enrollment.method "auto" }}
enroll:
  auto: true
  ephemeral: {{ .Values.enrollment.ephemeral | default false }}
{{- end }}
{{- if or (.Values.caBundle).configMap (.Values.caBundle).secret }}
orchestrator:
  ca_file: /etc/peaqos-agent-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "peaqos-agent.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.identities -}}
{{- $_ := set (first $config.machines) "identity_ref_file" "/etc/peaqos-agent-identity" -}}
{{- end -}}
{{- $log := dict "log" (dict "format" (dig "log" "format" "json" $config)) -}}
{{- toYaml (mergeOverwrite $config $log (include "peaqos-agent.settings" . | fromYaml)) -}}
{{- end -}}

{{/* What the grant of the first machine must permit; the file of an existing ConfigMap cannot be seen. */}}
{{- define "peaqos-agent.providerKeys" -}}
{{- $keys := list -}}
{{- if not .Values.existingConfigMap -}}
{{- range (first .Values.config.machines).endpoints }}{{ $keys = append $keys .provider_key }}{{ end -}}
{{- end -}}
{{- $keys | uniq | join "," | default "KEY" -}}
{{- end -}}

{{/* The same over the file of an existing ConfigMap. */}}
{{- define "peaqos-agent.settingsEnvironment" -}}
{{- range $section, $keys := include "peaqos-agent.settings" . | fromYaml }}
{{- range $key, $value := $keys }}
- name: {{ printf "PEAQOS_AGENT_%s_%s" (upper $section) (upper $key) }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
