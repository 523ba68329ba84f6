{{/* The names of the service's metrics: alerts and dashboard take them from here and nowhere else. */}}
{{- define "string-embedding.metrics" -}}
requests: featrix_strings_requests_total
seconds: featrix_strings_request_seconds_bucket
hits: featrix_strings_cache_hits_total
misses: featrix_strings_cache_misses_total
evictions: featrix_strings_cache_evictions_total
bytes: featrix_strings_cache_bytes
waiting: featrix_strings_waiting_texts
requestsWaiting: featrix_strings_waiting_requests
computed: featrix_strings_computed_texts_total
ready: featrix_strings_ready
model: featrix_strings_model_info
# Requests for vectors, without questions about the service.
work: route=~"/embed|/v1/embeddings"
{{- end -}}

{{/* Labels that the ServiceMonitor's targets have. */}}
{{- define "string-embedding.series" -}}
namespace={{ .Release.Namespace | quote }}, service={{ include "string-embedding.metricsName" . | quote }}
{{- end -}}

{{/* Panels of the dashboard: width in 24ths, unit of Grafana, expressions with their legends. */}}
{{- define "string-embedding.panels" -}}
{{- $m := include "string-embedding.metrics" . | fromYaml -}}
{{- $s := `namespace="$namespace", service="$service"` -}}
{{- $work := printf "%s, %s" $s $m.work -}}
panels:
  - title: Pods that answer
    type: stat
    width: 4
    unit: none
    targets:
      - {expr: 'sum(up{ {{- $s -}} })', legend: pods}
      - {expr: 'sum({{ $m.ready }}{ {{- $s -}} })', legend: ready}
  - title: Model
    type: table
    width: 12
    unit: none
    description: One row, unless a change of the model is under way.
    targets:
      - {expr: 'count by (fingerprint) ({{ $m.model }}{ {{- $s -}} } == 1)', legend: '{{ "{{fingerprint}}" }}'}
  - title: Texts from the cache
    type: stat
    width: 4
    unit: percentunit
    targets:
      - expr: 'sum(rate({{ $m.hits }}{ {{- $s -}} }[$__rate_interval])) / (sum(rate({{ $m.hits }}{ {{- $s -}} }[$__rate_interval])) + sum(rate({{ $m.misses }}{ {{- $s -}} }[$__rate_interval])))'
        legend: share
  - title: Requests that failed
    type: stat
    width: 4
    unit: percentunit
    targets:
      - expr: 'sum(rate({{ $m.requests }}{ {{- $work }}, status=~"5.."}[$__rate_interval])) / sum(rate({{ $m.requests }}{ {{- $work -}} }[$__rate_interval]))'
        legend: share
  - title: Requests by answer
    type: timeseries
    width: 12
    unit: reqps
    targets:
      - {expr: 'sum by (route, status) (rate({{ $m.requests }}{ {{- $work -}} }[$__rate_interval]))', legend: '{{ "{{route}} {{status}}" }}'}
  - title: Time of a request
    type: timeseries
    width: 12
    unit: s
    targets:
      {{- range $quantile := list "0.5" "0.95" "0.99" }}
      - {expr: 'histogram_quantile({{ $quantile }}, sum by (le) (rate({{ $m.seconds }}{ {{- $s -}} }[$__rate_interval])))', legend: p{{ mulf 100 (float64 $quantile) }}}
      {{- end }}
  - title: Texts by where their vectors came from
    type: timeseries
    width: 12
    unit: cps
    targets:
      - {expr: 'sum(rate({{ $m.hits }}{ {{- $s -}} }[$__rate_interval]))', legend: cache}
      - {expr: 'sum(rate({{ $m.misses }}{ {{- $s -}} }[$__rate_interval]))', legend: not cached}
      - {expr: 'sum(rate({{ $m.computed }}{ {{- $s -}} }[$__rate_interval]))', legend: computed}
  - title: Waiting texts and requests
    type: timeseries
    width: 12
    unit: short
    targets:
      - {expr: 'sum by (pod) ({{ $m.waiting }}{ {{- $s -}} })', legend: '{{ "{{pod}}" }} texts'}
      - {expr: 'sum by (pod) ({{ $m.requestsWaiting }}{ {{- $s -}} })', legend: '{{ "{{pod}}" }} requests'}
  - title: Refused requests
    type: timeseries
    width: 8
    unit: reqps
    targets:
      - {expr: 'sum by (pod) (rate({{ $m.requests }}{ {{- $work }}, status="429"}[$__rate_interval]))', legend: '{{ "{{pod}}" }}'}
  - title: Size of the caches
    type: timeseries
    width: 8
    unit: bytes
    targets:
      - {expr: 'sum by (pod) ({{ $m.bytes }}{ {{- $s -}} })', legend: '{{ "{{pod}}" }}'}
  - title: Vectors that left the caches
    type: timeseries
    width: 8
    unit: cps
    targets:
      - {expr: 'sum by (pod) (rate({{ $m.evictions }}{ {{- $s -}} }[$__rate_interval]))', legend: '{{ "{{pod}}" }}'}
{{- end -}}
