//! The end of an attempt, and the verdict on an attempt that has not ended.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    api::Outcome,
    model::observation::{End, Failure, Reached},
};

/// Returns a permanent failure: no retry follows automatically.
pub(in crate::engine) fn failed(reached: Reached, message: String) -> Settlement {
    Settlement::failed(Failure::new(reached, message).permanent())
}

/// The interval at which a child that is being stopped is reconciled.
pub(in crate::engine) const STOP_POLL: Duration = Duration::from_secs(5);

/// The verdict on an active attempt.
pub(in crate::engine) enum Verdict {
    Wait,
    Begin,
    Stop,
    Settled(Settlement),
}

impl From<Settlement> for Verdict {
    fn from(settlement: Settlement) -> Self {
        Self::Settled(settlement)
    }
}

pub(in crate::engine) fn unknown(message: impl Into<String>) -> Verdict {
    Settlement::unknown(message, None).into()
}

pub(in crate::engine) fn not_started(message: impl Into<String>) -> Verdict {
    Settlement::failed(Failure::not_started(message.into())).into()
}

/// The end of an attempt.
pub(in crate::engine) struct Settlement {
    pub(in crate::engine) outcome: Outcome,
    pub(in crate::engine) failure: Option<Failure>,
    pub(in crate::engine) retry_after: Option<Duration>,
    pub(in crate::engine) message: Option<String>,
    /// Whether no retry follows automatically.
    pub(in crate::engine) permanent: bool,
    /// Whether this process called the attempt off, for a reason of its own, after the attempt may
    /// have been sent.
    pub(in crate::engine) called_off: bool,
    /// The outputs of the step.
    pub(in crate::engine) outputs: Option<Map<String, Value>>,
}

impl Settlement {
    pub(in crate::engine) const fn succeeded() -> Self {
        Self {
            outcome: Outcome::Succeeded,
            failure: None,
            retry_after: None,
            message: None,
            permanent: false,
            called_off: false,
            outputs: None,
        }
    }

    pub(in crate::engine) fn unknown(
        message: impl Into<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self {
            outcome: Outcome::Unknown,
            retry_after,
            message: Some(message.into()),
            ..Self::succeeded()
        }
    }

    /// Returns a permanent Unknown: the work may have been done, and a retry would not show whether
    /// it was.
    pub(in crate::engine) fn unknown_for_good(message: impl Into<String>) -> Self {
        Self { permanent: true, ..Self::unknown(message, None) }
    }

    pub(in crate::engine) fn failed(failure: Failure) -> Self {
        let (retry_after, message, permanent) =
            (failure.retry_after, Some(failure.message.clone()), failure.permanent);
        Self {
            outcome: Outcome::Failed,
            failure: Some(failure),
            retry_after,
            message,
            permanent,
            ..Self::succeeded()
        }
    }
}

impl From<End> for Settlement {
    /// Returns the meaning of the end of a child whose outputs nobody reads.
    fn from(end: End) -> Self {
        match end {
            End::Failed(failure) => Self::failed(failure),
            End::Unknown { message, retry_after } => Self::unknown(message, retry_after),
            End::UnknownForGood { message } => Self::unknown_for_good(message),
            End::CalledOff { message } => Self { called_off: true, ..Self::unknown(message, None) },
            End::Succeeded(_) | End::Answered(_) => Self::succeeded(),
        }
    }
}
