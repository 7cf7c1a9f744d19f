//! The transition table of a step, and nothing else.

use crate::api::StepPhase;

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
    /// An attempt of the action begins.
    Start,
    /// The step waits from now on, for a person or an instant.
    Wait,
    /// The saga turns back, or ends, before what the step waits for.
    Withdraw,
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
    /// A person knows that the action, or the compensation, was done.
    Settle,
    /// A person asks for another try, forward or backward.
    Retry,
    /// A person asks to go on without the action, or without the compensation.
    Skip,
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

    /// The whole table: a row for each phase in the order of [`P::ALL`], a column for each event in
    /// the order of [`EVENTS`].
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
