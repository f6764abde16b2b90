{{- /* The ports that the config leads to, as a JSON list. */ -}}
{{- define "rotator.ports" -}}
{{- $ports := list -}}
{{- range include "rotator.apis" . | fromJson -}}
{{- $ports = append $ports (include "rotator.portOf" (.url | default "")) -}}
{{- end -}}
{{- with .Values.metrics.push.url -}}
{{- $ports = append $ports (include "rotator.portOf" .) -}}
{{- end -}}
{{- if include "rotator.rights" . | fromJson -}}
{{- $ports = concat $ports (list "443" "6443") -}}
{{- end -}}
{{- $schemes := include "rotator.schemes" . | fromJsonArray -}}
{{- if has "vault" $schemes -}}
{{- $vault := "8200" -}}
{{- range .Values.extraEnv -}}
{{- if and (has .name (list "VAULT_ADDR" "BAO_ADDR")) .value -}}
{{- $vault = include "rotator.portOf" .value -}}
{{- end -}}
{{- end -}}
{{- $ports = append $ports $vault -}}
{{- end -}}
{{- if include "rotator.usesAws" . -}}
{{- $ports = append $ports "443" -}}
{{- end -}}
{{- if include "rotator.notifies" . -}}
{{- $ports = append $ports "443" -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- define "rotator.portOf" -}}
{{- $host := (urlParse .).host -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else -}}
{{- hasPrefix "http:" . | ternary "80" "443" -}}
{{- end -}}
{{- end -}}

{{- /* The kinds of stores in use, those of admins' passwords among them, as a JSON list. */ -}}
{{- define "rotator.schemes" -}}
{{- $urls := list -}}
{{- range include "rotator.apis" . | fromJson -}}
{{- $urls = append $urls (.admin_password | default "") -}}
{{- end -}}
{{- range .Values.config.tokens -}}
{{- $urls = concat $urls .stores -}}
{{- end -}}
{{- $schemes := list -}}
{{- range $urls -}}
{{- $schemes = append $schemes (splitList ":" . | first | lower) -}}
{{- end -}}
{{- $schemes | uniq | toJson -}}
{{- end -}}

{{- define "rotator.usesAws" -}}
{{- $schemes := include "rotator.schemes" . | fromJsonArray -}}
{{- if or (has "aws-secretsmanager" $schemes) (has "aws-ssm" $schemes) -}}
true
{{- end -}}
{{- end -}}

{{- /* Those that the rotator has not itself, as a JSON list; the image may have a backend for them. */ -}}
{{- define "rotator.foreign" -}}
{{- without (include "rotator.schemes" . | fromJsonArray) "" "dotenv" "vault" "kubernetes" "aws-secretsmanager" "aws-ssm" "command" | toJson -}}
{{- end -}}

{{- define "rotator.notifies" -}}
{{- range prepend .Values.config.tokens .Values.config.defaults -}}
{{- if .notify -}}
true
{{- end -}}
{{- end -}}
{{- end -}}
