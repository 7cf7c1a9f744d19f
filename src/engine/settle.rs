//! Settles attempts: from what was seen of a child to an outcome in the status.
//!
//! # Guarantees
//! An attempt settles once. A child that should exist and does not is `Unknown`, unless it is certain that nothing was ever begun.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    backoff,
    clock::{between, later, to_micros},
    effect::Effect,
    observed::{Absence, ChildState, Failure, Reached},
    pass::Pass,
    saga::{Operation, ValidStep, Work},
    step::StepEvent,
};
use crate::{
    api::{ActiveAttempt, AttemptRecord, Direction, DirectionStatus, Outcome, StepStatus, names::AttemptId},
    twins::{Twin, broken},
};

/// A child that lives this long gets its UID written to the status.
const NOTED_AFTER: Duration = Duration::from_secs(2);
/// After this long nobody creates a child whose first creation may have been answered to nobody.
const CREATED_WITHIN: Duration = Duration::from_secs(30);
/// A request ends itself at its limit; only one that did not is stopped from outside.
const REQUEST_SLACK: Duration = Duration::from_secs(2);
/// How often a child that is being stopped is looked at.
const STOP_POLL: Duration = Duration::from_secs(5);
/// Disruptions that cost no attempt.
const FREE_DISRUPTIONS: i64 = 5;
/// Settled attempts that are kept.
const KEPT_ATTEMPTS: usize = 5;
/// The longest message that is kept of an attempt, in characters.
const KEPT_MESSAGE: usize = 400;

enum Verdict {
    Wait,
    Begin,
    Stop,
    Settled(Settlement),
}

struct Settlement {
    outcome: Outcome,
    failure: Option<Failure>,
    retry_after: Option<Duration>,
    message: Option<String>,
}

impl Settlement {
    fn unknown(message: impl Into<String>, retry_after: Option<Duration>) -> Verdict {
        Verdict::Settled(Self { outcome: Outcome::Unknown, failure: None, retry_after, message: Some(message.into()) })
    }

    fn failed(failure: Failure) -> Verdict {
        let (retry_after, message) = (failure.retry_after, Some(failure.message.clone()));
        Verdict::Settled(Self { outcome: Outcome::Failed, failure: Some(failure), retry_after, message })
    }

    fn never_begun(message: impl Into<String>) -> Verdict {
        let message = message.into();
        Self::failed(Failure { reached: Reached::Nothing, last: false, disrupted: false, retry_after: None, message })
    }
}

impl<'a> Pass<'a> {
    /// Looks at every active attempt.
    pub(super) fn settle_all(&mut self) {
        self.each_step(|pass, place, step, status| {
            for direction in [Direction::Action, Direction::Compensation] {
                pass.settle(place, step, status, direction);
            }
        });
    }

    fn settle(&mut self, place: usize, step: &'a ValidStep, status: &mut StepStatus, direction: Direction) {
        let Some(operation) = step.operation(direction) else { return };
        let Some(record) = status.direction(direction).cloned() else { return };
        let Some(active) = record.active.clone() else { return };
        let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
        match self.judge(operation, &record, &active, &id, status) {
            Verdict::Begin if self.seen.draining || !self.take_room(operation) => {}
            Verdict::Wait => {}
            Verdict::Begin => {
                let identity = self.identity(&step.name, direction, &record);
                let limit = self.limit(operation, &record);
                self.wake_at(limit);
                self.begin_effect(identity, place, limit);
            }
            Verdict::Stop => {
                self.effects.push(Effect::Stop(id));
                self.wake_at(later(self.seen.now, STOP_POLL));
            }
            Verdict::Settled(settlement) => self.apply(operation, &active, &id, status, settlement),
        }
    }

    fn judge(
        &mut self,
        operation: &Operation,
        record: &DirectionStatus,
        active: &ActiveAttempt,
        id: &AttemptId,
        status: &mut StepStatus,
    ) -> Verdict {
        let in_process = matches!(operation.work, Work::Http(_));
        let limit = self.limit(operation, record);
        let stop = later(limit, if in_process { REQUEST_SLACK } else { Duration::ZERO });
        let overdue = self.seen.now >= limit;
        match self.seen.children.get(id) {
            Some(ChildState::Succeeded) => {
                Verdict::Settled(Settlement { outcome: Outcome::Succeeded, failure: None, retry_after: None, message: None })
            }
            Some(ChildState::Failed(failure)) => Settlement::failed(failure.clone()),
            Some(ChildState::Unknown { message, retry_after }) => Settlement::unknown(message, *retry_after),
            Some(ChildState::Elsewhere { look_again_in }) => {
                self.wake_at(later(self.seen.now, *look_again_in));
                Verdict::Wait
            }
            Some(ChildState::Active { .. }) if self.seen.now >= stop => Verdict::Stop,
            Some(ChildState::Active { uid, age, detail }) => {
                self.note_child(status, id.direction, uid.as_ref(), *age, detail);
                self.wake_at(stop);
                Verdict::Wait
            }
            Some(ChildState::Refused { message, .. }) if overdue => {
                Settlement::never_begun(format!("not created within its time: {message}"))
            }
            Some(ChildState::Refused { message, retry_in }) => {
                status.message = Some(clip(message, KEPT_MESSAGE));
                self.wake_at(later(self.seen.now, *retry_in).min(limit));
                Verdict::Wait
            }
            Some(ChildState::Absent(absence)) => self.judge_absent(in_process, active, *absence, overdue),
            None => {
                self.wake_at(later(self.seen.now, STOP_POLL));
                Verdict::Wait
            }
        }
    }

    /// The rule of a child that is not there: a child that was ever there is lost; one that nobody can have created is created; all
    /// else is unknown, since an answer to its creation may have been lost.
    fn judge_absent(&self, in_process: bool, active: &ActiveAttempt, absence: Absence, overdue: bool) -> Verdict {
        let Absence { seen, refused, known_for } = absence;
        if seen || active.child_uid.is_some() {
            return Settlement::unknown("its Pod vanished before its end was seen", None);
        }
        // A request that this process does not know of was never sent: only this process may send it.
        let certain = in_process || refused;
        let young = between(active.started_at.0, self.seen.now) < CREATED_WITHIN && known_for < CREATED_WITHIN;
        match (certain || young, overdue) {
            (true, false) => Verdict::Begin,
            (true, true) if certain => Settlement::never_begun("not begun within its time"),
            (true, true) | (false, _) => Settlement::unknown("nobody can tell whether its Pod was created", None),
        }
    }

    /// Writes the UID of a child that lives for two seconds, with what it waits for.
    fn note_child(&mut self, status: &mut StepStatus, direction: Direction, uid: Option<&String>, age: Duration, detail: &str) {
        let Some(uid) = uid else { return };
        let Some(active) = &mut status.direction_mut(direction).active else { return };
        if active.child_uid.is_some() {
            return;
        }
        if age < NOTED_AFTER {
            let wait = NOTED_AFTER.saturating_sub(age);
            self.wake_at(later(self.seen.now, wait));
            return;
        }
        active.child_uid = Some(uid.clone());
        status.message = Some(clip(detail, KEPT_MESSAGE));
    }

    fn apply(&mut self, operation: &Operation, active: &ActiveAttempt, id: &AttemptId, status: &mut StepStatus, settlement: Settlement) {
        let Settlement { outcome, failure, retry_after, message } = settlement;
        let message = message.map(|message| clip(&message, KEPT_MESSAGE));
        let sequence = self.status.settled.unwrap_or_default().saturating_add(1);
        self.status.settled = Some(sequence);
        self.settled(operation, id.direction, outcome, between(active.started_at.0, self.seen.now));
        let record = status.direction_mut(id.direction);
        record.active = None;
        record.sequence = Some(sequence);
        record.last_outcome = Some(outcome);
        count(record, outcome, failure.as_ref());
        record.attempts.push(AttemptRecord {
            attempt: id.number,
            outcome,
            started_at: active.started_at.clone(),
            settled_at: MicroTime(self.seen.now),
            message: message.clone(),
        });
        let surplus = record.attempts.len().saturating_sub(KEPT_ATTEMPTS);
        record.attempts.drain(..surplus);
        if outcome == Outcome::Succeeded {
            self.succeed(status, id.direction);
            return;
        }
        let message = message.unwrap_or_default();
        let last = failure.is_some_and(|failure| failure.last);
        let next = if last { Err(String::new()) } else { self.next_attempt(operation, status, id, retry_after) };
        match next {
            Ok(next) => {
                status.message = Some(format!("attempt {} {}: {message}", id.number, verb(outcome)));
                status.next_attempt_at = Some(MicroTime(next));
                self.move_step(status, if id.direction == Direction::Action { StepEvent::FailForNow } else { StepEvent::Undo });
            }
            Err(why) => {
                status.message = Some(format!("attempt {} {}: {message}{why}", id.number, verb(outcome)));
                status.next_attempt_at = None;
                self.give_up(status, id.direction);
            }
        }
    }

    fn succeed(&mut self, status: &mut StepStatus, direction: Direction) {
        status.message = None;
        status.next_attempt_at = None;
        status.retry_requested = false;
        match direction {
            Direction::Action => {
                status.completed_at = Some(MicroTime(self.seen.now));
                self.move_step(status, StepEvent::Succeed);
            }
            Direction::Compensation => self.move_step(status, StepEvent::Undone),
        }
    }

    /// When the next attempt begins, or why there is none.
    fn next_attempt(
        &self,
        operation: &Operation,
        status: &StepStatus,
        id: &AttemptId,
        retry_after: Option<Duration>,
    ) -> Result<jiff::Timestamp, String> {
        let Some(record) = status.direction(id.direction) else { return Err(String::new()) };
        if record.budget_used >= i64::from(operation.retry.max_attempts) {
            let used = record.budget_used;
            return Err(if used > 1 { format!(" (no attempt is left of {used})") } else { String::new() });
        }
        let nth = u32::try_from(record.budget_used.max(1)).unwrap_or(u32::MAX);
        let delay = backoff::delay(&operation.retry, nth, backoff::fraction(&self.saga.uid, id)).max(retry_after.unwrap_or_default());
        if self.budget_left(operation, record).is_some_and(|left| delay >= left) {
            return Err(" (its retry deadline would pass before the next attempt)".into());
        }
        // Jitter makes nanoseconds, which a stored instant cannot hold.
        Ok(to_micros(later(self.seen.now, delay)))
    }
}

/// Counts a settled attempt: the key moves after a definite no and only then.
fn count(record: &mut DirectionStatus, outcome: Outcome, failure: Option<&Failure>) {
    match (outcome, failure) {
        (Outcome::Failed, Some(failure)) => {
            record.begun |= failure.reached != Reached::Nothing;
            if failure.reached == Reached::Answer {
                record.failures = record.failures.saturating_add(1);
                record.uncertain = false;
                record.request_hash = None;
            }
            if failure.disrupted && record.disruptions < FREE_DISRUPTIONS {
                record.disruptions = record.disruptions.saturating_add(1);
                record.budget_used = record.budget_used.saturating_sub(1).max(0);
            }
        }
        (Outcome::Succeeded, _) => {
            record.begun = true;
            record.uncertain = false;
        }
        (Outcome::Unknown | Outcome::Failed, _) => {
            record.begun = true;
            record.uncertain = true;
            if broken(Twin::Key) {
                record.failures = record.failures.saturating_add(1);
            }
        }
    }
}

const fn verb(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Unknown => "may have happened",
    }
}

/// At most so many characters in one line, with a sign where something is missing.
pub(super) fn clip(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}
