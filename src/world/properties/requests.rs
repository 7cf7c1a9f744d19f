//! What must hold of the answers to requests, in a status that was just written.

use super::must::must;
use crate::{
    api::{
        Direction, RequestAction, RequestRecord, RequestResult, SagaPhase, SagaStatus, StepPhase,
        StepStatus,
    },
    model::saga::ValidSaga,
    world::state::{
        property::{Property, Violation},
        user::UserMove,
        world::World,
    },
};

/// Checks that each request is answered once, and that an accepted request takes effect.
pub(super) fn requests(
    world: &World,
    old: &SagaStatus,
    new: &SagaStatus,
    saga: &ValidSaga,
    violations: &mut Vec<Violation>,
) {
    let made = world.asked().iter().filter(|ask| matches!(ask, UserMove::Request(..))).count();
    let answered = new.requests.len();
    must(violations, answered <= made, Property::AnsweredOnce, || {
        format!("{answered} requests are answered, and {made} were made")
    });
    let most = saga.max_retry_requests;
    must(violations, new.retry_requests <= most, Property::AnsweredOnce, || {
        format!("more than {most} retry requests are accepted")
    });
    let last = old.requests.last().map_or(0, |record| record.number);
    let followed_by = |since: i64, action: RequestAction| {
        let follows = |record: &RequestRecord| {
            record.action == action && record.result == RequestResult::Accepted
        };
        new.requests.iter().any(|record| record.number > since && follows(record))
    };
    for record in new
        .requests
        .iter()
        .filter(|record| record.number > last && record.result == RequestResult::Accepted)
    {
        let named =
            |step: &&StepStatus| record.value.split(['@', '=']).next() == Some(step.name.as_str());
        let is = |wanted: &[StepPhase]| {
            new.steps.iter().find(named).is_some_and(|step| wanted.contains(&step.phase))
        };
        let done = match record.action {
            RequestAction::Cancel => new.cancel_requested.is_some(),
            // A saga that ends or is resumed in the same write is no longer paused.
            RequestAction::Pause => {
                new.paused.is_some()
                    || new.phase.is_some_and(SagaPhase::is_terminal)
                    || followed_by(record.number, RequestAction::Resume)
            }
            RequestAction::Resume => new.paused.is_none(),
            // A retry in the same write may start a rejected approval again.
            RequestAction::Reject => {
                !is(&[StepPhase::Completed, StepPhase::Waiting])
                    || followed_by(record.number, RequestAction::Retry)
            }
            RequestAction::Approve => !is(&[StepPhase::Failed, StepPhase::Waiting]),
            RequestAction::Settle => {
                new.steps.iter().find(named).is_some_and(|step| !is_uncertain(step))
            }
            RequestAction::Skip => is(&[StepPhase::Skipped, StepPhase::CompensationSkipped]),
            RequestAction::Retry => new.retry_requests > old.retry_requests,
            RequestAction::Compensate => new.compensation_requested.is_some(),
        };
        must(violations, done, Property::AnsweredOnce, || {
            format!("{} is accepted, and has no effect", record.action)
        });
    }
}

fn is_uncertain(step: &StepStatus) -> bool {
    let direction =
        if step.phase.is_backward() { Direction::Compensation } else { Direction::Action };
    step.direction(direction).is_some_and(|record| record.uncertain)
}
