//! What must hold of an effect at the instant at which a replica performs it.

use super::must::must;
use crate::{
    api::{ActiveAttempt, DirectionStatus},
    clock::between,
    coordination::fence::{CREATED_WITHIN, FRESH},
    world::{
        clocks,
        state::{
            attempt::AttemptRef,
            child::pod_uid,
            object::SPEC_HASH,
            property::{Property, Violation},
            world::World,
        },
    },
};

/// Checks an HTTP request that is about to be sent under this executor id.
pub(in super::super) fn sends(
    world: &World,
    attempt: AttemptRef,
    key: i64,
    executor: &str,
    violations: &mut Vec<Violation>,
) {
    leaves(world, attempt, key, false, violations);
    let object = world.object();
    let named = object
        .active()
        .find(|(active, _)| *active == attempt)
        .and_then(|(_, record)| record.active.as_ref()?.executor.clone());
    must(violations, named.as_deref() == Some(executor), Property::Executor, || {
        format!("{attempt} is sent by {executor}, and its intent names {named:?}")
    });
    let again = world.executions.iter().any(|execution| execution.attempt == attempt);
    must(violations, !again, Property::DoneOnce, || format!("{attempt} is sent twice"));
}

/// Checks a Pod that is about to be created. `fresh`: the replica wrote the intent less than two
/// seconds ago.
pub(in super::super) fn creates(
    world: &World,
    attempt: AttemptRef,
    key: i64,
    fresh: bool,
    violations: &mut Vec<Violation>,
) {
    leaves(world, attempt, key, fresh, violations);
    let object = world.object();
    let Some((_, record)) = object.active().find(|(active, _)| *active == attempt) else { return };
    let Some(active) = &record.active else { return };
    let again = world.executions.iter().any(|execution| execution.attempt == attempt);
    let young = between(clocks::decided(world, attempt, active), world.now()) < CREATED_WITHIN;
    must(violations, !again || young, Property::CreatedWithin, || {
        format!("the Pod of {attempt} is made again so long after its intent")
    });
    must(violations, active.child_uid.is_none(), Property::DoneOnce, || {
        format!("the Pod of {attempt} is made again although its UID is known")
    });
}

/// Checks the deletion of an object that is about to be sent. `fresh`: the replica wrote the UID of
/// the object less than two seconds ago.
pub(in super::super) fn deletes(
    world: &World,
    attempt: AttemptRef,
    key: i64,
    fresh: bool,
    object: u32,
    violations: &mut Vec<Violation>,
) {
    leaves(world, attempt, key, fresh, violations);
    let other = world
        .executions
        .iter()
        .any(|execution| execution.attempt == attempt && execution.pod != Some(object));
    must(violations, !other, Property::DoneOnce, || {
        format!("{attempt} deletes what was made again under the name of what it deleted")
    });
    let stored = world
        .object()
        .active()
        .find(|(active, _)| *active == attempt)
        .and_then(|(_, record)| record.active.as_ref()?.child_uid.clone());
    must(violations, fresh || stored == Some(pod_uid(object)), Property::IntentFirst, || {
        format!("{attempt} deletes what the status does not name")
    });
}

fn leaves(
    world: &World,
    attempt: AttemptRef,
    key: i64,
    fresh: bool,
    violations: &mut Vec<Violation>,
) {
    let object = world.object();
    let record = object.active().find(|(active, _)| *active == attempt).map(|(_, record)| record);
    must(violations, record.is_some() || fresh, Property::IntentFirst, || {
        format!("{attempt} leaves although no intent of it stands in the status")
    });
    // An abandoned saga is released together with its attempts. An effect so soon after its intent
    // needs no read, so the replica does not learn of the release.
    let decided =
        |active: &ActiveAttempt| between(clocks::decided(world, attempt, active), world.now());
    let late = |record: &DirectionStatus| {
        record.active.as_ref().is_none_or(|active| decided(active) >= FRESH)
    };
    let kept = object.finalizer || (object.gone && !record.is_some_and(late));
    must(violations, record.is_none() || kept, Property::Release, || {
        format!("{attempt} is sent although the saga has no finalizer")
    });
    if let Some(record) = record {
        must(violations, record.failures == key, Property::OneIdentity, || {
            format!("{attempt} leaves under the key {key}, not {}", record.failures)
        });
    }
    let pinned = object.status().spec_hash.as_deref();
    must(violations, object.gone || pinned == Some(SPEC_HASH), Property::Consistent, || {
        format!("{attempt} leaves although the spec is not pinned")
    });
    let other = world
        .executions
        .iter()
        .find(|execution| execution.attempt == attempt && execution.key != key);
    must(violations, other.is_none(), Property::OneIdentity, || {
        format!("{attempt} leaves under two keys")
    });
}
