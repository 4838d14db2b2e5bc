{{/* The agent's configuration: config, and what follows from the other values. */}}

{{- define "peaqos-agent.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $ours := dict
  "keystore" (dict "dir" "/var/lib/peaqos-agent")
  "log" (dict "format" (dig "log" "format" "json" $config)) -}}
{{- if .Values.telemetry.expose -}}
{{- $_ := set $ours "telemetry" (dict "listen" (printf ":%v" .Values.telemetry.port) "allow_plain" true) -}}
{{- else -}}
{{- $_ := set $ours "telemetry" (dict "listen" (printf "127.0.0.1:%v" .Values.telemetry.port)) -}}
{{- end -}}
{{- if eq .Values.enrollment.method "auto" -}}
{{- $_ := set $ours "enroll" (dict "auto" true "ephemeral" .Values.enrollment.ephemeral) -}}
{{- end -}}
{{- if .Values.keystore.passphraseSecret.name -}}
{{- $_ := set $ours.keystore "passphrase_file" "/var/run/secrets/peaqos-agent-store/passphrase" -}}
{{- end -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- $_ := set $ours "orchestrator" (dict "ca_file" "/etc/peaqos-agent-ca/ca.crt") -}}
{{- end -}}
{{- if .Values.identities -}}
{{- $_ := set (first $config.machines) "identity_ref_file" "/etc/peaqos-agent-identity" -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $ours) -}}
{{- end -}}
