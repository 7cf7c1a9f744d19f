//! The status of a step.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    attempt::DirectionStatus,
    schema::{is_zero, outputs_schema},
    throttle::ThrottleStatus,
};
use crate::api::{Direction, SagaPhase, StepPhase};

/// The status of one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// The name of the step in the spec.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The phase of the step.
    pub phase: StepPhase,
    /// When the first attempt of the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When the action was done or failed permanently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// Why the step is in its phase.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the next attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<MicroTime>,
    /// Why the next attempt does not begin although it is due. Present only while the step waits
    /// for the host of its HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<Box<ThrottleStatus>>,
    /// The outputs of the step. For a skipped step: the outputs that the user gave with the skip
    /// request.
    #[schemars(schema_with = "outputs_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// Whether the step was skipped because its `when` is false, and not by a request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwanted: bool,
    /// Whether a user asked to retry the step, so that the step runs although another step is
    /// Failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_requested: bool,
    /// The child saga that the step runs or undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildStatus>,
    /// Where the idempotency keys of the step continue, if this saga is a child that follows an
    /// earlier child saga of the same step of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_from: Option<KeysFrom>,
    /// The attempts of the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<DirectionStatus>,
    /// The attempts of the compensation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<DirectionStatus>,
}

impl StepStatus {
    /// Returns the attempts of the step in a direction; `None` before the first attempt.
    #[must_use]
    pub const fn direction(&self, direction: Direction) -> Option<&DirectionStatus> {
        match direction {
            Direction::Action => self.action.as_ref(),
            Direction::Compensation => self.compensation.as_ref(),
        }
    }

    /// Returns the attempts of the step in a direction for a change; creates the record if there is
    /// none.
    pub fn direction_mut(&mut self, direction: Direction) -> &mut DirectionStatus {
        match direction {
            Direction::Action => self.action.get_or_insert_default(),
            Direction::Compensation => self.compensation.get_or_insert_default(),
        }
    }
}

/// Where the idempotency keys of a step continue, since an earlier child saga of the same step of
/// the parent used the keys before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeysFrom {
    /// The last part of the first idempotency key of the action.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub action: i64,
    /// The last part of the first idempotency key of the compensation.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compensation: i64,
    /// Whether the earlier child did, or may have done, the step under that key and did not undo
    /// it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_have_acted: bool,
    /// If the step itself runs a child saga: the name of the child saga by which the earlier child
    /// did the step.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
}

/// Where the idempotency keys of a child's steps continue, by step.
pub type Keys = BTreeMap<String, KeysFrom>;

/// A child saga, as the operator last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChildStatus {
    /// The name of the child, in the same namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The UID of the child, which identifies the child even if its labels have changed.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The phase of the child. Absent before an operator has seen the child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SagaPhase>,
}
