//! Queries: which children exist, and what was shown of them.

use crate::world::{
    gather::pod_uid,
    other_side,
    state::{
        child::{Child, Children},
        process::Process,
        world::{Who, World},
    },
};

pub use crate::world::state::meddling::Meddling;

/// Returns how users and nodes interfered with children so far, in order.
#[must_use]
pub fn meddled(world: &World) -> &[Meddling] {
    &world.meddled
}

/// Returns whether this world simulates children as real objects.
pub(crate) fn has_children(world: &World) -> bool {
    matches!(world.rules.children, Children::AsTheyAre { .. })
}

/// Returns whether the child of an attempt is simulated as a real object.
pub(crate) fn plays(world: &World, who: Who) -> bool {
    has_children(world) && other_side::is_program(world, who)
}

/// Returns whether a watch showed this replica that an attempt is done.
pub(crate) fn was_shown(world: &World, process: usize, who: Who) -> bool {
    world.processes.get(process).is_some_and(|process| process.view.proofs.contains(&who))
}

/// Returns the child with the attempt's name.
pub(crate) fn there(world: &World, who: Who) -> Option<&Child> {
    world.children.iter().find(|child| child.who == who && child.is_there())
}

/// Returns the number of the child with the attempt's name.
pub(crate) fn number_there(world: &World, who: Who) -> Option<u32> {
    there(world, who).map(|child| child.number)
}

/// Forgets the children that no longer matter: they do not run, and their attempts are settled.
pub(crate) fn forget_children(world: &mut World) {
    let World { trials, children, processes, .. } = world;
    children.retain(|child| {
        !child.is_gone() && (child.runs() || trials.iter().any(|trial| trial.who == child.who))
    });
    for Process { memory, view, .. } in processes {
        let wanted = |who| {
            trials.iter().any(|trial| trial.who == who)
                || memory.iter().any(|known| known.who == who)
        };
        let own = memory.iter().filter_map(|known| known.child).map(|(_, number)| number);
        let named: Vec<_> =
            own.chain(trials.iter().filter_map(|trial| trial.pod)).map(pod_uid).collect();
        let known = |uid: &str| named.iter().any(|named| named == uid);
        view.keep_only(children, wanted, known);
    }
}
