//! One reconcile of the saga, and the input of the engine.

use saga_operator::{
    api::status::active_attempts,
    engine::plan,
    model::{
        input::{OpenRequests, PlanInput, StoredFacts, Surroundings, ThisProcess},
        observation::Observations,
        versions::Versions,
    },
};

use super::{Died, World};
use crate::watch;

impl World {
    pub fn executor(&self) -> String {
        format!("process-{}", self.crashes)
    }

    /// Reconciles the saga once. Returns whether anything changed.
    pub fn look(&mut self) -> Result<bool, Died> {
        let (status, now, executor) = (self.status(), self.now, self.executor());
        let mut children = Observations::new();
        if let Ok(saga) = &self.saga {
            for (id, active) in active_attempts(&status) {
                if !saga.steps.iter().any(|step| step.name == id.step) {
                    continue;
                }
                let state = self.other_side.look(now, &id, active, &executor);
                children.insert(id, state);
            }
        }
        let plan = {
            let seen = self.seen(&children, &executor);
            let plan = plan(&self.saga, &seen);
            assert_eq!(
                plan,
                saga_operator::engine::plan(&self.saga, &seen),
                "equal inputs give equal plans"
            );
            watch::plan(self, &seen, &plan);
            plan
        };
        self.again = None;
        self.wake = plan.wake;
        self.record(plan)
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
                leftovers: self.other_side.leftovers(self.now),
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
