//! Questions about a world: what an attempt is, which executions and children of it exist.

use super::state::{
    attempt::AttemptRef,
    child::{Children, StoredChild},
    execution::Execution,
    world::World,
};
use crate::{
    api::Direction,
    model::saga::{Operation, Work},
};

/// Returns the operation that an attempt carries out.
pub(super) fn operation(world: &World, attempt: AttemptRef) -> Option<&Operation> {
    world.object().saga().steps.get(attempt.place)?.operation(attempt.direction)
}

/// Returns whether the attempt deletes an object.
pub(super) fn deletes(world: &World, attempt: AttemptRef) -> bool {
    operation(world, attempt).is_some_and(Operation::deletes)
}

/// Returns whether the attempt is an HTTP request.
pub(super) fn is_request(world: &World, attempt: AttemptRef) -> bool {
    operation(world, attempt).is_some_and(|operation| matches!(operation.work, Work::Http(_)))
}

/// Returns whether the attempt runs a program: a Pod or a Job.
pub(super) fn is_program(world: &World, attempt: AttemptRef) -> bool {
    let operation = operation(world, attempt);
    operation.is_some_and(|operation| matches!(operation.work, Work::Pod(_) | Work::Job(_)))
}

/// Returns whether the attempt runs a Job.
pub(super) fn runs_a_job(world: &World, attempt: AttemptRef) -> bool {
    let operation = operation(world, attempt);
    operation.is_some_and(|operation| matches!(operation.work, Work::Job(_)))
}

/// Returns the number of the object that the step deletes: the object that has its name now, or had
/// it last.
pub(super) fn deletion_target(world: &World, attempt: AttemptRef) -> u32 {
    let [action, undo] = world.remade.get(attempt.place).copied().unwrap_or_default();
    if attempt.direction == Direction::Action { action } else { undo }
}

/// Returns whether an execution of the step is under way under this key. The attempt `but` does not
/// count.
pub(super) fn may_be_done(
    world: &World,
    place: usize,
    direction: Direction,
    key: i64,
    but: Option<AttemptRef>,
) -> bool {
    let of_the_key = |execution: &Execution| {
        execution.attempt.place == place
            && execution.attempt.direction == direction
            && execution.key == key
    };
    world.executions.iter().any(|execution| {
        of_the_key(execution) && execution.runs() && Some(execution.attempt) != but
    })
}

/// Returns whether this world simulates children as real objects.
pub(super) fn simulates_children(world: &World) -> bool {
    matches!(world.rules.children, Children::AsTheyAre { .. })
}

/// Returns whether the child of an attempt is simulated as a real object.
pub(super) fn has_real_child(world: &World, attempt: AttemptRef) -> bool {
    simulates_children(world) && is_program(world, attempt)
}

/// Returns the child with the attempt's name.
pub(super) fn child_of(world: &World, attempt: AttemptRef) -> Option<&StoredChild> {
    world.children.iter().find(|child| child.attempt == attempt && child.exists())
}

/// Returns the number of the child with the attempt's name.
pub(super) fn child_number(world: &World, attempt: AttemptRef) -> Option<u32> {
    child_of(world, attempt).map(|child| child.number)
}

/// Returns whether a watch showed this replica that an attempt is done.
pub(super) fn was_shown_done(world: &World, replica: usize, attempt: AttemptRef) -> bool {
    world.replicas.get(replica).is_some_and(|replica| replica.cache.proofs.contains(&attempt))
}
