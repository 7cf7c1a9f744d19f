//! What must hold of an attempt if a watch showed a replica how the attempt ended.

use super::must::must;
use crate::{
    api::Outcome,
    world::{
        query,
        state::{
            object::SagaObject,
            property::{Property, Violation},
            world::World,
        },
    },
};

/// Checks the status that this replica just wrote: an attempt that a watch showed to be done counts
/// as done. `before`: the saga before the write.
pub(in super::super) fn shown(
    world: &World,
    number: usize,
    before: &SagaObject,
    violations: &mut Vec<Violation>,
) {
    for (attempt, _) in before.active().filter(|(attempt, _)| {
        query::was_shown_done(world, number, *attempt) && !world.object().is_active(*attempt)
    }) {
        let record = world
            .status()
            .steps
            .get(attempt.place)
            .and_then(|step| step.direction(attempt.direction));
        let outcome = record.and_then(|record| {
            record.attempts.iter().find(|entry| entry.attempt == attempt.number)
        });
        let told = outcome.is_none_or(|entry| entry.outcome == Outcome::Succeeded);
        must(violations, told, Property::Truthful, || {
            format!("{attempt} does not count as done although its operator was shown that it is")
        });
    }
}
