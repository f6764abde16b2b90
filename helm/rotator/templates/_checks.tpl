{{- /* Refuses what the schema cannot say in a sentence. In `helm lint` `fail` only tells. */ -}}

{{- /* (list PLACE FOUND EXPECTED) */ -}}
{{- define "rotator.wrong" -}}
{{- $found := toString (index . 1) | empty | ternary "nothing" (printf "%q" (toString (index . 1))) -}}
{{- fail (printf "%s: found %s, expected %s" (index . 0) $found (index . 2)) -}}
{{- end -}}

{{- /* (list PLACE FOUND PATTERN EXPECTED) */ -}}
{{- define "rotator.match" -}}
{{- if not (regexMatch (index . 2) (index . 1 | toString)) -}}
{{- include "rotator.wrong" (list (index . 0) (index . 1) (index . 3)) -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checks" -}}
{{- include "rotator.checkApi" . -}}
{{- include "rotator.checkTokens" . -}}
{{- include "rotator.checkKind" . -}}
{{- include "rotator.checkPods" . -}}
{{- end -}}

{{- define "rotator.checkApi" -}}
{{- $api := .Values.config.api -}}
{{- include "rotator.match" (list "config.api.url" $api.url "^https?://[^@/?#\\s]+(/[^@?#\\s]*)?$" "the API's URL, such as https://your-api-server.com/api") -}}
{{- if and (hasPrefix "http:" $api.url) (not $api.allow_insecure_http) -}}
{{- include "rotator.wrong" (list "config.api.url" $api.url "https: http would show the password to the network (config.api.allow_insecure_http permits it)") -}}
{{- end -}}
{{- with $api.admin_password -}}
{{- if not (regexMatch "^([a-z][a-z0-9+.-]*:[^\\s#]+#\\S+|aws-secretsmanager:\\S+)$" .) -}}
{{- fail "config.api.admin_password: found no store URL (what is there is not shown), expected one such as vault://secret/nocturna#password; a password does not belong in values" -}}
{{- end -}}
{{- end -}}
{{- $sources := list -}}
{{- range $place, $value := dict "admin.existingSecret" .Values.admin.existingSecret "admin.csi" .Values.admin.csi "config.api.admin_password" $api.admin_password "config.api.admin_password_file" $api.admin_password_file -}}
{{- if $value -}}
{{- $sources = append $sources $place -}}
{{- end -}}
{{- end -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "the admin's password: found %s, expected exactly one of admin.existingSecret, admin.csi, config.api.admin_password and config.api.admin_password_file" (join " and " $sources | default "no source")) -}}
{{- end -}}
{{- if and $api.admin_email $api.admin_email_file -}}
{{- fail "config.api.admin_email: found admin_email_file as well, expected one of them" -}}
{{- end -}}
{{- if not (or $api.admin_email $api.admin_email_file (include "rotator.adminIsMounted" .)) -}}
{{- fail "config.api.admin_email: found nothing, expected the admin's e-mail, which only admin.existingSecret and admin.csi can hold instead" -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checkTokens" -}}
{{- if not .Values.config.tokens -}}
{{- fail "config.tokens: found nothing, expected at least one token with a name and stores" -}}
{{- end -}}
{{- include "rotator.checkToken" (list "config.defaults" .Values.config.defaults) -}}
{{- $names := list -}}
{{- range $token := .Values.config.tokens -}}
{{- $place := printf "config.tokens %q" $token.name -}}
{{- include "rotator.match" (list "config.tokens: name" $token.name "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" "letters, digits and . _ - (64 at most)") -}}
{{- if has $token.name $names -}}
{{- fail (printf "%s: found a second token of this name, expected another name" $place) -}}
{{- end -}}
{{- $names = append $names $token.name -}}
{{- include "rotator.checkToken" (list $place $token) -}}
{{- range $token.stores -}}
{{- include "rotator.match" (list (printf "%s stores" $place) . "^[A-Za-z][A-Za-z0-9+.-]*:[^\\s@]+$" "a store URL such as kubernetes://bots/luna-token#NOCTURNA_SERVICE_TOKEN") -}}
{{- if hasPrefix "dotenv:" (lower .) -}}
{{- include "rotator.checkFile" (list $ $place .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* (list PLACE TABLE) */ -}}
{{- define "rotator.checkToken" -}}
{{- $place := index . 0 -}}
{{- $token := index . 1 -}}
{{- range list "renew_before" "validity" "rotation_timeout" "hook_timeout" -}}
{{- if hasKey $token . -}}
{{- include "rotator.match" (list (printf "%s %s" $place .) (get $token .) "^[1-9][0-9]{0,5}[dhms]$" "a duration such as 7d, 12h, 90m or 30s") -}}
{{- end -}}
{{- end -}}
{{- if hasKey $token "retire" -}}
{{- include "rotator.match" (list (printf "%s retire" $place) $token.retire "^(never|now|[1-9][0-9]{0,5}[dhms])$" "never, now or how long the old token stays valid, such as 1d") -}}
{{- end -}}
{{- range $token.restart -}}
{{- include "rotator.match" (list (printf "%s restart" $place) . "^([a-z0-9-]+/)?(deployment|statefulset|daemonset)/[a-z0-9.-]+$" "KIND/NAME or NAMESPACE/KIND/NAME, of a deployment, statefulset or daemonset") -}}
{{- end -}}
{{- end -}}

{{- /* A .env file outside of all volumes would be gone with the pod: (list ROOT PLACE URL). */ -}}
{{- define "rotator.checkFile" -}}
{{- $path := regexReplaceAll "^(?i:dotenv):(//)?([^?#]*).*$" (index . 2) "${2}" -}}
{{- $mounted := false -}}
{{- range (index . 0).Values.extraVolumeMounts -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $path -}}
{{- $mounted = true -}}
{{- end -}}
{{- end -}}
{{- if not $mounted -}}
{{- include "rotator.wrong" (list (printf "%s stores" (index . 1)) (index . 2) "a file below the mountPath of one of extraVolumeMounts: any other is gone with the pod") -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checkKind" -}}
{{- $push := .Values.metrics.push.url -}}
{{- if eq .Values.kind "CronJob" -}}
{{- include "rotator.checkCronJob" . -}}
{{- if .Values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled: found kind: CronJob, whose pods are gone before they are scraped, expected kind: Deployment; metrics.push.url is for CronJobs" -}}
{{- end -}}
{{- if $push -}}
{{- include "rotator.match" (list "metrics.push.url" (contains "@" $push | ternary "a URL with a user or password in it" $push) "^https?://[^@\\s]+$" "the URL of a Pushgateway, such as http://pushgateway.monitoring:9091") -}}
{{- end -}}
{{- else -}}
{{- if gt (int .Values.fleet.shards) 1 -}}
{{- fail (printf "fleet.shards: found %d with kind: Deployment, expected 1: the one daemon takes all tokens" (int .Values.fleet.shards)) -}}
{{- end -}}
{{- if $push -}}
{{- fail "metrics.push.url: found a URL with kind: Deployment, expected nothing: the daemon has /metrics, see metrics.serviceMonitor" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checkCronJob" -}}
{{- if semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "kind: CronJob needs Kubernetes 1.29, found %s; kind: Deployment needs less" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- include "rotator.match" (list "cronJob.timeZone" .Values.cronJob.timeZone "^[A-Za-z]+([/_+-][A-Za-z0-9_+-]+)*$" "a time zone such as Etc/UTC or Europe/Berlin") -}}
{{- $number := "(\\*|\\?|[0-9]{1,2}(-[0-9]{1,2})?)(/[1-9][0-9]?)?" -}}
{{- $word := "([*?]|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/[1-9][0-9]?)?" -}}
{{- $form := printf "^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|(%s(,%s)* ){2}%s(,%s)*( %s(,%s)*){2})$" $number $number $word $word $word $word -}}
{{- if regexMatch $form .Values.cronJob.schedule -}}
{{- $interval := include "rotator.interval" .Values.cronJob.schedule | int -}}
{{- if ge (int .Values.cronJob.activeDeadlineSeconds) (mul 60 $interval | int) -}}
{{- fail (printf "cronJob.activeDeadlineSeconds: found %d, expected less than the %d seconds that are between two runs of %q: with concurrencyPolicy: Forbid a run that hangs would keep out the next one" (int .Values.cronJob.activeDeadlineSeconds) (mul 60 $interval) .Values.cronJob.schedule) -}}
{{- end -}}
{{- else -}}
{{- include "rotator.wrong" (list "cronJob.schedule" .Values.cronJob.schedule "the five fields of cron, such as 17 */6 * * *; the time zone is in cronJob.timeZone") -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checkPods" -}}
{{- with .Values.admin.existingSecret -}}
{{- include "rotator.match" (list "admin.existingSecret" . "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$" "the name of a Secret") -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- $names = append $names .name -}}
{{- if hasPrefix "ROTATOR_" .name -}}
{{- fail (printf "extraEnv: found %s, expected that setting in config" .name) -}}
{{- end -}}
{{- if and (hasKey . "value") (regexMatch "(PASSWORD|TOKEN|SECRET_ID|SECRET_ACCESS_KEY)$" .name) -}}
{{- fail (printf "extraEnv: found a value for %s, expected valueFrom: a credential belongs in a Secret, not in values" .name) -}}
{{- end -}}
{{- end -}}
{{- $byPod := false -}}
{{- range .Values.extraEnv -}}
{{- $byPod = or $byPod (and (has .name (list "VAULT_AUTH_METHOD" "BAO_AUTH_METHOD")) (has .value (list "kubernetes" "jwt"))) -}}
{{- end -}}
{{- if and $byPod (not (or (has "VAULT_JWT_FILE" $names) (has "BAO_JWT_FILE" $names))) -}}
{{- fail "extraEnv: found a login to Vault by the pod's token without VAULT_JWT_FILE, expected that variable, and in extraVolumes a serviceAccountToken for Vault alone: see docs/kubernetes.md" -}}
{{- end -}}
{{- end -}}
