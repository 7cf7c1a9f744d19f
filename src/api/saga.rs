//! The `Saga` resource and its specification.

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ApplyAction, ApprovalAction, GoDuration, HttpAction, JobAction, ObjectRef, PodAction,
    RetryPolicy, SagaAction, SagaStatus, WaitAction, action::free_form_object,
};

/// A business transaction or rollout: steps that are all carried out, or undone.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "saga.dev",
    version = "v1alpha1",
    kind = "Saga",
    plural = "sagas",
    shortname = "sg",
    category = "sagas",
    namespaced,
    status = "SagaStatus",
    derive = "PartialEq",
    doc = "A business transaction or rollout: its steps are all carried out, or those that were \
        are undone.",
    validation = Rule::new("self.metadata.name.size() <= \
        63").message("a saga's name may have at most 63 characters"),
    selectable = ".status.phase",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.currentSteps"),
    printcolumn(name = "Retries", type_ = "integer", json_path = ".status.retries"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.steps == oldSelf.steps && self.steps.map(s, s.name) == \
    oldSelf.steps.map(s, s.name)")
    .message("steps cannot be changed: create a new Saga"))]
#[x_kube(validation = Rule::new("has(self.params) == has(oldSelf.params) && (!has(self.params) || \
    self.params == oldSelf.params)")
    .message("params cannot be changed: create a new Saga"))]
#[x_kube(validation = Rule::new("has(self.idempotencyPrefix) == has(oldSelf.idempotencyPrefix) && \
    (!has(self.idempotencyPrefix) || self.idempotencyPrefix == oldSelf.idempotencyPrefix)")
    .message("idempotencyPrefix cannot be changed: create a new Saga"))]
// A parent takes its child's outputs for true: who may patch the child must not speak in their
// place.
#[x_kube(validation = Rule::new("has(self.outputs) == has(oldSelf.outputs) && (!has(self.outputs) \
    || self.outputs == oldSelf.outputs)")
    .message("outputs cannot be changed: create a new Saga"))]
pub struct SagaSpec {
    /// The ServiceAccount that the steps act as. Built-in: default.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a ServiceAccount: lower-case letters, digits, dashes and \
            dots, such as order-saga"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Stands in idempotency keys instead of the saga's UID, so that a saga that is created again
    /// repeats its keys.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]{1,63}$')")
        .message("must have 1 to 63 letters, digits, dots, underscores and dashes"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_prefix: Option<String>,
    /// Any object, read in expressions as `${params.…}`. It is fixed when the saga is created.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
    /// How many steps run at once, 1 to 64. Built-in: 1, the next runnable step in list order.
    #[schemars(range(min = 1, max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<i32>,
    /// What happens when a step failed for good. Built-in: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// How long the saga may go forward; it stands still while the saga is paused, suspended or
    /// Failed. When it has passed, what is active is stopped and the saga fails. Built-in: no
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Starts nothing new while true; what runs is let end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens to an unfinished saga that is deleted. Built-in: Compensate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// After how many seconds a saga that is Completed, Compensated or Cancelled is deleted, at
    /// least 10. Built-in: it is kept.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// How often a person may ask for a retry, 0 to 1000. Built-in: 10.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retry_requests: Option<i32>,
    /// Values for the actions and compensations that set none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// What the saga hands on once it is Completed, by name: values with expressions over `params`,
    /// `saga` and `steps`.
    #[schemars(schema_with = "named_values")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// What is to be done. A step may depend only on steps above it.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    #[schemars(extend("x-kubernetes-validations" = rules_over_steps()))]
    pub steps: Vec<Step>,
}

impl SagaSpec {
    /// The ServiceAccount that the steps act as.
    #[must_use]
    pub fn account(&self) -> &str {
        self.service_account_name.as_deref().unwrap_or("default")
    }
}

/// The rules over all steps at once: names are distinct, and dependencies point upwards.
///
/// Names are looked up in a map: searching the list for each of 2048 dependencies passes what the
/// API server lets one rule cost when it runs. Making the map fails on a duplicate name, hence the
/// condition before it.
fn rules_over_steps() -> Value {
    const DISTINCT: &str = "self.all(s, self.exists_one(t, t.name == s.name))";
    const AT: &str = "[self.transformMapEntry(i, s, {s.name: i})]";
    const UPWARDS: &str = "(d in at && at[d] < i)";
    const WHAT_TO_DO: &str = "dependsOn may name only steps that stand above it in the list: \
        correct the name, or move the step up";
    json!([
        {"rule": DISTINCT, "message": "two steps have the same name: choose another name for one \
            of them"},
        {
            "rule": format!("!{DISTINCT} || {AT}.all(at, self.all(i, s, !has(s.dependsOn) || \
             s.dependsOn.all(d, {UPWARDS})))"),
            // Names the first wrong dependency of each step. The message alone stands where that
            // text would pass 5120 bytes.
            "messageExpression": format!(
                "{AT}.map(at, self.transformList(i, s, has(s.dependsOn) && !s.dependsOn.all(d, \
                 {UPWARDS}), s.name + ' depends on ' + s.dependsOn.filter(d, \
                 !{UPWARDS})[0]))[0].join('; ') + ': {WHAT_TO_DO}'"
            ),
            "message": WHAT_TO_DO,
        },
    ])
}

/// The schema of values by name.
fn named_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "maxProperties": 64,
    })
}

/// What happens when a step failed for good. Hold (built-in): the saga waits in phase Failed for a
/// person. Compensate: what was done is undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// The saga waits in phase Failed for a person.
    #[default]
    Hold,
    /// What was done is undone.
    Compensate,
}

/// Whether a step is tried before the first one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PrecheckPolicy {
    /// It is not.
    Skip,
}

/// What happens to an unfinished saga that is deleted. Compensate (built-in): it is undone first,
/// unless its pivot is passed. Abandon: it goes as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is undone before it goes, unless its pivot is passed, or may be.
    #[default]
    Compensate,
    /// It goes as it is.
    Abandon,
}

/// Values for the actions and compensations that set none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// The time limit of one attempt. Built-in: 30s for http, none for approval, 1h for all else. A
    /// wait takes as long as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// How actions are retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How compensations are retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation_retry: Option<RetryPolicy>,
}

/// One unit of a saga: an action, and optionally the compensation that undoes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pod), has(self.job), has(self.http), has(self.apply), \
    has(self.delete), has(self.approval), has(self.wait), has(self.saga)].filter(x, x).size() == 1")
    .message("a step has exactly one action: set one of pod, job, http, apply, delete, approval, \
        wait and saga"))]
#[x_kube(validation = Rule::new("!(has(self.approval) || (has(self.wait) && \
    !has(self.wait.until))) || !(has(self.retry) || has(self.compensateFailed))")
    .message("an approval or a wait is never retried by itself, and does nothing that is left \
        half done: leave retry and compensateFailed out"))]
#[x_kube(validation = Rule::new("!has(self.outputs) || has(self.http) || has(self.apply) || \
    (has(self.wait) && has(self.wait.until))")
    .message("outputs are taken from the answer to a request, or from an object: leave them out \
        (a pod or a job hands on the JSON object in its termination message, a child saga its own \
        outputs)"))]
pub struct Step {
    /// The step's name, a DNS label.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("must be a DNS label: lower-case letters, digits and dashes, such as \
            reserve-stock"))]
    pub name: String,
    /// Steps above this one that must be done before it starts.
    // No list-type set: it ignores the order, and with it the rule that steps cannot be changed
    // would.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    #[x_kube(validation = Rule::new("self.all(d, self.exists_one(e, e == d))")
        .message("names a step twice: name it once"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// A CEL expression over `params`, `saga` and the steps that this one depends on. Where it is
    /// false, the step is Skipped.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The time limit of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// How the action is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// The point of no return: once this step is done, the saga is never undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pivot: Option<bool>,
    /// Whether the step is undone although it failed, since it may have done half its work.
    /// Built-in: true for pod and job, false for all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate_failed: Option<bool>,
    /// Skip: the step is not tried before the first one runs, since only an earlier step makes what
    /// it needs. Built-in: its pods, jobs, child sagas and the objects that it applies are tried by
    /// a dry run, and its Secrets have to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precheck: Option<PrecheckPolicy>,
    /// Runs a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodAction>,
    /// Runs a Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobAction>,
    /// Sends a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpAction>,
    /// Applies an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<ApplyAction>,
    /// Deletes an object, and waits until it is gone. One that is not there counts as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<ObjectRef>,
    /// Waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalAction>,
    /// Waits for a while, or until an object is as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitAction>,
    /// Carries a child saga through. Without a compensation, the step is undone by undoing the
    /// child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaAction>,
    /// What the step hands on, by name: values with expressions over `response`, `params`, `saga`
    /// and the steps that this one depends on. Of `apply` and `wait` over `object`. A pod or a job
    /// hands on the JSON object that it writes as its termination message.
    #[schemars(schema_with = "named_values")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// What undoes the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
}

/// What undoes a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pod), has(self.job), has(self.http), has(self.apply), \
    has(self.delete), has(self.saga)].filter(x, x).size() == 1")
    .message("a compensation has exactly one action: set one of pod, job, http, apply, delete and \
        saga"))]
pub struct Compensation {
    /// The time limit of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// How the compensation is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Runs a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodAction>,
    /// Runs a Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobAction>,
    /// Sends a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpAction>,
    /// Applies an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<ApplyAction>,
    /// Deletes an object, and waits until it is gone. One that is not there counts as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<ObjectRef>,
    /// Carries a child saga through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaAction>,
}
