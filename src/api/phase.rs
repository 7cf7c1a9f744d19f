//! The words of the status: where a saga and a step stand, in which direction an attempt goes, and
//! how it ended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a saga stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SagaPhase {
    /// Not accepted yet, or refused: the condition `Accepted` says why.
    Pending,
    /// Steps run, or wait to be tried again.
    Running,
    /// Paused or suspended before it was done: nothing new starts.
    Paused,
    /// A step failed for good; a person decides.
    Failed,
    /// What was done is being undone.
    Compensating,
    /// Undone, but for what `stillInEffect` names.
    Compensated,
    /// A compensation failed for good; a person decides.
    CompensationFailed,
    /// Every step is done.
    Completed,
    /// A person ended it: what was active was stopped, nothing is undone but for what was before.
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

    /// The phase's word, as it stands in the status, in events and in metrics.
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

    /// Whether nothing will ever happen again by itself or by a person's retry.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::Cancelled)
    }
}

/// Where a step stands.
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
    /// Not started; in an ended saga: not reached.
    #[default]
    Pending,
    /// An attempt of its action is active.
    Running,
    /// An attempt failed; the next one begins at `nextAttemptAt`.
    Retrying,
    /// It waits for an approval or for an instant; nothing is done meanwhile.
    Waiting,
    /// Its action is done.
    Completed,
    /// A person asked to go on without it. It counts as done for the steps that depend on it.
    Skipped,
    /// Its action failed for good.
    Failed,
    /// It is being undone: an attempt of its compensation is active, or the next one begins at
    /// `nextAttemptAt`.
    Compensating,
    /// It is undone.
    Compensated,
    /// Its compensation failed for good.
    CompensationFailed,
    /// A person asked not to undo it: it stays in effect.
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

    /// Whether the step is being undone, was, or could not be.
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

    /// Whether what depends on the step may start.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }

    /// The phase's word, as it stands in the status, in events and in metrics.
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
    /// The word in idempotency keys, labels, `SAGA_DIRECTION` and metrics.
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
    /// It was done.
    Succeeded,
    /// The other side said no, or was never reached.
    Failed,
    /// It may have happened: time-out, connection lost after sending, pod lost.
    Unknown,
}

impl Outcome {
    /// The outcome's word, as it stands in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    /// What is said of an attempt that ended so: `attempt 2 may have happened`.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "may have happened",
        }
    }
}
