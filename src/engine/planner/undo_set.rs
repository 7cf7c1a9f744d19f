//! Which steps have done something, and which of them are to be undone.

use super::state::Pass;
use crate::{
    api::{DirectionStatus, SagaPhase, StepPhase, StepStatus},
    model::{graph::StepSet, saga::ValidStep},
    mutants::{Twin, broken},
};

/// Whether the saga is being undone, or will be as soon as what is active has settled.
pub(crate) fn is_backward(pass: &Pass<'_>) -> bool {
    is_undoing(pass) || pass.seen.deleting || pass.status.compensation_requested.is_some()
}

/// The steps of the undo set of a pass.
pub(crate) fn undo_set(pass: &Pass<'_>) -> StepSet {
    pass.steps_where(in_undo_set)
}

/// Whether a step did, or may have done, something that is to be undone or was.
pub(crate) fn in_undo_set(step: &ValidStep, status: &StepStatus) -> bool {
    let Some(action) = &status.action else { return false };
    match status.phase {
        StepPhase::Completed
        | StepPhase::Compensating
        | StepPhase::Compensated
        | StepPhase::CompensationFailed
        | StepPhase::CompensationSkipped => true,
        StepPhase::Failed | StepPhase::Retrying => may_have_acted(step, action),
        StepPhase::Skipped => broken(Twin::UndoSkipped),
        StepPhase::Pending | StepPhase::Running | StepPhase::Waiting => false,
    }
}

/// Whether an action that is not done may have done something.
pub(crate) fn may_have_acted(step: &ValidStep, action: &DirectionStatus) -> bool {
    action.uncertain || (step.compensate_failed && action.begun && !broken(Twin::HalfDone))
}

/// Whether a step did, or may have done, something that is not undone. A skipped step is never
/// undone.
pub(crate) fn is_in_effect(step: &ValidStep, status: &StepStatus) -> bool {
    if step.leaves_nothing() {
        return false;
    }
    let skipped = status.phase == StepPhase::Skipped
        && status.action.as_ref().is_some_and(|action| may_have_acted(step, action));
    skipped || (status.phase != StepPhase::Compensated && in_undo_set(step, status))
}

/// Whether nothing more is to be done about a step of the undo set.
pub(crate) fn is_undone(step: &ValidStep, status: &StepStatus) -> bool {
    (status.phase == StepPhase::CompensationFailed && broken(Twin::Stuck))
        || matches!(status.phase, StepPhase::Compensated | StepPhase::CompensationSkipped)
        || step.compensation.is_none()
}

/// Whether the saga was being undone already when it was looked at.
pub(crate) const fn is_undoing(pass: &Pass<'_>) -> bool {
    matches!(pass.status.phase, Some(SagaPhase::Compensating | SagaPhase::CompensationFailed))
}
