//! The transition table of a step.

use crate::api::StepPhase;

/// An event that changes the phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
    /// An attempt of the action begins.
    Start,
    /// The step begins to wait for a user or an instant.
    Wait,
    /// The saga turns back or ends before the step's wait is over.
    Withdraw,
    /// The action is done.
    Succeed,
    /// An attempt of the action failed, and a retry follows.
    FailForNow,
    /// The action failed permanently.
    FailForGood,
    /// An attempt of the compensation begins, or an attempt of it failed and a retry follows.
    Undo,
    /// The compensation is done.
    Undone,
    /// The compensation failed permanently.
    UndoFailed,
    /// A user states that the action or the compensation was done.
    Settle,
    /// A user asks for a retry of the action or the compensation.
    Retry,
    /// A user asks to continue without the action or without the compensation.
    Skip,
}

/// A transition that the table does not have: the stored state and the observation contradict each
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step in phase {} cannot take {event:?}", from.as_str())]
pub struct Illegal {
    /// The current phase of the step.
    pub from: StepPhase,
    /// The event that the phase does not allow.
    pub event: StepEvent,
}

/// Returns the phase after the event.
///
/// # Errors
/// The table has no such transition.
pub fn next(from: StepPhase, event: StepEvent) -> Result<StepPhase, Illegal> {
    use {StepEvent as E, StepPhase as P};
    match (from, event) {
        (P::Pending | P::Retrying, E::Start) => Ok(P::Running),
        (P::Pending | P::Retrying, E::Wait) => Ok(P::Waiting),
        (P::Waiting, E::Withdraw) => Ok(P::Pending),
        (P::Running | P::Waiting, E::Succeed) | (P::Retrying | P::Failed, E::Settle) => {
            Ok(P::Completed)
        }
        (P::Running, E::FailForNow) | (P::Retrying | P::Failed, E::Retry) => Ok(P::Retrying),
        (P::Running | P::Retrying | P::Waiting | P::Pending, E::FailForGood) => Ok(P::Failed),
        (P::Pending | P::Retrying | P::Waiting | P::Failed, E::Skip) => Ok(P::Skipped),
        (P::Completed | P::Failed | P::Compensating, E::Undo)
        | (P::Compensating | P::CompensationFailed, E::Retry) => Ok(P::Compensating),
        (P::Compensating, E::Undone) | (P::Compensating | P::CompensationFailed, E::Settle) => {
            Ok(P::Compensated)
        }
        (P::Compensating | P::Completed | P::Failed, E::UndoFailed) => Ok(P::CompensationFailed),
        (P::CompensationFailed, E::Skip) => Ok(P::CompensationSkipped),
        (
            P::Pending
            | P::Running
            | P::Retrying
            | P::Waiting
            | P::Completed
            | P::Skipped
            | P::Failed
            | P::Compensating
            | P::Compensated
            | P::CompensationFailed
            | P::CompensationSkipped,
            E::Start
            | E::Wait
            | E::Withdraw
            | E::Succeed
            | E::FailForNow
            | E::FailForGood
            | E::Undo
            | E::Undone
            | E::UndoFailed
            | E::Settle
            | E::Retry
            | E::Skip,
        ) => Err(Illegal { from, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::{StepEvent as E, *};
    use crate::api::phase::StepPhase as P;

    const EVENTS: [E; 12] = [
        E::Start,
        E::Wait,
        E::Withdraw,
        E::Succeed,
        E::FailForNow,
        E::FailForGood,
        E::Undo,
        E::Undone,
        E::UndoFailed,
        E::Settle,
        E::Retry,
        E::Skip,
    ];

    /// The whole table: one row for each phase in the order of [`P::ALL`], one column for each
    /// event in the order of [`EVENTS`].
    const TABLE: [[Option<P>; 12]; 11] = {
        const PENDING: Option<P> = Some(P::Pending);
        const RUNNING: Option<P> = Some(P::Running);
        const WAITING: Option<P> = Some(P::Waiting);
        const DONE: Option<P> = Some(P::Completed);
        const UNDONE: Option<P> = Some(P::Compensated);
        const AGAIN: Option<P> = Some(P::Retrying);
        const SKIPPED: Option<P> = Some(P::Skipped);
        const FAILED: Option<P> = Some(P::Failed);
        const UNDOING: Option<P> = Some(P::Compensating);
        const STUCK: Option<P> = Some(P::CompensationFailed);
        const LEFT: Option<P> = Some(P::CompensationSkipped);
        [
            [RUNNING, WAITING, None, None, None, FAILED, None, None, None, None, None, SKIPPED],
            [None, None, None, DONE, AGAIN, FAILED, None, None, None, None, None, None],
            [RUNNING, WAITING, None, None, None, FAILED, None, None, None, DONE, AGAIN, SKIPPED],
            [None, None, PENDING, DONE, None, FAILED, None, None, None, None, None, SKIPPED],
            [None, None, None, None, None, None, UNDOING, None, STUCK, None, None, None],
            [None; 12],
            [None, None, None, None, None, None, UNDOING, None, STUCK, DONE, AGAIN, SKIPPED],
            [None, None, None, None, None, None, UNDOING, UNDONE, STUCK, UNDONE, UNDOING, None],
            [None; 12],
            [None, None, None, None, None, None, None, None, None, UNDONE, UNDOING, LEFT],
            [None; 12],
        ]
    };

    #[test]
    fn every_phase_takes_the_events_of_the_table_and_no_other() {
        for (from, row) in P::ALL.into_iter().zip(TABLE) {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                assert_eq!(
                    next(from, event),
                    expected.ok_or(Illegal { from, event }),
                    "{from:?} {event:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_leads_back_to_a_phase_in_which_the_action_may_run_once_the_undoing_began() {
        let backward = P::ALL.into_iter().filter(|phase| phase.is_backward());
        for (from, event) in backward.flat_map(|from| EVENTS.map(|event| (from, event))) {
            assert!(next(from, event).map_or(true, P::is_backward), "{from:?} {event:?}");
        }
    }

    #[test]
    fn a_contradiction_says_what_met_what() {
        let illegal = next(P::Compensated, E::Start).map_err(|illegal| illegal.to_string());
        assert_eq!(illegal, Err("a step in phase Compensated cannot take Start".into()));
    }
}
