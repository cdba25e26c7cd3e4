{{/* The pod of a node. Called with `root` and `set`. */}}
{{- define "isogrid.pod" -}}
{{- $set := .set -}}
{{- with .root -}}
metadata:
  labels:
    {{- include "isogrid.podLabels" . | nindent 4 }}
    app.kubernetes.io/component: node
    {{- with $set.zone }}
    isogrid-zone: {{ . }}
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration restarts the pods, one after the other.
    checksum/config: {{ include "isogrid.toml" . | sha256sum }}
    kubectl.kubernetes.io/default-container: isogrid
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "isogrid.podSecurity" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ add .Values.drain.timeoutSeconds .Values.drain.preStopSeconds 30 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with include "isogrid.placement" (dict "root" . "set" $set) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: isogrid
      image: {{ include "isogrid.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [/usr/local/bin/isogrid, start, --config, /etc/isogrid/isogrid.toml]
      env:
        {{- include "isogrid.env" (dict "root" . "set" $set) | nindent 8 }}
      # Gossip (UDP) is not listed: with the same number as gRPC a merge of the list would lose one of both.
      ports:
        - name: grpc
          containerPort: {{ .Values.ports.grpc }}
        - name: http
          containerPort: {{ .Values.ports.http }}
        {{- if .Values.postgres.enabled }}
        - name: postgres
          containerPort: {{ .Values.ports.postgres }}
        {{- end }}
      {{- include "isogrid.probes" . | nindent 6 }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.drain.preStopSeconds }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      {{- include "isogrid.containerSecurity" . | nindent 6 }}
      volumeMounts:
        - name: config
          mountPath: /etc/isogrid
          readOnly: true
        {{- if .Values.gossipKey.existingSecret }}
        - name: key
          mountPath: /etc/isogrid-key
          readOnly: true
        {{- end }}
        {{- if .Values.persistence.enabled }}
        - name: data
          mountPath: /var/lib/isogrid
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "isogrid.fullname" . }}
    {{- if .Values.gossipKey.existingSecret }}
    - name: key
      secret:
        secretName: {{ .Values.gossipKey.existingSecret }}
        defaultMode: 0440
        items:
          - key: {{ .Values.gossipKey.key }}
            path: cluster.key
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* What differs from pod to pod. Others are told the address of the pod, not its name: names lag behind. */}}
{{- define "isogrid.env" -}}
{{- $ip := ternary "[$(POD_IP)]" "$(POD_IP)" .root.Values.ipv6 -}}
# For commands that are run in the pod: they ask this node.
- name: ISOGRID_CONFIG
  value: /etc/isogrid/isogrid.toml
- name: ISOGRID__NODE__NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: ISOGRID__NODE__ADVERTISE
  value: {{ $ip | quote }}
- name: ISOGRID__NODE__GOSSIP_ADDR
  value: {{ printf "%s:%d" $ip (int .root.Values.ports.gossip) | quote }}
{{- if not (hasKey .root.Values.config.node "cores") }}
# As many cores as it asks for (0, and then all of the machine, if it does not say).
- name: ISOGRID__NODE__CORES
  valueFrom:
    resourceFieldRef:
      containerName: isogrid
      resource: requests.cpu
      divisor: "1"
{{- end }}
{{- if .set.zone }}
- name: ISOGRID__NODE__ZONE
  value: {{ .set.zone | quote }}
{{- else if eq .root.Values.zones.mode "podLabel" }}
# Where Kubernetes does not set the label this is empty, and the node says so and does not start.
- name: ISOGRID__NODE__ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "isogrid.probes" -}}
{{- $probes := .Values.probes -}}
startupProbe:
  {{- if include "isogrid.waitsUntilSafe" . }}
  exec:
    # Says why not, which Kubernetes shows among the pod's events.
    command: [/usr/local/bin/isogrid, probe, post-restart, --timeout, 8s, --http, {{ printf "%s:%d" (ternary "[::1]" "127.0.0.1" .Values.ipv6) (int .Values.ports.http) | quote }}]
  timeoutSeconds: 10
  {{- else }}
  httpGet:
    path: /health/startup
    port: http
  timeoutSeconds: 2
  {{- end }}
  periodSeconds: {{ $probes.startup.periodSeconds }}
  failureThreshold: {{ div (add $probes.startup.timeoutSeconds $probes.startup.periodSeconds -1) $probes.startup.periodSeconds }}
# Neither looks beyond the process.
readinessProbe:
  httpGet:
    path: /health/ready
    port: http
  periodSeconds: {{ $probes.readiness.periodSeconds }}
  timeoutSeconds: {{ $probes.readiness.timeoutSeconds }}
  failureThreshold: {{ $probes.readiness.failureThreshold }}
livenessProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: {{ $probes.liveness.periodSeconds }}
  timeoutSeconds: {{ $probes.liveness.timeoutSeconds }}
  failureThreshold: {{ $probes.liveness.failureThreshold }}
{{- end }}

{{/* On which machines. */}}
{{- define "isogrid.placement" -}}
{{- $set := .set -}}
{{- with .root }}
{{- $spread := .Values.topologySpread }}
{{- if or $spread.zone.enabled $spread.host.enabled }}
topologySpreadConstraints:
  {{- if $spread.zone.enabled }}
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: {{ $spread.zone.maxSkew }}
    whenUnsatisfiable: {{ $spread.zone.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "isogrid.nodeSelector" . | nindent 8 }}
  {{- end }}
  {{- if $spread.host.enabled }}
  - topologyKey: kubernetes.io/hostname
    maxSkew: {{ $spread.host.maxSkew }}
    whenUnsatisfiable: {{ $spread.host.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "isogrid.nodeSelector" . | nindent 8 }}
  {{- end }}
{{- end }}
{{- $selector := .Values.nodeSelector }}
{{- if $set.zone }}
{{- $selector = merge (dict "topology.kubernetes.io/zone" $set.zone) $selector }}
{{- end }}
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
