//! The steps that have acted, and those of them that are to be undone.

use super::state::Planner;
use crate::{
    api::{SagaPhase, StepPhase, StepStatus},
    engine::rules,
    model::{graph::StepSet, saga::ValidStep},
};

/// Returns whether the saga is being undone, or will be undone when its active attempts have
/// settled.
pub(in crate::engine) fn is_backward(planner: &Planner<'_>) -> bool {
    is_undoing(planner)
        || planner.input.stored.deleting
        || planner.status.compensation_requested.is_some()
}

/// Returns the steps of the undo set.
pub(in crate::engine) fn undo_set(planner: &Planner<'_>) -> StepSet {
    planner.steps_where(in_undo_set)
}

/// Returns whether a step belongs to the undo set: it did, or may have done, something that is to
/// be undone or was undone.
pub(in crate::engine) fn in_undo_set(step: &ValidStep, status: &StepStatus) -> bool {
    let Some(action) = &status.action else { return false };
    rules::is_to_be_undone(status.phase, rules::may_have_acted(step, action))
}

/// Returns whether a step is in effect: it did, or may have done, something that is not undone. A
/// skipped step that may have acted stays in effect, because a skipped step is never undone.
pub(in crate::engine) fn is_in_effect(step: &ValidStep, status: &StepStatus) -> bool {
    if step.leaves_nothing() {
        return false;
    }
    let skipped = status.phase == StepPhase::Skipped
        && status.action.as_ref().is_some_and(|action| rules::may_have_acted(step, action));
    skipped || (status.phase != StepPhase::Compensated && in_undo_set(step, status))
}

/// Returns whether nothing more is to be done for a step of the undo set.
pub(in crate::engine) fn is_undone(step: &ValidStep, status: &StepStatus) -> bool {
    rules::counts_as_undone(status.phase) || step.compensation.is_none()
}

/// Returns whether the saga was already being undone at the start of this reconcile.
pub(in crate::engine) const fn is_undoing(planner: &Planner<'_>) -> bool {
    matches!(planner.status.phase, Some(SagaPhase::Compensating | SagaPhase::CompensationFailed))
}
