{{/* A CronJob for backups. Called with `root` and `kind`: name, schedule, command. */}}
{{- define "isogrid.backupJob" -}}
{{- $kind := .kind -}}
{{- $root := .root -}}
{{- $s3 := .root.Values.backup.s3 -}}
{{- $command := concat .kind.command (list "--endpoint" (include "isogrid.endpoint" .root)) -}}
{{- if $s3.endpoint -}}
{{- $command = concat $command (list "--s3-endpoint" $s3.endpoint) -}}
{{- end -}}
{{- with .root.Values.backup -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "isogrid.fullname" $root }}-{{ $kind.name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "isogrid.labels" $root | nindent 4 }}
    app.kubernetes.io/component: backup
spec:
  schedule: {{ $kind.schedule | quote }}
  {{- with .timeZone }}
  timeZone: {{ . }}
  {{- end }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 600
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: {{ .timeoutSeconds }}
      template:
        metadata:
          labels:
            {{- include "isogrid.podLabels" $root | nindent 12 }}
            app.kubernetes.io/component: backup
        spec:
          {{- include "isogrid.jobPod" $root | nindent 10 }}
          containers:
            {{- include "isogrid.jobContainer" (dict "root" $root "name" "backup" "resources" .resources "command" $command) | nindent 12 }}
              {{- if hasPrefix "s3://" .to }}
              envFrom:
                - secretRef:
                    name: {{ .s3.existingSecret }}
              {{- with .s3.region }}
              env:
                - name: AWS_REGION
                  value: {{ . | quote }}
              {{- end }}
              {{- else }}
              volumeMounts:
                - name: backups
                  mountPath: {{ .to }}
          volumes:
            - name: backups
              persistentVolumeClaim:
                claimName: {{ .existingClaim }}
              {{- end }}
{{- end -}}
{{- end }}
