//! What a circuit breaker that is not closed does to a saga: the steps that would call there wait,
//! without an attempt, and say so.
//!
//! # Guarantees
//! What waits asks to be looked at when its circuit is half-open, and when its retry deadline has
//! passed. Its message says the same at every look, and two operators whose circuits opened at
//! different instants do not contradict each other for ever: an instant that is yet to come stands.

use jiff::Timestamp;

use super::{deadline, pass::Pass, slots::CROWDED_POLL};
use crate::{
    api::{Direction, SagaStatus, StepStatus},
    clock::later,
    model::{
        input::Gate,
        origin::{self, Origin},
        saga::{Operation, Work},
    },
    text::{clip, instant},
};

/// How the message of a step begins that waits for a circuit.
pub const CIRCUIT_OPEN: &str = "CircuitOpen";
/// What stands before the instant at which it is tried again.
const AGAIN_AT: &str = "; tried again at ";
/// What stands before what the step's message said otherwise.
const BEFORE: &str = ". Before: ";
/// The most characters of the message; the schema takes 1024.
const MESSAGE: usize = 1000;

/// A circuit that lets nothing more through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    origin: Origin,
    /// Of the attempt that waits.
    direction: Direction,
    until: Option<Timestamp>,
}

/// Why a step waits that would begin if its host took more requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// As many requests as may be are under way.
    Room,
    /// Its circuit is not closed.
    Circuit(Shut),
}

/// A step that would begin if its host took more requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crowded {
    pub(super) step: String,
    /// Whether the step is not under way yet.
    pub(super) is_new: bool,
    pub(super) why: Wait,
}

impl Crowded {
    /// `step b waits: …`
    pub(super) fn sentence(&self, status: &SagaStatus) -> String {
        let message = status
            .steps
            .iter()
            .find(|status| status.name == self.step)
            .and_then(|status| status.message.as_deref());
        let why = message.filter(|message| message.starts_with(CIRCUIT_OPEN));
        format!(
            "step {} waits: {}",
            self.step,
            why.unwrap_or("as many requests as may be are under way to its host")
        )
    }
}

impl Shut {
    /// What the step says, given what it said up to now.
    fn message(&self, told: Option<&str>, now: Timestamp) -> String {
        if let Some(told) = told.filter(|told| told_until(told).is_some_and(|until| until > now)) {
            return told.to_owned();
        }
        let Self { origin, until, direction: _ } = self;
        let message = match until {
            Some(until) => format!(
                "{CIRCUIT_OPEN}: too many calls to {origin} ended unknown{AGAIN_AT}{}",
                instant(*until)
            ),
            None => format!(
                "{CIRCUIT_OPEN}: one call at a time finds out whether {origin} answers; tried \
                 again when that one has ended"
            ),
        };
        let before = told
            .and_then(without_circuit)
            .map(|before| format!("{BEFORE}{before}"))
            .unwrap_or_default();
        clip(&format!("{message}{before}"), MESSAGE)
    }
}

/// The circuit of the operation's host, where it lets nothing more through.
pub(super) fn circuit(
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
pub(super) fn pass_circuit(pass: &mut Pass<'_>, operation: &Operation) {
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
pub(super) fn tells_of_circuit(pass: &Pass<'_>, status: &StepStatus) -> bool {
    wait(pass, &status.name).is_some()
        && status.message.as_deref().is_some_and(|message| message.starts_with(CIRCUIT_OPEN))
}

/// What the step waits for.
fn wait<'p>(pass: &'p Pass<'_>, step: &str) -> Option<&'p Wait> {
    pass.crowded.iter().find(|crowded| crowded.step == step).map(|crowded| &crowded.why)
}

/// Writes into each step that waits for its circuit that it does, and takes it back where none
/// does any more. A process that begins nothing cannot tell.
pub(super) fn tell_of_circuits(pass: &mut Pass<'_>) {
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

/// What a step's message says besides that it waits for a circuit.
pub(super) fn without_circuit(message: &str) -> Option<&str> {
    if message.starts_with(CIRCUIT_OPEN) {
        message.split_once(BEFORE).map(|(_, before)| before)
    } else {
        Some(message)
    }
}

/// The instant that a message names at which a step is tried again.
fn told_until(message: &str) -> Option<Timestamp> {
    let told = message.strip_prefix(CIRCUIT_OPEN)?.split(BEFORE).next()?;
    told.rsplit_once(AGAIN_AT)?.1.parse().ok()
}
