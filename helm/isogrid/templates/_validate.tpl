{{/* What the schema cannot say: rules between values. Every one of them says what to do. */}}
{{- define "isogrid.validate" -}}
{{- $values := .Values -}}
{{- $zones := $values.zones -}}
{{- if eq $zones.mode "statefulSets" -}}
{{- if not $zones.names -}}
{{- fail "zones.mode is statefulSets, and zones.names is empty: name the zones of your machines" -}}
{{- end -}}
{{- if and $zones.rolling (not (has $zones.rolling $zones.names)) -}}
{{- fail (printf "zones.rolling is %q, which is none of zones.names (%s)" $zones.rolling (join ", " $zones.names)) -}}
{{- end -}}
{{- if $values.updateStrategy.partition -}}
{{- fail "updateStrategy.partition is not for zones.mode statefulSets: use zones.rolling" -}}
{{- end -}}
{{- if $values.autoscaling.enabled -}}
{{- fail "autoscaling is not for zones.mode statefulSets: the zones would grow apart; set replicas" -}}
{{- end -}}
{{- else if or $zones.names $zones.rolling -}}
{{- fail (printf "zones.names and zones.rolling are for zones.mode statefulSets, and it is %s" $zones.mode) -}}
{{- end -}}
{{- $total := include "isogrid.total" . | int -}}
{{- $expect := $values.bootstrap.expect | int -}}
{{- if gt $expect $total -}}
{{- fail (printf "bootstrap.expect is %d, and there are only %d nodes: they would wait for ever; lower it" $expect $total) -}}
{{- end -}}
{{- if and .Release.IsInstall (le (mul 2 $expect) $total) -}}
{{- fail (printf "bootstrap.expect is %d of %d nodes: two halves could form two clusters; set it to %d" $expect $total $total) -}}
{{- end -}}
{{- if $values.autoscaling.enabled -}}
{{- if gt ($values.autoscaling.minReplicas | int) ($values.autoscaling.maxReplicas | int) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (or $values.autoscaling.targetCPUUtilizationPercentage $values.autoscaling.targetMemoryUtilizationPercentage) -}}
{{- fail "autoscaling is enabled without a target: set targetMemoryUtilizationPercentage or targetCPUUtilizationPercentage" -}}
{{- end -}}
{{- end -}}
{{- $ports := list $values.ports.grpc $values.ports.http $values.ports.postgres -}}
{{- if ne (len ($ports | uniq)) 3 -}}
{{- fail "ports.grpc, ports.http and ports.postgres must differ" -}}
{{- end -}}
{{- if not $values.persistence.enabled -}}
{{- if $values.config.disk -}}
{{- fail "config.disk needs persistence.enabled: without a volume nothing is kept on disk" -}}
{{- end -}}
{{- range $name, $map := $values.objects.maps -}}
{{- if has (get $map "durability") (list "os" "fsync") -}}
{{- fail (printf "objects.maps.%s.durability is %s, which needs persistence.enabled" $name $map.durability) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.metrics.serviceMonitor.enabled $values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor would read the same figures twice: enable one" -}}
{{- end -}}
{{- include "isogrid.validateBackup" . -}}
{{- end }}

{{- define "isogrid.validateBackup" -}}
{{- $backup := .Values.backup -}}
{{- if $backup.enabled -}}
{{- if not $backup.to -}}
{{- fail "backup.enabled without backup.to: set s3://BUCKET[/PREFIX], or a folder of backup.existingClaim" -}}
{{- end -}}
{{- if hasPrefix "s3://" $backup.to -}}
{{- if not $backup.s3.existingSecret -}}
{{- fail "backup.to is a bucket, and backup.s3.existingSecret is empty: name a secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" -}}
{{- end -}}
{{- else if not $backup.existingClaim -}}
{{- fail "backup.to is a folder, and backup.existingClaim is empty: backups would go with their pod" -}}
{{- end -}}
{{- end -}}
{{- end }}
