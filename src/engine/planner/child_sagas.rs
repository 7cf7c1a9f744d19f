//! The child sagas that a saga has or left behind.

use super::{pivot::past_return, state::is_active};
use crate::{
    api::{
        ChildStatus, DeletionPolicy, Direction, SagaPhase, SagaStatus, StepStatus,
        names::AttemptId, status::is_terminal,
    },
    model::saga::{ValidSaga, ValidStep, Work},
};

/// The children of a deleted saga that goes as it is which no attempt follows any more, although
/// they may not have ended: an undo that was given up leaves such a one. Each with the attempt that
/// made it. `policy`: what the spec asks for on deletion.
#[must_use]
pub fn left_behind<'s>(
    saga: &ValidSaga,
    status: &'s SagaStatus,
    policy: DeletionPolicy,
) -> Vec<(AttemptId, &'s ChildStatus)> {
    if is_terminal(status) || (policy != DeletionPolicy::Abandon && !past_return(saga, status)) {
        return Vec::new();
    }
    let child = |known: &'s StepStatus| {
        // A child that is Completed may have been asked to undo itself since.
        let ended = |child: &&ChildStatus| {
            matches!(child.phase, Some(SagaPhase::Compensated | SagaPhase::Cancelled))
        };
        let child = known.child.as_ref().filter(|child| !ended(child))?;
        let step = saga.steps.iter().find(|step| step.name == known.name)?;
        let undo =
            known.compensation.as_ref().filter(|_| carries_a_child(step, Direction::Compensation));
        let made_by = undo.map_or_else(
            || made_by(known),
            |undo| AttemptId {
                step: known.name.clone(),
                direction: Direction::Compensation,
                number: undo.attempt,
            },
        );
        Some((made_by, child))
    };
    status.steps.iter().filter(|known| !is_active(known)).filter_map(child).collect()
}

pub(crate) fn carries_a_child(step: &ValidStep, direction: Direction) -> bool {
    step.operation(direction).is_some_and(|operation| matches!(operation.work, Work::Saga(_)))
}

/// The attempt that made the child which a compensation undoes: the newest one of the step's
/// action.
#[must_use]
pub fn made_by(status: &StepStatus) -> AttemptId {
    let number = status.action.as_ref().map_or(1, |action| action.attempt);
    AttemptId { step: status.name.clone(), direction: Direction::Action, number }
}
