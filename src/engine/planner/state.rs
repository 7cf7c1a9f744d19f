//! The planner of one reconcile: the new status as it is being built, and the wanted effects.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    doubt,
    throttled::Throttled,
    transition::{self, Illegal, StepEvent},
};
use crate::{
    api::{Direction, SagaStatus, StepPhase, StepStatus, reason, status},
    engine::rules,
    model::{
        graph::{Graph, StepSet},
        input::{BreakerAllowance, CallCapacity, PlanInput},
        origin,
        plan::{Effect, Notice, SettledAttempt, Tally},
        saga::{Operation, ValidSaga, ValidStep, Work},
        values::Values,
    },
};

/// The course that a saga takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum SagaCourse {
    /// Steps run, wait, or may not start because the saga is suspended.
    Forward,
    /// A step failed permanently, or the saga is deleted. Active attempts settle first.
    Settling,
    /// A step failed permanently, and a user decides what happens. `past_pivot`: whether the saga
    /// should compensate but cannot, because its pivot is passed.
    Held { past_pivot: bool },
    /// The steps of the undo set are being undone.
    Undoing,
    /// Nothing more can be undone unless a user acts.
    UndoFailed,
    /// Everything that can be undone is undone.
    Undone,
    /// A user cancelled the saga, and active attempts are being stopped. `undoing`: whether the
    /// saga was being undone.
    Cancelling { undoing: bool },
    /// The saga is cancelled: nothing is active, and nothing more is undone.
    Cancelled,
    /// Every step is done.
    Done,
}

pub(in crate::engine) struct Planner<'a> {
    pub(in crate::engine) saga: &'a ValidSaga,
    pub(in crate::engine) graph: Graph,
    pub(in crate::engine) input: &'a PlanInput<'a>,
    pub(in crate::engine) status: SagaStatus,
    pub(in crate::engine) effects: Vec<Effect>,
    pub(in crate::engine) wake: Option<Timestamp>,
    pub(in crate::engine) tally: Tally,
    /// The number of HTTP requests that may still begin, by host. A host that is not listed has no
    /// limit.
    pub(in crate::engine) host_capacity: BTreeMap<String, CallCapacity>,
    /// What the breakers that are not closed still admit, by origin.
    pub(in crate::engine) allowances: BTreeMap<origin::Origin, BreakerAllowance>,
    /// The steps that would begin if their hosts took more HTTP requests.
    pub(in crate::engine) throttled: Vec<Throttled>,
    /// Whether the saga was refused before its first step and is accepted now.
    pub(in crate::engine) was_refused: bool,
    /// The first transition that the table does not have. If it is set, the results of the planner
    /// are not used.
    pub(in crate::engine) illegal: Option<Illegal>,
}

/// A step and a copy of its status that is being changed. Until the draft is stored, the planner
/// holds the status as it was before the change. A draft that is not stored changes nothing.
#[must_use]
pub(in crate::engine) struct StepDraft<'a> {
    place: usize,
    pub(in crate::engine) step: &'a ValidStep,
    pub(in crate::engine) status: StepStatus,
}

impl<'a> Planner<'a> {
    pub(in crate::engine) fn new(
        saga: &'a ValidSaga,
        input: &'a PlanInput<'a>,
        status: &SagaStatus,
    ) -> Self {
        let was_refused = status::stalled_reason(status) == Some(reason::REFUSED);
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
                // The keys are read once, when the saga is accepted. Later changes of the
                // annotation have no effect.
                if status.spec_hash.is_none() {
                    known.keys_from = input.stored.keys_from.get(&step.name).cloned();
                }
                known
            })
            .collect();
        let graph = Graph::new(&saga.steps);
        Self {
            saga,
            graph,
            input,
            status,
            effects: Vec::new(),
            wake: None,
            tally: Tally::default(),
            host_capacity: input.process.host_capacity.clone(),
            allowances: input.process.circuits.clone(),
            throttled: Vec::new(),
            was_refused,
            illegal: None,
        }
    }

    /// Returns whether nothing new may start because a user paused or suspended the saga. A
    /// deletion overrides both.
    pub(in crate::engine) fn is_paused(&self) -> bool {
        rules::is_paused(self.saga.suspend, self.status.paused.as_ref(), self.input.stored.deleting)
    }

    /// Requeues the saga for `instant` at the latest.
    pub(in crate::engine) fn wake_at(&mut self, instant: Timestamp) {
        self.wake = Some(self.wake.map_or(instant, |wake| wake.min(instant)));
    }

    /// Publishes an event of the type Normal.
    pub(in crate::engine) fn publish(&mut self, reason: &'static str, message: impl Into<String>) {
        let notice = Notice { warning: false, reason, message: message.into() };
        self.effects.push(Effect::Publish(notice));
    }

    /// Publishes an event of the type Warning.
    pub(in crate::engine) fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        let notice = Notice { warning: true, reason, message: message.into() };
        self.effects.push(Effect::Publish(notice));
    }

    /// Returns the places of the steps, in list order.
    pub(in crate::engine) const fn places(&self) -> Range<usize> {
        0..self.saga.steps.len()
    }

    /// Returns the step at a place, and its status.
    pub(in crate::engine) fn step(&self, place: usize) -> Option<(&'a ValidStep, &StepStatus)> {
        self.saga.steps.get(place).zip(self.status.steps.get(place))
    }

    /// Returns a draft of the step at a place if `is_changed` returns true for the step.
    pub(in crate::engine) fn draft(
        &self,
        place: usize,
        is_changed: impl FnOnce(&ValidStep, &StepStatus) -> bool,
    ) -> Option<StepDraft<'a>> {
        let (step, status) = self.step(place).filter(|(step, status)| is_changed(step, status))?;
        Some(StepDraft { place, step, status: status.clone() })
    }

    /// Stores the changed status of a step.
    pub(in crate::engine) fn store(&mut self, draft: StepDraft<'_>) {
        let StepDraft { place, step: _, status } = draft;
        if let Some(of_step) = self.status.steps.get_mut(place) {
            *of_step = status;
        }
    }

    /// Returns the steps for which `filter` returns true.
    pub(in crate::engine) fn steps_where(
        &self,
        filter: impl Fn(&ValidStep, &StepStatus) -> bool,
    ) -> StepSet {
        let steps = self.saga.steps.iter().zip(&self.status.steps).enumerate();
        StepSet::of(
            steps.filter(|(_, (step, status))| filter(step, status)).map(|(place, _)| place),
        )
    }

    /// Returns the number of steps with an active attempt, including steps that only wait.
    pub(in crate::engine) fn active(&self) -> usize {
        self.steps_where(|_, status| is_active(status)).len()
    }

    /// Returns the steps with an active attempt that has a child. Steps that only wait do not
    /// count, because they do not keep the saga from turning back.
    pub(in crate::engine) fn with_children(&self) -> StepSet {
        self.steps_where(|_, status| is_active(status) && rules::is_awaited(status.phase))
    }

    /// Moves a step by the transition table. An event that the table does not allow is recorded in
    /// `illegal`, and the phase stays.
    pub(in crate::engine) fn move_step(&mut self, status: &mut StepStatus, event: StepEvent) {
        match transition::next(status.phase, event) {
            Ok(phase) => status.phase = phase,
            Err(illegal) => self.illegal = self.illegal.or(Some(illegal)),
        }
    }

    /// Returns whether a step is Failed or the saga's timeout passed.
    pub(in crate::engine) fn has_failure(&self) -> bool {
        self.status.timed_out_at.is_some()
            || !self.steps_where(|_, status| status.phase == StepPhase::Failed).is_empty()
    }

    /// Fails a step permanently in one direction, and publishes an event.
    pub(in crate::engine) fn give_up(&mut self, status: &mut StepStatus, direction: Direction) {
        status.retry_requested = false;
        let message =
            doubt::with_hint(status.message.as_deref().unwrap_or("it failed"), status, direction);
        status.message = Some(message.clone());
        match direction {
            Direction::Action => {
                self.move_step(status, StepEvent::FailForGood);
                status.completed_at = Some(MicroTime(self.input.now));
                self.warn("StepFailed", format!("step {} failed: {message}", status.name));
            }
            Direction::Compensation => {
                self.move_step(status, StepEvent::UndoFailed);
                self.warn(
                    "CompensationFailed",
                    format!("step {} could not be undone: {message}", status.name),
                );
            }
        }
    }

    pub(in crate::engine) fn settled(
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

    pub(in crate::engine) fn values(&self) -> Values<'_> {
        Values { saga: self.saga, steps: &self.status.steps }
    }

    /// Returns the work that an operation of a step does now, with its expressions evaluated.
    ///
    /// # Errors
    /// As [`Values::resolve`].
    pub(in crate::engine) fn resolve<'o>(
        &self,
        operation: &'o Operation,
        status: &StepStatus,
        direction: Direction,
    ) -> Result<Cow<'o, Work>, String> {
        self.values().resolve(operation, status, direction)
    }
}

/// Returns whether an attempt of the step is active.
pub(in crate::engine) fn is_active(status: &StepStatus) -> bool {
    [&status.action, &status.compensation]
        .into_iter()
        .flatten()
        .any(|record| record.active.is_some())
}
