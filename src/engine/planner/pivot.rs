//! The pivot: a saga that is past its pivot only goes forward.

use crate::{
    api::{SagaStatus, StepStatus},
    engine::rules,
    model::saga::{ValidSaga, ValidStep},
};

/// Returns whether this step is a passed pivot: the pivot is done, skipped by request, or may be
/// done. A pivot whose `when` is false does not count.
pub(in crate::engine) fn past_pivot(step: &ValidStep, status: &StepStatus) -> bool {
    let uncertain = status.action.as_ref().is_some_and(|record| record.uncertain);
    rules::forbids_undo(step.pivot, rules::is_passed(status.phase, status.unwanted, uncertain))
}

/// Returns whether the saga can only go forward, because one of its pivots is passed.
pub(in crate::engine) fn past_return(saga: &ValidSaga, status: &SagaStatus) -> bool {
    saga.steps.iter().zip(&status.steps).any(|(step, status)| past_pivot(step, status))
}
