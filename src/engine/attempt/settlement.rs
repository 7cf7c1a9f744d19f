//! How an attempt ended, and what is to be done about one that did not.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    api::Outcome,
    coordination::fence::FRESH,
    model::observation::{ChildState, Failure, Reached},
    mutants::{Twin, broken},
};

/// A failure after which no further attempt is made by itself.
pub(crate) fn failed(reached: Reached, message: String) -> Settlement {
    Settlement::failed(Failure {
        reached,
        last: true,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    })
}

/// How often a child that is being stopped is looked at.
pub(crate) const STOP_POLL: Duration = Duration::from_secs(5);

/// What is to be done about an active attempt.
pub(crate) enum Verdict {
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

pub(crate) fn unknown(message: impl Into<String>) -> Verdict {
    Settlement::unknown(message, None).into()
}

pub(crate) fn never_begun(message: impl Into<String>) -> Verdict {
    let message = message.into();
    Settlement::failed(Failure {
        reached: Reached::Nothing,
        last: false,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    })
    .into()
}

/// Whether another operator, which wrote the intent, may yet create the child without another look,
/// so soon after this process first read it. A refusal to this process proves nothing of that one:
/// until then nobody says that the attempt was never begun.
pub(crate) fn may_be_late(known_for: Duration) -> bool {
    known_for < FRESH && !broken(Twin::RefusalProves)
}

/// How an attempt ended.
pub(crate) struct Settlement {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) message: Option<String>,
    /// Whether no further attempt is made by itself.
    pub(crate) last: bool,
    /// Whether it may have left and this process called it off, for a reason of its own.
    pub(crate) called_off: bool,
    /// What the step hands on.
    pub(crate) outputs: Option<Map<String, Value>>,
}

impl Settlement {
    pub(crate) const fn succeeded() -> Self {
        Self {
            outcome: Outcome::Succeeded,
            failure: None,
            retry_after: None,
            message: None,
            last: false,
            called_off: false,
            outputs: None,
        }
    }

    pub(crate) fn unknown(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            outcome: Outcome::Unknown,
            retry_after,
            message: Some(message.into()),
            ..Self::succeeded()
        }
    }

    /// It may have been done, and trying again tells no more.
    pub(crate) fn unknown_for_good(message: impl Into<String>) -> Self {
        Self { last: true, ..Self::unknown(message, None) }
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        let (retry_after, message, last) =
            (failure.retry_after, Some(failure.message.clone()), failure.last);
        Self {
            outcome: Outcome::Failed,
            failure: Some(failure),
            retry_after,
            message,
            last,
            ..Self::succeeded()
        }
    }

    /// What the end of a child means where it hands nothing on.
    pub(crate) fn of_end(end: ChildState) -> Self {
        match end {
            ChildState::Failed(failure) => Self::failed(failure),
            ChildState::Unknown { message, retry_after } => Self::unknown(message, retry_after),
            ChildState::CalledOff { message } => {
                Self { called_off: true, ..Self::unknown(message, None) }
            }
            ChildState::Succeeded(_)
            | ChildState::Answered(_)
            | ChildState::Absent(_)
            | ChildState::Active { .. }
            | ChildState::Object { .. }
            | ChildState::Saga(_)
            | ChildState::Standing { .. }
            | ChildState::Refused { .. }
            | ChildState::Elsewhere { .. } => Self::succeeded(),
        }
    }
}
