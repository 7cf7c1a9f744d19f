//! One reconcile of the saga, and the input of the engine.

use saga_operator::{
    api::SagaPhase,
    engine::plan,
    model::{
        input::{OpenRequests, PlanInput, StoredFacts, Surroundings, ThisProcess},
        observation::Observations,
        plan::Plan,
        versions::Versions,
    },
    world::{self, AttemptEnd, Halt, ReplicaFault, WorldMove, stage},
};

use super::{Died, World};
use crate::{services::Ending, watch};

/// The only process of the world.
pub(super) const PROCESS: usize = 0;

impl World {
    pub fn executor(&self) -> String {
        stage::executor(&self.simulated, PROCESS).expect("a process")
    }

    /// Reconciles the saga once, even if nothing triggered that. Returns whether anything changed.
    pub fn look(&mut self) -> Result<bool, Died> {
        self.end_what_is_due();
        self.arrange();
        let children = stage::observations(&self.simulated, PROCESS);
        let plan = self.plan(&children);
        self.again = None;
        self.wake = plan.wake;
        self.hinder(&plan);
        stage::resync(&mut self.simulated, PROCESS);
        let (halt, dies) = self.next_death();
        let next = WorldMove::Reconcile { replica: PROCESS, staleness: 0, halt };
        let step = world::apply(&self.simulated, &next).expect("a process reconciles");
        self.simulated = step.world;
        let changed = self.record(plan, step.events);
        match dies {
            Some(down) => {
                self.crash(down);
                Err(Died)
            }
            None => Ok(changed),
        }
    }

    fn plan(&self, children: &Observations) -> Plan {
        let executor = self.executor();
        let seen = self.seen(children, &executor);
        let plan = plan(&self.saga, &seen);
        assert_eq!(
            plan,
            saga_operator::engine::plan(&self.saga, &seen),
            "equal inputs give equal plans"
        );
        watch::plan(self, &seen, &plan);
        plan
    }

    /// Returns the halt of the next reconcile, and how long the process is down if it dies in the
    /// reconcile or just after.
    fn next_death(&mut self) -> (Option<Halt>, Option<std::time::Duration>) {
        let Some(first) = self.fatal.keys().find(|at| **at > self.moves).copied() else {
            return (None, None);
        };
        let length = stage::length(&self.simulated, PROCESS);
        let after = first - self.moves;
        self.moves += after.min(length);
        if after > length {
            return (None, None);
        }
        let down = self.fatal.remove(&first);
        let halt = Halt { how: ReplicaFault::Crash, after };
        ((after < length).then_some(halt), down)
    }

    /// Ends the attempts that end by now.
    fn end_what_is_due(&mut self) {
        for ending in self.services.ended(self.now) {
            self.end(ending);
        }
    }

    /// Ends an attempt at its service. Nothing ends if the attempt is forgotten.
    pub(super) fn end(&mut self, ending: Ending) {
        let Ending { attempt, end, told } = ending;
        self.arrange();
        if let Some(told) = told {
            stage::surround(&mut self.simulated, |around| {
                around.answers.insert(attempt, told);
            });
        }
        // What was done under a key before is not done again, and cannot be refused any more.
        let fits = [end, AttemptEnd::Unknown(false), AttemptEnd::Unknown(true)];
        let step = fits
            .into_iter()
            .find_map(|ending| world::apply(&self.simulated, &WorldMove::End { attempt, ending }));
        if let Some(step) = step {
            self.simulated = step.world;
        }
        self.note_effects();
    }

    /// Stores the saga in the simulated world as it is now, with all that surrounds it.
    pub(super) fn arrange(&mut self) {
        let leftovers = self.leftovers();
        let world = &mut self.simulated;
        stage::set_time(world, self.now);
        stage::store(
            world,
            &stage::Stored {
                object: &self.stored,
                status: &self.raw,
                saga: &self.saga,
                unknown: &self.strange,
                generation: self.generation,
                deleting: self.deleting,
                finalizer: self.finalizer,
                gone: self.gone,
            },
        );
        stage::surround(world, |around| {
            around.patch_alone = self.patch_alone;
            around.leftovers = leftovers;
            around.terminating = self.terminating;
            around.parent_holds = self.parent_holds;
            around.precheck = Some(self.precheck.clone());
            around.draining = self.draining;
            around.skew = Some(self.skew);
            around.host_capacity.clone_from(&self.host_capacity);
            around.circuits.clone_from(&self.circuits);
            around.served = self.served.as_ref().and_then(|(_, served)| served.clone());
            around.talk.clone_from(&self.services.talk);
            around.trouble = self.services.trouble;
        });
    }

    /// Returns whether Pods exist that are no longer needed.
    fn leftovers(&self) -> bool {
        let phase = self.stored.status.as_ref().ok().and_then(|status| status.phase);
        if phase.is_some_and(SagaPhase::is_terminal) {
            self.services.leftovers
        } else {
            self.services.surplus
        }
    }

    /// Returns the input of the engine.
    pub fn seen<'a>(&'a self, children: &'a Observations, executor: &'a str) -> PlanInput<'a> {
        PlanInput {
            stored: StoredFacts {
                generation: self.generation,
                deleting: self.deleting,
                finalizer: self.finalizer,
                spec_hash: &self.stored.spec_hash,
                deletion_policy: self.stored.deletion_policy,
                status: &self.stored.status,
                salvaged: &self.stored.salvaged,
                keys_from: &self.stored.keys_from,
            },
            requests: OpenRequests {
                asked: &self.stored.asked,
                handled: self.stored.handled,
                patch_alone: self.patch_alone,
            },
            surroundings: Surroundings {
                children,
                leftovers: self.leftovers(),
                terminating: self.terminating,
                parent_holds: self.parent_holds,
                precheck: Some(&self.precheck),
            },
            process: ThisProcess {
                executor: Some(executor),
                draining: self.draining,
                skew: self.skew,
                host_capacity: self.host_capacity.clone(),
                circuits: self.circuits.clone(),
            },
            versions: Versions {
                spec: &self.strange,
                ..Versions::of(
                    self.stored.strangers.as_deref(),
                    self.served.as_ref().and_then(|(_, served)| served.as_ref()),
                )
            },
            now: self.now,
        }
    }
}
