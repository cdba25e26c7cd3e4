{{/* Names, labels, and what several templates share. */}}

{{- define "isogrid.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 28 | trimSuffix "-" -}}
{{- end }}

{{/* Short: names of pods have the zone and a number behind it, and 63 characters at most. */}}
{{- define "isogrid.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 28 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 28 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 28 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "isogrid.selector" -}}
app.kubernetes.io/name: {{ include "isogrid.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "isogrid.nodeSelector" -}}
{{ include "isogrid.selector" . }}
app.kubernetes.io/component: node
{{- end }}

{{/* Without versions: these would restart pods of which nothing else changes. */}}
{{- define "isogrid.podLabels" -}}
{{ include "isogrid.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "isogrid.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "isogrid.podLabels" . }}
{{- end }}

{{- define "isogrid.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "isogrid.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "isogrid.image" -}}
{{- $registry := default .Values.global.imageRegistry .Values.image.registry -}}
{{- if $registry }}{{ $registry }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end }}

{{- define "isogrid.headless" -}}
{{ include "isogrid.fullname" . }}-nodes
{{- end }}

{{/* Where clients inside of the cluster connect. */}}
{{- define "isogrid.endpoint" -}}
{{ include "isogrid.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.ports.grpc }}
{{- end }}

{{/* The StatefulSets: name, zone, and the ordinal from which on pods are updated. */}}
{{- define "isogrid.sets" -}}
{{- $full := include "isogrid.fullname" . -}}
{{- $zones := .Values.zones -}}
{{- $sets := list -}}
{{- if eq $zones.mode "statefulSets" -}}
{{- range $zones.names -}}
{{- $partition := ternary 0 $.Values.replicas (eq . $zones.rolling) -}}
{{- $sets = append $sets (dict "name" (printf "%s-%s" $full .) "zone" . "partition" $partition) -}}
{{- end -}}
{{- else -}}
{{- $sets = append $sets (dict "name" $full "zone" "" "partition" .Values.updateStrategy.partition) -}}
{{- end -}}
{{- dict "sets" $sets | toJson -}}
{{- end }}

{{/* How many nodes there are at least. */}}
{{- define "isogrid.total" -}}
{{- if .Values.autoscaling.enabled -}}
{{- .Values.autoscaling.minReplicas -}}
{{- else -}}
{{- mul .Values.replicas (len (include "isogrid.sets" . | fromJson).sets) -}}
{{- end -}}
{{- end }}

{{/* The pods there are at least, separated by spaces. */}}
{{- define "isogrid.pods" -}}
{{- $replicas := int .Values.replicas -}}
{{- if .Values.autoscaling.enabled }}{{ $replicas = int .Values.autoscaling.minReplicas }}{{ end -}}
{{- $pods := list -}}
{{- range (include "isogrid.sets" . | fromJson).sets -}}
{{- $set := .name -}}
{{- range until $replicas -}}
{{- $pods = append $pods (printf "%s-%d" $set .) -}}
{{- end -}}
{{- end -}}
{{- join " " $pods -}}
{{- end }}

{{/* Whether a start waits until the cluster is as well as it can be: a node alone has nobody to wait for. */}}
{{- define "isogrid.waitsUntilSafe" -}}
{{- if and .Values.probes.startup.untilSafe (gt (include "isogrid.total" . | int) 1) -}}
true
{{- end -}}
{{- end }}

{{/* Whether any one node may go: that needs three of them, and backups. */}}
{{- define "isogrid.canBeSafe" -}}
{{- $backups := dig "cluster" "backups" 1 .Values.config | int -}}
{{- if and (gt (include "isogrid.total" . | int) 2) (gt $backups 0) -}}
true
{{- end -}}
{{- end }}

{{/* What every pod has: no token, nobody's rights. */}}
{{- define "isogrid.podSecurity" -}}
serviceAccountName: {{ include "isogrid.serviceAccountName" . }}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.securityContext.runAsUser }}
  runAsUser: {{ . | int64 }}
  runAsGroup: {{ . | int64 }}
  {{- end }}
  {{- with .Values.securityContext.fsGroup }}
  fsGroup: {{ . | int64 }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "isogrid.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* A container of a job. Called with `root`, `name`, `command`, and `resources`. */}}
{{- define "isogrid.jobContainer" -}}
- name: {{ .name }}
  image: {{ include "isogrid.image" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command:
    - /usr/local/bin/isogrid
    {{- range .command }}
    - {{ . | quote }}
    {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  {{- include "isogrid.containerSecurity" .root | nindent 2 }}
{{- end }}

{{/* What the pods of all jobs have, beside their containers. */}}
{{- define "isogrid.jobPod" -}}
restartPolicy: OnFailure
{{ include "isogrid.podSecurity" . }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
