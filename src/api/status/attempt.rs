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
