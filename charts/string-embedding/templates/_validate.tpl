{{/* A quantity of Kubernetes ("500m", "1.5", "2Gi") in thousandths, to compare two of them. */}}
{{- define "string-embedding.milli" -}}
{{- $units := dict "m" 0.001 "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- $number := regexFind "^[0-9.]+" (toString .) -}}
{{- $unit := get $units (trimPrefix $number (toString .)) -}}
{{- printf "%.0f" (mulf 1000 (float64 $number) $unit) -}}
{{- end -}}

{{/* "2Gi" or "512Mi" in Mi. */}}
{{- define "string-embedding.mebibytes" -}}
{{- div (include "string-embedding.milli" . | int64) 1048576000 -}}
{{- end -}}

{{/* "90s" or "2m" in seconds. */}}
{{- define "string-embedding.seconds" -}}
{{- if hasSuffix "m" . -}}
{{- mul 60 (trimSuffix "m" . | int) -}}
{{- else -}}
{{- trimSuffix "s" . -}}
{{- end -}}
{{- end -}}

{{/* Number of pods that a PodDisruptionBudget means: an integer, or percent of the pods, rounded up. */}}
{{- define "string-embedding.pods" -}}
{{- $value := toString .value -}}
{{- if hasSuffix "%" $value -}}
{{- ceil (divf (mulf (trimSuffix "%" $value | float64) (float64 .of)) 100) -}}
{{- else -}}
{{- $value -}}
{{- end -}}
{{- end -}}

{{/*
Values that contradict each other. All that are found are told at once, each with key, value and remedy.
What can be said of one value alone is said by values.schema.json.
*/}}
{{- define "string-embedding.validate" -}}
{{- $v := .Values -}}
{{- $wrong := list -}}

{{- if and $v.image.tag $v.image.digest -}}
{{- $wrong = append $wrong (printf "image.tag is %q and image.digest is %q: a digest already names one image; remove image.tag" $v.image.tag $v.image.digest) -}}
{{- end -}}
{{- if eq $v.image.tag "latest" -}}
{{- $wrong = append $wrong "image.tag is \"latest\", which is another image every day; give a version or image.digest" -}}
{{- end -}}

{{- $fewest := include "string-embedding.fewestPods" . | int -}}
{{- $fewestKey := ternary "autoscaling.minReplicas" "replicaCount" $v.autoscaling.enabled -}}
{{- if $v.autoscaling.enabled -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- $wrong = append $wrong (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas (%d); raise maxReplicas or lower minReplicas" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if not $v.resources.requests.cpu -}}
{{- $wrong = append $wrong "autoscaling.enabled is true and resources.requests.cpu is empty: the autoscaler measures against the request; set resources.requests.cpu" -}}
{{- end -}}
{{- end -}}

{{- $pdb := $v.podDisruptionBudget -}}
{{- if $pdb.enabled -}}
{{- $least := toString $pdb.minAvailable -}}
{{- $most := toString $pdb.maxUnavailable -}}
{{- if and $least $most -}}
{{- $wrong = append $wrong (printf "podDisruptionBudget.minAvailable is %s and podDisruptionBudget.maxUnavailable is %s: Kubernetes takes one of them; set the other to \"\"" $least $most) -}}
{{- else if $least -}}
{{- if ge (include "string-embedding.pods" (dict "value" $least "of" $fewest) | int) $fewest -}}
{{- $wrong = append $wrong (printf "podDisruptionBudget.minAvailable is %s and %s is %d: no node with a pod could ever be drained; lower minAvailable or raise %s" $least $fewestKey $fewest $fewestKey) -}}
{{- end -}}
{{- else if $most -}}
{{- if eq (include "string-embedding.pods" (dict "value" $most "of" $fewest)) "0" -}}
{{- $wrong = append $wrong (printf "podDisruptionBudget.maxUnavailable is %s: no node with a pod could ever be drained; set it to 1 or more" $most) -}}
{{- end -}}
{{- else -}}
{{- $wrong = append $wrong "podDisruptionBudget.enabled is true, and neither minAvailable nor maxUnavailable is given; set one of them or podDisruptionBudget.enabled=false" -}}
{{- end -}}
{{- end -}}

{{- range $name := list "cpu" "memory" "ephemeral-storage" -}}
{{- $request := toString (get $v.resources.requests $name) -}}
{{- $limit := toString (get $v.resources.limits $name) -}}
{{- if and $request $limit -}}
{{- if gt (include "string-embedding.milli" $request | int64) (include "string-embedding.milli" $limit | int64) -}}
{{- $wrong = append $wrong (printf "resources.requests.%s is %s, more than resources.limits.%s (%s); raise the limit or lower the request" $name $request $name $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $cpu := toString $v.resources.limits.cpu -}}
{{- if $cpu -}}
{{- if gt (mul 1000 (int64 $v.threads)) (include "string-embedding.milli" $cpu | int64) -}}
{{- $wrong = append $wrong (printf "threads is %d, more than resources.limits.cpu (%s): the pod would be throttled; lower threads or raise the limit" (int $v.threads) $cpu) -}}
{{- end -}}
{{- end -}}
{{- $disk := toString (get $v.resources.limits "ephemeral-storage") -}}
{{- if $disk -}}
{{- if gt (include "string-embedding.milli" $v.tmpSizeLimit | int64) (include "string-embedding.milli" $disk | int64) -}}
{{- $wrong = append $wrong (printf "tmpSizeLimit is %s, more than resources.limits.ephemeral-storage (%s): the pod would be evicted before /tmp is full; lower tmpSizeLimit or raise the limit" $v.tmpSizeLimit $disk) -}}
{{- end -}}
{{- end -}}

{{- $cache := include "string-embedding.mebibytes" $v.cache.memory | int64 -}}
{{- if gt (int64 $v.cache.entries) (mul 1024 $cache) -}}
{{- $wrong = append $wrong (printf "cache.entries is %d and cache.memory is %s: an entry takes 1Ki and more, so that they could never be kept; lower cache.entries or raise cache.memory" (int64 $v.cache.entries) $v.cache.memory) -}}
{{- end -}}
{{- $memory := toString $v.resources.limits.memory -}}
{{- if $memory -}}
{{- if gt (mul 1000 1048576 (add 768 $cache)) (include "string-embedding.milli" $memory | int64) -}}
{{- $wrong = append $wrong (printf "cache.memory is %s and resources.limits.memory is %s, which leaves less than 768Mi for the model and the requests: a pod whose cache is full would be killed; lower cache.memory or raise the limit" $v.cache.memory $memory) -}}
{{- end -}}
{{- end -}}

{{- $engine := regexFind "--engine[= ][^ ]+" (join " " $v.extraArgs) | trimPrefix "--engine" | trimAll "= " -}}
{{- if and $engine (ne $engine "onnx") -}}
{{- $wrong = append $wrong (printf "extraArgs has --engine %s, and the image holds ONNX Runtime alone: no pod would start; remove --engine" $engine) -}}
{{- end -}}

{{- if ge (int $v.shutdown.preStopSeconds) (int $v.shutdown.gracePeriodSeconds) -}}
{{- $wrong = append $wrong (printf "shutdown.preStopSeconds is %d and shutdown.gracePeriodSeconds is %d: the pod would be killed with requests in flight; raise gracePeriodSeconds" (int $v.shutdown.preStopSeconds) (int $v.shutdown.gracePeriodSeconds)) -}}
{{- end -}}

{{- range $argument := $v.extraArgs -}}
{{- $flag := regexFind "^[^=]+" $argument -}}
{{- if has $flag (list "--host" "--port" "--metrics-port" "--threads" "--cache-entries" "--cache-mib" "--token-file" "--expect-fingerprint") -}}
{{- $wrong = append $wrong (printf "extraArgs has %q, which the chart sets itself; use threads, cache.*, auth.* for the token, model.fingerprint for the fingerprint and service.port for the port, and remove it from extraArgs" $argument) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if hasKey $v.podLabels $key -}}
{{- $wrong = append $wrong (printf "podLabels has %q (%q), by which the chart selects its pods; remove it from podLabels" $key (get $v.podLabels $key)) -}}
{{- end -}}
{{- end -}}

{{- $gateways := list -}}
{{- range $key := list "ingress" "httpRoute" -}}
{{- $gateway := get $v $key -}}
{{- if $gateway.enabled -}}
{{- $gateways = append $gateways (printf "%s.enabled" $key) -}}
{{- if not $gateway.hosts -}}
{{- $wrong = append $wrong (printf "%s.enabled is true and %s.hosts is empty: it would answer for every host of the gateway; name the hosts in %s.hosts" $key $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "httpRoute.enabled is true and httpRoute.parentRefs is empty: the route would hang on no gateway; name the gateway in httpRoute.parentRefs" -}}
{{- end -}}

{{- $policy := $v.networkPolicy -}}
{{- if $policy.enabled -}}
{{- if and $gateways (not $policy.gatewayFrom) -}}
{{- $wrong = append $wrong (printf "%s is true and networkPolicy.gatewayFrom is empty: the network policy would keep the gateway out; name its pods or namespace in networkPolicy.gatewayFrom" (join " and " $gateways)) -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not $policy.metricsFrom) -}}
{{- $wrong = append $wrong "serviceMonitor.enabled is true and networkPolicy.metricsFrom is empty: the network policy would keep Prometheus out; name its pods or namespace in networkPolicy.metricsFrom" -}}
{{- end -}}
{{- if not (or $policy.apiFrom $policy.gatewayFrom) -}}
{{- $wrong = append $wrong "networkPolicy.apiFrom and networkPolicy.gatewayFrom are empty: nobody could call the service; name the callers in networkPolicy.apiFrom" -}}
{{- end -}}
{{- end -}}

{{- $monitor := $v.serviceMonitor -}}
{{- if gt (include "string-embedding.seconds" $monitor.scrapeTimeout | int) (include "string-embedding.seconds" $monitor.interval | int) -}}
{{- $wrong = append $wrong (printf "serviceMonitor.scrapeTimeout is %s, longer than serviceMonitor.interval (%s), which Prometheus refuses; lower scrapeTimeout" $monitor.scrapeTimeout $monitor.interval) -}}
{{- end -}}
{{- if and $v.prometheusRule.enabled (not $monitor.enabled) -}}
{{- $wrong = append $wrong "prometheusRule.enabled is true and serviceMonitor.enabled is false: the alerts read the labels that the ServiceMonitor adds; set serviceMonitor.enabled=true" -}}
{{- end -}}

{{- $name := include "string-embedding.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- $wrong = append $wrong (printf "the release's name makes %q, which no Service can be called (small letters, digits and -, a letter first); set fullnameOverride" $name) -}}
{{- end -}}

{{- if $wrong -}}
{{- fail (printf "values contradict each other:\n- %s" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
