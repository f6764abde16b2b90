{{- define "rotator.kubernetesForm" -}}
^(?i:kubernetes)://([a-z0-9-]+)/([a-z0-9.-]+)(\?[^#]*)?(#.*)?$
{{- end -}}

{{- /* A kubernetes:// URL as JSON: namespace, name, create, remote (it is in another cluster).
       An empty object for the URL of another store, and for a wrong one: that is told by checks.yaml,
       which may come later, so nothing here may break. */ -}}
{{- define "rotator.kubernetesStore" -}}
{{- $found := dict -}}
{{- $form := include "rotator.kubernetesForm" . -}}
{{- if regexMatch $form . -}}
{{- $_ := set $found "namespace" (regexReplaceAll $form . "${1}") -}}
{{- $_ := set $found "name" (regexReplaceAll $form . "${2}") -}}
{{- $options := splitList "&" (trimPrefix "?" (regexReplaceAll $form . "${3}")) -}}
{{- $_ := set $found "create" (has "create=true" $options) -}}
{{- range $options -}}
{{- if hasPrefix "context=" . -}}
{{- $_ := set $found "remote" true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{- /* What the pods need of Kubernetes, as JSON: by namespace the names of the Secrets that are
       written, of those that are only read, whether any may be created, whether all may be listed,
       and the workloads that are restarted, which run where the token's first kubernetes:// store
       is. */ -}}
{{- define "rotator.rights" -}}
{{- $rights := dict -}}
{{- $defaults := .Values.config.defaults.restart | default list -}}
{{- range $token := .Values.config.tokens -}}
{{- $first := dict -}}
{{- range $token.stores -}}
{{- $store := include "rotator.kubernetesStore" . | fromJson -}}
{{- if $store.namespace -}}
{{- $first = $first | default $store -}}
{{- if not $store.remote -}}
{{- include "rotator.grant" (list $rights $store.namespace "written" $store.name) -}}
{{- if $.Values.rbac.listSecrets -}}
{{- include "rotator.grant" (list $rights $store.namespace "list" true) -}}
{{- end -}}
{{- if $store.create -}}
{{- include "rotator.grant" (list $rights $store.namespace "create" true) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $first.remote -}}
{{- range (hasKey $token "restart" | ternary $token.restart $defaults) -}}
{{- $parts := splitList "/" . -}}
{{- $namespace := eq (len $parts) 3 | ternary (first $parts) ($first.namespace | default $.Release.Namespace) -}}
{{- $kind := last (initial $parts) | default "" -}}
{{- include "rotator.grant" (list $rights $namespace $kind (last $parts)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range include "rotator.apis" . | fromJson -}}
{{- $admin := include "rotator.kubernetesStore" (.admin_password | default "") | fromJson -}}
{{- if and $admin.namespace (not $admin.remote) -}}
{{- $written := dig $admin.namespace "written" list $rights -}}
{{- if not (has $admin.name $written) -}}
{{- include "rotator.grant" (list $rights $admin.namespace "read" $admin.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $rights | toJson -}}
{{- end -}}

{{- /* Adds to the rights: (list RIGHTS NAMESPACE WHAT NAME). */ -}}
{{- define "rotator.grant" -}}
{{- $rights := index . 0 -}}
{{- $here := get $rights (index . 1) | default dict -}}
{{- $_ := set $here (index . 2) (append (get $here (index . 2) | default list) (index . 3) | uniq | sortAlpha) -}}
{{- $_ := set $rights (index . 1) $here -}}
{{- end -}}

{{- /* The rules of the Role in one namespace, of which the rights are given. */ -}}
{{- define "rotator.rules" -}}
{{- $rules := list -}}
{{- if .written -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" .written "verbs" (list "get" "patch")) -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "events") "verbs" (list "create")) -}}
{{- end -}}
{{- if .read -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" .read "verbs" (list "get")) -}}
{{- end -}}
{{- if .create -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "verbs" (list "create")) -}}
{{- end -}}
{{- if .list -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "verbs" (list "list")) -}}
{{- end -}}
{{- range $kind := list "deployment" "statefulset" "daemonset" -}}
{{- with get $ $kind -}}
{{- $rules = append $rules (dict "apiGroups" (list "apps") "resources" (list (printf "%ss" $kind)) "resourceNames" . "verbs" (list "patch")) -}}
{{- end -}}
{{- end -}}
{{- $rules | toYaml -}}
{{- end -}}
