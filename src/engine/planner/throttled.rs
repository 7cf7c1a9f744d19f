//! Steps that wait until their host takes more requests, and what they say.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{Direction, SagaStatus},
    model::origin::Origin,
    text::{clip, instant},
};

/// How the message of a step begins that waits for a circuit.
pub const CIRCUIT_OPEN: &str = "CircuitOpen";

/// What stands before the instant at which it is tried again.
pub(crate) const AGAIN_AT: &str = "; tried again at ";

/// What stands before what the step's message said otherwise.
pub(crate) const BEFORE: &str = ". Before: ";

/// The most characters of the message; the schema takes 1024.
pub(crate) const MESSAGE: usize = 1000;

/// A circuit that lets nothing more through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shut {
    pub(crate) origin: Origin,
    /// Of the attempt that waits.
    pub(crate) direction: Direction,
    pub(crate) until: Option<Timestamp>,
}

/// Why a step waits that would begin if its host took more requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As many requests as may be are under way.
    Room,
    /// Its circuit is not closed.
    Circuit(Shut),
}

/// A step that would begin if its host took more requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crowded {
    pub(crate) step: String,
    /// Whether the step is not under way yet.
    pub(crate) is_new: bool,
    pub(crate) why: Wait,
}

impl Crowded {
    /// `step b waits: …`
    pub(crate) fn sentence(&self, status: &SagaStatus) -> String {
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
    pub(crate) fn message(&self, told: Option<&str>, now: Timestamp) -> String {
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

/// What a step's message says besides that it waits for a circuit.
pub(crate) fn without_circuit(message: &str) -> Option<&str> {
    if message.starts_with(CIRCUIT_OPEN) {
        message.split_once(BEFORE).map(|(_, before)| before)
    } else {
        Some(message)
    }
}

/// The instant that a message names at which a step is tried again.
pub(crate) fn told_until(message: &str) -> Option<Timestamp> {
    let told = message.strip_prefix(CIRCUIT_OPEN)?.split(BEFORE).next()?;
    told.rsplit_once(AGAIN_AT)?.1.parse().ok()
}

/// When a step is looked at again that waits until fewer requests are under way.
pub(crate) const CROWDED_POLL: Duration = Duration::from_secs(5);
