{{- /* What the pods of all kinds have in common. */ -}}
{{- define "rotator.podSettings" -}}
serviceAccountName: {{ include "rotator.serviceAccountName" . | quote }}
enableServiceLinks: false # a Service called rotator would give us variables that look like settings
# The token is for Kubernetes' own API, which only its stores and restarts need.
automountServiceAccountToken: {{ include "rotator.rights" . | fromJson | empty | not }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurityContext.runAsUser }}
  runAsUser: {{ int64 . }}
  {{- end }}
  {{- with .Values.podSecurityContext.runAsGroup }}
  runAsGroup: {{ int64 . }}
  {{- end }}
  {{- with .Values.podSecurityContext.fsGroup }}
  fsGroup: {{ int64 . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraInitContainers }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "rotator.fullname" . }}
  {{- if .Values.admin.existingSecret }}
  - name: admin
    secret:
      secretName: {{ .Values.admin.existingSecret | quote }}
      defaultMode: 0440
      items:
        {{- range include "rotator.adminFiles" . | fromJson | values | sortAlpha }}
        - key: {{ . | quote }}
          path: {{ . | quote }}
        {{- end }}
  {{- else if .Values.admin.csi }}
  - name: admin
    csi: {{- merge (dict "readOnly" true) .Values.admin.csi | toYaml | nindent 6 }}
  {{- end }}
  {{- if .Values.ca.configMap }}
  - name: ca
    configMap:
      name: {{ .Values.ca.configMap | quote }}
      items: {{- include "rotator.caItems" . | nindent 8 }}
  {{- else if .Values.ca.secret }}
  - name: ca
    secret:
      secretName: {{ .Values.ca.secret | quote }}
      items: {{- include "rotator.caItems" . | nindent 8 }}
  {{- end }}
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 16Mi
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "rotator.caItems" -}}
- key: {{ .Values.ca.key | quote }}
  path: ca.crt
{{- end -}}

{{- /* The one container of a pod, without its args. */ -}}
{{- define "rotator.container" -}}
image: {{ include "rotator.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - name: ROTATOR_CONFIG
    value: /etc/rotator/rotator.toml
  {{- range $name, $file := include "rotator.adminFiles" . | fromJson }}
  - name: {{ $name }}
    value: {{ printf "/run/secrets/nocturna/%s" $file | quote }}
  {{- end }}
  {{- if or .Values.ca.configMap .Values.ca.secret }}
  - name: REQUESTS_CA_BUNDLE
    value: /etc/nocturna-ca/ca.crt
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/rotator
    readOnly: true
  {{- if include "rotator.adminIsMounted" . }}
  - name: admin
    mountPath: /run/secrets/nocturna
    readOnly: true
  {{- end }}
  {{- if or .Values.ca.configMap .Values.ca.secret }}
  - name: ca
    mountPath: /etc/nocturna-ca
    readOnly: true
  {{- end }}
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* (list ROOT COMPONENT) */ -}}
{{- define "rotator.podMetadata" -}}
{{- $root := index . 0 -}}
labels: {{- include "rotator.labels" (list $root (dict "app.kubernetes.io/component" (index . 1)) $root.Values.podLabels) | nindent 2 }}
annotations: {{- merge (dict "checksum/config" (include "rotator.toml" $root | sha256sum)) $root.Values.podAnnotations | toYaml | nindent 2 }}
{{- end -}}
