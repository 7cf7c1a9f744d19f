//! The enumerations of the status: the phases of sagas and steps, the direction of an attempt, and
//! its outcome.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The phase of a saga.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SagaPhase {
    /// The saga is not accepted yet, or was refused: the condition `Accepted` says why.
    Pending,
    /// Steps run, or wait for a retry.
    Running,
    /// The saga was paused or suspended before it was done: nothing new starts.
    Paused,
    /// A step failed permanently; a user decides.
    Failed,
    /// The steps that did something, or may have, are being undone.
    Compensating,
    /// The saga is undone, except for the steps in `stillInEffect`.
    Compensated,
    /// A compensation failed permanently; a user decides.
    CompensationFailed,
    /// Every step is done.
    Completed,
    /// A user cancelled the saga: active attempts were stopped, and nothing was undone after that.
    Cancelled,
}

impl SagaPhase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::Failed,
        Self::Compensating,
        Self::Compensated,
        Self::CompensationFailed,
        Self::Completed,
        Self::Cancelled,
    ];

    /// Returns the name of the phase, as in the status, in events and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Failed => "Failed",
            Self::Compensating => "Compensating",
            Self::Compensated => "Compensated",
            Self::CompensationFailed => "CompensationFailed",
            Self::Completed => "Completed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Returns whether the saga has ended for ever: no retry follows, not even on request.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::Cancelled)
    }
}

/// The phase of a step.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum StepPhase {
    /// The step has not started. In a saga that has ended, the step was not reached.
    #[default]
    Pending,
    /// An attempt of the action is active.
    Running,
    /// An attempt failed; the next one begins at `nextAttemptAt`.
    Retrying,
    /// The step waits for an approval or for an instant; nothing is done meanwhile.
    Waiting,
    /// The action is done.
    Completed,
    /// The step is skipped: its `when` is false, or a user asked to skip it. The step counts as
    /// done for the steps that depend on it.
    Skipped,
    /// The action failed permanently.
    Failed,
    /// The step is being undone: an attempt of its compensation is active, or the next one begins
    /// at `nextAttemptAt`.
    Compensating,
    /// The step is undone.
    Compensated,
    /// The compensation failed permanently.
    CompensationFailed,
    /// A user asked not to undo the step: the step stays in effect.
    CompensationSkipped,
}

impl StepPhase {
    /// Every phase.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Running,
        Self::Retrying,
        Self::Waiting,
        Self::Completed,
        Self::Skipped,
        Self::Failed,
        Self::Compensating,
        Self::Compensated,
        Self::CompensationFailed,
        Self::CompensationSkipped,
    ];

    /// Returns whether the step is being undone, was undone, or could not be undone.
    #[must_use]
    pub const fn is_backward(self) -> bool {
        matches!(
            self,
            Self::Compensating
                | Self::Compensated
                | Self::CompensationFailed
                | Self::CompensationSkipped
        )
    }

    /// Returns whether the steps that depend on this step may start.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }

    /// Returns the name of the phase, as in the status, in events and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Retrying => "Retrying",
            Self::Waiting => "Waiting",
            Self::Completed => "Completed",
            Self::Skipped => "Skipped",
            Self::Failed => "Failed",
            Self::Compensating => "Compensating",
            Self::Compensated => "Compensated",
            Self::CompensationFailed => "CompensationFailed",
            Self::CompensationSkipped => "CompensationSkipped",
        }
    }
}

/// Forward or backward: a step's action, or the compensation that undoes it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The step's action.
    Action,
    /// The step's compensation.
    Compensation,
}

impl Direction {
    /// Returns the name of the direction, as in idempotency keys, labels, `SAGA_DIRECTION` and
    /// metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensation => "compensation",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The work was done.
    Succeeded,
    /// The service refused, or was never reached.
    Failed,
    /// The work may have been done: time-out, connection lost after sending, pod lost.
    Unknown,
}

impl Outcome {
    /// Returns the name of the outcome, as in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    /// Returns the verb of an attempt with this outcome: `attempt 2 may have happened`.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "may have happened",
        }
    }
}
