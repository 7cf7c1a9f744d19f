//! The status of a saga as a whole.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    request::{Pause, RequestRecord},
    schema::{ConditionSchema, is_zero, outputs_schema},
    step::StepStatus,
};
use crate::api::SagaPhase;

/// What the operator knows and promises about a saga. Only the operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaStatus {
    /// The generation of the spec that this status speaks of; -1 while the operator has not seen
    /// the saga.
    #[schemars(range(min = -1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the saga stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SagaPhase>,
    /// Why it stands there, and what happens next.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Steps done of all steps, `2/5`; while undoing: steps undone of those to be undone.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The steps that are active or waited for, separated by commas.
    #[schemars(length(max = 8320))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_steps: Option<String>,
    /// How many attempts were made beyond the first ones, over all steps and both directions.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// When the saga was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When the saga ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// Since when the deadlines stand still, because the saga is paused, suspended or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_stopped_at: Option<MicroTime>,
    /// From when `spec.timeout` counts: the beginning, or the newest retry request, later by as
    /// long as the clock stood still since. Where it is absent, from `startedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_started_at: Option<MicroTime>,
    /// When `spec.timeout` had passed; until a retry request gives a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out_at: Option<MicroTime>,
    /// That a person paused the saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The hash of `steps`, `params` and `idempotencyPrefix` as they were accepted.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// The version of the operator that accepted the saga. Absent: one from before this field.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// What a later version may add: where the saga stood when that version looked at it.
    #[cfg(feature = "next")]
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<String>,
    /// Steps that did, or may have done, something that is not undone. Only in an ended saga, and
    /// in one that could not be undone.
    #[schemars(length(max = 128), inner(length(max = 63)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_in_effect: Option<Vec<String>>,
    /// Why a person asked to undo the saga: what is active settles, then all is undone. Empty where
    /// no reason was given.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation_requested: Option<String>,
    /// Why a person asked to cancel the saga: what is active is stopped, nothing more is undone.
    /// Empty where no reason was given.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<String>,
    /// How many retry requests were accepted, of at most `spec.maxRetryRequests`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_requests: i64,
    /// What people asked for by annotation, and what came of it: the last ten, oldest first.
    #[schemars(length(max = 10))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestRecord>,
    /// Hashes of the tokens that were handled, each with a hash of what was asked for with it, and
    /// of plain values that are held in Git.
    #[schemars(length(max = 128), inner(length(max = 64)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handled_tokens: Vec<String>,
    /// What the saga hands on, once it is Completed.
    #[schemars(schema_with = "outputs_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// How many attempts have settled; the next one to settle gets this number plus one as its
    /// `sequence`.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<i64>,
    /// `Accepted` and `Ready`; `Reconciling` and `Stalled` while they are true.
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
