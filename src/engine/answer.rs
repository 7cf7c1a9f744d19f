//! What the answer to a request means to its step.
//!
//! # Guarantees
//! A no proves nothing about an earlier attempt: while that is uncertain, 409 is what a service says that is still at work on it.

use std::sync::Arc;

use super::{expression::Template, observed::Answer, pass::Pass, saga::ValidStep, settle::Settlement};
use crate::{
    api::{Direction, StepStatus},
    objects::http_verdict::not_expected,
};

impl Pass<'_> {
    /// What an answer means.
    pub(super) fn judge_answer(&self, step: &ValidStep, status: &StepStatus, direction: Direction, answer: &Arc<Answer>) -> Settlement {
        let Some(operation) = step.operation(direction) else { return Settlement::succeeded() };
        let outputs = step.outputs.as_ref().filter(|_| direction == Direction::Action);
        let reads = operation.expect.is_some() || outputs.is_some();
        let response = reads.then(|| answer.response());
        let acted = self.values().acted(status).filter(|_| direction == Direction::Compensation);
        let scope = self.values().scope(status, acted.as_ref(), response.as_ref());
        let good = answer.is_good();
        let success = match operation.expect.as_ref() {
            // A no is a no however much of its body came.
            None => good,
            Some(expect) if !answer.whole && expect.reads().body => return broke_off(answer),
            Some(expect) => match expect.holds(&scope) {
                Ok(holds) => holds,
                // It may well have been done; only nobody can tell.
                Err(error) if good => return Settlement::unknown_for_good(format!("it answered {}, and expect {error}", answer.status)),
                Err(_) => false,
            },
        };
        if !success {
            let uncertain = status.direction(direction).is_some_and(|record| record.uncertain);
            return Settlement::of_end(not_expected(answer, direction, uncertain));
        }
        let read_body = |outputs: &Template| outputs.fields().iter().any(|field| field.expression.reads().body);
        if !answer.whole && outputs.is_some_and(read_body) {
            return broke_off(answer);
        }
        self.settled_with(direction, outputs.map(|outputs| outputs.evaluate(&scope)))
    }
}

/// What an answer means whose body would have to be read to tell, and did not come whole.
fn broke_off(answer: &Answer) -> Settlement {
    let message = format!("it answered {}, and the body broke off or has more than 64 KiB", answer.status);
    Settlement::unknown(message, answer.retry_after)
}
