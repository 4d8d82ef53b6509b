{{- define "coordinator.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "coordinator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: coordinator
{{- end }}

{{- define "coordinator.labels" -}}
{{ include "coordinator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Helm reads all numbers as floating-point ones: 2097152 would become 2.097152e+06. */}}
{{- define "coordinator.string" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . | quote }}{{ else }}{{ . | quote }}{{ end }}
{{- end }}

{{/* Labels, annotations and node selectors: Kubernetes refuses a number or a boolean there. */}}
{{- define "coordinator.strings" -}}
{{- range $name, $value := . }}
{{ $name | quote }}: {{ include "coordinator.string" $value }}
{{- end }}
{{- end }}

{{/* As Kubernetes's restricted pod security standard asks for. */}}
{{- define "coordinator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "coordinator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "coordinator.variables" -}}
- {name: AITBC_COORDINATOR_PORT, value: "9001"}
- {name: AITBC_COORDINATOR_MANAGEMENT_PORT, value: "9002"}
# Probes and scrapes are without TLS, even if settings turn it on for REST.
- {name: MANAGEMENT_SERVER_SSL_ENABLED, value: "false"}
- {name: AITBC_KAFKA_BOOTSTRAP_SERVERS, value: {{ .Values.kafka.bootstrapServers | quote }}}
- {name: AITBC_SECURITY, value: {{ ternary "on" "off" .Values.security.enabled | quote }}}
{{- if .Values.kafka.configSecret }}
- {name: AITBC_KAFKA_CONFIG, value: /etc/agent-coordinator/kafka/client.properties}
{{- end }}
{{- if .Values.redis.urlSecret.name }}
- name: AITBC_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.redis.urlSecret.name }}, key: {{ .Values.redis.urlSecret.key }}}}
{{- else }}
- {name: AITBC_REDIS_URL, value: {{ .Values.redis.url | quote }}}
{{- end }}
{{- with .Values.redis.sentinelPasswordSecret }}
{{- if .name }}
- name: AITBC_REDIS_SENTINEL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- if .Values.redis.caSecret }}
- {name: AITBC_REDIS_CA_CERTIFICATE, value: /etc/agent-coordinator/redis/ca.crt}
{{- end }}
{{- if .Values.history.url }}
- {name: AITBC_HISTORY_URL, value: {{ .Values.history.url | quote }}}
{{- if .Values.history.secret }}
- name: AITBC_HISTORY_USER
  valueFrom: {secretKeyRef: {name: {{ .Values.history.secret }}, key: username}}
- name: AITBC_HISTORY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.history.secret }}, key: password}}
{{- end }}
{{- end }}
{{- if .Values.security.adminKeySecret.name }}
- name: AITBC_ADMIN_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.security.adminKeySecret.name }}, key: {{ .Values.security.adminKeySecret.key }}}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ include "coordinator.string" $value }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Kubernetes would use the last of two variables with the same name, or refuse both. */}}
{{- define "coordinator.environment" -}}
{{- $variables := include "coordinator.variables" . }}
{{- $names := list }}
{{- range $variables | fromYamlArray }}
{{- if has .name $names }}{{ fail (printf "%s is set twice, by settings, extraEnv or another value" .name) }}{{ end }}
{{- $names = append $names .name }}
{{- end }}
{{- $variables }}
{{- end }}
