//! The whole world at one instant.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    ask::Ask,
    child::Child,
    clock::{Clock, Dated},
    fault::Fault,
    happened::Happened,
    law::Broken,
    meddling::Meddling,
    object::{Copies, Object},
    process::{Executor, Process},
    rules::Rules,
    trial::{Trial, Truth},
};
use crate::{
    api::{Direction, SagaStatus, names::AttemptId},
    model::saga::ValidSaga,
};

/// When every world begins: 2026-01-01T00:00:00Z.
pub(in crate::world) const DAWN: i64 = 1_767_225_600;

/// The whole world at one instant. Cheap to clone: what is large is shared.
#[derive(Clone, Debug)]
pub struct World {
    pub(in crate::world) rules: Arc<Rules>,
    pub(in crate::world) now: Timestamp,
    pub(in crate::world) copies: Copies,
    pub(in crate::world) processes: Vec<Process>,
    /// Every id under which requests were sent, by its number.
    pub(in crate::world) executors: Vec<Executor>,
    /// What left an operator and was not forgotten yet.
    pub(in crate::world) trials: Vec<Trial>,
    /// What was really done, step by step.
    pub(in crate::world) truth: Vec<Truth>,
    /// The children as they are, where the rules play them so.
    pub(in crate::world) children: Vec<Child>,
    /// How people and nodes meddled with them already.
    pub(in crate::world) meddled: Vec<Meddling>,
    /// How many Pods were made.
    pub(in crate::world) made: u32,
    /// Of the object that each step deletes, and of that which its compensation deletes: how often
    /// somebody made it again.
    pub(in crate::world) remade: Vec<[u32; 2]>,
    /// What people asked for already.
    pub(in crate::world) asked: Vec<Ask>,
    /// The faults that happened already.
    pub(in crate::world) faults: Vec<Fault>,
    /// The wall clocks of the operators, by their numbers.
    pub(in crate::world) clocks: Vec<Clock>,
    /// By how much the clock was ahead that was ever furthest ahead; zero where none ever was.
    pub(in crate::world) furthest: SignedDuration,
    /// When attempts under way really began, where a clock may have dated them wrongly.
    pub(in crate::world) dated: Vec<Dated>,
}

/// What came of a move.
#[derive(Clone, Debug)]
pub struct Step {
    /// The world after it.
    pub world: World,
    /// What happened on the way, in order.
    pub happened: Vec<Happened>,
    /// The laws that it broke.
    pub broken: Vec<Broken>,
}

/// Who an attempt is, its step by the place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    /// The step's place, from 0.
    pub place: usize,
    /// Action or compensation.
    pub direction: Direction,
    /// The attempt's number, from 1.
    pub number: i64,
}

impl World {
    /// A world in which this saga was just created.
    #[must_use]
    pub fn new(saga: ValidSaga, rules: Rules) -> Self {
        let (truth, remade) =
            (vec![Truth::default(); saga.steps.len()], vec![[0; 2]; saga.steps.len()]);
        let processes = (0..rules.operators.max(1))
            .map(|number| Process::new(number, rules.is_later(number)))
            .collect();
        let executors = (0..rules.operators.max(1)).map(|_| Executor::default()).collect();
        let clocks: Vec<_> = rules
            .clocks
            .iter()
            .take(rules.operators.max(1))
            .map(|ahead| Clock { ahead: *ahead, set: None })
            .collect();
        let furthest = clocks
            .iter()
            .map(|clock| clock.ahead)
            .max()
            .unwrap_or_default()
            .max(SignedDuration::ZERO);
        Self {
            now: Timestamp::from_second(DAWN).unwrap_or_default(),
            copies: Copies::new(Object::new(saga)),
            rules: Arc::new(rules),
            processes,
            executors,
            trials: Vec::new(),
            truth,
            children: Vec::new(),
            meddled: Vec::new(),
            made: 0,
            remade,
            asked: Vec::new(),
            faults: Vec::new(),
            clocks,
            furthest,
            dated: Vec::new(),
        }
    }

    /// The time of the world, which no clock need show.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The saga as it stands in the API server.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.copies.newest()
    }

    /// The stored status.
    #[must_use]
    pub fn status(&self) -> &SagaStatus {
        self.object().status()
    }

    /// What was really done by each step, whatever the operators know of it.
    #[must_use]
    pub fn truth(&self) -> &[Truth] {
        &self.truth
    }

    /// What people asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> &[Ask] {
        &self.asked
    }

    /// The faults that happened so far, in order.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What the world allows to happen.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The attempts under way at the other side.
    pub fn under_way(&self) -> impl Iterator<Item = Who> {
        self.trials.iter().filter(|trial| trial.runs()).map(|trial| trial.who)
    }

    /// The attempt in the engine's words.
    pub(in crate::world) fn id(&self, who: Who) -> AttemptId {
        let step = self
            .object()
            .saga()
            .steps
            .get(who.place)
            .map(|step| step.name.clone())
            .unwrap_or_default();
        AttemptId { step, direction: who.direction, number: who.number }
    }

    /// The attempt by its step's place; `None` where the saga has no such step.
    pub(in crate::world) fn who(&self, id: &AttemptId) -> Option<Who> {
        let place = self.object().saga().steps.iter().position(|step| step.name == id.step)?;
        Some(Who { place, direction: id.direction, number: id.number })
    }
}
