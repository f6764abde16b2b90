{{- define "rotator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 46 characters: a CronJob's name may have 52, and one of ours ends in "-force". */ -}}
{{- define "rotator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains (include "rotator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "rotator.name" .) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rotator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "rotator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* The chart's own, over what the values add: (list ROOT MORE…), of which an earlier one wins. */ -}}
{{- define "rotator.labels" -}}
{{- $root := first . -}}
{{- $labels := include "rotator.selectorLabels" $root | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) -}}
{{- range append (rest .) $root.Values.commonLabels -}}
{{- $labels = merge $labels (. | default dict) -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /* Of an object: (dict "root" ROOT "name" NAME), and "namespace", "labels" and "annotations" where
       they are others than usual, or more. */ -}}
{{- define "rotator.metadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
labels: {{- include "rotator.labels" (list .root .labels) | nindent 2 }}
{{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rotator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "rotator.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "rotator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.global.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- /* The first part is a registry, and no folder of one, by the rule of Docker. */ -}}
{{- if and (gt (len $parts) 1) (regexMatch "[.:]|^localhost$" (first $parts)) -}}
{{- $parts = rest $parts -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* With the release's namespace: two releases of one name may have rights in the same other one. */ -}}
{{- define "rotator.roleName" -}}
{{- printf "%s.%s" (include "rotator.fullname" .) .Release.Namespace -}}
{{- end -}}
