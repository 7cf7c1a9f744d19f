//! The status of a step.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    attempt::DirectionStatus,
    schema::{is_zero, outputs_schema},
};
use crate::api::{Direction, SagaPhase, StepPhase};

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

/// Where the keys of a child's steps go on, by step.
pub type Keys = BTreeMap<String, KeysFrom>;

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
