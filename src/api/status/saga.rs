//! The status of a saga as a whole.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    doubts::SpecDoubts,
    request::{Pause, RequestRecord},
    schema::{ConditionSchema, is_zero, outputs_schema},
    step::StepStatus,
};
use crate::api::SagaPhase;

/// The status of the saga. Only the operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaStatus {
    /// The generation of the spec that this status describes. -1 before an operator has seen the
    /// saga.
    #[schemars(range(min = -1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The phase of the saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SagaPhase>,
    /// Why the saga is in its phase, and what happens next.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The number of steps that are done, of all steps, such as `2/5`. While the saga is undone:
    /// the number of steps that are undone, of the steps to undo.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The steps that are active or that the saga waits for, separated by commas.
    #[schemars(length(max = 8320))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_steps: Option<String>,
    /// The number of attempts after the first ones, over all steps, actions and compensations
    /// together.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// When the saga was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When the saga ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// When the deadlines stopped, because the saga is paused, suspended or Failed. Absent while
    /// the deadlines run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_stopped_at: Option<MicroTime>,
    /// The instant from which `spec.timeout` counts: the start of the saga or the newest retry
    /// request, moved later by the time for which the deadlines were stopped since then. If absent,
    /// `spec.timeout` counts from `startedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_started_at: Option<MicroTime>,
    /// When `spec.timeout` had passed. A retry request that starts the timeout again removes this
    /// field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out_at: Option<MicroTime>,
    /// The pause that a user asked for. Absent if the saga is not paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The hash of `steps`, `params` and `idempotencyPrefix` as accepted.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// The version of the operator that accepted the saga. Absent if that version did not have this
    /// field yet.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// What a version of the operator finds wrong with the spec, which another version accepted.
    /// Absent if no version found anything wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Box<SpecDoubts>>,
    /// What a later version may add: the phase of the saga when that version reconciled it.
    #[cfg(feature = "next")]
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<String>,
    /// The steps that did, or may have done, something that is not undone. Set only if the saga has
    /// ended, or could not be undone.
    #[schemars(length(max = 128), inner(length(max = 63)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_in_effect: Option<Vec<String>>,
    /// The reason of a request to undo the saga: active attempts settle, then the saga is undone.
    /// Empty if the user gave no reason.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation_requested: Option<String>,
    /// The reason of a request to cancel the saga: active attempts are stopped, and nothing more is
    /// undone. Empty if the user gave no reason.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<String>,
    /// The number of accepted retry requests. `spec.maxRetryRequests` is the maximum.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_requests: i64,
    /// The last ten requests that users made by annotation, with their results, oldest first.
    #[schemars(length(max = 10))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestRecord>,
    /// Hashes of handled tokens, each with a hash of what was requested with the token, and hashes
    /// of values without a token that are held in Git.
    #[schemars(length(max = 128), inner(length(max = 64)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handled_tokens: Vec<String>,
    /// The outputs of the saga. Set when the saga is Completed.
    #[schemars(schema_with = "outputs_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// The number of attempts that have settled. The next attempt that settles gets this number
    /// plus one as its `sequence`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<i64>,
    /// The conditions `Accepted` and `Ready`, and `Reconciling` and `Stalled` while they are true.
    #[schemars(with = "Vec<ConditionSchema>", length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The steps, in the order of the spec.
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepStatus>,
}
