{{- define "coordinator.name" -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" .Release.Name) }}{{ fail "the name of the release must begin with a letter and have no dots: services are named after it" }}{{ end }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) | include "coordinator.fit" }}
{{- end }}

{{/* Names have at most 63 characters, some of them with a suffix. What is cut off still makes a difference. */}}
{{- define "coordinator.fit" -}}
{{- if gt (len .) 50 }}{{ printf "%s-%s" (trunc 41 . | trimSuffix "-") (sha256sum . | trunc 8) }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Of REST. */}}
{{- define "coordinator.scheme" -}}
{{- $variables := dict }}
{{- range include "coordinator.variables" . | fromYamlArray }}
{{- if hasPrefix "SERVER_SSL_" .name }}{{ $_ := set $variables .name (.value | default "") }}{{ end }}
{{- end }}
{{- ternary "https" "http" (and (gt (len $variables) 0) (ne (get $variables "SERVER_SSL_ENABLED") "false")) }}
{{- end }}

{{/* Of two entries with the same name, Kubernetes would use the last one, or refuse both. */}}
{{- define "coordinator.once" -}}
{{- $names := list }}
{{- range .entries | fromYamlArray }}
{{- if has .name $names }}{{ fail (printf "%s is set twice, by %s or another value" .name $.values) }}{{ end }}
{{- $names = append $names .name }}
{{- end }}
{{- .entries }}
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
{{- /* YAML reads on and off as booleans, too. */}}
{{- if and (kindIs "bool" $value) (hasPrefix "AITBC_" $name) }}{{ $value = ternary "on" "off" $value }}{{ end }}
- {name: {{ $name }}, value: {{ include "coordinator.string" $value }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "coordinator.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if .Values.kafka.configSecret }}
- {name: kafka, secret: {secretName: {{ .Values.kafka.configSecret }}}}
{{- end }}
{{- if .Values.redis.caSecret }}
- {name: redis, secret: {secretName: {{ .Values.redis.caSecret }}}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "agent.variables" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: AITBC_KAFKA_BOOTSTRAP_SERVERS, value: {{ .root.Values.kafka.bootstrapServers | quote }}}
{{- if .agent.kafkaConfigSecret }}
- {name: AITBC_KAFKA_CONFIG, value: /etc/agent-coordinator/kafka/client.properties}
{{- end }}
{{- with .agent.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "agent.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if .kafkaConfigSecret }}
- {name: kafka, secret: {secretName: {{ .kafkaConfigSecret }}}}
{{- end }}
{{- with .volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
