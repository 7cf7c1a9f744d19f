//! Questions about a status.

use super::{attempt::ActiveAttempt, saga::SagaStatus};
use crate::api::{Direction, SagaPhase, names::AttemptId};

pub(crate) fn is_terminal(status: &SagaStatus) -> bool {
    status.phase.is_some_and(SagaPhase::is_terminal)
}

/// Returns the attempts that a status names as active, with their intents.
pub fn active_attempts(status: &SagaStatus) -> impl Iterator<Item = (AttemptId, &ActiveAttempt)> {
    status.steps.iter().flat_map(|step| {
        [(Direction::Action, &step.action), (Direction::Compensation, &step.compensation)]
            .into_iter()
            .filter_map(|(direction, record)| {
                let record = record.as_ref()?;
                let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
                Some((id, record.active.as_ref()?))
            })
    })
}

/// Returns the reason for which a saga is stalled.
pub(crate) fn stalled_reason(status: &SagaStatus) -> Option<&str> {
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled" && condition.status == "True")?;
    Some(&stalled.reason)
}
