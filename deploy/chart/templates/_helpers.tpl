{{/*
Sets every value that is missing or null, as --reuse-values and --set KEY=null leave them, to the default of values.yaml.
Each template begins with this, so that none of them uses a value that does not exist. A map that users fill in freely, such as
resources, is one value here: a key that they set to null stays absent.
*/}}
{{- define "operator.defaults" -}}
{{- include "operator.renamed" . -}}
{{- range $path, $default := .Files.Get "files/defaults.json" | fromJson -}}
{{- $place := $.Values -}}
{{- range initial (splitList "." $path) -}}
{{- if kindIs "invalid" (index $place .) -}}{{- $_ := set $place . dict -}}{{- end -}}
{{- $place = index $place . -}}
{{- end -}}
{{- $key := last (splitList "." $path) -}}
{{- if kindIs "invalid" (index $place $key) -}}{{- $_ := set $place $key $default -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* A name of at most MOST characters: list MOST NAME. A hash is added, since two long names may differ only in the truncated part. */}}
{{- define "operator.short" -}}
{{- $most := index . 0 -}}{{- $name := index . 1 -}}
{{- if gt (len $name) $most -}}
{{- printf "%s-%s" (trunc (int (sub $most 9)) $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- trimSuffix "-" $name -}}
{{- end -}}
{{- end }}

{{- define "operator.name" -}}
{{- include "operator.short" (list 63 (default .Chart.Name .Values.nameOverride)) -}}
{{- end }}

{{- define "operator.fullname" -}}
{{- $name := include "operator.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- include "operator.short" (list 52 (default $both .Values.fullnameOverride)) -}}
{{- end }}

{{- define "operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{/* Merged maps, as YAML: list MAP... If several contain a key, the last one applies. */}}
{{- define "operator.union" -}}
{{- $union := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}{{- $_ := set $union $key $value -}}{{- end -}}
{{- end -}}
{{- toYaml $union -}}
{{- end }}

{{/* A list in which each entry has a distinct KEY, as YAML: list KEY LIST. Of entries with the same key the last one is kept. */}}
{{- define "operator.distinct" -}}
{{- $key := index . 0 -}}{{- $distinct := list -}}
{{- range $entry := index . 1 -}}
{{- $others := list -}}
{{- range $distinct -}}{{- if ne (get . $key) (get $entry $key) -}}{{- $others = append $others . -}}{{- end -}}{{- end -}}
{{- $distinct = append $others $entry -}}
{{- end -}}
{{- toYaml $distinct -}}
{{- end }}

{{/* Name and instance only: any other label here could never be changed by an upgrade. */}}
{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels: list ROOT MAP. The selector's labels cannot be overridden. */}}
{{- define "operator.labels" -}}
{{- $root := index . 0 -}}
{{- $own := dict
      "app.kubernetes.io/version" $root.Chart.AppVersion
      "app.kubernetes.io/managed-by" $root.Release.Service
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- $selector := include "operator.selectorLabels" $root | fromYaml -}}
{{- include "operator.union" (list $own $root.Values.commonLabels (default dict (index . 1)) $selector) -}}
{{- end }}

{{/* The key `annotations`, if there are any: list ROOT MAP. */}}
{{- define "operator.annotations" -}}
{{- $annotations := include "operator.union" (list (index . 0).Values.commonAnnotations (default dict (index . 1))) -}}
{{- if ne $annotations "{}" -}}
annotations:
  {{- $annotations | nindent 2 }}
{{- end -}}
{{- end }}

{{/*
The key `metadata`: dict "root" ROOT, and the differences from an object with the release's name in its namespace: "suffix" of the
name, "namespace" ("-" for a cluster-scoped object), "labels", "annotations".
*/}}
{{- define "operator.metadata" -}}
metadata:
  name: {{ printf "%s%s" (include "operator.fullname" .root) (default "" .suffix) | quote }}
  {{- $namespace := default (include "operator.namespace" .root) .namespace }}
  {{- if ne $namespace "-" }}
  namespace: {{ $namespace | quote }}
  {{- end }}
  labels:
    {{- include "operator.labels" (list .root .labels) | nindent 4 }}
  {{- with include "operator.annotations" (list .root .annotations) }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- default (ternary (include "operator.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end }}

{{- define "operator.image" -}}
{{- $image := .Values.image -}}
{{- with default (default dict .Values.global).imageRegistry $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "operator.leaseName" -}}
{{- default (include "operator.fullname" .) .Values.leaderElection.leaseName -}}
{{- end }}

{{/* A probe of this path, or with the handler that its values name instead: list PATH VALUES. */}}
{{- define "operator.probe" -}}
{{- $probe := dict "httpGet" (dict "path" (index . 0) "port" "http") -}}
{{- range list "exec" "grpc" "tcpSocket" -}}{{- if hasKey (index $ 1) . -}}{{- $probe = dict -}}{{- end -}}{{- end -}}
{{- include "operator.union" (list $probe (index . 1)) -}}
{{- end }}

{{/* The port that a URL names. */}}
{{- define "operator.port" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" -}}
{{- end }}

{{/* Additional ports of the proxy, which is reached over plain HTTP, and of the endpoints. */}}
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

{{/* A duration such as 1h30m in milliseconds. */}}
{{- define "operator.milliseconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) (regexFind "[a-z]+" .) -}}
{{- $sum = add $sum (mul (int64 (regexFind "[0-9]+" .)) $unit) -}}
{{- end -}}
{{- $sum -}}
{{- end }}
