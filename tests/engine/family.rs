//! A saga whose first step runs a child saga, and the child as the cluster shows it.

use std::{sync::Arc, time::Duration};

use saga_operator::{
    api::{Direction, Outcome, SagaAction, SagaPhase, status::active_attempts},
    engine::{plan, planner::child_sagas::left_behind},
    model::{
        command::ChildCommand,
        observation::{ChildSaga, ChildState, Observations, Present},
        plan::{Effect, Finalizer, StatusWrite},
    },
};
use serde_json::json;

use crate::{
    saga::{Draft, saga},
    world::World,
};

/// A saga whose first step runs a child saga, and that child as the cluster shows it.
pub(crate) struct Family {
    pub(crate) parent: World,
    pub(crate) child: ChildSaga,
    /// The demands that the child received, in order.
    pub(crate) told: Vec<ChildCommand>,
}

/// Adds a step named `tenant` that runs a child saga.
pub(crate) fn with_child(mut draft: Draft) -> Draft {
    draft = draft.pod("tenant");
    let step = draft.0.steps.last_mut().unwrap();
    step.pod = None;
    step.saga = Some(SagaAction { spec: json!({"steps": [{"name": "a", "wait": {"for": "1s"}}]}) });
    draft
}

impl Family {
    pub(crate) fn of(draft: Draft) -> Self {
        let child = ChildSaga {
            name: "order-tenant-a1".into(),
            uid: "child".into(),
            ..ChildSaga::default()
        };
        let mut family = Self { parent: World::with(draft), child, told: Vec::new() };
        family.look();
        family
    }

    /// Reconciles the parent until nothing changes. The child does not answer demands
    /// automatically.
    pub(crate) fn look(&mut self) {
        for _ in 0..9 {
            let child = |(id, _): (_, &_)| {
                (id, ChildState::Present(Present::Saga(Arc::new(self.child.clone()))))
            };
            let status = self.parent.status();
            let mut children: Observations = active_attempts(&status).map(child).collect();
            if let (true, Ok(saga)) = (self.parent.deleting, &self.parent.saga) {
                let policy = self.parent.spec.deletion_policy.unwrap_or_default();
                children.extend(left_behind(saga, &status, policy).into_iter().map(|(id, _)| {
                    (id, ChildState::Present(Present::Saga(Arc::new(self.child.clone()))))
                }));
            }
            let plan = plan(&self.parent.saga, &self.parent.seen(&children, "me"));
            self.parent.finalizer = match plan.finalizer {
                Finalizer::Add => true,
                Finalizer::Keep => self.parent.finalizer,
                Finalizer::Remove => false,
            };
            for effect in plan.drafted_effects() {
                if let Effect::Ask { command: demand, .. } = effect {
                    self.told.push(demand.clone());
                }
            }
            let Some(StatusWrite::Whole(status)) = plan.status else { return };
            self.parent.forge(json!(status));
        }
        panic!("nine looks and no end: {}", self.parent.raw);
    }

    pub(crate) fn child_is(&mut self, phase: SagaPhase) {
        self.child.phase = Some(phase);
        self.look();
    }

    /// Ends the child in this phase, with steps that stay in effect.
    pub(crate) fn child_ends(&mut self, phase: SagaPhase, still_in_effect: &[&str]) {
        self.child.still_in_effect =
            still_in_effect.iter().map(|step| (*step).to_owned()).collect();
        self.child_is(phase);
    }

    pub(crate) fn passes(&mut self, seconds: u64) {
        self.parent.now += Duration::from_secs(seconds);
        self.look();
    }

    pub(crate) fn told(&mut self) -> Vec<ChildCommand> {
        std::mem::take(&mut self.told)
    }

    pub(crate) fn outcome(&self, direction: Direction) -> Option<Outcome> {
        self.parent.step("tenant").direction(direction).and_then(|record| record.last_outcome)
    }

    pub(crate) fn said(&self) -> String {
        self.parent.step("tenant").message.unwrap_or_default()
    }

    /// Creates a saga that fails after its child is Completed, and is then undone.
    pub(crate) fn that_turns_back() -> Self {
        let mut family = Self::of(with_child(saga()));
        family.child_is(SagaPhase::Completed);
        family.parent.annotate("saga.dev/compensate", "the customer called");
        family.look();
        family.told();
        family.look();
        family
    }
}

pub(crate) fn compensate(token: &str) -> ChildCommand {
    ChildCommand::Compensate { token: token.into() }
}
