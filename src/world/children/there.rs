//! The children of attempts as they are in the API server: Pods and Jobs with owners, labels,
//! finalizers and deletions, and who acts on them.
//!
//! ```text
//!  people, drains ──► Turn::Meddle ─┐
//!  kubelet, Job controller, GC ─────┴─► Child (what is true) ──► Pod, Job (real values) ─┐
//!    ┌───────────────────────────────────────────────────────────────────────────────────┘
//!    ├── watch ──► View (what an operator was shown)
//!    └── live read ──► look ──► objects::* ──► ChildState
//! ```
//!
//! # Guarantees
//! - What a child is taken for is decided by [`crate::objects`] alone, on real values that are
//!   built from what is true here.
//! - What a program did that exits with 0 after it was told to go is open: all its work, or half of
//!   it.
//! - An operator that is up, or stands still in a look, is shown each change at once; one that was
//!   restarted sees what stands there then.
//!
//! # Assumptions
//! - Kubelet, Job controller and garbage collector are prompt: the clock goes on only once they
//!   have nothing to do but to make a pod. A container that is told to go ends before the clock
//!   goes on. So no child is ever stuck on a node.
//! - What a Job counts that is neither deleted nor suspended is its own business: a pod of it that
//!   is evicted ends with 0 only with its work done.
//! - A child loses its owner or its labels, and a Job is deleted, only once the status names it,
//!   where an operator may crash: before, nobody could tell whose it is, or that there was one
//!   whose pod may run.
//! - Nobody takes the Job controller's own labels from a pod.
//!
//! # Caveats
//! One container, bound to a node when its pod is made; one pod of a Job, and nobody resumes a Job
//! that was suspended. The Job controller sets its condition with the count. No watch lags behind
//! another one.

use crate::world::state::child::{Child, Children};

use crate::world::{
    gather::pod_uid,
    other_side,
    state::{
        process::Process,
        world::{Who, World},
    },
};

pub use crate::world::state::meddling::Meddling;

/// How people and nodes meddled with children so far, in order.
#[must_use]
pub fn meddled(world: &World) -> &[Meddling] {
    &world.meddled
}

/// Whether this world plays the children of attempts as they are.
pub(crate) fn has_children(world: &World) -> bool {
    matches!(world.rules.children, Children::AsTheyAre { .. })
}

/// Whether the child of an attempt is played as it is.
pub(crate) fn plays(world: &World, who: Who) -> bool {
    has_children(world) && other_side::is_program(world, who)
}

/// Whether this operator was shown that an attempt is done.
pub(crate) fn was_shown(world: &World, process: usize, who: Who) -> bool {
    world.processes.get(process).is_some_and(|process| process.view.proofs.contains(&who))
}

/// The child that bears the name of an attempt.
pub(crate) fn there(world: &World, who: Who) -> Option<&Child> {
    world.children.iter().find(|child| child.who == who && child.is_there())
}

/// The number of the child that bears the name of an attempt.
pub(crate) fn number_there(world: &World, who: Who) -> Option<u32> {
    there(world, who).map(|child| child.number)
}

/// Forgets what cannot matter any more: what runs no more and belongs to attempts that are
/// settled.
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
