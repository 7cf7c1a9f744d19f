//! The status of a saga: what a person reads and what the engine decides from.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Direction, Outcome, RequestAction, SagaPhase, StepPhase};

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

/// A pause that a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Since when.
    pub at: MicroTime,
    /// Why; empty where no reason was given.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What the operator knows of one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// The step's name in the spec.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Where the step stands.
    pub phase: StepPhase,
    /// When its first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When its action was done or failed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// Why it stands there.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the next attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<MicroTime>,
    /// What the step hands on; of a skipped step, what the person gave who skipped it.
    #[schemars(schema_with = "outputs_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// Whether it was skipped because its `when` is false, and not by request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwanted: bool,
    /// Whether a person asked to retry it, so that it runs although another step is Failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_requested: bool,
    /// The child saga that it carries through, or undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildStatus>,
    /// Where its idempotency keys go on after those of an earlier child saga that this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_from: Option<KeysFrom>,
    /// The attempts of its action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<DirectionStatus>,
    /// The attempts of its compensation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<DirectionStatus>,
}

/// Where the idempotency keys of a step go on: an earlier child saga of the same step of its parent
/// used others before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeysFrom {
    /// The last part of the first key of the action.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub action: i64,
    /// The last part of the first key of the compensation.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compensation: i64,
    /// Whether the earlier child did the step under that key and did not undo it, or may have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_have_acted: bool,
    /// The child saga by which it did, where the step is a saga itself.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
}

/// A child saga, as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChildStatus {
    /// Its name, in the same namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its UID, by which it is known again whatever became of its labels.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Where it stood; absent before it was seen by an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SagaPhase>,
}

/// The attempts of a step in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectionStatus {
    /// The number of the newest attempt; never reset.
    #[schemars(range(min = 0))]
    pub attempt: i64,
    /// How many attempts of the present budget were used.
    #[schemars(range(min = 0))]
    pub budget_used: i64,
    /// When the present budget began; its deadline counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_started_at: Option<MicroTime>,
    /// How many attempts the other side answered with a definite no. The last part of the
    /// idempotency key.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// How many attempts a disruption ended before they started.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disruptions: i64,
    /// How many attempts of the present budget cost nothing because the operator itself called them
    /// off, since it lost its Lease or was told to stop; at most five.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub called_off: i64,
    /// Whether an attempt may have reached the other side.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Whether an attempt with the present idempotency key has an unknown outcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
    /// Whether the newest settled attempt ended with a definite no, so that the next one has a new
    /// idempotency key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// The place of the newest settled attempt among all settled attempts of the saga.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// How the newest settled attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// The hash of the request that was sent with the present idempotency key.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
    /// The attempt that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveAttempt>,
    /// The last five settled attempts, oldest first.
    #[schemars(length(max = 5))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
}

/// The intent of an attempt: written before anything leaves the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAttempt {
    /// When the intent was written; the time limit counts from here.
    pub started_at: MicroTime,
    /// The process that alone may send the request.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Until when the request may take, by the time limit that applied when the intent was written.
    /// Absent where nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<MicroTime>,
    /// By how many seconds at most the clock of the process that wrote the intent was ahead of the
    /// API server's; absent where that is little.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_ahead_seconds: i64,
    /// By how many seconds at most the clock of the process that wrote the intent was behind the
    /// API server's; absent where that is little.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_behind_seconds: i64,
    /// The UID of the Pod or the object, once it lived for two seconds; of an object that is to be
    /// deleted, before that is asked for.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_uid: Option<String>,
    /// What kept the Pod from going on when the step's message was written: Image, Container,
    /// Scheduling or Node.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A settled attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// The attempt's number.
    #[schemars(range(min = 1))]
    pub attempt: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// When its intent was written.
    pub started_at: MicroTime,
    /// When its outcome was written.
    pub settled_at: MicroTime,
    /// What the other side said.
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Something a person asked for by annotation, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// 1, 2, … for ever within the saga.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// What was asked for.
    pub action: RequestAction,
    /// The annotation's value, cut to 128 bytes, control characters replaced.
    #[schemars(length(max = 128))]
    pub value: String,
    /// 64 bits that stand for the whole value, in hexadecimal; others where it was refused because
    /// an applied manifest holds it.
    #[schemars(length(max = 16))]
    pub value_hash: String,
    /// The token; absent where the value had none, so that the annotation is taken away.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was handled.
    pub at: MicroTime,
    /// What came of it.
    pub result: RequestResult,
    /// What was done, or why nothing was and what is allowed.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RequestResult {
    /// It was done.
    Accepted,
    /// It was not allowed, or could not be understood.
    Refused,
    /// It stood on the saga from before its beginning.
    Ignored,
    /// What a later version may add: it was done, in another way.
    #[cfg(feature = "next")]
    Noted,
}

impl RequestResult {
    /// The result's word, as it stands in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Refused => "Refused",
            Self::Ignored => "Ignored",
            #[cfg(feature = "next")]
            Self::Noted => "Noted",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// An object of any fields. Their size is bounded where they are taken.
fn outputs_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "maxProperties": 1024,
    })
}

/// The schema of a condition with the bounds that Go's own CRDs have; k8s-openapi's has none.
struct ConditionSchema;

impl JsonSchema for ConditionSchema {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Condition".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "maxLength": 63},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "maxLength": 32768},
            },
        })
    }
}

impl StepStatus {
    /// What is known of the step in a direction; `None` before its first attempt.
    #[must_use]
    pub const fn direction(&self, direction: Direction) -> Option<&DirectionStatus> {
        match direction {
            Direction::Action => self.action.as_ref(),
            Direction::Compensation => self.compensation.as_ref(),
        }
    }

    /// The same to be changed; made where there is none.
    pub fn direction_mut(&mut self, direction: Direction) -> &mut DirectionStatus {
        match direction {
            Direction::Action => self.action.get_or_insert_default(),
            Direction::Compensation => self.compensation.get_or_insert_default(),
        }
    }
}

/// Where the keys of a child's steps go on, by step.
pub type Keys = BTreeMap<String, KeysFrom>;

pub(crate) fn is_terminal(status: &SagaStatus) -> bool {
    status.phase.is_some_and(SagaPhase::is_terminal)
}

/// The attempts that a status calls active, with the time since which they are.
pub fn active_attempts(
    status: &SagaStatus,
) -> impl Iterator<Item = (crate::api::names::AttemptId, &crate::api::ActiveAttempt)> {
    use crate::api::{Direction, names::AttemptId};
    status.steps.iter().flat_map(|step| {
        [(Direction::Action, &step.action), (Direction::Compensation, &step.compensation)]
            .into_iter()
            .filter_map(|(direction, record)| {
                let record = record.as_ref()?;
                let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
                Some((id, record.active.as_ref()?))
            })
    })
}

/// The reason for which a saga is stalled.
pub(crate) fn stalled_reason(status: &SagaStatus) -> Option<&str> {
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled" && condition.status == "True")?;
    Some(&stalled.reason)
}
