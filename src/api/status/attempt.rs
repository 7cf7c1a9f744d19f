//! The attempts of a step, in the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::is_zero;
use crate::api::Outcome;

/// The attempts of a step in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectionStatus {
    /// The number of the newest attempt. Never reset.
    #[schemars(range(min = 0))]
    pub attempt: i64,
    /// The number of attempts that the current budget has used.
    #[schemars(range(min = 0))]
    pub budget_used: i64,
    /// When the current budget began. The deadline of the retry policy counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_started_at: Option<MicroTime>,
    /// The number of attempts that ended with a definite failure and moved the idempotency key on.
    /// It is the last part of the key.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// The number of attempts that a disruption ended before they started. At most five are
    /// counted; a counted attempt does not use up the budget.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disruptions: i64,
    /// The number of attempts of the current budget that did not use it up because the operator
    /// itself called them off: the operator lost its Lease or received a termination signal. At
    /// most five are counted.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub called_off: i64,
    /// Whether an attempt may have reached the service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Whether an attempt with the current idempotency key has an unknown outcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
    /// Whether the newest settled attempt ended with a definite failure, so that the next attempt
    /// has a new idempotency key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// The position of the newest settled attempt among all settled attempts of the saga.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// The outcome of the newest settled attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// The hash of the HTTP request that was sent with the current idempotency key.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
    /// The active attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveAttempt>,
    /// The last five settled attempts, oldest first.
    #[schemars(length(max = 5))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
}

/// The intent of an attempt. The operator writes it before anything of the attempt leaves the
/// operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAttempt {
    /// When the intent was written. The time limit counts from here.
    pub started_at: MicroTime,
    /// The executor: the only process that may send the HTTP request.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// The instant until which the HTTP request may take, by the time limit that applied when the
    /// intent was written. Absent if the attempt sends no HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<MicroTime>,
    /// How far the clock of the process that wrote the intent may have been ahead of the API
    /// server's clock, in seconds. Absent if at most 2 seconds.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_ahead_seconds: i64,
    /// How far the clock of the process that wrote the intent may have been behind the API server's
    /// clock, in seconds. Absent if at most 2 seconds.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_behind_seconds: i64,
    /// The UID of the Pod or the object, written once the child has existed for two seconds. For an
    /// object to delete, the UID is written before the deletion is requested.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_uid: Option<String>,
    /// What held the Pod up when the message of the step was written: Image, Container, Scheduling
    /// or Node.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A settled attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// The number of the attempt.
    #[schemars(range(min = 1))]
    pub attempt: i64,
    /// The outcome of the attempt.
    pub outcome: Outcome,
    /// When the intent of the attempt was written.
    pub started_at: MicroTime,
    /// When the outcome of the attempt was written.
    pub settled_at: MicroTime,
    /// How the attempt ended, such as the answer of the service.
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
