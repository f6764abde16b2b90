{{- /* rotator.toml, as config.api or config.apis, config.limits, config.defaults and config.tokens say. */ -}}
{{- define "rotator.toml" -}}
{{- $tables := dict "api" (.Values.config.apis | default .Values.config.api) "defaults" .Values.config.defaults "token" .Values.config.tokens -}}
{{- with .Values.config.limits -}}
{{- $_ := set $tables "limits" . -}}
{{- end -}}
{{- $tables | mustToToml -}}
{{- end -}}

{{- /* Every API by its place in the values, as JSON. */ -}}
{{- define "rotator.apis" -}}
{{- $apis := dict -}}
{{- range $number, $api := .Values.config.apis -}}
{{- $_ := set $apis (printf "config.apis[%d]" $number) $api -}}
{{- end -}}
{{- $apis | default (dict "config.api" .Values.config.api) | toJson -}}
{{- end -}}

{{- define "rotator.adminIsMounted" -}}
{{- if or .Values.admin.existingSecret .Values.admin.csi -}}
true
{{- end -}}
{{- end -}}

{{- /* The files of the Secret or CSI volume that are used, by variable, as JSON. */ -}}
{{- define "rotator.adminFiles" -}}
{{- $files := dict -}}
{{- if include "rotator.adminIsMounted" . -}}
{{- $_ := set $files "NOCTURNA_ADMIN_PASSWORD_FILE" .Values.admin.passwordKey -}}
{{- if not (or .Values.config.api.admin_email .Values.config.api.admin_email_file) -}}
{{- $_ := set $files "NOCTURNA_ADMIN_EMAIL_FILE" .Values.admin.emailKey -}}
{{- end -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}
