//! The actions: what a step does, and what its compensation does.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    GoDuration, HttpTls,
    env::{ArgumentSchema, EnvFromSchema, EnvVarSchema, SecretKey},
};

/// Runs one container, or the containers of a template, in a Pod. The action succeeds if the
/// deciding container exits with 0 before the pod is asked to terminate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.image) != \
    has(self.template)").message("set exactly one of image and template"))]
#[x_kube(validation = Rule::new("!has(self.template) || ![has(self.command), has(self.args), \
    has(self.env), has(self.envFrom), has(self.resources)].exists(x, x)")
    .message("with a template, command, args, env, envFrom and resources stand in its containers: \
        move them there"))]
#[x_kube(validation = Rule::new("!has(self.template) || !has(self.mountToken)").message("with a \
    template, automountServiceAccountToken stands in its spec: set it there"))]
pub struct PodAction {
    /// The container image. Set exactly one of `image` and `template`.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The entrypoint of the container. Default: the entrypoint of the image.
    #[schemars(with = "Option<Vec<ArgumentSchema>>", length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The arguments of the entrypoint.
    #[schemars(with = "Option<Vec<ArgumentSchema>>", length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// The environment variables of the container. Names that begin with `SAGA_` are reserved for
    /// the identity of the attempt.
    #[schemars(with = "Option<Vec<EnvVarSchema>>", length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<EnvVar>>,
    /// ConfigMaps and Secrets whose entries become environment variables.
    #[schemars(with = "Option<Vec<EnvFromSchema>>", length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_from: Option<Vec<EnvFromSource>>,
    /// The resource requests and limits of the container, as in a Pod.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// Whether the container gets a token of the saga's ServiceAccount for the API server. Default:
    /// false. A saga that a version before this field accepted keeps the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_token: Option<bool>,
    /// A whole pod instead of one container: `metadata` with labels and annotations, and `spec` as
    /// in a Pod. The container named `step` decides the outcome and writes the outputs; if no
    /// container has that name, the first container does. Helper containers are best written as
    /// `initContainers` with `restartPolicy: Always`. If another container still runs after the
    /// deciding container has ended, the pod keeps running until its deadline. If a signal ended
    /// the deciding container while another container still runs, the attempt settles only after
    /// the pod's grace period and 30 seconds more. The operator sets the names, the owner, the
    /// deadline, the identity of the attempt, the ServiceAccount of the saga and `restartPolicy:
    /// Never`. Security fields that are not set get the values that the Pod Security Standard
    /// "restricted" requires. All other fields are passed on unchanged: the Pod Security admission
    /// of the namespace decides whether a pod may use the node (`nodeName`, `hostNetwork`,
    /// `hostPID`, `hostIPC`, `hostPath`), be privileged or mount a token.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// Exit codes, 1 to 255, of the deciding container that make a failure permanent: no retry
    /// follows, since it would fail in the same way. These exit codes also mean that nothing was
    /// done under the current idempotency key, so a retry on request has a new key. After any other
    /// exit code the key stays the same, since a program may crash after its work is done. Default:
    /// none.
    #[schemars(length(max = 32), inner(range(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_exit_codes: Option<Vec<i32>>,
    /// Whether exit code 0 always means that the work is done, even if the pod was asked to
    /// terminate before the container ended: at its time limit, by a drain or by a deletion. Set
    /// this field to true for a program that finishes its work on SIGTERM, or else exits with
    /// another code. Default: false. Such an end then has an unknown outcome, since many programs
    /// exit with 0 on SIGTERM with their work half done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finishes_on_sigterm: Option<bool>,
}

/// Runs a `batch/v1` Job. The condition Complete is a success, the condition Failed a failure. The
/// time limit of the attempt also counts while the Job is suspended or waits in a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobAction {
    /// The labels and annotations of the Job, such as the name of the queue in which the Job waits.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The `spec` of the Job. Expressions are allowed as in the `template` of a pod. `backoffLimit`
    /// is 0 unless it is set: the retry policy of the step decides about retries. The operator sets
    /// the names, the owner, the deadline and the identity of the attempt, in the Job and in its
    /// pods, and the ServiceAccount of the saga. The operator sets `restartPolicy: Never` unless
    /// `restartPolicy` is `OnFailure`. Security fields that are not set get the values that the Pod
    /// Security Standard "restricted" requires. The outputs of the step are the termination message
    /// of a pod: of the only pod if there is one completion, of the pod with index 0 if the
    /// completions are indexed.
    #[schemars(schema_with = "free_form_object")]
    pub spec: Value,
    /// Exit codes, 1 to 255, of the deciding container that make a failure permanent: no retry
    /// follows, since it would fail in the same way. If several pods failed, the exit code of the
    /// last one counts. These exit codes also mean that nothing was done under the current
    /// idempotency key, as for a pod; if several pods started, only if all of them ended with such
    /// an exit code. Default: none.
    #[schemars(length(max = 32), inner(range(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_exit_codes: Option<Vec<i32>>,
    /// Whether exit code 0 of a pod always means that the work of the pod is done, even if the Job
    /// was deleted, suspended or at its time limit before the pod ended. Default: false. Such an
    /// end then has an unknown outcome. This field does not change what the Job itself counts at
    /// other times: with `podReplacementPolicy: Failed`, a pod that is drained and exits with 0
    /// counts as done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finishes_on_sigterm: Option<bool>,
}

/// The pattern of the `url` of a request, for the API server and the operator alike. The host that
/// the pattern matches is the host that every reader of the URL sees.
pub const URL_PATTERN: &str =
    r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][^ ]*)?$";

/// Sends one HTTP request. An answer 2xx is a success. 425 and 429 are failures that are retried.
/// After 408, 5xx or a lost connection the outcome is unknown, and the request is retried with the
/// same idempotency key; so is 409 while an earlier attempt may still be in progress. Any other
/// answer is a permanent failure, and proves nothing about an earlier attempt whose answer was
/// lost. `retry.maxAttempts` limits the number of attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('https://')")
    .message("tls is for https:// alone: write https:// in url, or leave tls out"))]
#[x_kube(validation = Rule::new("!has(self.expect) || !has(self.answers)")
    .message("set expect or answers: a rule of answers with the outcome Succeeded has the meaning \
        of expect"))]
pub struct HttpAction {
    /// The request method. GET and HEAD only read: a step with one of these methods and without a
    /// compensation is never in effect.
    pub method: HttpMethod,
    /// The URL of the request. It begins with `http://` or `https://`.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", URL_PATTERN.replace('\\', r"\\")))
        .message("must begin with http:// or https:// and a host, without a user name: \
            http://stock.shop.svc/reservations"))]
    pub url: String,
    /// The request headers. The operator adds `Idempotency-Key` and `Saga-Attempt`.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<Header>>,
    /// The request body. A string is sent as text, any other value as JSON.
    #[schemars(schema_with = "free_form_value")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A CEL expression over `response.status`, `response.headers` and `response.body` that says
    /// whether the answer is a success, such as `response.status == 200 && response.body.state ==
    /// 'done'`. Default: every 2xx is a success. If the expression is false for a 2xx, the work may
    /// still have been done: the step fails permanently, and is undone when the saga is undone. For
    /// a 2xx answer that means that nothing was done, use `answers` instead.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Rules for answers. The first rule whose `when` is true decides, before the built-in rules.
    /// Cannot be combined with `expect`.
    #[schemars(length(min = 1, max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<AnswerRule>>,
    /// The certificate authorities that the request trusts. Default: those of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HttpTls>,
}

/// A rule that gives a meaning to the answers for which an expression is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerRule {
    /// A CEL expression over `response.status`, `response.headers`, `response.body`,
    /// `attempt.number` and `attempt.uncertain`, such as `response.status == 200 &&
    /// response.body.status == 'declined'`. `attempt.uncertain` says whether an earlier attempt may
    /// have acted.
    #[schemars(length(min = 1, max = 1024))]
    pub when: String,
    /// What such an answer means: Succeeded (the work was done, now or by an earlier attempt),
    /// Retry (the service began nothing in this attempt: the request is retried with the same key),
    /// Failed (nothing was done under this key, by this attempt or an earlier one, and nothing will
    /// be: the step fails permanently, and has nothing to undo; for 408 and 5xx this holds only if
    /// `when` reads the body) or Unknown (the work may have been done: the request is retried with
    /// the same key).
    pub outcome: AnswerOutcome,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnswerOutcome {
    /// The work was done, now or by an earlier attempt.
    Succeeded,
    /// The service began nothing in this attempt: the request is retried with the same key.
    Retry,
    /// Nothing was done under this key, by this attempt or an earlier one, and nothing will be: the
    /// step fails permanently, and has nothing to undo. For 408 and 5xx this holds only if `when`
    /// reads the body.
    Failed,
    /// The work may have been done: the request is retried with the same key.
    Unknown,
}

/// Waits until a user approves or rejects the step. A rejection, or no decision within the step's
/// timeout, fails the step permanently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalAction {
    /// A text for the user who decides: what the approval is about.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Waits for a duration, or until an object meets a condition. A wait is never in effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.for) != has(self.until) && has(self.until) == \
    has(self.object)")
    .message("set for, or set until and object"))]
pub struct WaitAction {
    /// How long the step waits, counted from its start.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// A CEL expression over `object`, such as `object.status.phase == 'Bound'`. The step is done
    /// when the expression is true.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The object that `until` reads. The operator reads the object as the saga's ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// Applies one object by server-side apply, as the saga's ServiceAccount with the field manager
/// `saga.dev`, and waits until the object is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAction {
    /// The object: `apiVersion`, `kind`, `metadata.name` and the fields to set. Default of
    /// `metadata.namespace`: the saga's namespace.
    #[schemars(schema_with = "free_form_object")]
    pub manifest: Value,
    /// A CEL expression over `object`. The step is done when the expression is true. Default: the
    /// readiness of the object's kind (kstatus).
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether the step takes over fields that belong to another field manager. Default: false.
    /// Such a conflict then fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// Runs a whole saga as a child of this saga. The child is created as this saga's ServiceAccount,
/// and acts as the same account. The child follows this saga when this saga is paused, cancelled or
/// deleted. The compensation of the step undoes the child.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaAction {
    /// The `spec` of the child. Expressions of this saga are allowed only in `params` of the child;
    /// all other expressions in the child are the child's own, over its own params and steps.
    /// `serviceAccountName`, `suspend`, `deletionPolicy` and `ttlSecondsAfterFinished` are not
    /// allowed: the child follows this saga in them. The `outputs` of the child are the outputs of
    /// the step.
    #[schemars(schema_with = "free_form_object")]
    pub spec: Value,
}

/// A reference to one object of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The API version of the object, such as `apps/v1` or `v1`.
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// The kind of the object, such as `Deployment`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The name of the object.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// The namespace of the object. Default: the saga's namespace. An object of a cluster-scoped
    /// kind has none.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The request methods that an action may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say all there is")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    /// Returns whether the method alone says that a request changes nothing: the safe methods of
    /// HTTP (RFC 9110, 9.2.1).
    #[must_use]
    pub const fn only_asks(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Returns whether the method alone says that a repeated request has the effect of one: the
    /// idempotent methods of HTTP (RFC 9110, 9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete)
    }

    /// Returns the method as written in the request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The headers that only the operator or the connection sets, in lower case. A valid saga names
/// none of them.
pub const RESERVED_HEADERS: [&str; 9] = [
    "idempotency-key",
    "saga-attempt",
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
];

/// One request header: a literal value, or a value that is read from a Secret when the request is
/// sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)")
    .message("set exactly one of value and valueFrom"))]
pub struct Header {
    /// The name of the header.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')")
        .message("must be a header name of letters, digits and dashes, such as Authorization"))]
    #[x_kube(validation = Rule::new(
        format!("!(self.lowerAscii() in ['{}'])", RESERVED_HEADERS.join("', '")))
        .message("is set by the operator: leave this header out"))]
    pub name: String,
    /// The literal value of the header.
    #[schemars(length(max = 8192))]
    #[x_kube(validation = Rule::new("!self.endsWith('\\n')")
        .message("ends with a line break: take it out (in YAML, write the value after the colon, \
            or after |- instead of |)"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The source of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<HeaderSource>,
}

/// The source of a header's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderSource {
    /// A key of a Secret in the saga's namespace. The operator reads the Secret at each attempt, as
    /// the saga's ServiceAccount. If the value is longer than 8192 bytes, the request is not sent.
    pub secret_key_ref: SecretKey,
}

/// Returns the schema of an object whose fields are not described here.
pub(super) fn free_form_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Returns the schema of any JSON value.
fn free_form_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
