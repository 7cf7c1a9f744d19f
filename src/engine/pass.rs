//! One pass over one saga: the status as it becomes, and what is wanted done.

use crate::model::values::Values;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    gate::Crowded,
    step::{self, Illegal, StepEvent},
    summary, word,
};
use crate::{
    api::{Direction, SagaStatus, StepPhase, StepStatus},
    model::{
        graph::{Graph, StepSet},
        input::{Gate, Seen},
        origin,
        plan::{Effect, Notice, SettledAttempt, Tally},
        saga::{Operation, ValidSaga, ValidStep, Work},
    },
    mutants::{Twin, broken},
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

    pub(super) fn values(&self) -> Values<'_> {
        Values { saga: self.saga, steps: &self.status.steps }
    }

    /// What an operation of a step does now.
    ///
    /// # Errors
    /// As [`Values::resolve`].
    pub(super) fn resolve<'o>(
        &self,
        operation: &'o Operation,
        status: &StepStatus,
        direction: Direction,
    ) -> Result<Cow<'o, Work>, String> {
        self.values().resolve(operation, status, direction)
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
