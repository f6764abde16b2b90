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

{{- /* The shortest time between two runs, in minutes; days without a run are not thought of. */ -}}
{{- define "rotator.interval" -}}
{{- if has . (list "@hourly") -}}
60
{{- else if hasPrefix "@" . -}}
1440
{{- else -}}
{{- $fields := splitList " " . -}}
{{- $minutes := include "rotator.scheduleField" (dict "field" (index $fields 0) "from" 0 "to" 59) | fromJsonArray -}}
{{- $hours := include "rotator.scheduleField" (dict "field" (index $fields 1) "from" 0 "to" 23) | fromJsonArray -}}
{{- if and $minutes $hours -}}
{{- $shortest := 1440 -}}
{{- $before := sub (add (mul 60 (last $hours | atoi)) (last $minutes | atoi)) 1440 -}}
{{- range $hour := $hours -}}
{{- range $minute := $minutes -}}
{{- $now := add (mul 60 ($hour | atoi)) ($minute | atoi) -}}
{{- $shortest = min $shortest (sub $now $before) -}}
{{- $before = $now -}}
{{- end -}}
{{- end -}}
{{- $shortest -}}
{{- end -}}
{{- end -}}
{{- end -}}
