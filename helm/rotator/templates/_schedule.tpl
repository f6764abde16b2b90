{{- /* The five fields of cron, or a word for them. */ -}}
{{- define "rotator.scheduleForm" -}}
{{- $number := "(\\*|\\?|[0-9]{1,2}(-[0-9]{1,2})?)(/[1-9][0-9]?)?" -}}
{{- $word := "([*?]|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/[1-9][0-9]?)?" -}}
{{- printf "^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|(%s(,%s)* ){2}%s(,%s)*( %s(,%s)*){2})$" $number $number $word $word $word $word -}}
{{- end -}}

{{- /* One field of a schedule, as a JSON list of two-digit texts:
       (dict "field" "8-18/2" "from" 0 "to" 23). */ -}}
{{- define "rotator.scheduleField" -}}
{{- $given := . -}}
{{- $found := list -}}
{{- range splitList "," $given.field -}}
{{- $parts := splitList "/" . -}}
{{- $ends := splitList "-" (first $parts) -}}
{{- $from := $given.from -}}
{{- $to := $given.to -}}
{{- if not (has (first $ends) (list "*" "?")) -}}
{{- $from = first $ends | atoi -}}
{{- if or (eq (len $ends) 2) (eq (len $parts) 1) -}}
{{- $to = last $ends | atoi -}}
{{- end -}}
{{- end -}}
{{- if or (lt $from $given.from) (gt $to $given.to) (gt $from $to) -}}
{{- include "rotator.wrong" (list "cronJob.schedule" $given.field (printf "numbers from %d to %d in this place" $given.from $given.to)) -}}
{{- end -}}
{{- $step := eq (len $parts) 2 | ternary (last $parts | atoi) 1 -}}
{{- range untilStep $from (int (add1 $to)) $step -}}
{{- $found = append $found (printf "%02d" .) -}}
{{- end -}}
{{- end -}}
{{- $found | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- /* The longest step from one number of a field to the next, in a circle:
       (dict "field" "Mon-Fri" "from" 0 "to" 6 "names" "sun mon …"). */ -}}
{{- define "rotator.scheduleGap" -}}
{{- $field := lower .field -}}
{{- range $number, $name := splitList " " .names | compact -}}
{{- $field = replace $name (add $.from $number | toString) $field -}}
{{- end -}}
{{- if regexMatch "[a-z]" $field -}}
{{- include "rotator.wrong" (list "cronJob.schedule" .field (printf "numbers from %d to %d in this place" .from .to)) -}}
{{- end -}}
{{- $found := include "rotator.scheduleField" (dict "field" $field "from" .from "to" .to) | fromJsonArray -}}
{{- $gap := 0 -}}
{{- if $found -}}
{{- $before := sub (last $found | atoi) (sub (add1 .to) .from) -}}
{{- range $found -}}
{{- $gap = max $gap (sub (atoi .) $before) -}}
{{- $before = atoi . -}}
{{- end -}}
{{- end -}}
{{- $gap -}}
{{- end -}}

{{- /* The most days from one with runs to the next; a month is 31 days. */ -}}
{{- define "rotator.scheduleDays" -}}
{{- $dates := include "rotator.scheduleGap" (dict "field" (index . 2) "from" 1 "to" 31 "names" "") | int -}}
{{- $months := include "rotator.scheduleGap" (dict "field" (index . 3) "from" 1 "to" 12 "names" "jan feb mar apr may jun jul aug sep oct nov dec") | int -}}
{{- $weekdays := include "rotator.scheduleGap" (dict "field" (index . 4) "from" 0 "to" 6 "names" "sun mon tue wed thu fri sat") | int -}}
{{- /* Where a date and a weekday are given, cron runs on either. */ -}}
{{- $days := and (gt $dates 1) (gt $weekdays 1) | ternary (min $dates $weekdays) (max $dates $weekdays) -}}
{{- gt $months 1 | ternary (mul 31 $months) $days -}}
{{- end -}}

{{- /* The shortest and the longest time between two runs in minutes, as JSON; days without a run are
       not thought of in the shortest. */ -}}
{{- define "rotator.intervals" -}}
{{- $known := dict "@hourly" 60 "@daily" 1440 "@midnight" 1440 "@weekly" 10080 "@monthly" 44640 "@yearly" 525600 "@annually" 525600 -}}
{{- $shortest := 1440 -}}
{{- $longest := 1440 -}}
{{- if hasKey $known . -}}
{{- $longest = get $known . -}}
{{- $shortest = min 1440 $longest -}}
{{- else -}}
{{- $fields := splitList " " . -}}
{{- $minutes := include "rotator.scheduleField" (dict "field" (index $fields 0) "from" 0 "to" 59) | fromJsonArray -}}
{{- $hours := include "rotator.scheduleField" (dict "field" (index $fields 1) "from" 0 "to" 23) | fromJsonArray -}}
{{- $days := include "rotator.scheduleDays" $fields | int -}}
{{- if and $minutes $hours -}}
{{- $longest = 0 -}}
{{- $before := sub (add (mul 60 (last $hours | atoi)) (last $minutes | atoi)) 1440 -}}
{{- range $hour := $hours -}}
{{- range $minute := $minutes -}}
{{- $now := add (mul 60 ($hour | atoi)) ($minute | atoi) -}}
{{- $shortest = min $shortest (sub $now $before) -}}
{{- $longest = max $longest (sub $now $before) -}}
{{- $before = $now -}}
{{- end -}}
{{- end -}}
{{- $longest = add $longest (mul 1440 (sub $days 1)) -}}
{{- end -}}
{{- end -}}
{{- dict "shortest" $shortest "longest" $longest | toJson -}}
{{- end -}}

{{- /* The longest time between two runs, as the rotator reads it. Of a wrong schedule checks.yaml tells,
       which may come later. */ -}}
{{- define "rotator.interval" -}}
{{- $minutes := 360 -}}
{{- if regexMatch (include "rotator.scheduleForm" .) . -}}
{{- $minutes = (include "rotator.intervals" . | fromJson).longest | int -}}
{{- end -}}
{{- if mod $minutes 60 -}}
{{- printf "%dm" $minutes -}}
{{- else -}}
{{- printf "%dh" (div $minutes 60) -}}
{{- end -}}
{{- end -}}
