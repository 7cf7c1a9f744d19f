//! What must hold of a saga that replicas of two versions write.

use super::must::must;
use crate::{
    api::DeletionPolicy,
    world::{
        state::{
            object::SagaObject,
            property::{Property, Violation},
            reconcile::Act,
            world::World,
        },
        versions::{self, unknown},
    },
};

/// Checks an act that a replica is about to do on the newest version. A replica does not write to a
/// saga that it cannot read. The only exception: it may release a saga that is to be abandoned.
pub(in super::super) fn act(
    world: &World,
    number: usize,
    act: &Act,
    violations: &mut Vec<Violation>,
) {
    let object = world.object();
    let gives_up = object.deleting && object.saga().deletion_policy == DeletionPolicy::Abandon;
    let writes = match act {
        Act::AddFinalizer | Act::Write(_) | Act::TakeAway { .. } | Act::Delete => true,
        Act::RemoveFinalizer { .. } => !gives_up,
        Act::Begin(_) | Act::Stop(_) | Act::Publish(_) | Act::Sweep => false,
    };
    must(
        violations,
        !writes || versions::can_read(world, number),
        Property::KeepsTheUnknown,
        || format!("operator {number} writes to a saga with a word that it does not know"),
    );
}

/// Checks a status that was just written: what another version wrote is kept. `before`: the saga
/// before the write.
pub(in super::super) fn write(world: &World, before: &SagaObject, violations: &mut Vec<Violation>) {
    let Some((was, is)) = before.shared.as_ref().zip(world.object().shared.as_ref()) else {
        return;
    };
    let is = unknown(&is.text);
    for (place, field) in unknown(&was.text) {
        must(violations, is.get(&place) == Some(&field), Property::KeepsTheUnknown, || {
            format!(
                "a write takes away what another version wrote of {}",
                if place.is_empty() { "the saga" } else { &place }
            )
        });
    }
}
