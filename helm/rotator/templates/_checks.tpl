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
{{- range $place, $api := include "rotator.apis" . | fromJson -}}
{{- include "rotator.match" (list (printf "%s.url" $place) ($api.url | default "") "^https?://[^@/?#\\s]+(/[^@?#\\s]*)?/api/?$" "the API's URL, which ends in /api, such as https://your-api-server.com/api") -}}
{{- if and (hasPrefix "http:" $api.url) (not $api.allow_insecure_http) -}}
{{- include "rotator.wrong" (list (printf "%s.url" $place) $api.url (printf "https: http would show the password to the network (%s.allow_insecure_http permits it)" $place)) -}}
{{- end -}}
{{- with $api.admin_password -}}
{{- if not (regexMatch "^([a-z][a-z0-9+.-]*:[^\\s#]+#\\S+|aws-(secretsmanager|ssm):\\S+)$" .) -}}
{{- fail (printf "%s.admin_password: found no store URL (what is there is not shown), expected one such as vault://secret/nocturna#password; a password does not belong in values" $place) -}}
{{- end -}}
{{- if hasPrefix "kubernetes:" (lower .) -}}
{{- include "rotator.match" (list (printf "%s.admin_password" $place) . (include "rotator.kubernetesForm" .) "kubernetes://NAMESPACE/NAME#KEY") -}}
{{- end -}}
{{- end -}}
{{- $sources := list -}}
{{- range $source, $value := dict "admin.existingSecret" $.Values.admin.existingSecret "admin.csi" $.Values.admin.csi (printf "%s.admin_password" $place) $api.admin_password (printf "%s.admin_password_file" $place) $api.admin_password_file -}}
{{- if $value -}}
{{- $sources = append $sources $source -}}
{{- end -}}
{{- end -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "the admin's password: found %s, expected exactly one of admin.existingSecret, admin.csi, %s.admin_password and %s.admin_password_file" (join " and " $sources | default "no source") $place $place) -}}
{{- end -}}
{{- if and $api.admin_email $api.admin_email_file -}}
{{- fail (printf "%s.admin_email: found admin_email_file as well, expected one of them" $place) -}}
{{- end -}}
{{- if not (or $api.admin_email $api.admin_email_file (include "rotator.adminIsMounted" $)) -}}
{{- fail (printf "%s.admin_email: found nothing, expected the admin's e-mail, which only admin.existingSecret and admin.csi can hold instead" $place) -}}
{{- end -}}
{{- end -}}
{{- if .Values.config.apis -}}
{{- include "rotator.checkNames" . -}}
{{- end -}}
{{- end -}}

{{- define "rotator.checkNames" -}}
{{- if .Values.config.api.url -}}
{{- fail "config.api: found config.apis as well, expected one of them" -}}
{{- end -}}
{{- if include "rotator.adminIsMounted" . -}}
{{- fail "admin: found existingSecret or csi, which hold one password, beside config.apis, expected admin_password or admin_password_file in each of those" -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.config.apis -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range .Values.config.tokens -}}
{{- $name := .api | default $.Values.config.defaults.api | default "" -}}
{{- if not (has $name $names) -}}
{{- include "rotator.wrong" (list (printf "config.tokens: the api of %q" .name) $name (printf "one of: %s" (join ", " $names))) -}}
{{- end -}}
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
{{- include "rotator.match" (list "cronJob.timeZone" .Values.cronJob.timeZone "^(UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]*)+)$" "a time zone such as Etc/UTC or Europe/Berlin") -}}
{{- if regexMatch (include "rotator.scheduleForm" .) .Values.cronJob.schedule -}}
{{- $intervals := include "rotator.intervals" .Values.cronJob.schedule | fromJson -}}
{{- $interval := int $intervals.shortest -}}
{{- if ge (int .Values.cronJob.activeDeadlineSeconds) (mul 60 $interval | int) -}}
{{- fail (printf "cronJob.activeDeadlineSeconds: found %d, expected less than the %d seconds that are between two runs of %q: with concurrencyPolicy: Forbid a run that hangs would keep out the next one" (int .Values.cronJob.activeDeadlineSeconds) (mul 60 $interval) .Values.cronJob.schedule) -}}
{{- end -}}
{{- range .Values.config.tokens -}}
{{- $times := include "rotator.times" (list $.Values.config.defaults .) | fromJson -}}
{{- if gt (mul 2 60 (int $intervals.longest)) (include "rotator.seconds" $times.renew_before | int64) -}}
{{- include "rotator.wrong" (list "cronJob.schedule" $.Values.cronJob.schedule (printf "two runs at least within the renew_before of %q, which is %s, as the first one may fail" .name $times.renew_before)) -}}
{{- end -}}
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
{{- if and .Values.ca.configMap .Values.ca.secret -}}
{{- fail "ca: found configMap and secret, expected one of them" -}}
{{- end -}}
{{- if and (or .Values.ca.configMap .Values.ca.secret) (has "REQUESTS_CA_BUNDLE" $names) -}}
{{- fail "extraEnv: found REQUESTS_CA_BUNDLE, which ca sets as well, expected one of them" -}}
{{- end -}}
{{- $byPod := false -}}
{{- range .Values.extraEnv -}}
{{- $byPod = or $byPod (and (has .name (list "VAULT_AUTH_METHOD" "BAO_AUTH_METHOD")) (has .value (list "kubernetes" "jwt"))) -}}
{{- end -}}
{{- if and $byPod (not (or (has "VAULT_JWT_FILE" $names) (has "BAO_JWT_FILE" $names))) -}}
{{- fail "extraEnv: found a login to Vault by the pod's token without VAULT_JWT_FILE, expected that variable, and in extraVolumes a serviceAccountToken for Vault alone: see docs/kubernetes.md" -}}
{{- end -}}
{{- $there := or (has "VAULT_ADDR" $names) (has "BAO_ADDR" $names) .Values.extraEnvFrom -}}
{{- if and (has "vault" (include "rotator.schemes" . | fromJsonArray)) (not $there) -}}
{{- fail "extraEnv: found no VAULT_ADDR, expected the address of the Vault or OpenBao that the vault:// stores are in" -}}
{{- end -}}
{{- end -}}
