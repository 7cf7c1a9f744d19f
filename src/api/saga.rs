//! The `Saga` resource and its specification.

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ApplyAction, ApprovalAction, GoDuration, HttpAction, JobAction, ObjectRef, PodAction,
    RetryPolicy, SagaAction, SagaStatus, WaitAction, action::free_form_object,
};

/// A business transaction or rollout: steps that are all done, or undone.
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
    doc = "A business transaction or rollout: all steps are done, or the steps that were done are \
        undone.",
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
    /// The ServiceAccount as which the steps act. Default: default.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a ServiceAccount: lower-case letters, digits, dashes and \
            dots, such as order-saga"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The first part of the saga's idempotency keys, instead of the saga's UID. With a prefix, a
    /// saga that is deleted and created again repeats its keys. Default: the saga's UID.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]{1,63}$')")
        .message("must have 1 to 63 letters, digits, dots, underscores and dashes"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_prefix: Option<String>,
    /// The parameters: any object. Expressions read them as `${params.…}`. The parameters cannot be
    /// changed after the saga is created.
    #[schemars(schema_with = "free_form_object")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
    /// How many steps may run at the same time, 1 to 64. Default: 1. Runnable steps start in the
    /// order of the list.
    #[schemars(range(min = 1, max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<i32>,
    /// What happens when a step fails permanently: Hold (the saga waits in phase Failed for a user)
    /// or Compensate (the steps that did something, or may have, are undone). Default: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// How long the saga may run forward. The time does not count while the saga is paused,
    /// suspended or Failed. When the timeout has passed, active attempts are stopped and the saga
    /// fails. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Whether the saga is suspended: nothing new starts, and active attempts run to their end.
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens when an unfinished saga is deleted: Compensate (the saga is undone before it is
    /// removed, unless its pivot is passed or may be) or Abandon (the saga is removed in its
    /// current state, and nothing is undone). Default: Compensate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// How many seconds after its end a saga in phase Completed, Compensated or Cancelled is
    /// deleted. A value below 10 counts as 10. Default: the saga is kept.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// How many retry requests a user may make, 0 to 1000. Default: 10.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retry_requests: Option<i32>,
    /// Default values for the actions and compensations that set none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// The outputs of the saga, by name: values with expressions over `params`, `saga` and `steps`.
    /// The outputs are computed when the saga is Completed.
    #[schemars(schema_with = "named_values")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// The steps of the saga. A step may depend only on steps above it in the list.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    #[schemars(extend("x-kubernetes-validations" = rules_over_steps()))]
    pub steps: Vec<Step>,
}

impl SagaSpec {
    /// Returns the ServiceAccount as which the steps act.
    #[must_use]
    pub fn account(&self) -> &str {
        self.service_account_name.as_deref().unwrap_or("default")
    }
}

/// Returns the rules over all steps at once: names are distinct, and dependencies point upwards.
///
/// Names are looked up in a map. Searching the list for each of 2048 dependencies exceeds the cost
/// that the API server allows one rule at run time. Building the map fails on a duplicate name,
/// hence the condition before it.
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

/// Returns the schema of values by name.
fn named_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "maxProperties": 64,
    })
}

/// What happens when a step fails permanently. Hold (default): the saga waits in phase Failed for a
/// user. Compensate: the steps that did something, or may have, are undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// The saga waits in phase Failed for a user.
    #[default]
    Hold,
    /// The steps that did something, or may have, are undone.
    Compensate,
}

/// Whether a step is checked before the first step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PrecheckPolicy {
    /// The step is not checked.
    Skip,
}

/// What happens when an unfinished saga is deleted. Compensate (default): the saga is undone before
/// it is removed, unless its pivot is passed or may be. Abandon: the saga is removed in its current
/// state, and nothing is undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The saga is undone before it is removed, unless its pivot is passed or may be.
    #[default]
    Compensate,
    /// The saga is removed in its current state, and nothing is undone.
    Abandon,
}

/// Default values for the actions and compensations that set none of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// The time limit of one attempt, at least 100ms for http and wait, and 1s for every other
    /// action: a shorter limit is raised. Default: 30s for http, none for approval, 1h for every
    /// other action. A wait with `for` has its own duration instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// The retry policy of actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// The retry policy of compensations.
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
    .message("an approval or a wait is never retried automatically, and leaves no work half done: \
        leave retry and compensateFailed out"))]
#[x_kube(validation = Rule::new("!has(self.outputs) || has(self.http) || has(self.apply) || \
    (has(self.wait) && has(self.wait.until))")
    .message("outputs are taken from the answer to a request, or from an object: leave them out \
        (the outputs of a pod or a job are the JSON object in its termination message, those of a \
        child saga are its own outputs)"))]
pub struct Step {
    /// The name of the step, a DNS label.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("must be a DNS label: lower-case letters, digits and dashes, such as \
            reserve-stock"))]
    pub name: String,
    /// The steps that must be done before this step starts. Only steps above this step in the list
    /// are allowed.
    // No list-type set: it ignores the order, and with it the rule that steps cannot be changed
    // would.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    #[x_kube(validation = Rule::new("self.all(d, self.exists_one(e, e == d))")
        .message("names a step twice: name it once"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// A CEL expression over `params`, `saga` and the steps that this step depends on. If the
    /// expression is false, the step is skipped and its phase is Skipped.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The time limit of one attempt, at least 100ms for http and wait, and 1s for every other
    /// action: a shorter limit is raised. Default: `spec.defaults.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// The retry policy of the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Whether the step is the pivot, the point of no return: once the step is done, the saga is
    /// never undone. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pivot: Option<bool>,
    /// Whether the step is undone even if it failed, since its work may be half done. Default: true
    /// for pod and job, false for every other action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate_failed: Option<bool>,
    /// Skip: the step is not checked before the first step runs. Use it if an earlier step creates
    /// what this step needs. Default: the pods, jobs, child sagas and applied objects of the step
    /// are checked by a dry run, and its Secrets must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precheck: Option<PrecheckPolicy>,
    /// Runs a container in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodAction>,
    /// Runs a Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobAction>,
    /// Sends an HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpAction>,
    /// Applies an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<ApplyAction>,
    /// Deletes an object, and waits until the object is gone. An object that does not exist counts
    /// as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<ObjectRef>,
    /// Waits for the decision of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalAction>,
    /// Waits for a duration, or until an object meets a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitAction>,
    /// Runs a child saga. Without a compensation, the step is undone by undoing the child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaAction>,
    /// The outputs of the step, by name: values with expressions over `response`, `params`, `saga`
    /// and the steps that this step depends on. For `apply` and for `wait` with `until`, the
    /// expressions read `object` instead of `response`. The outputs of a pod or a job are the JSON
    /// object that it writes as its termination message.
    #[schemars(schema_with = "named_values")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// The compensation: what undoes the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
}

/// A compensation: what undoes a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pod), has(self.job), has(self.http), has(self.apply), \
    has(self.delete), has(self.saga)].filter(x, x).size() == 1")
    .message("a compensation has exactly one action: set one of pod, job, http, apply, delete and \
        saga"))]
pub struct Compensation {
    /// The time limit of one attempt, at least 100ms for http, and 1s for every other action: a
    /// shorter limit is raised. Default: `spec.defaults.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// The retry policy of the compensation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Runs a container in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodAction>,
    /// Runs a Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobAction>,
    /// Sends an HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpAction>,
    /// Applies an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<ApplyAction>,
    /// Deletes an object, and waits until the object is gone. An object that does not exist counts
    /// as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<ObjectRef>,
    /// Runs a child saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaAction>,
}
