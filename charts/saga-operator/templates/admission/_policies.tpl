{{- /* What the policies of this folder share. Their names are fixed: there is one kind Saga in a cluster, and the operator looks for them. */ -}}

{{- /* The requests that a policy is asked about. Call it with the list of operations. */ -}}
{{- define "saga-operator.admission.matches" -}}
# What cannot be judged is refused.
failurePolicy: Fail
matchConstraints:
  resourceRules:
    - apiGroups: [saga.dev]
      apiVersions: [v1alpha1]
      resources: [sagas]
      operations: {{ toJson . }}
{{- end -}}

{{- /* Puts a policy in force. Call it with a dict of the policy's name and the root. */ -}}
{{- define "saga-operator.admission.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "saga-operator.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: {{ toJson .root.Values.admission.validationActions }}
{{- end -}}

{{- /* CEL: whether who asks has a verb on this saga. Call it with the verb. */ -}}
{{- define "saga-operator.admission.may" -}}
authorizer.group('saga.dev').resource('sagas').namespace(request.namespace).name(request.?name.orValue('')).check('{{ . }}').allowed()
{{- end -}}

{{- /* CEL: what a person is told who lacks a verb. Call it with the verb. */ -}}
{{- define "saga-operator.admission.ask" -}}
' in namespace ' + request.namespace + ': ask for a Role with the verb {{ . }} on sagas.saga.dev there'
{{- end -}}

{{- /* CEL: whether a step `s` has a child saga with a step `c` of this kind. The children of children are seen when the child is created.
What stands in a child has no schema. Call it with the condition. */ -}}
{{- define "saga-operator.admission.in-child" -}}
{{- $child := printf "has(child.steps) && type(child.steps) == list && child.steps.exists(c, type(c) == map && (%s))" . -}}
has(s.saga) && [dyn(s.saga.spec)].exists(child, {{ $child }}) ||
has(s.compensation) && has(s.compensation.saga) && [dyn(s.compensation.saga.spec)].exists(child, {{ $child }})
{{- end -}}

{{- /* CEL: the UIDs of the sagas that control an object. Call it with the object. */ -}}
{{- define "saga-operator.admission.parents" -}}
{{ . }}.metadata.?ownerReferences.orValue([])
{{- print ".filter(o, o.apiVersion.startsWith('saga.dev/') && o.kind == 'Saga' && o.?controller.orValue(false)).map(o, o.uid)" -}}
{{- end -}}

{{- /* CEL: whether who asks may write the status of sagas here. Only the operator needs that right: by it the policies know the operator. */ -}}
{{- define "saga-operator.admission.is-operator" -}}
authorizer.group('saga.dev').resource('sagas').subresource('status').namespace(request.namespace).check('update').allowed()
{{- end -}}

{{- /* The namespaces without sagas, as a list in JSON, which is CEL as well. The operator's own is not among them. */ -}}
{{- define "saga-operator.admission.denied" -}}
{{- $system := ternary (list "kube-system" "kube-public" "kube-node-lease") (list) .Values.admission.systemNamespaces }}
{{- concat $system .Values.admission.deniedNamespaces | uniq | toJson }}
{{- end -}}

{{- /*
Whether a policy binds the account of this release. Each release has its own, also beside another release that has the policies for everybody; but
not where an administrator of namespaces alone keeps everything of the release inside of namespaces.
*/ -}}
{{- define "saga-operator.admission.binds-account" -}}
{{- $outside := or .Values.admission.enabled (not .Values.watchNamespaces) (and .Values.rbac.create .Values.rbac.letNamespacesGo) }}
{{- if and .Values.admission.operatorAccount $outside }}yes{{ end }}
{{- end -}}
