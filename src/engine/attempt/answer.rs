//! The meaning of the answer to an HTTP request for its step.
//!
//! # Guarantees
//! - A definite failure proves nothing about an earlier attempt. While the step is uncertain, a 409
//!   counts as Unknown, because a service that still works on the earlier attempt answers 409.
//! - The rules of a step are evaluated first. The first rule that holds decides. A rule that cannot
//!   be evaluated decides nothing, except that a 2xx may have been done. A rule cannot turn an
//!   answer that a gateway may have produced (408 or 5xx) into `Failed`, unless the rule reads the
//!   body.

use std::sync::Arc;

use super::{
    answer, exit_code,
    outputs::{self, with_outputs},
};
use crate::{
    api::{AnswerOutcome, Direction, StepStatus},
    engine::{planner::state::Planner, settlement::Settlement},
    expression::{
        scope::{Scope, ScopedAttempt},
        template::Template,
    },
    model::{
        observation::{Answer, End, Failure, Reached},
        saga::{Operation, Rule, ValidStep},
    },
    objects::http::verdict::{AnsweredAttempt, not_expected, said},
};

/// Returns the outcome of an attempt whose HTTP request was answered.
pub(in crate::engine) fn judge_answer(
    planner: &Planner<'_>,
    step: &ValidStep,
    status: &StepStatus,
    direction: Direction,
    answer: &Arc<Answer>,
) -> Settlement {
    let Some(operation) = step.operation(direction) else { return Settlement::succeeded() };
    let outputs = step.outputs.as_ref().filter(|_| direction == Direction::Action);
    let reads = operation.expect.is_some() || !operation.answers.is_empty() || outputs.is_some();
    let response = reads.then(|| answer.response());
    let acted = planner.values().acted(status).filter(|_| direction == Direction::Compensation);
    let scope = planner.values().scope(status, acted.as_ref(), response.as_ref());
    let (number, uncertain) =
        status.direction(direction).map_or((1, false), |record| (record.attempt, record.uncertain));
    let success = match ruled(
        &operation.answers,
        answer,
        &Scope { attempt: Some(ScopedAttempt { number, uncertain }), ..scope },
    ) {
        Some(Ruling::Ended(settlement)) => return *settlement,
        Some(Ruling::Succeeded) => true,
        None => match expected(operation, answer, &scope) {
            Ok(success) => success,
            Err(settlement) => return *settlement,
        },
    };
    if !success {
        return not_expected(answer, AnsweredAttempt { direction, uncertain }).into();
    }
    let read_body =
        |outputs: &Template| outputs.fields().iter().any(|field| field.expression.reads().body);
    if !answer.whole && outputs.is_some_and(read_body) {
        return broke_off(answer);
    }
    let outputs = outputs.map(|outputs| outputs.evaluate(&scope));
    outputs::settled_with(planner, &step.name, direction, outputs)
}

/// The ruling of a step's rules on an answer.
enum Ruling {
    Succeeded,
    Ended(Box<Settlement>),
}

/// Returns the ruling of the first rule that holds for the answer, or `None` if no rule decides.
fn ruled(rules: &[Rule], answer: &Answer, scope: &Scope<'_>) -> Option<Ruling> {
    let ended = |settlement| Some(Ruling::Ended(Box::new(settlement)));
    for Rule { when, outcome } in rules {
        let holds = if !answer.whole && when.reads().body {
            Err("reads a body that is incomplete or has more than 64 KiB".to_owned())
        } else {
            when.holds(scope)
        };
        match (holds, outcome) {
            // The 2xx means that the work may have been done, and no retry can tell whether it was.
            (Err(error), _) if answer.is_good() => {
                return ended(Settlement::unknown_for_good(format!(
                    "the service answered {}, and when {when:?} {error}",
                    answer.status
                )));
            }
            (Ok(false) | Err(_), _) => {}
            // A gateway may have produced this answer, and a gateway does not know what the service
            // did.
            (Ok(true), AnswerOutcome::Failed)
                if is_a_gateways(answer.status) && !when.reads().body => {}
            (Ok(true), AnswerOutcome::Succeeded) => return Some(Ruling::Succeeded),
            (Ok(true), AnswerOutcome::Failed) => {
                return ended(Settlement::failed(refused(answer)));
            }
            (Ok(true), AnswerOutcome::Retry) if !answer.is_good() => {
                return ended(Settlement::failed(not_processed(answer)));
            }
            (Ok(true), AnswerOutcome::Retry | AnswerOutcome::Unknown) => {
                return ended(Settlement::unknown(said(answer), answer.retry_after));
            }
        }
    }
    None
}

const fn is_a_gateways(status: u16) -> bool {
    matches!(status, 408 | 500..=599)
}

/// Returns the permanent failure of an answer that a rule calls `Failed`.
fn refused(answer: &Answer) -> Failure {
    Failure::new(Reached::Settled, said(answer)).permanent()
}

/// Returns the failure of an answer that a rule calls `Retry`: the next attempt may succeed.
fn not_processed(answer: &Answer) -> Failure {
    let retry_after = answer.retry_after;
    Failure { retry_after, ..Failure::new(Reached::Nothing, said(answer)) }
}

/// Decides by `expect`, or else by the status code, whether an answer is a success. Returns an
/// error if this cannot be decided.
fn expected(
    operation: &Operation,
    answer: &Answer,
    scope: &Scope<'_>,
) -> Result<bool, Box<Settlement>> {
    let good = answer.is_good();
    // Without `expect` the status code alone decides, even if the body is incomplete.
    let Some(expect) = &operation.expect else { return Ok(good) };
    if !answer.whole && expect.reads().body {
        return Err(Box::new(broke_off(answer)));
    }
    match expect.holds(scope) {
        Ok(holds) => Ok(holds),
        // The 2xx means that the work may have been done, and no retry can tell whether it was.
        Err(error) if good => Err(Box::new(Settlement::unknown_for_good(format!(
            "the service answered {}, and expect {error}",
            answer.status
        )))),
        Err(_) => Ok(false),
    }
}

/// Returns the Unknown outcome of an answer whose body is needed but is incomplete.
fn broke_off(answer: &Answer) -> Settlement {
    let message = format!(
        "the service answered {}, and the body is incomplete or has more than 64 KiB",
        answer.status
    );
    Settlement::unknown(message, answer.retry_after)
}

/// Returns the outcome of an attempt whose child ended.
pub(in crate::engine) fn judge_end(
    planner: &Planner<'_>,
    step: &ValidStep,
    status: &StepStatus,
    direction: Direction,
    end: &End,
) -> Settlement {
    match end {
        End::Succeeded(outputs) => {
            with_outputs(planner, &step.name, direction, Ok(outputs.clone()))
        }
        End::Answered(answer) => answer::judge_answer(planner, step, status, direction, answer),
        End::Failed(failure) => {
            let failure = failure.clone();
            Settlement::failed(match step.operation(direction) {
                Some(operation) => exit_code::judge_exit(operation, failure),
                None => failure,
            })
        }
        End::Unknown { .. } | End::UnknownForGood { .. } | End::CalledOff { .. } => {
            end.clone().into()
        }
    }
}
