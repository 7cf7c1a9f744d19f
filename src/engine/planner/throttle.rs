//! What a circuit breaker that is not closed does to a saga: the steps that would call there wait,
//! without an attempt, and say so.
//!
//! # Guarantees
//! What waits asks to be looked at when its circuit is half-open, and when its retry deadline has
//! passed. Its message says the same at every look, and two operators whose circuits opened at
//! different instants do not contradict each other for ever: an instant that is yet to come stands.

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

/// The circuit of the operation's host, where it lets nothing more through.
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
    // Half-open it is announced when its probe has ended; the poll is for the case that the
    // announcement goes to another saga. An instant that has come although the circuit is open
    // means that the wall clock was set.
    pass.wake_at(until.filter(|until| *until > pass.seen.now).unwrap_or(poll));
    Some(Shut { origin, direction, until })
}

/// Counts a request that goes through a circuit which is not closed.
pub(crate) fn pass_circuit(pass: &mut Pass<'_>, operation: &Operation) {
    if let Some((_, gate)) = gate(pass, operation) {
        gate.left = gate.left.saturating_sub(1);
    }
}

fn gate<'p>(pass: &'p mut Pass<'_>, operation: &Operation) -> Option<(Origin, &'p mut Gate)> {
    let Work::Http(action) = &operation.work else { return None };
    // Rarely is anything limited.
    let origin = if pass.gates.is_empty() { None } else { origin::origin(&action.url) }?;
    let gate = pass.gates.get_mut(&origin)?;
    Some((origin, gate))
}

/// Whether the step waits and says that it does so for its circuit.
pub(crate) fn tells_of_circuit(pass: &Pass<'_>, status: &StepStatus) -> bool {
    wait(pass, &status.name).is_some()
        && status.message.as_deref().is_some_and(|message| message.starts_with(CIRCUIT_OPEN))
}

/// What the step waits for.
fn wait<'p>(pass: &'p Pass<'_>, step: &str) -> Option<&'p Wait> {
    pass.crowded.iter().find(|crowded| crowded.step == step).map(|crowded| &crowded.why)
}

/// Writes into each step that waits for its circuit that it does, and takes it back where none
/// does any more. A process that begins nothing cannot tell.
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
        // Another operator's circuit may be open. Until its time has come the step waits
        // anyway.
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

/// Takes room for a request to the operation's host; `false` where as many are under way as may
/// be.
pub(crate) fn take_room(pass: &mut Pass<'_>, operation: &Operation) -> bool {
    let Work::Http(action) = &operation.work else { return true };
    // Rarely is anything limited.
    let left =
        if pass.room.is_empty() { None } else { pass.room.get_mut(&origin::host(&action.url)) };
    match left {
        None => true,
        Some(0) => {
            // Announced when one lands; this is for the case that the announcement goes to
            // somebody who has no use for it.
            pass.wake_at(later(pass.seen.now, CROWDED_POLL));
            false
        }
        Some(left) => {
            *left = left.saturating_sub(1);
            true
        }
    }
}
