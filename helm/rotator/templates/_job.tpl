{{- /* A CronJob's specification: (dict "root" ROOT "forced" true). A forced run is not
       tried again, as that would renew once more what the first try has renewed. */ -}}
{{- define "rotator.cronJobSpec" -}}
{{- $root := .root -}}
{{- $shards := int $root.Values.fleet.shards -}}
schedule: {{ $root.Values.cronJob.schedule | quote }}
timeZone: {{ $root.Values.cronJob.timeZone }}
concurrencyPolicy: Forbid
startingDeadlineSeconds: {{ int64 $root.Values.cronJob.startingDeadlineSeconds }}
successfulJobsHistoryLimit: {{ $root.Values.cronJob.successfulJobsHistoryLimit }}
failedJobsHistoryLimit: {{ $root.Values.cronJob.failedJobsHistoryLimit }}
{{- if or .forced $root.Values.cronJob.suspend }}
suspend: true
{{- end }}
jobTemplate:
  metadata:
    labels: {{- include "rotator.labels" (list $root) | nindent 6 }}
  spec: {{- include "rotator.jobSpec" . | nindent 4 }}
{{- end -}}

{{- define "rotator.jobSpec" -}}
{{- $root := .root -}}
{{- $shards := int $root.Values.fleet.shards -}}
{{- $retries := .forced | ternary 0 $root.Values.cronJob.backoffLimit -}}
activeDeadlineSeconds: {{ int64 $root.Values.cronJob.activeDeadlineSeconds }}
{{- if gt $shards 1 }}
completionMode: Indexed
completions: {{ $shards }}
parallelism: {{ $root.Values.fleet.parallelism | default $shards }}
# By index: one shard that fails must not end the others.
backoffLimitPerIndex: {{ $retries }}
{{- else }}
backoffLimit: {{ $retries }}
{{- end }}
podFailurePolicy:
  rules:
    - action: {{ gt $shards 1 | ternary "FailIndex" "FailJob" }}
      onExitCodes: # wrong settings stay wrong
        containerName: rotator
        operator: In
        values: [2]
    {{- if not .forced }}
    - action: Ignore # a pod that had to leave its node was no try
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    {{- end }}
template:
  metadata: {{- include "rotator.podMetadata" (list $root "job") | nindent 4 }}
  spec:
    restartPolicy: Never
    {{- include "rotator.podSettings" $root | nindent 4 }}
    containers:
      - name: rotator
        args:
          - rotate
          {{- if .forced }}
          - --force
          {{- end }}
          - --log-format={{ $root.Values.logFormat }}
          {{- if eq $root.Values.logFormat "json" }}
          - --json-lines
          {{- end }}
          {{- /* Twice in a deadline, as the Job may be retried. */}}
          - --retry-for={{ div (int64 $root.Values.cronJob.activeDeadlineSeconds) 3 }}s
          - --interval={{ include "rotator.interval" $root.Values.cronJob.schedule }}
          {{- if gt $shards 1 }}
          - --shard=$(JOB_COMPLETION_INDEX)/{{ $shards }}
          {{- end }}
          {{- with $root.Values.metrics.push.url }}
          - {{ printf "--metrics-push=%s" . | quote }}
          {{- end }}
        {{- include "rotator.container" $root | nindent 8 }}
{{- end -}}
