//! What must hold of an effect at the instant at which a replica performs it.

use super::must;
use crate::{
    api::{ActiveAttempt, DirectionStatus},
    clock::between,
    coordination::fence::{CREATED_WITHIN, FRESH},
    world::{
        clocks,
        gather::pod_uid,
        state::{
            law::{Broken, Law},
            object::SPEC_HASH,
            world::{Who, World},
        },
    },
};

/// Checks an HTTP request that is about to be sent under this executor id.
pub(in super::super) fn sends(
    world: &World,
    who: Who,
    key: i64,
    executor: &str,
    broken: &mut Vec<Broken>,
) {
    leaves(world, who, key, false, broken);
    let object = world.object();
    let named = object
        .active()
        .find(|(active, _)| *active == who)
        .and_then(|(_, record)| record.active.as_ref()?.executor.clone());
    must(broken, named.as_deref() == Some(executor), Law::Executor, || {
        format!("{who} is sent by {executor}, and its intent names {named:?}")
    });
    let again = world.trials.iter().any(|trial| trial.who == who);
    must(broken, !again, Law::DoneOnce, || format!("{who} is sent twice"));
}

/// Checks a Pod that is about to be created. `fresh`: the replica wrote the intent less than two
/// seconds ago.
pub(in super::super) fn creates(
    world: &World,
    who: Who,
    key: i64,
    fresh: bool,
    broken: &mut Vec<Broken>,
) {
    leaves(world, who, key, fresh, broken);
    let object = world.object();
    let Some((_, record)) = object.active().find(|(active, _)| *active == who) else { return };
    let Some(active) = &record.active else { return };
    let again = world.trials.iter().any(|trial| trial.who == who);
    let young = between(clocks::decided(world, who, active), world.now()) < CREATED_WITHIN;
    must(broken, !again || young, Law::CreatedWithin, || {
        format!("the Pod of {who} is made again so long after its intent")
    });
    must(broken, active.child_uid.is_none(), Law::DoneOnce, || {
        format!("the Pod of {who} is made again although its UID is known")
    });
}

/// Checks the deletion of an object that is about to be sent. `fresh`: the replica wrote the UID of
/// the object less than two seconds ago.
pub(in super::super) fn deletes(
    world: &World,
    who: Who,
    key: i64,
    fresh: bool,
    object: u32,
    broken: &mut Vec<Broken>,
) {
    leaves(world, who, key, fresh, broken);
    let other = world.trials.iter().any(|trial| trial.who == who && trial.pod != Some(object));
    must(broken, !other, Law::DoneOnce, || {
        format!("{who} deletes what was made again under the name of what it deleted")
    });
    let stored = world
        .object()
        .active()
        .find(|(active, _)| *active == who)
        .and_then(|(_, record)| record.active.as_ref()?.child_uid.clone());
    must(broken, fresh || stored == Some(pod_uid(object)), Law::IntentFirst, || {
        format!("{who} deletes what the status does not name")
    });
}

fn leaves(world: &World, who: Who, key: i64, fresh: bool, broken: &mut Vec<Broken>) {
    let object = world.object();
    let record = object.active().find(|(active, _)| *active == who).map(|(_, record)| record);
    must(broken, record.is_some() || fresh, Law::IntentFirst, || {
        format!("{who} leaves although no intent of it stands in the status")
    });
    // An abandoned saga is released together with its attempts. An effect so soon after its intent
    // needs no read, so the replica does not learn of the release.
    let decided =
        |active: &ActiveAttempt| between(clocks::decided(world, who, active), world.now());
    let late = |record: &DirectionStatus| {
        record.active.as_ref().is_none_or(|active| decided(active) >= FRESH)
    };
    let kept = object.finalizer || (object.gone && !record.is_some_and(late));
    must(broken, record.is_none() || kept, Law::Release, || {
        format!("{who} leaves although nothing keeps the saga")
    });
    if let Some(record) = record {
        must(broken, record.failures == key, Law::OneIdentity, || {
            format!("{who} leaves under the key {key}, not {}", record.failures)
        });
    }
    let pinned = object.status().spec_hash.as_deref();
    must(broken, object.gone || pinned == Some(SPEC_HASH), Law::Consistent, || {
        format!("{who} leaves although the spec is not pinned")
    });
    let other = world.trials.iter().find(|trial| trial.who == who && trial.key != key);
    must(broken, other.is_none(), Law::OneIdentity, || format!("{who} leaves under two keys"));
}
