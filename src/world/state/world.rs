//! The whole world at one instant.

use std::{sync::Arc, time::Instant};

use jiff::{SignedDuration, Timestamp};

use super::{
    attempt::AttemptRef,
    child::StoredChild,
    clock::{Clock, Dated},
    event::Event,
    execution::{Execution, GroundTruth},
    fault::ReplicaFault,
    interference::Interference,
    object::{Copies, SagaObject},
    property::Violation,
    replica::{Executor, Replica},
    rules::Rules,
    user::UserMove,
};
use crate::{
    api::{SagaStatus, names::AttemptId},
    clock::between,
    model::saga::ValidSaga,
};

/// The instant at which every world begins: 2026-01-01T00:00:00Z.
const DAWN: i64 = 1_767_225_600;

/// The whole world at one instant. A clone is cheap: large parts are shared.
#[derive(Clone, Debug)]
pub struct World {
    pub(in crate::world) rules: Arc<Rules>,
    pub(in crate::world) now: Timestamp,
    pub(in crate::world) copies: Copies,
    pub(in crate::world) replicas: Vec<Replica>,
    /// Every id under which HTTP requests were sent, by its number.
    pub(in crate::world) executors: Vec<Executor>,
    /// The executions that left a replica and are not forgotten yet.
    pub(in crate::world) executions: Vec<Execution>,
    /// What each step really did, by the place of the step.
    pub(in crate::world) truth: Vec<GroundTruth>,
    /// The children as real objects, if the rules simulate them so.
    pub(in crate::world) children: Vec<StoredChild>,
    /// How users and nodes interfered with children so far.
    pub(in crate::world) interferences: Vec<Interference>,
    /// How many Pods were created.
    pub(in crate::world) made: u32,
    /// How often a third party created the object again that the action of each step deletes, and
    /// the object that its compensation deletes.
    pub(in crate::world) remade: Vec<[u32; 2]>,
    /// What users asked for so far.
    pub(in crate::world) asked: Vec<UserMove>,
    /// The faults that happened so far.
    pub(in crate::world) faults: Vec<ReplicaFault>,
    /// The wall clocks of the replicas, by their numbers.
    pub(in crate::world) clocks: Vec<Clock>,
    /// How far any clock was ever ahead, at most. The value is zero if no clock was ever ahead.
    pub(in crate::world) furthest: SignedDuration,
    /// When active attempts were really decided, if a clock may have dated them wrongly.
    pub(in crate::world) dated: Vec<Dated>,
}

/// The result of a move.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The world after the move.
    pub world: World,
    /// What happened during the move, in order.
    pub events: Vec<Event>,
    /// The properties that the move broke.
    pub violations: Vec<Violation>,
}

impl World {
    /// Creates a world in which this saga was just created.
    #[must_use]
    pub fn new(saga: ValidSaga, rules: Rules) -> Self {
        let (truth, remade) =
            (vec![GroundTruth::default(); saga.steps.len()], vec![[0; 2]; saga.steps.len()]);
        let replicas = (0..rules.operators.max(1))
            .map(|number| Replica::new(number, rules.is_later(number)))
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
            copies: Copies::new(SagaObject::new(saga)),
            rules: Arc::new(rules),
            replicas,
            executors,
            executions: Vec::new(),
            truth,
            children: Vec::new(),
            interferences: Vec::new(),
            made: 0,
            remade,
            asked: Vec::new(),
            faults: Vec::new(),
            clocks,
            furthest,
            dated: Vec::new(),
        }
    }

    /// Returns the simulated time. The clocks of replicas may show another time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the saga as it is in the API server.
    #[must_use]
    pub fn object(&self) -> &SagaObject {
        self.copies.newest()
    }

    /// Returns the stored status.
    #[must_use]
    pub fn status(&self) -> &SagaStatus {
        self.object().status()
    }

    /// Returns what each step really did, whatever the replicas know.
    #[must_use]
    pub fn truth(&self) -> &[GroundTruth] {
        &self.truth
    }

    /// Returns what users asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> &[UserMove] {
        &self.asked
    }

    /// Returns the faults that happened so far, in order.
    #[must_use]
    pub fn faults(&self) -> &[ReplicaFault] {
        &self.faults
    }

    /// Returns the rules of the world.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns how users and nodes interfered with children so far, in order.
    #[must_use]
    pub fn interferences(&self) -> &[Interference] {
        &self.interferences
    }

    /// Returns the attempts that are under way at the service.
    pub fn under_way(&self) -> impl Iterator<Item = AttemptRef> {
        self.executions
            .iter()
            .filter(|execution| execution.runs())
            .map(|execution| execution.attempt)
    }

    /// Returns the instant of the monotonic clock for an instant of the simulated time.
    pub(in crate::world) fn instant(&self, at: Timestamp) -> Instant {
        let dawn = Timestamp::from_second(DAWN).unwrap_or_default();
        self.rules.origin + between(dawn, at)
    }

    /// Returns the attempt id that the engine uses.
    pub(in crate::world) fn id(&self, attempt: AttemptRef) -> AttemptId {
        let step = self
            .object()
            .saga()
            .steps
            .get(attempt.place)
            .map(|step| step.name.clone())
            .unwrap_or_default();
        AttemptId { step, direction: attempt.direction, number: attempt.number }
    }

    /// Returns the attempt by the place of its step; `None` if the saga has no such step.
    pub(in crate::world) fn attempt(&self, id: &AttemptId) -> Option<AttemptRef> {
        let place = self.object().saga().steps.iter().position(|step| step.name == id.step)?;
        Some(AttemptRef { place, direction: id.direction, number: id.number })
    }
}
