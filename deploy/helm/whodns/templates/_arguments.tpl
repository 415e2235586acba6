{{- /* Flags of the agent. Each is one argument, --name=value, so that no value can be taken for another flag. */ -}}
{{- define "whodns.arguments" -}}
- --health=:{{ .Values.health.port }}
{{- if include "whodns.metrics" . }}
- --health-metrics
{{- end }}
- --control=/run/whodns/control.sock
- --host-name=$(NODE_NAME)
- --kubernetes={{ .Values.kubernetes.source }}
{{- if ne .Values.kubernetes.source "off" }}
- --node-name=$(NODE_NAME)
- --kubernetes-owners={{ .Values.kubernetes.owners }}
{{- with .Values.kubernetes.clusterName }}
- {{ printf "--cluster-name=%s" (include "whodns.literal" .) | quote }}
{{- end }}
{{- end }}
{{- if has .Values.kubernetes.source (list "auto" "kubelet") }}
- --kubelet-url=https://{{ include "whodns.hostAddress" . }}:{{ .Values.kubernetes.kubelet.port }}
{{- if not .Values.kubernetes.kubelet.tlsVerify }}
- --no-kubelet-tls-verify
{{- end }}
{{- end }}
- {{ printf "--container-runtime=%s" (.Values.runtimeSockets | join "," | default "auto" | include "whodns.literal") | quote }}
{{- if .Values.spool.enabled }}
- --spool=/var/lib/whodns
- --spool-bytes={{ .Values.spool.bytes }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "bool" $value }}
{{- if $value }}
- --{{ $name }}
{{- end }}
{{- else }}
{{- range (kindIs "slice" $value | ternary $value (list $value)) }}
- {{ printf "--%s=%s" $name (include "whodns.literal" .) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Text as it stands: Kubernetes would take $(NAME) for a variable. Numbers come as floats from Helm. */ -}}
{{- define "whodns.literal" -}}
{{- if kindIs "float64" . }}{{ . | toJson }}{{ else }}{{ toString . | replace "$(" "$$(" }}{{ end }}
{{- end }}

{{- define "whodns.environment" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: HOST_ADDRESS
  valueFrom: {fieldRef: {fieldPath: status.hostIP}}
# `kubectl exec` of a command that asks the agent finds it.
- name: WHODNS_CONTROL
  value: /run/whodns/control.sock
{{- if ne .Values.otlp.target "none" }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
{{- if eq .Values.otlp.target "socket" }}
  value: unix:/run/otelcol/{{ .Values.otlp.socket.name }}
{{- else if eq .Values.otlp.target "node" }}
  value: http://{{ include "whodns.hostAddress" . }}:{{ .Values.otlp.node.port }}
{{- else }}
  value: {{ include "whodns.literal" .Values.otlp.endpoint | quote }}
{{- end }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .Values.otlp.protocol }}
- name: OTEL_EXPORTER_OTLP_COMPRESSION
  value: {{ .Values.otlp.compression }}
{{- with .Values.otlp.headersSecret }}
{{- if .name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- if .Values.otlp.certificateAuthority.configMap }}
- name: OTEL_EXPORTER_OTLP_CERTIFICATE
  value: /etc/whodns/ca.crt
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "whodns.hostAddress" -}}
{{- eq .Values.addressFamily "IPv6" | ternary "[$(HOST_ADDRESS)]" "$(HOST_ADDRESS)" -}}
{{- end }}
