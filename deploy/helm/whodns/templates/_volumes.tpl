{{- /* Directory of a runtime's socket (cri:PATH, docker:PATH, PATH): it is made anew when the runtime starts, and a mount of
the file would stay with the old one. Not of /run itself. */ -}}
{{- define "whodns.socketMount" -}}
{{- $path := regexReplaceAll "^(cri|docker):" . "" -}}
{{- $directory := dir $path -}}
{{- if has $directory (list "/run" "/var/run") }}{{ $path }}{{ else }}{{ $directory }}{{ end }}
{{- end }}

{{- define "whodns.mounts" -}}
- {name: control, mountPath: /run/whodns}
# Which cgroup is whose: the container sees only its own otherwise.
- {name: cgroup, mountPath: /sys/fs/cgroup, readOnly: true}
{{- range $index, $path := .Values.hostFiles }}
- {name: file-{{ $index }}, mountPath: {{ $path | quote }}, readOnly: true}
{{- end }}
{{- range $index, $path := .Values.runtimeSockets }}
# What the runtime unmounts below it (file systems of containers) must not live on in the agent.
- {name: runtime-{{ $index }}, mountPath: {{ include "whodns.socketMount" $path | quote }}, readOnly: true, mountPropagation: HostToContainer}
{{- end }}
{{- if eq .Values.otlp.target "socket" }}
# The directory: a collector that starts again makes another socket.
- {name: otlp, mountPath: /run/otelcol, readOnly: true}
{{- end }}
{{- if .Values.otlp.certificateAuthority.configMap }}
- {name: certificate-authority, mountPath: /etc/whodns, readOnly: true}
{{- end }}
{{- if .Values.spool.enabled }}
- {name: spool, mountPath: /var/lib/whodns}
{{- end }}
{{- end }}

{{- define "whodns.volumes" -}}
- {name: control, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
- {name: cgroup, hostPath: {path: /sys/fs/cgroup, type: Directory}}
{{- range $index, $path := .Values.hostFiles }}
- {name: file-{{ $index }}, hostPath: {path: {{ $path | quote }}, type: File}}
{{- end }}
{{- range $index, $path := .Values.runtimeSockets }}
{{- $mount := include "whodns.socketMount" $path }}
- {name: runtime-{{ $index }}, hostPath: {path: {{ $mount | quote }}, type: {{ hasSuffix $mount $path | ternary "Socket" "Directory" }}}}
{{- end }}
{{- if eq .Values.otlp.target "socket" }}
- {name: otlp, hostPath: {path: {{ .Values.otlp.socket.hostPath | quote }}, type: DirectoryOrCreate}}
{{- end }}
{{- with .Values.otlp.certificateAuthority }}
{{- if .configMap }}
- {name: certificate-authority, configMap: {name: {{ .configMap }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}}
{{- end }}
{{- end }}
{{- if .Values.spool.enabled }}
- {name: spool, hostPath: {path: {{ .Values.spool.hostPath | quote }}, type: DirectoryOrCreate}}
{{- end }}
{{- end }}
