{{- /*
What a user names may read as a number or a truth to YAML, such as 4711, 1e3 or on: where it stands alone it is quoted. With a word behind it,
as in 4711-leases, nothing takes it for one.
*/ -}}

{{- /* The chart's name, as in labels. */ -}}
{{- define "saga-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The name of everything. At most 40 characters, so that there is room for what is put behind it; and without the dots that a release's
name may have, since a namespace's and a Service's may not. */ -}}
{{- define "saga-operator.fullname" -}}
{{- $name := include "saga-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 40 | trimAll "-." }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 40 | trimAll "-." }}
{{- end }}
{{- end }}

{{- /* The Service before the metrics, after which their scrapes are called, too. A Service's name begins with a letter. A Service with an
address of its own keeps it: so the headless one has another name than the one before it, which Helm deletes at the upgrade. */ -}}
{{- define "saga-operator.metricsService" -}}
{{- $name := include "saga-operator.fullname" . }}
{{- if regexMatch "^[0-9]" $name }}saga-{{ end }}{{ $name }}-metrics-headless
{{- end }}

{{- define "saga-operator.serviceAccount" -}}
{{- default (include "saga-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* What makes a pod the operator's. */ -}}
{{- define "saga-operator.selector" -}}
app.kubernetes.io/name: {{ include "saga-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "saga-operator.labels" -}}
{{ include "saga-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* These and others, which win where both name one. Call it with a list of the root and the others. */ -}}
{{- define "saga-operator.labelsAnd" -}}
{{- merge (dict) (last .) (include "saga-operator.labels" (first .) | fromYaml) | toYaml }}
{{- end }}

{{- define "saga-operator.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- with .Values.image.digest }}{{ $image = printf "%s@%s" $image . }}{{ end }}
{{- $image }}
{{- end }}

{{- define "saga-operator.leaseNamespace" -}}
{{- default .Release.Namespace .Values.leaseNamespace }}
{{- end }}

{{- /* The operator, as a subject of bindings. */ -}}
{{- define "saga-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "saga-operator.serviceAccount" . | quote }}
    namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- /* The name of all that `helm test` makes: one that nobody else gives to anything, since Helm deletes what it made by its name. */ -}}
{{- define "saga-operator.testName" -}}
{{- include "saga-operator.fullname" . }}-saga-helm-test
{{- end }}

{{- /* Where `helm test` carries its saga through. */ -}}
{{- define "saga-operator.testNamespace" -}}
{{- if .Values.tests.namespace }}
{{- .Values.tests.namespace }}
{{- else if .Values.watchNamespaces }}
{{- first .Values.watchNamespaces }}
{{- else }}
{{- include "saga-operator.testName" . }}
{{- end }}
{{- end }}

{{- /* Whether there is anything for `helm test`. In a namespace that it makes are no Secrets to pull its pod's image with. */ -}}
{{- define "saga-operator.hasTest" -}}
{{- $anywhere := or .Values.tests.namespace .Values.watchNamespaces }}
{{- if and .Values.tests.create (gt (int .Values.replicas) 0) (or $anywhere (not .Values.imagePullSecrets)) }}yes{{ end }}
{{- end }}

{{- /* Whether `helm test` makes that namespace, and deletes it. */ -}}
{{- define "saga-operator.makesTestNamespace" -}}
{{- if and (include "saga-operator.hasTest" .) (not .Values.tests.namespace) (not .Values.watchNamespaces) }}yes{{ end }}
{{- end }}

{{- /* Whether a policy keeps sagas out of the operator's namespace. */ -}}
{{- define "saga-operator.keepsItsNamespaceFree" -}}
{{- if and .Values.admission.enabled .Values.admission.operatorNamespace (has "Deny" .Values.admission.validationActions) }}yes{{ end }}
{{- end }}

{{- /* Values that contradict each other are refused before anything is installed. */ -}}
{{- define "saga-operator.check" -}}
{{- if not .Values.image.repository }}
{{- fail "image.repository is empty, and the image of the operator has no default: push the image that `make image` builds to a registry of yours, and set image.repository to its repository there, such as registry.example.com/saga-operator" }}
{{- end }}
{{- $watched := .Values.watchNamespaces }}
{{- if $watched }}
{{- if .Values.impersonation.clusterWide }}
{{- fail "impersonation.clusterWide is true, and watchNamespaces limits the operator to its namespaces: name these in impersonation.namespaces instead" }}
{{- end }}
{{- range .Values.impersonation.namespaces }}
{{- if not (has . $watched) }}
{{- fail (printf "impersonation.namespaces holds %s, which the operator does not watch: add it to watchNamespaces, or remove it" .) }}
{{- end }}
{{- end }}
{{- if not (has (include "saga-operator.testNamespace" .) $watched) }}
{{- fail (printf "tests.namespace is %s, which the operator does not watch: name one of watchNamespaces, or none" .Values.tests.namespace) }}
{{- end }}
{{- end }}
{{- if include "saga-operator.keepsItsNamespaceFree" . }}
{{- if has .Release.Namespace $watched }}
{{- fail (printf "watchNamespaces holds %s, where the operator is installed and admission.operatorNamespace refuses sagas: remove it, or set admission.operatorNamespace to false" .Release.Namespace) }}
{{- end }}
{{- if and .Values.tests.create (eq .Values.tests.namespace .Release.Namespace) }}
{{- fail (printf "tests.namespace is %s, where the operator is installed and admission.operatorNamespace refuses sagas: name another namespace, or none" .Release.Namespace) }}
{{- end }}
{{- end }}
{{- $denied := include "saga-operator.admission.denied" . | fromJsonArray }}
{{- $refuses := or .Values.admission.enabled (include "saga-operator.admission.binds-account" .) }}
{{- if and $refuses (has "Deny" .Values.admission.validationActions) }}
{{- $named := dict "watchNamespaces" $watched "tests.namespace" (ternary (list .Values.tests.namespace) (list) .Values.tests.create) }}
{{- range $value, $namespaces := $named }}
{{- range $namespaces }}
{{- if has . $.Values.admission.deniedNamespaces }}
{{- fail (printf "%s names %s, and admission.deniedNamespaces refuses sagas there: remove it from one of the two" $value .) }}
{{- else if has . $denied }}
{{- fail (printf "%s names %s, where admission.systemNamespaces refuses sagas: remove it, or set admission.systemNamespaces to false" $value .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "saga-operator.makesTestNamespace" . }}
{{- $name := include "saga-operator.testNamespace" . }}
{{- with lookup "v1" "Namespace" "" $name }}
{{- if ne $.Release.Name (dig "metadata" "labels" "app.kubernetes.io/instance" "" .) }}
{{- fail (printf "the namespace %s exists already and does not belong to this release: `helm test` would delete it; set tests.namespace to a namespace that the test may use and does not delete, or tests.create to false" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) (int .Values.health.port)) }}
{{- fail (printf "metrics.port and health.port are both %v: give each a port of its own" .Values.health.port) }}
{{- end }}
{{- if not .Values.metrics.enabled }}
{{- if or .Values.metrics.serviceMonitor.create .Values.metrics.prometheusRule.create }}
{{- fail "metrics.enabled is false: a ServiceMonitor or PrometheusRule would find nothing; enable metrics, or create neither" }}
{{- end }}
{{- end }}
{{- $rule := .Values.metrics.prometheusRule }}
{{- if and $rule.create (not .Values.metrics.serviceMonitor.create) (not $rule.job) }}
{{- fail "metrics.prometheusRule.create is true, and no value names the job under which Prometheus scrapes the operator, so the alerts would select no series: set metrics.serviceMonitor.create to true, or metrics.prometheusRule.job to the job under which you scrape it" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.create (not .Values.metrics.service.create) }}
{{- fail "metrics.serviceMonitor.create needs the Service: set metrics.service.create to true" }}
{{- end }}
{{- end }}

{{- /* The arguments of `saga-operator run`, as a list. Those with a default are written out: a pod's manifest says what it does. */ -}}
{{- define "saga-operator.args" -}}
{{- $http := .Values.http }}
{{- $args := list "run" }}
{{- $args = append $args (printf "--metrics-addr=%s" (ternary (printf "%s:%v" .Values.listenAddress .Values.metrics.port) "0" .Values.metrics.enabled)) }}
{{- $args = append $args (printf "--health-addr=%s:%v" .Values.listenAddress .Values.health.port) }}
{{- $args = append $args (printf "--circuits-endpoint=%v" .Values.health.circuits) }}
{{- $args = append $args (printf "--lease-namespace=%s" (include "saga-operator.leaseNamespace" .)) }}
{{- $args = append $args (printf "--leader-elect=%v" .Values.leaderElection.enabled) }}
{{- $args = append $args (printf "--drain=%vs" .Values.drainSeconds) }}
{{- with .Values.watchNamespaces }}{{ $args = append $args (printf "--watch-namespaces=%s" (join "," .)) }}{{ end }}
{{- with $http.allowCidrs }}{{ $args = append $args (printf "--http-allow-cidrs=%s" (join "," .)) }}{{ end }}
{{- with $http.denyCidrs }}{{ $args = append $args (printf "--http-deny-cidrs=%s" (join "," .)) }}{{ end }}
{{- with $http.allowHosts }}{{ $args = append $args (printf "--http-allow-hosts=%s" (join "," .)) }}{{ end }}
{{- with $http.denyHosts }}{{ $args = append $args (printf "--http-deny-hosts=%s" (join "," .)) }}{{ end }}
{{- $args = append $args (printf "--http-calls-per-host=%d" (int $http.calls.perHost)) }}
{{- $args = append $args (printf "--http-calls-per-namespace=%d" (int $http.calls.perNamespace)) }}
{{- $args = append $args (printf "--http-calls=%d" (int $http.calls.total)) }}
{{- $args = append $args (printf "--http-circuit-calls=%d" (int $http.circuits.calls)) }}
{{- /* Without circuits there is nothing that these could be about, and the operator ignores them. */ -}}
{{- if gt (int $http.circuits.calls) 0 }}
{{- $args = append $args (printf "--http-circuit-window=%s" $http.circuits.window) }}
{{- $args = append $args (printf "--http-circuit-unknown-percent=%d" (int $http.circuits.unknownPercent)) }}
{{- $args = append $args (printf "--http-circuit-open=%s" $http.circuits.open) }}
{{- end }}
{{- $args = append $args (printf "--log-format=%s" .Values.log.format) }}
{{- $args = append $args (printf "--log-level=%s" .Values.log.level) }}
{{- toYaml $args }}
{{- end }}

{{- /* How the pods are spread, as a list: each constraint counts the operator's pods where it does not say otherwise. */ -}}
{{- define "saga-operator.spread" -}}
{{- $selector := dict "matchLabels" (include "saga-operator.selector" . | fromYaml) }}
{{- $constraints := .Values.topologySpreadConstraints }}
{{- if and (not $constraints) (gt (int .Values.replicas) 1) }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway") }}
{{- end }}
{{- end }}
{{- range $constraints }}
- {{ merge (dict) . (dict "labelSelector" $selector) | toJson }}
{{- end }}
{{- end }}
