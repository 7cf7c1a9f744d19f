//! What must hold of an attempt if a watch showed a replica how the attempt ended.

use super::must;
use crate::{
    api::Outcome,
    world::{
        Object,
        children::there,
        state::{
            law::{Broken, Law},
            world::World,
        },
    },
};

/// Checks the status that this replica just wrote: an attempt that a watch showed to be done counts
/// as done. `before`: the saga before the write.
pub(in super::super) fn shown(
    world: &World,
    number: usize,
    before: &Object,
    broken: &mut Vec<Broken>,
) {
    for (who, _) in before
        .active()
        .filter(|(who, _)| there::was_shown(world, number, *who) && !world.object().is_active(*who))
    {
        let record =
            world.status().steps.get(who.place).and_then(|step| step.direction(who.direction));
        let outcome = record.and_then(|record| {
            record.attempts.iter().find(|attempt| attempt.attempt == who.number)
        });
        let told = outcome.is_none_or(|attempt| attempt.outcome == Outcome::Succeeded);
        must(broken, told, Law::Truthful, || {
            format!("{who} does not count as done although its operator was shown that it is")
        });
    }
}
