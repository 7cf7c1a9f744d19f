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

/// Runs one container to its end, or the containers of a template. Exit code 0 is success where the
/// container ended before it was told to go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.image) != \
    has(self.template)").message("set exactly one of image and template"))]
#[x_kube(validation = Rule::new("!has(self.template) || ![has(self.command), has(self.args), \
    has(self.env), has(self.envFrom), has(self.resources)].exists(x, x)")
    .message("with a template, command, args, env, envFrom and resources stand in its containers: \
        move them there"))]
pub struct PodAction {
    /// The container image. Set this or `template`.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The entrypoint; the image's own where it is not set.
    #[schemars(with = "Option<Vec<ArgumentSchema>>", length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Arguments of the entrypoint.
    #[schemars(with = "Option<Vec<ArgumentSchema>>", length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// Environment variables. Names that begin with `SAGA_` are taken by the attempt's identity.
    #[schemars(with = "Option<Vec<EnvVarSchema>>", length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<EnvVar>>,
    /// ConfigMaps and Secrets whose entries become environment variables.
    #[schemars(with = "Option<Vec<EnvFromSchema>>", length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_from: Option<Vec<EnvFromSource>>,
    /// Requests and limits of the container, as in a Pod.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// A whole pod instead of one container: `metadata` with labels and annotations, and `spec` as
    /// in a Pod. The container named `step`, or else the first one, decides the outcome and hands
    /// on what it says; the others help it, best as `initContainers` with `restartPolicy: Always`,
    /// since what runs on beside it keeps the pod until its deadline, and the step, where a signal
    /// ended it, until half a minute after its grace. The operator sets the names, the owner, the
    /// deadline and the identity of the attempt, the ServiceAccount of the saga, and
    /// `restartPolicy: Never`; where nothing is said, what the Pod Security Standard "restricted"
    /// asks for. Everything else is taken as it is: whether a pod may use the node (`nodeName`,
    /// `hostNetwork`, `hostPID`, `hostIPC`, `hostPath`), be privileged or mount a token is for the
    /// Pod Security of the namespace to say.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// Exit codes, 1 to 255, of the container that decides, after which no further attempt is made
    /// by itself: the same would come of it. They also say that nothing was done under this
    /// idempotency key, so that a retry has a new one; after any other it is the same, since a
    /// program may crash after its work. Built-in: none.
    #[schemars(length(max = 32), inner(range(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_exit_codes: Option<Vec<i32>>,
    /// Whether exit code 0 always means that the work is done, also where the pod was told to go
    /// before it ended: at its time limit, by a drain, by a deletion. Set it for a program that
    /// finishes its work on SIGTERM, or exits with another code. Built-in: false, and such an end
    /// is unknown, since many programs exit with 0 on SIGTERM with half their work done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finishes_on_sigterm: Option<bool>,
}

/// Runs a `batch/v1` Job to its end: Complete is success, Failed is not. Its time limit runs on
/// while it is suspended or waits in a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobAction {
    /// Labels and annotations of the Job, such as the name of the queue that it waits in.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The `spec` of the Job, with expressions as in the `template` of a pod. `backoffLimit` is 0
    /// unless it says more: the step's retry says what is tried again. The operator sets the names,
    /// the owner, the deadline and the identity of the attempt, in the Job and in its pods, the
    /// ServiceAccount of the saga and, unless it is `OnFailure`, `restartPolicy: Never`; where
    /// nothing is said, what the Pod Security Standard "restricted" asks for. The step hands on
    /// what a pod writes as its termination message: where there is one completion, that pod; where
    /// they are indexed, the pod with the index 0.
    #[schemars(schema_with = "free_form_object")]
    pub spec: Value,
    /// Exit codes, 1 to 255, of the container that decides, after which no further attempt is made
    /// by itself: the same would come of it. Where several pods failed, that of the last one
    /// counts. They also say that nothing was done under this idempotency key, as those of a pod
    /// do; of several pods only where all that started say the same. Built-in: none.
    #[schemars(length(max = 32), inner(range(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_exit_codes: Option<Vec<i32>>,
    /// Whether exit code 0 of a pod always means that its work is done, also where the job was
    /// deleted, suspended or at its time limit before the pod ended. Built-in: false, and such an
    /// end is unknown. What the job itself counts while nothing of this happens is its business:
    /// with `podReplacementPolicy: Failed`, a pod that is drained and exits with 0 counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finishes_on_sigterm: Option<bool>,
}

/// What the `url` of a request looks like, to the API server and to the operator alike: what it
/// takes for the host is what whoever reads the URL takes for it, too.
pub const URL_PATTERN: &str =
    r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][^ ]*)?$";

/// Sends one request. 2xx is success; 425 and 429 are a failure that may be tried again; 408, 5xx
/// and a lost connection leave the outcome unknown, and may be tried again with the same key, as is
/// 409 while an earlier attempt may be under way; any other answer is final, and proves nothing
/// about an earlier attempt whose answer was lost. How often: `retry.maxAttempts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('https://')")
    .message("tls is for https:// alone: write https:// in url, or leave tls out"))]
#[x_kube(validation = Rule::new("!has(self.expect) || !has(self.answers)")
    .message("set expect or answers: a rule of answers with the outcome Succeeded says what \
        expect says"))]
pub struct HttpAction {
    /// The request method. GET and HEAD only ask: a step without a compensation is then never in
    /// effect.
    pub method: HttpMethod,
    /// Where the request goes; begins with `http://` or `https://`.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", URL_PATTERN.replace('\\', r"\\")))
        .message("must begin with http:// or https:// and a host, without a user name: \
            http://stock.shop.svc/reservations"))]
    pub url: String,
    /// Request headers. `Idempotency-Key` and `Saga-Attempt` are added by the operator.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<Header>>,
    /// A string is sent as text, anything else as JSON.
    #[schemars(schema_with = "free_form_value")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A CEL expression over `response.status`, `response.headers` and `response.body` that says
    /// whether the answer is a success, such as
    /// `response.status == 200 && response.body.state == 'done'`. Built-in: any 2xx is. A 2xx that
    /// it does not take may have been done: the step fails, and is undone. Where such an answer
    /// means that nothing was done, write `answers` instead.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Rules for answers, before all that is built in; the first whose `when` is true decides. Not
    /// beside `expect`.
    #[schemars(length(min = 1, max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<AnswerRule>>,
    /// Whom the request trusts; the operator's own certificate authorities where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HttpTls>,
}

/// What an answer means for which an expression is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerRule {
    /// A CEL expression over `response.status`, `response.headers`, `response.body`,
    /// `attempt.number`, and `attempt.uncertain`, which says whether an earlier attempt may have
    /// acted; such as `response.status == 200 && response.body.status == 'declined'`.
    #[schemars(length(min = 1, max = 1024))]
    pub when: String,
    /// What it means.
    pub outcome: AnswerOutcome,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnswerOutcome {
    /// It was done, now or by an earlier attempt.
    Succeeded,
    /// This attempt began nothing: it is tried again with the same key.
    Retry,
    /// Nothing was done under this key, by earlier attempts neither, and nothing will be: the step
    /// fails, and nothing of it is to be undone. Of 408 and 5xx only where `when` reads the body.
    Failed,
    /// It may have been done: it is tried again with the same key.
    Unknown,
}

/// Waits until a person approves or rejects. A rejection, or no answer within the step's timeout,
/// fails the step for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalAction {
    /// What is to be approved, for the person who is asked.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Waits for a while, or until an object is as it should be. Nothing of it is ever in effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.for) != has(self.until) && has(self.until) == \
    has(self.object)")
    .message("set for, or set until and object"))]
pub struct WaitAction {
    /// How long; the step is done when this time has passed since it began.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// A CEL expression over `object`, such as `object.status.phase == 'Bound'`; the step is done
    /// when it is true.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The object that `until` reads, as the saga's ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// Applies one object from the server's side, as the saga's ServiceAccount with the field manager
/// `saga.dev`, and waits until it is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAction {
    /// The object: `apiVersion`, `kind`, `metadata.name`, and what is to be set. In the saga's
    /// namespace unless it says another.
    #[schemars(schema_with = "free_form_object")]
    pub manifest: Value,
    /// A CEL expression over `object`; the step is done when it is true. Built-in: its kind's own
    /// readiness (kstatus).
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Takes fields over that belong to another field manager. Built-in: false, such a conflict
    /// fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// Carries a whole saga through, as a child of this one: created as this saga's ServiceAccount,
/// with the same account. It follows this saga where that is paused, cancelled or deleted, and is
/// undone by the step's compensation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaAction {
    /// The child's `spec`. Expressions of this saga stand in its `params` alone; all others in it
    /// are the child's own, over its own params and steps. Without `serviceAccountName`, `suspend`,
    /// `deletionPolicy` and `ttlSecondsAfterFinished`, which follow this saga. What the child hands
    /// on by its `outputs`, the step hands on.
    #[schemars(schema_with = "free_form_object")]
    pub spec: Value,
}

/// One object of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Such as `apps/v1`, or `v1`.
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// Such as `Deployment`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The object's name.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// Its namespace. Built-in: the saga's own; a kind without namespaces has none.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Request methods that an action may use.
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
    /// Whether a request changes nothing by its method alone: what HTTP calls safe (RFC 9110,
    /// 9.2.1).
    #[must_use]
    pub const fn only_asks(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Whether a request that is repeated comes to the same by its method alone: what HTTP calls
    /// idempotent (RFC 9110, 9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete)
    }

    /// The method as it stands in the request line.
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

/// One request header: a literal value, or one read from a Secret when the request is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)")
    .message("set exactly one of value and valueFrom"))]
pub struct Header {
    /// The header's name.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')")
        .message("must be a header name of letters, digits and dashes, such as Authorization"))]
    #[x_kube(validation = Rule::new("!(self.lowerAscii() in ['idempotency-key', 'saga-attempt', \
        'host', 'content-length', 'connection', 'transfer-encoding', 'upgrade', 'te', 'trailer'])")
        .message("is set by the operator: leave this header out"))]
    pub name: String,
    /// The literal value.
    #[schemars(length(max = 8192))]
    #[x_kube(validation = Rule::new("!self.endsWith('\\n')")
        .message("ends with a line break: take it out (in YAML, write the value behind the colon, \
            or after |- instead of |)"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<HeaderSource>,
}

/// Where a header's value is read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderSource {
    /// A key of a Secret in the saga's namespace, read as the saga's ServiceAccount at each
    /// attempt. With more than 8192 bytes in it the request is not sent.
    pub secret_key_ref: SecretKey,
}

/// The schema of an object whose fields are not described here.
pub(super) fn free_form_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The schema of any JSON value.
fn free_form_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
