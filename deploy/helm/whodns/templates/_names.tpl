{{- define "whodns.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "whodns.labels" -}}
app.kubernetes.io/name: whodns
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "whodns.selector" -}}
app.kubernetes.io/name: whodns
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "whodns.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "whodns.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "whodns.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Cluster-wide objects: two releases of one name in two namespaces must not share them. */ -}}
{{- define "whodns.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "whodns.name" .) -}}
{{- end }}

{{- define "whodns.priorityClass" -}}
{{- if .Values.priorityClass.name }}{{ .Values.priorityClass.name }}
{{- else if .Values.priorityClass.create }}{{ include "whodns.clusterName" . }}{{ end }}
{{- end }}

{{- define "whodns.metrics" -}}
{{- if or .Values.health.metrics .Values.podMonitor.enabled }}true{{ end }}
{{- end }}

{{- /* Port of the collector: that of the endpoint, else its scheme's. */ -}}
{{- define "whodns.otlpPort" -}}
{{- if eq .Values.otlp.target "node" }}{{ .Values.otlp.node.port }}
{{- else }}
{{- $url := urlParse .Values.otlp.endpoint -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (eq $url.scheme "https" | ternary "443" "80") }}
{{- end }}
{{- end }}
