{{/* The name of namespaced objects: "registrar" for a release of that name. */}}
{{- define "registrar.name" -}}
{{- if contains "registrar" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-registrar{{ end }}
{{- end }}

{{/* The name of objects outside the release's namespace, which releases of other namespaces must not share. */}}
{{- define "registrar.globalName" -}}
{{- printf "%s-%s" .Release.Namespace (include "registrar.name" .) | replace "registrar-registrar" "registrar" }}
{{- end }}

{{/* What the pods that serve have, and no others. */}}
{{- define "registrar.selector" -}}
{{ include "registrar.selectorOf" (list . "registrar") }}
{{- end }}

{{/* The same for pods of another app: (list . APP). */}}
{{- define "registrar.selectorOf" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* The labels of an object of an app: (list . APP). */}}
{{- define "registrar.labels" -}}
{{- $root := index . 0 -}}
{{ include "registrar.selectorOf" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/*
Metadata of an object: (list . NAME [NAMESPACE [APP]]). The default is the release's namespace and the app registrar; an
empty namespace is the cluster.
*/}}
{{- define "registrar.metadata" -}}
{{- $root := index . 0 -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $app := "registrar" -}}
{{- if gt (len .) 2 }}{{ $namespace = index . 2 }}{{ end -}}
{{- if gt (len .) 3 }}{{ $app = index . 3 }}{{ end -}}
name: {{ index . 1 }}
{{- with $namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "registrar.labels" (list $root $app) | nindent 2 }}
{{- end }}

{{/*
A binding of a role to an account: (list . NAME NAMESPACE ROLE APP). An empty namespace is the cluster. The account of the
app registrar-anchor is that of the pods that only anchor.
*/}}
{{- define "registrar.bound" -}}
{{- $root := index . 0 -}}
{{- $kind := ternary "Role" "ClusterRole" (ne (index . 2) "") -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- include "registrar.metadata" (list $root (index . 1) (index . 2) (index . 4)) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ index . 3 }}
subjects:
  - kind: ServiceAccount
    name: {{ include "registrar.name" $root }}{{ if eq (index . 4) "registrar-anchor" }}-anchor{{ end }}
    namespace: {{ $root.Release.Namespace }}
{{ end }}

{{/* A role and its binding to an account: (list . NAME NAMESPACE RULES [APP]). An empty namespace is the cluster. */}}
{{- define "registrar.grant" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $namespace := index . 2 -}}
{{- $app := "registrar" -}}
{{- if gt (len .) 4 }}{{ $app = index . 4 }}{{ end -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "Role" "ClusterRole" (ne $namespace "") }}
metadata:
  {{- include "registrar.metadata" (list $root $name $namespace $app) | nindent 2 }}
rules:
  {{- toYaml (index . 3) | nindent 2 }}
{{ include "registrar.bound" (list $root $name $namespace $name $app) }}
{{- end }}

{{/* Whether the pods that serve anchor too. */}}
{{- define "registrar.servesAnchoring" -}}
{{- if and .Values.anchoring.enabled (not .Values.anchoring.apart) }}true{{ end }}
{{- end }}

{{/* Whether pods of their own anchor. */}}
{{- define "registrar.apart" -}}
{{- if and .Values.anchoring.enabled .Values.anchoring.apart }}true{{ end }}
{{- end }}

{{/* Whether one of the replicas that serve changes the cluster, as its leader. */}}
{{- define "registrar.writes" -}}
{{- if or .Values.enforceDrains .Values.events .Values.writeIdentity }}true{{ end }}
{{- end }}

{{/* Whether one of the replicas that serve leads. */}}
{{- define "registrar.leads" -}}
{{- include "registrar.writes" . }}{{ include "registrar.servesAnchoring" . }}
{{- end }}

{{- define "registrar.settings" -}}
{{- with .Values.profile }}
profile.yaml: {{ toYaml . | quote }}
{{- end }}
{{- with .Values.grants }}
grants.yaml: {{ toYaml . | quote }}
{{- end }}
{{- end }}

{{/* The settings of every process that reads offers: all of them must know the same agents. */}}
{{- define "registrar.offerArgs" -}}
{{- with .Values.publicUrl }}
- --public-url
- {{ . | quote }}
{{- end }}
- --log-format
- {{ .Values.logFormat }}
{{- if not .Values.identity.enabled }}
- --identity
- none
{{- else if ne (printf "%s/%s" .Values.identity.namespace .Values.identity.name) "x402/default" }}
- --identity
- {{ .Values.identity.namespace }}/{{ .Values.identity.name }}
{{- end }}
{{- range .Values.namespaces }}
- --namespace
- {{ . }}
{{- end }}
{{- with .Values.requiredConditions }}
- --required-conditions
- {{ join "," . }}
{{- end }}
{{- if .Values.profile }}
- --profile
- /etc/registrar-settings/profile.yaml
{{- end }}
{{- if .Values.grants }}
- --grants
- /etc/registrar-settings/grants.yaml
{{- end }}
{{- end }}

{{/* The variables of a process that anchors under a Lease: (list . LEASE). Files are those of the Secret. */}}
{{- define "registrar.anchoringEnv" -}}
{{- $root := index . 0 }}
{{- $anchoring := $root.Values.anchoring }}
{{- $names := list }}
{{- $fees := list }}
{{- $budgets := list }}
{{- $urls := list }}
{{- range $chain := $anchoring.chains }}
{{- $names = append $names $chain.name }}
{{- with $chain.maxFeeGwei }}{{ $fees = append $fees (printf "%s=%s" $chain.name .) }}{{ end }}
{{- with $chain.dailyBudgetEther }}{{ $budgets = append $budgets (printf "%s=%s" $chain.name .) }}{{ end }}
{{- $urls = append $urls (printf "%s=@/etc/registrar/%s" $chain.name ($chain.rpcUrls | default "rpc-urls")) }}
{{- end }}
- name: REGISTRAR_ANCHOR
  value: {{ join "," $names | quote }}
{{- with $anchoring.hosts }}
- name: REGISTRAR_ANCHOR_HOST
  value: {{ join "," . | quote }}
{{- end }}
- name: REGISTRAR_OWNER_ID
  value: {{ $anchoring.ownerId | quote }}
{{- with $fees }}
- name: REGISTRAR_MAX_FEE_GWEI
  value: {{ join "," . | quote }}
{{- end }}
{{- with $budgets }}
- name: REGISTRAR_DAILY_BUDGET_ETHER
  value: {{ join "," . | quote }}
{{- end }}
{{ include "registrar.journalEnv" $root }}
{{ include "registrar.leaseEnv" . }}
- name: REGISTRAR_RPC_URL
  value: {{ join "," $urls | quote }}
{{- with $anchoring.signer }}
- name: REGISTRAR_SIGNER
  value: {{ printf "%s:%s" .kind (ternary "/etc/registrar/keystore.json" (.url | default .key) (eq .kind "keystore")) | quote }}
{{- if eq .kind "keystore" }}
- name: REGISTRAR_KEYSTORE_PASSWORD_FILE
  value: /etc/registrar/keystore-password
{{- end }}
{{- with .account }}
- name: REGISTRAR_ACCOUNT
  value: {{ . | quote }}
{{- end }}
{{- if .token }}
- name: REGISTRAR_SIGNER_TOKEN_FILE
  value: /etc/registrar/signer-token
{{- end }}
{{- if .authority }}
- name: REGISTRAR_SIGNER_CA_FILE
  value: /etc/registrar/signer-ca.pem
{{- end }}
{{- if .certificate }}
- name: REGISTRAR_SIGNER_CERT_FILE
  value: /etc/registrar/signer-cert.pem
- name: REGISTRAR_SIGNER_KEY_FILE
  value: /etc/registrar/signer-key.pem
{{- end }}
{{- end }}
{{- end }}

{{- define "registrar.journalEnv" -}}
- name: REGISTRAR_JOURNAL
  value: configmap:{{ .Release.Namespace }}/{{ include "registrar.name" . }}-journal
{{- end }}

{{/* (list . LEASE) */}}
{{- define "registrar.leaseEnv" -}}
- name: REGISTRAR_LEASE
  value: {{ (index . 0).Release.Namespace }}/{{ index . 1 }}
{{- end }}

{{- define "registrar.anchoringMount" -}}
- name: anchoring
  mountPath: /etc/registrar
  readOnly: true
{{- end }}

{{- define "registrar.anchoringVolume" -}}
- name: anchoring
  secret:
    secretName: {{ .Values.anchoring.secret }}
    # 0440
    defaultMode: 288
{{- end }}

{{- define "registrar.settingsMount" -}}
- name: settings
  mountPath: /etc/registrar-settings
  readOnly: true
{{- end }}

{{- define "registrar.settingsVolume" -}}
- name: settings
  configMap:
    name: {{ include "registrar.name" . }}-settings
{{- end }}

{{/* Where pods may run, and with what secrets their image is pulled. */}}
{{- define "registrar.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The image, and the restrictions that every container has. */}}
{{- define "registrar.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* The restrictions of a pod: (list . SECRET), with true if a Secret is mounted. */}}
{{- define "registrar.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  {{- if index . 1 }}
  # The group that may read the Secret's files.
  fsGroup: 65532
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* (list . APP) */}}
{{- define "registrar.spread" -}}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    # Preferred, not required, so that a cluster of one node runs both.
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "registrar.selectorOf" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}

{{/* (list . NAME APP) */}}
{{- define "registrar.disruption" -}}
{{- $root := index . 0 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "registrar.metadata" (list $root (index . 1) $root.Release.Namespace (index . 2)) | nindent 2 }}
spec:
  minAvailable: {{ $root.Values.podDisruptionBudget.minAvailable }}
  # A pod that is not ready yet (no complete list so far) must not block the drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "registrar.selectorOf" (list $root (index . 2)) | nindent 6 }}
{{- end }}
