{{/* The configuration file of the nodes. What differs from pod to pod comes from the environment. */}}
{{- define "isogrid.toml" -}}
{{- $config := deepCopy .Values.config -}}
{{- $any := ternary "[::]" "0.0.0.0" .Values.ipv6 -}}
{{- $node := dict
  "cluster" (default (include "isogrid.fullname" .) .Values.clusterName)
  "grpc_addr" (printf "%s:%d" $any (int .Values.ports.grpc))
  "http_addr" (printf "%s:%d" $any (int .Values.ports.http))
-}}
{{- if .Values.postgres.enabled -}}
{{- $_ := set $node "pg_addr" (printf "%s:%d" $any (int .Values.ports.postgres)) -}}
{{- end -}}
{{- if ne .Values.drain.atEnd "restart" -}}
{{- $_ := set $node "at_end" .Values.drain.atEnd -}}
{{- end -}}
{{- if .Values.persistence.enabled -}}
{{- $_ := set $node "data_dir" "/var/lib/isogrid/data" -}}
{{- end -}}
{{- $cluster := dict
  "expect" .Values.bootstrap.expect
  "drain_timeout_ms" (mul .Values.drain.timeoutSeconds 1000)
-}}
{{- if gt (include "isogrid.total" . | int) 1 -}}
{{- $seed := printf "%s.%s.svc.%s:%d" (include "isogrid.headless" .) .Release.Namespace .Values.clusterDomain (int .Values.ports.gossip) -}}
{{- $_ := set $cluster "seeds" (list $seed) -}}
{{- end -}}
{{- if .Values.gossipKey.existingSecret -}}
{{- $_ := set $cluster "key_file" "/etc/isogrid-key/cluster.key" -}}
{{- end -}}
{{- $_ := set $config "node" (merge $node $config.node) -}}
{{- $_ := set $config "cluster" (merge $cluster $config.cluster) -}}
{{- range $section, $keys := omit $config "maps" }}
{{- include "isogrid.tomlSection" (dict "name" $section "keys" $keys) }}
{{- end }}
{{- range $map, $keys := $config.maps }}
{{- include "isogrid.tomlSection" (dict "name" (printf "maps.%s" ($map | toJson)) "keys" (default dict $keys) "evenEmpty" true) }}
{{- end }}
{{- end }}

{{/* JSON's strings, numbers, booleans and lists of them are TOML's. */}}
{{- define "isogrid.tomlSection" -}}
{{- if or .keys .evenEmpty }}

[{{ .name }}]
{{- range $key, $value := .keys }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }} = {{ $value | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
