{{- define "string-embedding.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of all objects; 53 characters (a release's name at most) leave room for what is appended. */}}
{{- define "string-embedding.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "string-embedding.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "string-embedding.metricsName" -}}
{{- include "string-embedding.fullname" . -}}-metrics
{{- end -}}

{{/* Labels without a component: for objects that belong to the release as a whole. */}}
{{- define "string-embedding.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "string-embedding.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: featrix
{{- end -}}

{{/* What selects the pods of the service, and not the test pod. */}}
{{- define "string-embedding.selector" -}}
app.kubernetes.io/name: {{ include "string-embedding.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "string-embedding.testSelector" -}}
app.kubernetes.io/name: {{ include "string-embedding.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "string-embedding.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "string-embedding.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "string-embedding.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Hardening of every pod. No value weakens it. */}}
{{- define "string-embedding.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.runAsUser }}
runAsGroup: {{ int64 .Values.runAsUser }}
fsGroup: {{ int64 .Values.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "string-embedding.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The token as a file; the Secret's key becomes the name "token". */}}
{{- define "string-embedding.tokenVolume" -}}
- name: token
  secret:
    secretName: {{ .Values.auth.existingSecret | quote }}
    defaultMode: 0440
    items:
      - key: {{ .Values.auth.secretKey | quote }}
        path: token
{{- end -}}

{{- define "string-embedding.tokenPath" -}}
/etc/featrix/strings/token
{{- end -}}

{{/* Paths of the API that a gateway leads to; health and metrics stay inside. */}}
{{- define "string-embedding.publicPaths" -}}
paths: [/embed, /v1/embeddings, /info]
{{- end -}}

{{/* Fewest pods that the chart asks for. */}}
{{- define "string-embedding.fewestPods" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- end -}}
