//! One reconcile of the saga, and the input of the engine.

use saga_operator::{
    api::status::active_attempts,
    engine::plan,
    model::{input::PlanInput, observation::Observations, versions::Versions},
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
            generation: self.generation,
            deleting: self.deleting,
            terminating: self.terminating,
            finalizer: self.finalizer,
            parent_holds: self.parent_holds,
            spec_hash: &self.stored.spec_hash,
            deletion_policy: self.stored.deletion_policy,
            status: &self.stored.status,
            salvaged: &self.stored.salvaged,
            asked: &self.stored.asked,
            handled: self.stored.handled,
            keys_from: &self.stored.keys_from,
            children,
            leftovers: self.other_side.leftovers(self.now),
            precheck: &self.precheck,
            patch_alone: self.patch_alone,
            executor,
            skew: self.skew,
            host_capacity: &self.host_capacity,
            circuits: &self.circuits,
            versions: Versions {
                spec: &self.strange,
                ..Versions::of(
                    self.stored.strangers.as_deref(),
                    self.served.as_ref().and_then(|(_, served)| served.as_ref()),
                )
            },
            draining: self.draining,
            now: self.now,
        }
    }
}
