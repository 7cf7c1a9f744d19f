//! The effect of a breaker that is not closed on a saga: the steps that would call its origin wait
//! without an attempt, and their messages say so.
//!
//! # Guarantees
//! A saga with a waiting step requeues itself for the instant at which the breaker becomes
//! half-open, and for the instant at which the step's retry deadline passes. The message of the
//! step is the same in every reconcile. Two replicas whose breakers opened at different instants do
//! not overwrite each other's messages endlessly: an instant in the message that lies in the future
//! is kept.

use super::{
    deadline,
    state::Pass,
    throttled::{CIRCUIT_OPEN, CROWDED_POLL, Shut, Wait, told_until, without_circuit},
};
use crate::{
    api::{Direction, StepStatus},
    clock::later,
    model::{
        input::Gate,
        origin::{self, Origin},
        saga::{Operation, Work},
    },
};

/// Returns the breaker of the operation's origin, if the breaker admits no more calls. Requeues the
/// saga for its next change.
pub(crate) fn circuit(
    pass: &mut Pass<'_>,
    operation: &Operation,
    direction: Direction,
) -> Option<Shut> {
    let (origin, gate) = gate(pass, operation)?;
    if gate.left > 0 {
        return None;
    }
    let (until, poll) = (gate.until, later(pass.seen.now, CROWDED_POLL));
    // While the breaker is half-open, the end of its probe enqueues a waiting saga. The poll covers
    // the case that another saga was enqueued. If the breaker is open although its instant has
    // come, the wall clock was set.
    pass.wake_at(until.filter(|until| *until > pass.seen.now).unwrap_or(poll));
    Some(Shut { origin, direction, until })
}

/// Counts an HTTP request that passes a breaker which is not closed.
pub(crate) fn pass_circuit(pass: &mut Pass<'_>, operation: &Operation) {
    if let Some((_, gate)) = gate(pass, operation) {
        gate.left = gate.left.saturating_sub(1);
    }
}

fn gate<'p>(pass: &'p mut Pass<'_>, operation: &Operation) -> Option<(Origin, &'p mut Gate)> {
    let Work::Http(action) = &operation.work else { return None };
    // The map is usually empty. The URL is parsed only if it is not.
    let origin = if pass.gates.is_empty() { None } else { origin::origin(&action.url) }?;
    let gate = pass.gates.get_mut(&origin)?;
    Some((origin, gate))
}

/// Returns whether the step waits for its host and its message reports a breaker.
pub(crate) fn tells_of_circuit(pass: &Pass<'_>, status: &StepStatus) -> bool {
    wait(pass, &status.name).is_some()
        && status.message.as_deref().is_some_and(|message| message.starts_with(CIRCUIT_OPEN))
}

/// Returns why the step waits for its host, or `None` if it does not wait for its host.
fn wait<'p>(pass: &'p Pass<'_>, step: &str) -> Option<&'p Wait> {
    pass.crowded.iter().find(|crowded| crowded.step == step).map(|crowded| &crowded.why)
}

/// Writes into the message of each step that waits for a breaker that the step does so. Removes
/// this text from the messages of steps that no longer wait for a breaker. A process that begins
/// nothing changes no message, because it does not know which steps would wait.
pub(crate) fn tell_of_circuits(pass: &mut Pass<'_>) {
    if pass.seen.draining {
        return;
    }
    pass.each_step(|pass, _, step, status| match wait(pass, &step.name) {
        Some(Wait::Circuit(shut)) => {
            status.message = Some(shut.message(status.message.as_deref(), pass.seen.now));
            let budget = step.operation(shut.direction).zip(status.direction(shut.direction));
            let left = budget
                .and_then(|(operation, record)| deadline::budget_left(pass, operation, record));
            if let Some(left) = left.filter(|left| !left.is_zero()) {
                pass.wake_at(later(pass.seen.now, left));
            }
        }
        // The breaker of another replica may be open. The step waits in any case until the instant
        // in the message has come.
        Some(Wait::Room)
            if status
                .message
                .as_deref()
                .and_then(told_until)
                .is_none_or(|until| until > pass.seen.now) => {}
        Some(Wait::Room) | None => {
            status.message =
                status.message.take().and_then(|told| without_circuit(&told).map(str::to_owned));
        }
    });
}

/// Takes capacity for an HTTP request to the operation's host. Returns `false` if the limit of
/// concurrent HTTP requests to the host is reached. Other operations need no such capacity.
pub(crate) fn take_room(pass: &mut Pass<'_>, operation: &Operation) -> bool {
    let Work::Http(action) = &operation.work else { return true };
    // The map is usually empty. The URL is parsed only if it is not.
    let left =
        if pass.room.is_empty() { None } else { pass.room.get_mut(&origin::host(&action.url)) };
    match left {
        None => true,
        Some(0) => {
            // The end of an HTTP request enqueues a waiting saga. The poll covers the case that the
            // enqueued saga no longer needs the slot.
            pass.wake_at(later(pass.seen.now, CROWDED_POLL));
            false
        }
        Some(left) => {
            *left = left.saturating_sub(1);
            true
        }
    }
}
