//! What a test arranges in a world besides the moves: the saga as it is stored, the clock, and what
//! surrounds the saga. And what a replica would do next.
//!
//! # Guarantees
//! No function makes a decision or performs an effect: that is done by the moves alone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    observe, reconcile,
    state::{
        circumstances::Circumstances,
        execution::GroundTruth,
        object::{NO_SAGA, Shared, SpecRead},
        property::Violation,
        replica::executor_id,
        rules::Rules,
        world::World,
    },
};
use crate::{
    api::{StoredSaga, Strangers},
    fault::Fault,
    model::{observation::Observations, saga::ValidSaga},
};

/// The saga as it is stored, with the metadata that a world keeps apart.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What the operator reads of the object.
    pub object: &'a StoredSaga,
    /// The status as stored.
    pub status: &'a Value,
    /// The saga, or what is wrong with its spec.
    pub saga: &'a Result<ValidSaga, Vec<Fault>>,
    /// Fields and values of the spec that this version does not know, each as a sentence.
    pub unknown: &'a [String],
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether the saga is terminating.
    pub deleting: bool,
    /// Whether the saga has the operator's finalizer.
    pub finalizer: bool,
    /// Whether the saga no longer exists.
    pub gone: bool,
}

/// Creates a world without a saga. [`store`] puts one into it.
#[must_use]
pub fn empty(rules: Rules) -> World {
    World::new(NO_SAGA.clone(), rules)
}

/// Stores the saga as a user or another program left it. The version of the object stays.
pub fn store(world: &mut World, stored: &Stored<'_>) {
    let from = stored.object;
    let steps = stored.saga.as_ref().map_or(0, |saga| saga.steps.len());
    let steps = steps.max(world.truth.len());
    world.truth.resize(steps, GroundTruth::default());
    world.remade.resize(steps, [0; 2]);
    let object = Arc::make_mut(&mut world.copies.newest);
    object.generation = stored.generation;
    object.deleting = stored.deleting;
    object.finalizer = stored.finalizer;
    object.gone = stored.gone;
    object.asked.clone_from(&from.asked);
    object.handled = from.handled;
    object.spec = Arc::new(SpecRead {
        saga: stored.saga.clone(),
        hash: from.spec_hash.clone(),
        deletion_policy: from.deletion_policy,
        keys_from: from.keys_from.clone(),
        unknown: stored.unknown.to_vec(),
    });
    object.status = Arc::new(from.status.clone());
    object.shared = Some(Arc::new(Shared {
        text: stored.status.clone(),
        status: from.status.clone(),
        salvaged: from.salvaged.clone(),
        strangers: from.strangers.as_deref().map_or_else(Strangers::default, Clone::clone),
    }));
}

/// Changes what surrounds the saga.
pub fn surround(world: &mut World, change: impl FnOnce(&mut Circumstances)) {
    change(&mut Arc::make_mut(&mut world.rules).circumstances);
}

/// Sets the clock of the world, forward or back. Nothing becomes due by that.
pub fn set_time(world: &mut World, now: Timestamp) {
    world.now = now;
}

/// Makes a replica reconcile the saga although nothing triggered it, as a resync does.
pub fn resync(world: &mut World, replica: usize) {
    if let Some(replica) = world.replicas.get_mut(replica) {
        replica.triggered = true;
    }
}

/// Returns the id under which a replica sends HTTP requests; `None` if there is no such replica.
#[must_use]
pub fn executor(world: &World, replica: usize) -> Option<String> {
    world.replicas.get(replica).map(|replica| executor_id(replica.executor))
}

/// Returns what a replica would observe of the active attempts now.
#[must_use]
pub fn observations(world: &World, replica: usize) -> Observations {
    let (mut copy, object) = (world.clone(), Arc::clone(&world.copies.newest));
    observe::observe(&mut copy, replica, &object)
}

/// Returns how many writes and effects of the next reconcile of a replica others can notice.
#[must_use]
pub fn length(world: &World, replica: usize) -> usize {
    let mut violations: Vec<Violation> = Vec::new();
    reconcile::decide(&mut world.clone(), replica, 0, &mut violations)
        .map_or(0, |reconcile| reconcile.length())
}
