//! Judges what people ask for, and does what is allowed.
//!
//! # Guarantees
//! A list of steps is all or nothing. A refusal changes nothing and says what is allowed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    allowed, inbox,
    pass::{Pass, is_active, past_pivot},
    settle::clip,
    step::StepEvent,
};
use crate::api::{Asked, Direction, RequestAction, RequestResult, SagaPhase, StepPhase, StepStatus, Wish};

/// The most characters of a reason that is kept.
const MAX_REASON: usize = 200;

impl Pass<'_> {
    /// Handles what people ask for. Returns whether anything was accepted.
    pub(super) fn answer_requests(&mut self) -> bool {
        let inbox = inbox::sort(self.seen, &self.status);
        let mut status = std::mem::take(&mut self.status);
        let (effects, tally) = inbox.answer(self.seen, &mut status, |status, asked| {
            std::mem::swap(&mut self.status, status);
            let answer = self.grant(asked);
            std::mem::swap(&mut self.status, status);
            match answer {
                Ok(message) => (RequestResult::Accepted, message),
                Err(message) => (RequestResult::Refused, message),
            }
        });
        self.status = status;
        self.effects.extend(effects);
        let accepted = tally.iter().any(|(_, result)| *result == RequestResult::Accepted);
        self.tally.requests.extend(tally);
        accepted
    }

    /// What was done, or why nothing was.
    fn grant(&mut self, asked: &Asked) -> Result<String, String> {
        let wish = asked.wish()?;
        let (action, phase) = (asked.action, self.status.phase.unwrap_or(SagaPhase::Pending));
        let phases = allowed::in_saga_phases(action);
        if !phases.contains(&phase) {
            let allowed = words(phases.iter().map(|phase| phase.as_str()));
            return Err(format!("the saga is {}: {action} is allowed while it is {allowed}", phase.as_str()));
        }
        match wish {
            Wish::Undo(reason) => self.ask_to_undo(&reason),
            Wish::Steps(_) | Wish::EveryStep if action == RequestAction::Retry => {
                let (most, used) = (self.saga.max_retry_requests, self.status.retry_requests);
                if used >= most {
                    return Err(format!("{used} retry requests were accepted, as many as spec.maxRetryRequests allows: raise it first"));
                }
                let names = self.chosen(action, &wish)?;
                self.status.retry_requests = used.saturating_add(1);
                self.change_steps(&names, Self::retry);
                let suspended = self.saga.suspend && !self.seen.deleting;
                let when = if suspended { "as soon as spec.suspend is false" } else { "now" };
                Ok(format!("{} {when}, with a fresh budget", are(&names, "tried again")))
            }
            Wish::Steps(_) | Wish::EveryStep => {
                let names = self.chosen(action, &wish)?;
                let backward = self.is_backward();
                self.change_steps(&names, Self::skip);
                let result = if backward { "not undone and stays in effect" } else { "skipped and counts as done" };
                Ok(are(&names, result))
            }
        }
    }

    /// Whether the saga is being undone, or will be as soon as what is active has settled.
    fn is_backward(&self) -> bool {
        let undoing = matches!(self.status.phase, Some(SagaPhase::Compensating | SagaPhase::CompensationFailed));
        undoing || self.seen.deleting || self.status.compensation_requested.is_some()
    }

    fn ask_to_undo(&mut self, reason: &str) -> Result<String, String> {
        if self.seen.deleting {
            return Err("the saga is being deleted: an unfinished one is undone without being asked, a finished one no more".into());
        }
        if self.status.compensation_requested.is_some() {
            return Err("it is undone already, at an earlier request: what is active settles first".into());
        }
        let pivots = self.saga.steps.iter().zip(&self.status.steps).filter(|(step, status)| past_pivot(step, status));
        let pivots: Vec<_> = pivots.map(|(step, _)| step.name.as_str()).collect();
        if !pivots.is_empty() {
            return Err(format!("the pivot {} is passed, or may be: nothing can be undone any more", words(pivots.into_iter())));
        }
        // Only a saga that ended gets here with a changed spec.
        if self.status.spec_hash.as_ref().is_some_and(|pinned| pinned != self.seen.spec_hash) {
            return Err("steps, params or idempotencyPrefix are not what was accepted: restore the spec first".into());
        }
        self.status.compensation_requested = Some(clip(reason, MAX_REASON));
        Ok("what is active settles, then what was done is undone".into())
    }

    /// The steps that the request means, if it is allowed for all of them.
    fn chosen(&self, action: RequestAction, wish: &Wish) -> Result<Vec<String>, String> {
        let backward = self.is_backward();
        let phases = allowed::in_step_phases(action, backward);
        let may = |status: &StepStatus| phases.contains(&status.phase) && !is_active(status);
        let able: Vec<_> = self.status.steps.iter().filter(|status| may(status)).map(|status| status.name.clone()).collect();
        let allowed = || {
            let way = if backward { "while the saga is being undone, " } else { "" };
            let now = if able.is_empty() { "none is now".into() } else { format!("now {}", words(able.iter().map(String::as_str))) };
            format!("{way}{action} is allowed for steps that are {}: {now}", words(phases.iter().map(|phase| phase.as_str())))
        };
        let Wish::Steps(names) = wish else {
            return if able.is_empty() { Err(allowed()) } else { Ok(able) };
        };
        for name in names {
            let Some(status) = self.status.steps.iter().find(|status| status.name == *name) else {
                return Err(format!("the saga has no step {name}; {}", allowed()));
            };
            if !may(status) {
                let active = if is_active(status) { " and has an attempt under way" } else { "" };
                return Err(format!("step {name} is {}{active}; {}", status.phase.as_str(), allowed()));
            }
        }
        Ok(names.clone())
    }

    fn change_steps(&mut self, names: &[String], change: impl Fn(&mut Self, &mut StepStatus)) {
        self.each_step(|pass, _, _, status| {
            if names.contains(&status.name) {
                change(pass, status);
            }
        });
    }

    /// A fresh budget, now. The numbers of attempts and the idempotency key go on.
    fn retry(&mut self, status: &mut StepStatus) {
        let direction = if status.phase.is_backward() { Direction::Compensation } else { Direction::Action };
        self.move_step(status, StepEvent::Retry);
        status.retry_requested = direction == Direction::Action;
        if direction == Direction::Action {
            status.completed_at = None;
        }
        status.next_attempt_at = Some(MicroTime(self.seen.now));
        let record = status.direction_mut(direction);
        record.budget_used = 0;
        record.budget_started_at = None;
    }

    fn skip(&mut self, status: &mut StepStatus) {
        let forward = !status.phase.is_backward();
        self.move_step(status, StepEvent::Skip);
        status.retry_requested = false;
        status.next_attempt_at = None;
        let why = status.message.take();
        status.message = Some(why.map_or_else(|| "skipped by request".into(), |why| format!("skipped by request, after {why}")));
        if forward && status.phase == StepPhase::Skipped {
            status.completed_at = Some(MicroTime(self.seen.now));
        }
    }
}

fn are(names: &[String], what: &str) -> String {
    let (steps, are) = if names.len() == 1 { ("step", "is") } else { ("steps", "are") };
    format!("{steps} {} {are} {what}", words(names.iter().map(String::as_str)))
}

/// `a, b and c`
fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
