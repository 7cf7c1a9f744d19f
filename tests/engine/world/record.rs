//! Records a plan, and then performs its effects.

use std::time::Duration;

use saga_operator::{
    api::{Direction, HANDLED, Outcome, SagaStatus, StepStatus, StoredSaga},
    clock::later,
    model::{
        plan::{Acknowledged, Effect, Finalizer, Plan, StatusWrite},
        saga::Work,
    },
};
use serde_json::json;

use super::{Died, World};
use crate::{
    numbers,
    other_side::{Call, Performed},
    watch,
};

impl World {
    pub(super) fn record(&mut self, plan: Plan) -> Result<bool, Died> {
        let mut changed = false;
        let before = self.status();
        let finalizer = plan.finalizer;
        if finalizer == Finalizer::Add {
            assert!(
                !self.deleting,
                "the API server refuses a finalizer on a saga that is being deleted"
            );
            self.finalizer = true;
            self.step_forward()?;
        }
        if let Some(write) = &plan.status {
            changed = true;
            self.writes += 1;
            self.write(write);
            self.note_successes(&before);
            watch::write(self, &before);
            self.step_forward()?;
        }
        let effects = plan.recorded(&Acknowledged::simulated()).into_effects();
        if finalizer == Finalizer::Remove {
            changed |= self.finalizer;
            self.finalizer = false;
            self.gone = self.deleting;
            self.step_forward()?;
        }
        for effect in effects {
            changed |= self.perform(effect);
            self.step_forward()?;
        }
        Ok(changed)
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

    fn perform(&mut self, effect: Effect) -> bool {
        let executor = self.executor();
        let performed = match effect {
            Effect::Begin { identity, work, timeout: _, intended: _, time_limit, uid: _ } => {
                let steps = &self.saga.as_ref().expect("only a valid saga begins anything").steps;
                let place = steps
                    .iter()
                    .position(|step| step.name == identity.attempt.step)
                    .expect("only a step of the saga begins");
                watch::begin(self, &identity, place);
                let step = &steps[place];
                let call = Call {
                    identity: &identity,
                    in_process: matches!(*work, Work::Http(_)),
                    limit: time_limit,
                    leaves_half: step.compensate_failed,
                    executor: &executor,
                    work: &work,
                };
                self.other_side.read(self.now, &identity.attempt);
                self.other_side.begin(self.now, &call)
            }
            // The world plays a child saga as a Pod, which receives no demands.
            Effect::Ask { .. } => Performed::Nothing,
            Effect::Stop(id) => self.other_side.stop(self.now, &id),
            Effect::Sweep => {
                self.sweeps += 1;
                self.other_side.sweep(self.now);
                Performed::Nothing
            }
            Effect::Delete => {
                assert!(!self.finalizer, "a saga that is deleted by its time keeps nothing back");
                self.gone = true;
                Performed::Something
            }
            Effect::Publish(notice) => {
                self.notices.push(notice);
                Performed::Nothing
            }
            Effect::TakeAway { annotations, handled } => {
                for action in annotations {
                    self.annotations.remove(action.annotation());
                }
                self.annotations.insert(HANDLED.into(), handled.to_string());
                self.reload();
                Performed::Something
            }
        };
        if performed == Performed::Lost {
            self.again = Some(later(self.now, Duration::from_secs(1)));
        }
        performed == Performed::Something
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
