//! The child sagas of a saga, including those that no attempt follows any more.

use super::{pivot::past_return, state::is_active};
use crate::{
    api::{
        ChildStatus, DeletionPolicy, Direction, SagaPhase, SagaStatus, StepStatus,
        names::AttemptId, status::is_terminal,
    },
    model::saga::{ValidSaga, ValidStep, Work},
};

/// Returns the children that a deleted saga leaves behind: no attempt follows them, and they may
/// not have ended. The result is empty unless the saga is to be deleted without an undo. A
/// compensation that failed permanently leaves such a child. Each child is paired with the attempt
/// that created it. `policy`: the deletion policy in the spec.
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
        // A Completed child may have been asked to compensate in the meantime.
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

pub(in crate::engine) fn carries_a_child(step: &ValidStep, direction: Direction) -> bool {
    step.operation(direction).is_some_and(|operation| matches!(operation.work, Work::Saga(_)))
}

/// Returns the attempt that created the child which a compensation undoes: the newest attempt of
/// the step's action.
#[must_use]
pub fn made_by(status: &StepStatus) -> AttemptId {
    let number = status.action.as_ref().map_or(1, |action| action.attempt);
    AttemptId { step: status.name.clone(), direction: Direction::Action, number }
}
