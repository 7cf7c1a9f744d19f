//! The end of every move: the world forgets what no longer matters, and the properties that hold
//! in every world are checked.

use super::{children, properties, reconcile, remote, state::world::Successor};

/// Returns the result of a move after the world forgot what no longer matters, and after the check
/// of the properties that hold in every world.
pub(super) fn concluded(mut successor: Successor) -> Successor {
    let Successor { world, violations, .. } = &mut successor;
    let read = [1, 2].map(|back| {
        world.copies.back(back).is_some_and(|copy| reconcile::may_be_read(world, copy))
    });
    world.copies.forget(read);
    remote::forget_executions(world);
    children::cache::forget_children(world);
    properties::world(world, violations);
    successor
}
