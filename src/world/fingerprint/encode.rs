//! The numbers that stand for ends, faults, ages and versions in a fingerprint.

use std::time::Duration;

use jiff::Timestamp;

use super::hash::StateHash;
use crate::{
    clock::between,
    world::{
        state::{execution::AttemptEnd, fault::ReplicaFault, object::SagaObject, world::World},
        versions::{is_later, unknown},
    },
};

/// The age from which it does not matter how long a replica has known a Pod.
pub(super) const NOTED: Duration = Duration::from_secs(2);

pub(super) fn age(world: &World, hash: &mut StateHash<'_>, at: Timestamp, cap: Duration) {
    hash.duration(between(at, world.now).min(cap));
}

pub(super) const fn ending_number(ending: AttemptEnd) -> u64 {
    match ending {
        AttemptEnd::Done => 0,
        AttemptEnd::No => 1,
        AttemptEnd::Busy => 2,
        AttemptEnd::Unknown(done) => 3 + done as u64,
        AttemptEnd::Vanished(done) => 5 + done as u64,
        AttemptEnd::Conflict => 7,
        AttemptEnd::Crash => 8,
        AttemptEnd::Accepted(done) => 9 + done as u64,
    }
}

pub(super) const fn fault_number(fault: ReplicaFault) -> u64 {
    match fault {
        ReplicaFault::Crash => 0,
        ReplicaFault::Freeze => 1,
        ReplicaFault::Stall => 2,
        ReplicaFault::Lapse => 3,
        ReplicaFault::Refuse => 4,
        ReplicaFault::SetAhead => 5,
        ReplicaFault::SetBack => 6,
        ReplicaFault::Deafen => 7,
    }
}

/// Writes the part of a fingerprint that covers the version of a replica.
pub(super) fn version_into(world: &World, hash: &mut StateHash<'_>, number: usize) {
    if world.rules.later.is_some() {
        hash.flag(is_later(world, number));
    }
}

pub(super) fn shared_into(hash: &mut StateHash<'_>, object: &SagaObject) {
    if let Some(shared) = &object.shared {
        hash.flag(shared.is_strange());
        let fields = unknown(&shared.text);
        hash.count(fields.len());
        fields.keys().flat_map(|name| name.bytes()).for_each(|byte| hash.put(byte.into()));
    }
}
