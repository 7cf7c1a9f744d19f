//! The transition table of a step, and nothing else.

use crate::api::StepPhase;

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
    /// An attempt of the action begins.
    Start,
    /// The action is done.
    Succeed,
    /// An attempt of the action failed, another one follows.
    FailForNow,
    /// The action failed for good.
    FailForGood,
    /// An attempt of the compensation begins, or failed with another one to follow.
    Undo,
    /// The compensation is done.
    Undone,
    /// The compensation failed for good.
    UndoFailed,
}

/// A move that the table does not have: stored state and observation contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step in phase {} cannot take {event:?}", from.as_str())]
pub struct Illegal {
    /// The phase the step is in.
    pub from: StepPhase,
    /// What should have happened to it.
    pub event: StepEvent,
}

/// The phase after the event.
///
/// # Errors
/// Where the table has no such move.
pub fn next(from: StepPhase, event: StepEvent) -> Result<StepPhase, Illegal> {
    use {StepEvent as E, StepPhase as P};
    match (from, event) {
        (P::Pending | P::Retrying, E::Start) => Ok(P::Running),
        (P::Running, E::Succeed) => Ok(P::Completed),
        (P::Running, E::FailForNow) => Ok(P::Retrying),
        (P::Running | P::Retrying | P::Pending, E::FailForGood) => Ok(P::Failed),
        (P::Completed | P::Failed | P::Compensating, E::Undo) => Ok(P::Compensating),
        (P::Compensating, E::Undone) => Ok(P::Compensated),
        (P::Compensating | P::Completed | P::Failed, E::UndoFailed) => Ok(P::CompensationFailed),
        (
            P::Pending | P::Running | P::Retrying | P::Completed | P::Failed | P::Compensating | P::Compensated | P::CompensationFailed,
            E::Start | E::Succeed | E::FailForNow | E::FailForGood | E::Undo | E::Undone | E::UndoFailed,
        ) => Err(Illegal { from, event }),
    }
}
