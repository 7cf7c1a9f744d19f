//! A simulated world around the real engine: one saga in an API server, one or two operators, Pods,
//! requests, and clocks that go only where they are told to.
//!
//! ```text
//!  World ── moves() ──► everything that may happen next
//!                         └── apply(&Move) ──► Step { world, happened, broken }
//! ```
//!
//! Whoever holds a world chooses what happens: the model tries every [`Move`], a simulation takes
//! [`World::fair_move`]. A world is a value: [`World::apply`] leaves it as it is and returns the
//! next one, with what [`Happened`] on the way and which [`Law`] was broken by it.
//!
//! # Guarantees
//! Pure: equal worlds and equal moves give equal worlds. Decisions are the engine's own, and the
//! rules of the shell are those of [`crate::engine`] and [`crate::objects`]; the world adds the
//! faults. An operator looks at the saga only when something told it to: its object or a Pod of it
//! changed, a request of its own came back, or its last plan asked for it. So a wake-up that is
//! lost shows. Each operator has a wall clock of its own, which may be wrong and may be set; what
//! it waits for and how long it knows something is by the time of the world, which the laws judge
//! by. An operator may be of a later version than the other one.
//!
//! # Assumptions
//! The saga is valid, and nobody but the operators writes its status. What Pods and Jobs are
//! assumed to be stands in `children`.
//!
//! # Caveats
//! A look at the saga happens at one instant, unless it is halted. Effects of one plan leave one
//! after the other. Reads other than of the saga are live. Events are lost only by an operator
//! whose watches break, and then all of them, until it lists everything again; what it reads
//! meanwhile is no older than the world allows. Unless the rules ask for them
//! [as they are](Children::AsTheyAre), Pods are played by their numbers, and Jobs as Pods are.

mod asks;
mod children;
mod clocks;
mod faults;
mod gather;
mod happened;
mod identity;
mod laws;
mod look;
mod moves;
mod object;
mod other_side;
mod perform;
mod person;
mod process;
mod rules;
mod sink;
mod versions;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use self::{
    asks::Ask,
    children::{Cascade, Children, Doing, Meddling, Turn, Way, meddled},
    faults::{Fault, Halt},
    happened::Happened,
    identity::fingerprint,
    laws::{Broken, Law, ends::wrong_at_rest},
    moves::{Move, apply, due, expand, fair_move, moves},
    object::Object,
    other_side::{Ending, Truth},
    person::{Deed, after, at},
    rules::Rules,
    versions::Later,
};

use self::{
    children::Child,
    clocks::{Clock, Dated},
    object::Copies,
    other_side::Trial,
    process::{Executor, Process},
};
use crate::{
    api::{Direction, SagaStatus, names::AttemptId},
    model::saga::ValidSaga,
};

/// When every world begins: 2026-01-01T00:00:00Z.
const DAWN: i64 = 1_767_225_600;

/// The whole world at one instant. Cheap to clone: what is large is shared.
#[derive(Clone, Debug)]
pub struct World {
    rules: Arc<Rules>,
    now: Timestamp,
    copies: Copies,
    processes: Vec<Process>,
    /// Every id under which requests were sent, by its number.
    executors: Vec<Executor>,
    /// What left an operator and was not forgotten yet.
    trials: Vec<Trial>,
    /// What was really done, step by step.
    truth: Vec<Truth>,
    /// The children as they are, where the rules play them so.
    children: Vec<Child>,
    /// How people and nodes meddled with them already.
    meddled: Vec<Meddling>,
    /// How many Pods were made.
    made: u32,
    /// Of the object that each step deletes, and of that which its compensation deletes: how often
    /// somebody made it again.
    remade: Vec<[u32; 2]>,
    /// What people asked for already.
    asked: Vec<Ask>,
    /// The faults that happened already.
    faults: Vec<Fault>,
    /// The wall clocks of the operators, by their numbers.
    clocks: Vec<Clock>,
    /// By how much the clock was ahead that was ever furthest ahead; zero where none ever was.
    furthest: SignedDuration,
    /// When attempts under way really began, where a clock may have dated them wrongly.
    dated: Vec<Dated>,
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
    fn id(&self, who: Who) -> AttemptId {
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
    fn who(&self, id: &AttemptId) -> Option<Who> {
        let place = self.object().saga().steps.iter().position(|step| step.name == id.step)?;
        Some(Who { place, direction: id.direction, number: id.number })
    }
}
