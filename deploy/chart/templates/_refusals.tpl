{{/* Checks that the schema cannot express in a readable message, made before anything is installed. */}}
{{- define "operator.refusals" -}}
{{- $values := .Values -}}
{{- $name := include "operator.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot be the name of a Service, which begins with a letter and contains only lower-case letters, digits and -: choose another name for the release, or set fullnameOverride" $name) -}}
{{- end -}}
{{- if not $values.image.repository -}}
{{- fail "image.repository is required: build and push an image (README, \"Install\"), then --set image.repository=..." -}}
{{- end -}}
{{- if not (regexMatch "^([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*)?$" $values.image.registry) -}}
{{- fail (printf "image.registry must be a host with or without port and path, such as registry.example.com:5000/team, without a scheme and without a / at its end, not %q" $values.image.registry) -}}
{{- end -}}
{{- if and (gt (int $values.replicaCount) 1) (not $values.leaderElection.enabled) -}}
{{- fail "several replicas need leaderElection.enabled, which decides which of them is active; without it set replicaCount to 1" -}}
{{- end -}}
{{- include "operator.ranges" $values -}}
{{- $longest := include "operator.milliseconds" $values.pace.requestTimeout | int64 | add 15000 -}}
{{- if le (mul 1000 (int64 $values.terminationGracePeriodSeconds)) $longest -}}
{{- fail (printf "terminationGracePeriodSeconds must be above pace.requestTimeout + 15 s (%d), so that a call in flight is finished and recorded" (div $longest 1000)) -}}
{{- end -}}
{{- if and $values.defaultCredentials.namespaces (not $values.defaultCredentials.existingSecret) -}}
{{- fail "defaultCredentials.namespaces needs defaultCredentials.existingSecret: the Secret with the credentials for objects in these namespaces" -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (not $values.metrics.service.enabled) -}}
{{- fail "serviceMonitor.enabled needs metrics.service.enabled, the Service that it selects; without a Service set podMonitor.enabled" -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled $values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled together would have every pod scraped twice: set one of them" -}}
{{- end -}}
{{- if and $values.prometheusRule.enabled (not (or $values.metrics.service.enabled $values.podMonitor.enabled $values.prometheusRule.job)) -}}
{{- fail "prometheusRule.enabled needs metrics.service.enabled, podMonitor.enabled or prometheusRule.job: metrics that are not scraped look like an operator without a leader, and that alert would never end" -}}
{{- end -}}
{{- if and $values.hostNetwork (not $values.hostUsers) -}}
{{- fail "hostNetwork and hostUsers=false exclude each other: Kubernetes gives no user namespace to a pod in the node's network" -}}
{{- end -}}
{{- range concat $values.extraContainers $values.extraInitContainers -}}
{{- if eq (toString (get . "name")) "operator" -}}
{{- fail "extraContainers and extraInitContainers cannot hold a container of the name operator, which is the chart's own" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Values in their form from before the first release. The schema accepts them, so that a readable message can be given here. */}}
{{- define "operator.renamed" -}}
{{- $renamed := dict
      "replicas" "replicaCount"
      "containerSecurityContext" "securityContext"
      "metrics.serviceMonitor" "serviceMonitor"
      "metrics.prometheusRule" "prometheusRule"
      "metrics.dashboard" "dashboard"
      "metrics.service.port" "metrics.port" -}}
{{- range $old, $new := $renamed -}}
{{- $place := $.Values -}}
{{- range splitList "." $old -}}{{- $place = index (default dict $place) . -}}{{- end -}}
{{- if not (kindIs "invalid" $place) -}}
{{- fail (printf "%s is called %s: rename it in your values" $old $new) -}}
{{- end -}}
{{- end -}}
{{- if kindIs "slice" (default dict .Values.networkPolicy).ingress -}}
{{- fail "networkPolicy.ingress is not a list of rules: list the peers that may reach metrics.port in networkPolicy.ingress.from" -}}
{{- end -}}
{{- end }}

{{/* The range of each duration that the operator accepts; outside it the operator would exit with code 2. */}}
{{- define "operator.ranges" -}}
{{- range list
      (list "leaderElection.leaseDuration" .leaderElection.leaseDuration "5s" "5m")
      (list "checkEvery" .checkEvery "1s" "1h")
      (list "observe.every" .observe.every "1s" "1h")
      (list "observe.settleTime" .observe.settleTime "1s" "1h")
      (list "pace.sendBudget" .pace.sendBudget "1s" "30s")
      (list "pace.requestTimeout" .pace.requestTimeout "2s" "5m")
      (list "pace.connectTimeout" .pace.connectTimeout "1s" "30s")
      (list "pace.graceMargin" .pace.graceMargin "2s" "60s")
      (list "liveness.staleAfter" .liveness.staleAfter "10s" "1h")
      (list "relistEvery" .relistEvery "5s" "24h") -}}
{{- $value := include "operator.milliseconds" (index . 1) | int64 -}}
{{- $least := include "operator.milliseconds" (index . 2) | int64 -}}
{{- $most := include "operator.milliseconds" (index . 3) | int64 -}}
{{- if or (lt $value $least) (gt $value $most) -}}
{{- fail (printf "%s must be from %s to %s, not %s" (index . 0) (index . 2) (index . 3) (index . 1)) -}}
{{- end -}}
{{- end -}}
{{- range list (list "serviceMonitor" .serviceMonitor) (list "podMonitor" .podMonitor) -}}
{{- $monitor := index . 1 -}}
{{- if and $monitor.interval (gt (include "operator.milliseconds" $monitor.scrapeTimeout | int64) (include "operator.milliseconds" $monitor.interval | int64)) -}}
{{- fail (printf "%s.scrapeTimeout must not be above %[1]s.interval" (index . 0)) -}}
{{- end -}}
{{- end -}}
{{- end }}
