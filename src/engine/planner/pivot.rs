//! The point of no return: past it a saga only goes forward.

use crate::{
    api::{SagaStatus, StepStatus},
    model::saga::{ValidSaga, ValidStep},
    mutants::{Twin, broken},
};

/// Whether a forward pass may not turn back: the pivot is done or skipped by request, or may be
/// done.
pub(crate) fn past_pivot(step: &ValidStep, status: &StepStatus) -> bool {
    let uncertain = status.action.as_ref().is_some_and(|record| record.uncertain)
        && !broken(Twin::PivotUncertain);
    step.pivot
        && !broken(Twin::Pivot)
        && ((status.phase.is_done() && !status.unwanted) || uncertain)
}

/// Whether the saga only goes forward by now.
pub(crate) fn past_return(saga: &ValidSaga, status: &SagaStatus) -> bool {
    saga.steps.iter().zip(&status.steps).any(|(step, status)| past_pivot(step, status))
}
