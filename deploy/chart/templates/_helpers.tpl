{{- define "operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "operator.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{/* Name and instance only: whatever else stood here could never be upgraded. */}}
{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "operator.image" -}}
{{- $image := .Values.image -}}
{{- if not $image.repository -}}
{{- fail "image.repository is required: build and push an image (README, \"Install\"), then --set image.repository=..." -}}
{{- end -}}
{{- with default (default dict .Values.global).imageRegistry $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "operator.leaseName" -}}
{{- default (include "operator.fullname" .) .Values.leaderElection.leaseName -}}
{{- end }}

{{/* What it may do with the resource: read it, and write its status. */}}
{{- define "operator.rules" -}}
- apiGroups: [dws.huaweicloud.com]
  resources: [clusterredistributions]
  verbs: [get, list, watch]
- apiGroups: [dws.huaweicloud.com]
  resources: [clusterredistributions/status]
  verbs: [get, update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.credentials.allSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- else if .Values.credentials.secretNames }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson .Values.credentials.secretNames }}
  verbs: [get]
{{- end }}
{{- end }}

{{/* A duration such as 1h30m in whole seconds. */}}
{{- define "operator.seconds" -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $number := int64 (regexFind "[0-9]+" .) -}}
{{- $unit := get (dict "ms" 0 "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+" .) -}}
{{- $seconds = add $seconds (mul $number $unit) -}}
{{- end -}}
{{- $seconds -}}
{{- end }}

{{/* The port that a URL names. */}}
{{- define "operator.port" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" -}}
{{- end }}

{{/* Ports beside the usual ones on which the proxy, which is spoken to in plain HTTP, and the endpoints are reached. */}}
{{- define "operator.egressPorts" -}}
{{- $ports := list -}}
{{- with .Values.cloud.proxy -}}
{{- $ports = append $ports (include "operator.port" . | default "80" | int) -}}
{{- end -}}
{{- range concat (values .Values.cloud.endpoints) (values .Values.cloud.iamEndpoints) -}}
{{- with include "operator.port" . -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- end -}}
{{- without (sortAlpha $ports | uniq) "443" "6443" | toJson -}}
{{- end }}
