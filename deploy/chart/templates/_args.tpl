{{/*
The flags of `run` that result from the values, one per line. A feature that is off renders no flag, since a flag would override the
environment variable that turns it on. No flag names the Lease's namespace, which is always the pods' own.
*/}}
{{- define "operator.args" -}}
{{- with .Values.cloud }}
{{- with .region }}
--region={{ . }}
{{- end }}
{{- range .allowedRegions }}
--allow-region={{ . }}
{{- end }}
{{- range $region, $url := .endpoints }}
--endpoint={{ $region }}={{ $url }}
{{- end }}
{{- range $region, $url := .iamEndpoints }}
--iam-endpoint={{ $region }}={{ $url }}
{{- end }}
{{- with .proxy }}
--proxy={{ . }}
{{- end }}
{{- if .caBundle.configMapName }}
--ca-bundle=/etc/redistribution-operator/ca/{{ .caBundle.key }}
{{- end }}
{{- end }}
{{- range .Values.watchNamespaces }}
--namespace={{ . }}
{{- end }}
{{- with .Values.selector }}
--selector={{ . }}
{{- end }}
{{- if .Values.defaultCredentials.existingSecret }}
--default-credentials-dir=/etc/redistribution-operator/credentials
{{- range .Values.defaultCredentials.namespaces }}
--default-credentials-namespace={{ . }}
{{- end }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
--leader-election
--lease-name={{ include "operator.leaseName" . }}
--lease-duration={{ .Values.leaderElection.leaseDuration }}
{{- end }}
{{- if .Values.guards.requireNotAfter }}
--require-not-after
{{- end }}
{{- if .Values.guards.holdReverts }}
--hold-reverts
{{- end }}
{{- if ne .Values.checkCluster "off" }}
--check-cluster={{ .Values.checkCluster }}
--check-every={{ .Values.checkEvery }}
{{- end }}
{{- with .Values.observe }}
{{- if .enabled }}
--observe
--observe-every={{ .every }}
--settle-time={{ .settleTime }}
{{- end }}
{{- end }}
{{- with .Values.pace }}
--rate-limit={{ .rateLimit }}
--concurrency={{ .concurrency }}
--send-budget={{ .sendBudget }}
--request-timeout={{ .requestTimeout }}
--connect-timeout={{ .connectTimeout }}
--grace-margin={{ .graceMargin }}
{{- end }}
--listen=[::]:{{ .Values.metrics.port }}
--stale-after={{ .Values.liveness.staleAfter }}
--relist-every={{ .Values.relistEvery }}
--log-level={{ .Values.log.level }}
--log-format={{ .Values.log.format }}
{{- end }}
