//! One pass over one saga: the status as it becomes, and what is wanted done.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    gate::Crowded,
    step::{self, Illegal, StepEvent},
    summary, word,
};
use crate::{
    api::{
        ActiveAttempt, Direction, DirectionStatus, SagaStatus, StepPhase, StepStatus,
        names::{AttemptId, idempotency_key},
    },
    clock::{between, later, to_micros},
    model::{
        graph::{Graph, StepSet},
        input::{Gate, Seen},
        origin,
        plan::{Effect, Notice, SettledAttempt, Tally},
        saga::{Identity, Operation, ValidSaga, ValidStep, Work},
    },
    mutants::{Twin, broken},
    objects::http,
};

/// Where a saga stands after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Steps run, wait, or may not start because the saga is suspended.
    Forward,
    /// A step failed for good, or the saga is deleted; what is active settles first.
    Settling,
    /// A step failed for good and a person decides. `past_pivot`: although compensation is asked
    /// for.
    Held { past_pivot: bool },
    /// What was done is being undone.
    Undoing,
    /// Nothing more can be undone without a person.
    UndoFailed,
    /// Everything is undone that can be.
    Undone,
    /// A person cancelled the saga; what is active is being stopped. `undoing`: while it was being
    /// undone.
    Cancelling { undoing: bool },
    /// Nothing is active any more, and nothing more is undone.
    Cancelled,
    /// Every step is done.
    Done,
}

pub(super) struct Pass<'a> {
    pub(super) saga: &'a ValidSaga,
    pub(super) graph: Graph,
    pub(super) seen: &'a Seen<'a>,
    pub(super) status: SagaStatus,
    pub(super) effects: Vec<Effect>,
    pub(super) wake: Option<Timestamp>,
    pub(super) tally: Tally,
    /// How many requests may still begin, where that is limited.
    pub(super) room: BTreeMap<String, usize>,
    /// How many requests may still begin where a circuit is not closed.
    pub(super) gates: BTreeMap<origin::Origin, Gate>,
    /// The steps that would begin if their hosts took more requests.
    pub(super) crowded: Vec<Crowded>,
    /// Whether the saga was refused before its first step, and is accepted by now.
    pub(super) was_refused: bool,
    /// The first contradiction that was met; the pass is then worth nothing.
    pub(super) illegal: Option<Illegal>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(saga: &'a ValidSaga, seen: &'a Seen<'a>, status: &SagaStatus) -> Self {
        let was_refused = summary::stalled_reason(status) == Some(summary::REFUSED);
        let mut status = status.clone();
        status.steps = saga
            .steps
            .iter()
            .map(|step| {
                let known = status.steps.iter().find(|known| known.name == step.name);
                let mut known = known.cloned().unwrap_or_else(|| StepStatus {
                    name: step.name.clone(),
                    ..StepStatus::default()
                });
                // Read once, when the saga is accepted: whoever changes the annotation later
                // changes nothing.
                if status.spec_hash.is_none() {
                    known.keys_from = seen.keys_from.get(&step.name).cloned();
                }
                known
            })
            .collect();
        let graph = Graph::new(&saga.steps);
        Self {
            saga,
            graph,
            seen,
            status,
            effects: Vec::new(),
            wake: None,
            tally: Tally::default(),
            room: seen.room.clone(),
            gates: seen.circuits.clone(),
            crowded: Vec::new(),
            was_refused,
            illegal: None,
        }
    }

    /// Whether nothing new may start because a person paused or suspended the saga. A deletion
    /// overrides both.
    pub(super) fn is_paused(&self) -> bool {
        !broken(Twin::PauseStarts)
            && (self.saga.suspend || self.status.paused.is_some())
            && !self.seen.deleting
    }

    /// Asks to be looked at no later than at this instant.
    pub(super) fn wake_at(&mut self, instant: Timestamp) {
        self.wake = Some(self.wake.map_or(instant, |wake| wake.min(instant)));
    }

    pub(super) fn publish(
        &mut self,
        warning: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.effects.push(Effect::Publish(Notice { warning, reason, message: message.into() }));
    }

    /// Calls `visit` for each step in list order, with its place. All other steps are in their
    /// places meanwhile.
    pub(super) fn each_step(
        &mut self,
        mut visit: impl FnMut(&mut Self, usize, &'a ValidStep, &mut StepStatus),
    ) {
        for (place, step) in self.saga.steps.iter().enumerate() {
            let Some(mut status) = self.status.steps.get_mut(place).map(std::mem::take) else {
                return;
            };
            visit(self, place, step, &mut status);
            if let Some(of_step) = self.status.steps.get_mut(place) {
                *of_step = status;
            }
        }
    }

    /// The steps whose status the filter takes.
    pub(super) fn steps_where(&self, filter: impl Fn(&ValidStep, &StepStatus) -> bool) -> StepSet {
        let steps = self.saga.steps.iter().zip(&self.status.steps).enumerate();
        StepSet::of(
            steps.filter(|(_, (step, status))| filter(step, status)).map(|(place, _)| place),
        )
    }

    /// How many attempts are under way, steps that only wait included.
    pub(super) fn active(&self) -> usize {
        self.steps_where(|_, status| is_active(status)).len()
    }

    /// Whether something is under way outside the saga. What only waits keeps nobody from turning
    /// back.
    pub(super) fn has_children(&self) -> bool {
        let waits = |status: &StepStatus| {
            status.phase == StepPhase::Waiting && !broken(Twin::ApprovalUndone)
        };
        !self.steps_where(|_, status| is_active(status) && !waits(status)).is_empty()
    }

    /// Moves a step by the transition table.
    pub(super) fn move_step(&mut self, status: &mut StepStatus, event: StepEvent) {
        match step::next(status.phase, event) {
            Ok(phase) => status.phase = phase,
            Err(illegal) => self.illegal = self.illegal.or(Some(illegal)),
        }
    }

    /// Whether a step failed for good and is not undone, or the saga took too long.
    pub(super) fn has_failure(&self) -> bool {
        self.status.timed_out_at.is_some()
            || !self.steps_where(|_, status| status.phase == StepPhase::Failed).is_empty()
    }

    /// Fails for good the steps that wait in a phase for an attempt which is due and may not be
    /// made.
    pub(super) fn fail_what_may_not_begin(&mut self, waiting: StepPhase, direction: Direction) {
        let failed = self.has_failure();
        self.each_step(|pass, _, step, status| {
            let waits = status.phase == waiting
                && !is_active(status)
                && (direction == Direction::Compensation || may_go_on(failed, status));
            let due = waits && is_due(status.next_attempt_at.as_ref(), pass.seen.now);
            let Some(operation) = step.operation(direction).filter(|_| due) else { return };
            if let Some(reason) = pass.may_not_begin(operation, status, direction) {
                status.message = Some(reason);
                status.next_attempt_at = None;
                pass.give_up(status, direction);
            }
        });
    }

    /// Writes the intent of the next attempt.
    pub(super) fn begin(
        &mut self,
        place: usize,
        step: &ValidStep,
        status: &mut StepStatus,
        direction: Direction,
    ) {
        let Some(operation) = step.operation(direction) else { return };
        let work = match self.resolve(operation, status, direction) {
            Ok(work) => work,
            Err(why) => return self.cannot_begin(status, direction, &why),
        };
        let now = MicroTime(self.seen.now);
        status.started_at.get_or_insert_with(|| now.clone());
        status.next_attempt_at = None;
        go_on_from(status, direction, operation);
        let record = status.direction_mut(direction);
        record.attempt = record.attempt.saturating_add(1);
        record.budget_used = record.budget_used.saturating_add(1);
        record.budget_started_at.get_or_insert_with(|| now.clone());
        let in_process = matches!(operation.work, Work::Http(_));
        let intent = ActiveAttempt {
            executor: in_process.then(|| self.seen.executor.to_owned()),
            ends_by: in_process.then(|| MicroTime(to_micros(later(now.0, operation.timeout)))),
            clock_ahead_seconds: self.seen.skew.told_ahead(),
            clock_behind_seconds: self.seen.skew.told_behind(),
            child_uid: None,
            trouble: None,
            started_at: now,
        };
        record.active = (!broken(Twin::DropIntent)).then_some(intent);
        let record = record.clone();
        let identity = self.identity(&step.name, direction, &record);
        if let Work::Http(action) = work.as_ref() {
            status.direction_mut(direction).request_hash =
                Some(http::request::request_hash(&http::request::request(action, &identity)));
        }
        if record.attempt > 1 {
            self.tally.retries.push((operation.kind(), direction));
        }
        if operation.only_waits() {
            self.begin_to_wait(operation, status, &record);
            return;
        }
        self.move_step(
            status,
            if direction == Direction::Action { StepEvent::Start } else { StepEvent::Undo },
        );
        let limit = self.limit(operation, direction, &record);
        self.wake_at(limit);
        // What is to be deleted is looked at first: its UID is written before anything leaves.
        if !operation.deletes() {
            self.begin_effect(identity, place, work, (operation, &record));
        }
    }

    /// Has the attempt begin that a record calls active.
    pub(super) fn begin_effect(
        &mut self,
        identity: Identity,
        place: usize,
        work: Cow<'_, Work>,
        (operation, record): (&Operation, &DirectionStatus),
    ) {
        let intended =
            record.active.as_ref().map_or(self.seen.now, |active| self.seen.skew.intended(active));
        let time_limit = between(self.seen.now, self.own_limit(operation, record));
        let work = match work {
            Cow::Borrowed(_) => None,
            Cow::Owned(work) => Some(Box::new(work)),
        };
        let uid = record.active.as_ref().and_then(|active| active.child_uid.clone());
        self.effects.push(Effect::Begin { identity, place, work, intended, time_limit, uid });
    }

    /// Why no further attempt may begin although one is due.
    fn may_not_begin(
        &self,
        operation: &Operation,
        status: &StepStatus,
        direction: Direction,
    ) -> Option<String> {
        let record = status.direction(direction)?;
        if self.budget_left(operation, record).is_some_and(|left| left.is_zero()) {
            return Some(format!("its retry deadline passed{}", because(status)));
        }
        self.begins_with(operation, status, direction, record).err()
    }

    /// What an attempt does that may have been sent already with the present idempotency key.
    ///
    /// # Errors
    /// One line: an expression cannot be evaluated, or another request would be sent than before.
    pub(super) fn begins_with<'o>(
        &self,
        operation: &'o Operation,
        status: &StepStatus,
        direction: Direction,
        record: &DirectionStatus,
    ) -> Result<Cow<'o, Work>, String> {
        let work = self.resolve(operation, status, direction)?;
        if let (Some(sent), Work::Http(action)) = (record.request_hash.as_deref(), work.as_ref()) {
            let request =
                http::request::request(action, &self.identity(&status.name, direction, record));
            if http::request::is_another(&request, sent) {
                return Err(
                    "the request differs from the one that was sent with the same idempotency key"
                        .into(),
                );
            }
        }
        Ok(work)
    }

    /// Fails a step for good in one direction.
    pub(super) fn give_up(&mut self, status: &mut StepStatus, direction: Direction) {
        status.retry_requested = false;
        let message =
            word::with_hint(status.message.as_deref().unwrap_or("it failed"), status, direction);
        status.message = Some(message.clone());
        match direction {
            Direction::Action => {
                self.move_step(status, StepEvent::FailForGood);
                status.completed_at = Some(MicroTime(self.seen.now));
                self.publish(true, "StepFailed", format!("step {} failed: {message}", status.name));
            }
            Direction::Compensation => {
                self.move_step(status, StepEvent::UndoFailed);
                self.publish(
                    true,
                    "CompensationFailed",
                    format!("step {} could not be undone: {message}", status.name),
                );
            }
        }
    }

    pub(super) fn identity(
        &self,
        step: &str,
        direction: Direction,
        record: &DirectionStatus,
    ) -> Identity {
        Identity {
            saga: self.saga.name.clone(),
            namespace: self.saga.namespace.clone(),
            uid: self.saga.uid.clone(),
            attempt: AttemptId { step: step.to_owned(), direction, number: record.attempt },
            key: idempotency_key(&self.saga.key_scope, step, direction, record.failures),
        }
    }

    pub(super) fn settled(
        &mut self,
        operation: &Operation,
        direction: Direction,
        outcome: crate::api::Outcome,
        took: Duration,
    ) {
        self.tally.settled.push(SettledAttempt {
            kind: operation.kind(),
            direction,
            outcome,
            took,
        });
    }
}

/// Has the first attempt go on with the keys of an earlier child saga, where this one follows one.
fn go_on_from(status: &mut StepStatus, direction: Direction, operation: &Operation) {
    let Some(keys) = status.keys_from.clone() else { return };
    let record = status.direction_mut(direction);
    if record.attempt > 0 {
        return;
    }
    match direction {
        Direction::Action => {
            record.failures = keys.action;
            record.uncertain = keys.may_have_acted && !operation.never_in_effect();
            record.begun = record.uncertain;
        }
        Direction::Compensation => record.failures = keys.compensation,
    }
}

/// Whether an attempt of the step is under way.
pub(super) fn is_active(status: &StepStatus) -> bool {
    [&status.action, &status.compensation]
        .into_iter()
        .flatten()
        .any(|record| record.active.is_some())
}

/// Whether a step may go on that is under way already: after a failure only where a person asked
/// for it.
pub(super) fn may_go_on(failed: bool, status: &StepStatus) -> bool {
    !failed || status.retry_requested || broken(Twin::RetriesStop)
}

/// `: <the step's message>`, where it has one.
fn because(status: &StepStatus) -> String {
    status.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default()
}

/// Whether the instant, if any, has come.
pub(super) fn is_due(instant: Option<&MicroTime>, now: Timestamp) -> bool {
    instant.is_none_or(|instant| instant.0 <= now) || broken(Twin::Backoff)
}

/// Whether a forward pass may not turn back: the pivot is done or skipped by request, or may be
/// done.
pub(super) fn past_pivot(step: &ValidStep, status: &StepStatus) -> bool {
    let uncertain = status.action.as_ref().is_some_and(|record| record.uncertain)
        && !broken(Twin::PivotUncertain);
    step.pivot
        && !broken(Twin::Pivot)
        && ((status.phase.is_done() && !status.unwanted) || uncertain)
}
