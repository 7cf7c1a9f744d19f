//! Takes in what a reconcile of the simulated world wrote and did.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::{
    api::{Direction, HANDLED, Outcome, SagaStatus, StepStatus, StoredSaga, names::AttemptId},
    clock::later,
    model::{
        plan::{Effect, Finalizer, Plan, StatusWrite},
        saga::{Identity, Work},
    },
    world::{AttemptRef, Event, stage},
};
use serde_json::json;

use super::World;
use crate::{numbers, services::sent, watch};

impl World {
    /// Tells the simulated world what keeps the attempts of a plan from beginning.
    pub(super) fn hinder(&mut self, plan: &Plan) {
        for effect in plan.drafted_effects() {
            let Effect::Begin { identity, .. } = effect else { continue };
            let attempt = self.place(&identity.attempt);
            let Some(faults) = self.services.creation_faults(&identity.attempt) else {
                continue;
            };
            stage::surround(&mut self.simulated, |around| {
                around.creation_faults.insert(attempt, faults);
            });
        }
    }

    /// Takes in what a reconcile did, and asserts what must hold of it. Returns whether anything
    /// changed.
    pub(super) fn record(&mut self, plan: Plan, events: Vec<Event>) -> bool {
        let (had_finalizer, was_gone) = (self.finalizer, self.gone);
        if plan.finalizer == Finalizer::Add {
            assert!(
                !self.deleting,
                "the API server refuses a finalizer on a saga that is being deleted"
            );
        }
        let (finalizer, gone) = {
            let object = self.simulated.object();
            (object.finalizer, object.gone)
        };
        self.finalizer |= finalizer;
        let mut changed = false;
        for event in events {
            changed |= self.take_in(&plan, event);
        }
        (self.finalizer, self.gone) = (finalizer, gone);
        self.note_effects();
        changed || (had_finalizer, was_gone) != (finalizer, gone)
    }

    /// Takes in one event. Returns whether anything changed by it.
    fn take_in(&mut self, plan: &Plan, event: Event) -> bool {
        match event {
            Event::Wrote { .. } => {
                let before = self.status();
                self.writes += 1;
                self.write(plan.status.as_ref().expect("only a plan with a status writes one"));
                let same = self
                    .stored
                    .status
                    .as_ref()
                    .is_ok_and(|status| status == self.simulated.status());
                assert!(
                    same || !self.trusted || self.served.is_some(),
                    "the simulated world wrote another status: {:?}",
                    self.simulated.status()
                );
                self.note_successes(&before);
                watch::write(self, &before);
            }
            Event::Began { attempt, time_limit, .. } => self.begin(plan, attempt, time_limit),
            Event::Refused(attempt) => {
                self.services.draw(&self.id(attempt));
            }
            Event::Lost(attempt) => {
                self.services.draw(&self.id(attempt));
                self.again = Some(later(self.now, Duration::from_secs(1)));
                return false;
            }
            Event::Stopped(attempt) => {
                if let Some(ending) = self.services.stop(attempt, self.now) {
                    self.end(ending);
                }
            }
            Event::TookAway => self.take_away(plan),
            Event::Published(notice) => {
                self.notices.push(notice);
                return false;
            }
            Event::Swept => {
                self.sweeps += 1;
                (self.services.leftovers, self.services.surplus) = (false, false);
                return false;
            }
            Event::Gone | Event::Finalizer(_) => {}
            Event::Passed(_)
            | Event::Asked(_)
            | Event::TooOld(_)
            | Event::Conflict(_)
            | Event::Adopted(_)
            | Event::Dropped(_)
            | Event::Ended(..)
            | Event::DoneUnawaited(_) => return false,
        }
        true
    }

    fn begin(&mut self, plan: &Plan, attempt: AttemptRef, limit: Duration) {
        let id = self.id(attempt);
        let (identity, work) = begun(plan).remove(&id).expect("only what a plan begins begins");
        watch::begin(self, identity, attempt.place);
        let sent = sent(identity, work, self.executor(), self.now);
        self.services.begin(attempt, sent, limit);
    }

    fn take_away(&mut self, plan: &Plan) {
        for effect in plan.drafted_effects() {
            let Effect::TakeAway { annotations, handled } = effect else { continue };
            for action in annotations {
                self.annotations.remove(action.annotation());
            }
            self.annotations.insert(HANDLED.into(), handled.to_string());
        }
        self.reload();
    }

    /// Notes which steps really are in effect.
    pub(super) fn note_effects(&mut self) {
        let truth = self.spec.steps.iter().zip(self.simulated.truth());
        let in_effect = truth.filter(|(_, truth)| truth.in_effect);
        self.services.in_effect = in_effect.map(|(step, _)| step.name.clone()).collect();
    }

    fn id(&self, attempt: AttemptRef) -> AttemptId {
        let AttemptRef { place, direction, number } = attempt;
        AttemptId { step: self.spec.steps[place].name.clone(), direction, number }
    }

    fn place(&self, id: &AttemptId) -> AttemptRef {
        let place = self.spec.steps.iter().position(|step| step.name == id.step);
        let place = place.expect("only a step of the saga begins");
        AttemptRef { place, direction: id.direction, number: id.number }
    }

    fn write(&mut self, write: &StatusWrite) {
        match write {
            StatusWrite::Whole(status) => {
                let written = StoredSaga { status: Ok((**status).clone()), ..self.stored.clone() };
                self.raw = numbers::stored(&json!(written)["status"]);
                if let Some((served, _)) = &self.served {
                    served.prune(&mut self.raw);
                }
                self.reload();
                let same = self.stored.status.as_ref() == Ok(&**status)
                    || !self.trusted
                    || self.served.is_some();
                assert!(same, "what is read back is not what was written: {status:?}");
            }
            StatusWrite::Verdict(status) => {
                assert!(
                    self.stored.status.is_err(),
                    "a status that can be read is written as a whole"
                );
                self.raw["observedGeneration"] = json!(status.observed_generation);
                self.raw["message"] = json!(status.message);
                self.raw["conditions"] = json!(status.conditions);
                self.reload();
            }
        }
    }

    fn note_successes(&mut self, before: &SagaStatus) {
        let mut news = Vec::new();
        for step in &self.status().steps {
            let old = before.steps.iter().find(|old| old.name == step.name);
            for direction in [Direction::Action, Direction::Compensation] {
                let done = |step: &StepStatus| {
                    step.direction(direction)
                        .is_some_and(|it| it.last_outcome == Some(Outcome::Succeeded))
                };
                if done(step) && !old.is_some_and(done) {
                    let sequence = step.direction(direction).and_then(|it| it.sequence);
                    news.push((sequence, step.name.clone(), direction));
                }
            }
        }
        news.sort_unstable_by_key(|(sequence, ..)| *sequence);
        self.succeeded.extend(news.into_iter().map(|(_, name, direction)| (name, direction)));
    }
}

/// Returns what a plan begins.
fn begun(plan: &Plan) -> BTreeMap<AttemptId, (&Identity, &Work)> {
    let begun = plan.drafted_effects().iter().filter_map(|effect| match effect {
        Effect::Begin { identity, work, .. } => {
            Some((identity.attempt.clone(), (identity, &**work)))
        }
        _ => None,
    });
    begun.collect()
}
