{{/* The name of namespaced objects: "registrar" for a release of that name. */}}
{{- define "registrar.name" -}}
{{- if contains "registrar" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-registrar{{ end }}
{{- end }}

{{/* The name of objects outside the release's namespace, which releases of other namespaces must not share. */}}
{{- define "registrar.globalName" -}}
{{- printf "%s-%s" .Release.Namespace (include "registrar.name" .) | replace "registrar-registrar" "registrar" }}
{{- end }}

{{- define "registrar.selector" -}}
app.kubernetes.io/name: registrar
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "registrar.labels" -}}
{{ include "registrar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Metadata of an object in the release's namespace, or in the one given: (list . NAME [NAMESPACE]). */}}
{{- define "registrar.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ if gt (len .) 2 }}{{ index . 2 }}{{ else }}{{ $root.Release.Namespace }}{{ end }}
labels:
  {{- include "registrar.labels" $root | nindent 2 }}
{{- end }}

{{/* The same for an object without a namespace: (list . NAME). */}}
{{- define "registrar.globalMetadata" -}}
name: {{ index . 1 }}
labels:
  {{- include "registrar.labels" (index . 0) | nindent 2 }}
{{- end }}

{{- define "registrar.subjects" -}}
- kind: ServiceAccount
  name: {{ include "registrar.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* A role and its binding to the ServiceAccount: (list . NAME NAMESPACE RULES). An empty namespace is the cluster. */}}
{{- define "registrar.grant" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $namespace := index . 2 -}}
{{- $kind := ternary "Role" "ClusterRole" (ne $namespace "") -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- if $namespace }}
  {{- include "registrar.metadata" (list $root $name $namespace) | nindent 2 }}
  {{- else }}
  {{- include "registrar.globalMetadata" (list $root $name) | nindent 2 }}
  {{- end }}
rules:
  {{- toYaml (index . 3) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- if $namespace }}
  {{- include "registrar.metadata" (list $root $name $namespace) | nindent 2 }}
  {{- else }}
  {{- include "registrar.globalMetadata" (list $root $name) | nindent 2 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  {{- include "registrar.subjects" $root | nindent 2 }}
{{ end }}

{{/* Whether one replica leads. */}}
{{- define "registrar.leads" -}}
{{- if .Values.enforceDrains }}true{{ end }}
{{- end }}

{{- define "registrar.settings" -}}
{{- with .Values.profile }}
profile.yaml: {{ toYaml . | quote }}
{{- end }}
{{- with .Values.grants }}
grants.yaml: {{ toYaml . | quote }}
{{- end }}
{{- end }}
