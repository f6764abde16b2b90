{{- /* Refuses tokens that the first run would refuse, or that would be gone with the pod. */ -}}

{{- define "rotator.checkTokens" -}}
{{- if not .Values.config.tokens -}}
{{- fail "config.tokens: found nothing, expected at least one token with a name and stores" -}}
{{- end -}}
{{- include "rotator.checkToken" (list "config.defaults" .Values.config.defaults) -}}
{{- $names := list -}}
{{- $owners := dict -}}
{{- range $token := .Values.config.tokens -}}
{{- $place := printf "config.tokens %q" $token.name -}}
{{- include "rotator.match" (list "config.tokens: name" $token.name "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" "letters, digits and . _ - (64 at most)") -}}
{{- if has $token.name $names -}}
{{- fail (printf "%s: found a second token of this name, expected another name" $place) -}}
{{- end -}}
{{- $names = append $names $token.name -}}
{{- include "rotator.checkToken" (list $place $token) -}}
{{- include "rotator.checkLife" (list $ $place $token) -}}
{{- range $url := $token.stores -}}
{{- include "rotator.match" (list (printf "%s stores" $place) . "^[A-Za-z][A-Za-z0-9+.-]*:[^\\s@]+$" "a store URL such as kubernetes://bots/luna-token#NOCTURNA_SERVICE_TOKEN") -}}
{{- if hasPrefix "dotenv:" (lower .) -}}
{{- include "rotator.checkFile" (list $ $place .) -}}
{{- end -}}
{{- if hasPrefix "kubernetes:" (lower .) -}}
{{- include "rotator.match" (list (printf "%s stores" $place) . (include "rotator.kubernetesForm" .) "kubernetes://NAMESPACE/NAME#KEY") -}}
{{- end -}}
{{- $store := regexMatch "^(?i:kubernetes|vault|dotenv):[^#]*$" $url | ternary (printf "%s#NOCTURNA_SERVICE_TOKEN" $url) $url -}}
{{- with get $owners $store -}}
{{- fail (printf "%s stores: found %s a second time (also in %s), expected each store once" $place $url .) -}}
{{- end -}}
{{- $_ := set $owners $store $token.name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* (list PLACE TABLE) */ -}}
{{- define "rotator.checkToken" -}}
{{- $place := index . 0 -}}
{{- $token := index . 1 -}}
{{- range list "renew_before" "validity" "rotation_timeout" "hook_timeout" "max_age" -}}
{{- if hasKey $token . -}}
{{- include "rotator.match" (list (printf "%s %s" $place .) (get $token .) "^[1-9][0-9]{0,5}[dhms]$" "a duration such as 7d, 12h, 90m or 30s") -}}
{{- end -}}
{{- end -}}
{{- if hasKey $token "retire" -}}
{{- include "rotator.match" (list (printf "%s retire" $place) $token.retire "^(never|now|[1-9][0-9]{0,5}[dhms]|unused ([1-9][0-9]{0,5}[dh]|([6-9][0-9]|[1-9][0-9]{2,5})m|(3[6-9][0-9]{2}|[4-9][0-9]{3}|[1-9][0-9]{4,5})s)(, at most [1-9][0-9]{0,5}[dhms])?)$" "never, now, a time such as 1d, or a time without use such as: unused 24h, at most 30d") -}}
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

{{- /* What counts for a token, with the defaults of the rotator: (list DEFAULTS TOKEN), as JSON. */ -}}
{{- define "rotator.times" -}}
{{- $usual := dict "renew_before" "7d" "validity" "90d" "rotation_timeout" "2m" -}}
{{- merge (pick (index . 1) "renew_before" "validity" "rotation_timeout") (index . 0) $usual | toJson -}}
{{- end -}}

{{- define "rotator.seconds" -}}
{{- $units := dict "d" 86400 "h" 3600 "m" 60 "s" 1 -}}
{{- mul (regexFind "^[0-9]+" . | atoi) (get $units (regexFind "[dhms]$" .)) -}}
{{- end -}}

{{- /* (list ROOT PLACE TOKEN) */ -}}
{{- define "rotator.checkLife" -}}
{{- $root := index . 0 -}}
{{- $place := index . 1 -}}
{{- $times := include "rotator.times" (list $root.Values.config.defaults (index . 2)) | fromJson -}}
{{- $validity := include "rotator.seconds" $times.validity | int -}}
{{- if or (mod $validity 86400) (gt $validity (mul 365 86400 | int)) -}}
{{- include "rotator.wrong" (list (printf "%s validity" $place) $times.validity "whole days from 1d to 365d") -}}
{{- end -}}
{{- if le $validity (include "rotator.seconds" $times.renew_before | int) -}}
{{- include "rotator.wrong" (list (printf "%s validity" $place) $times.validity (printf "more than renew_before, which is %s" $times.renew_before)) -}}
{{- end -}}
{{- if le (int $root.Values.terminationGracePeriodSeconds) (include "rotator.seconds" $times.rotation_timeout | int) -}}
{{- include "rotator.wrong" (list "terminationGracePeriodSeconds" $root.Values.terminationGracePeriodSeconds (printf "more than the rotation_timeout of %s, which is %s: a rotation in hand is finished before a pod goes" $place $times.rotation_timeout)) -}}
{{- end -}}
{{- end -}}
