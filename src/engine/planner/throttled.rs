//! Steps that wait until their hosts take more HTTP requests, and their messages.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{Direction, SagaStatus},
    model::origin::Origin,
    text::{clip, instant},
};

/// The beginning of the message of a step that waits for a breaker.
pub const CIRCUIT_OPEN: &str = "CircuitOpen";

/// The text before the instant at which the step is tried again.
pub(in crate::engine) const AGAIN_AT: &str = "; tried again at ";

/// The text before the earlier message of the step.
pub(in crate::engine) const BEFORE: &str = ". Before: ";

/// The most characters of the message. The schema allows 1024.
pub(in crate::engine) const MESSAGE: usize = 1000;

/// A breaker that admits no more calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct BlockingBreaker {
    pub(in crate::engine) origin: Origin,
    /// The direction of the attempt that waits.
    pub(in crate::engine) direction: Direction,
    pub(in crate::engine) until: Option<Timestamp>,
}

/// The reason for which a step waits for its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum ThrottleReason {
    /// The limit of concurrent HTTP requests to the host is reached.
    HostLimit,
    /// The breaker of the origin admits no more calls.
    Circuit(BlockingBreaker),
}

/// A step that would begin if its host took more HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Throttled {
    pub(in crate::engine) step: String,
    /// Whether the step is not under way yet.
    pub(in crate::engine) is_new: bool,
    pub(in crate::engine) why: ThrottleReason,
}

impl Throttled {
    /// Returns `step b waits: …`.
    pub(in crate::engine) fn sentence(&self, status: &SagaStatus) -> String {
        let message = status
            .steps
            .iter()
            .find(|status| status.name == self.step)
            .and_then(|status| status.message.as_deref());
        let why = message.filter(|message| message.starts_with(CIRCUIT_OPEN));
        format!(
            "step {} waits: {}",
            self.step,
            why.unwrap_or("the limit of concurrent requests to its host is reached")
        )
    }
}

impl BlockingBreaker {
    /// Returns the message of the step. `told`: its message up to now. If `told` names an instant
    /// in the future, `told` is kept.
    pub(in crate::engine) fn message(&self, told: Option<&str>, now: Timestamp) -> String {
        if let Some(told) = told.filter(|told| retry_instant(told).is_some_and(|until| until > now))
        {
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

/// Returns the part of a step's message that does not report a breaker, or `None` if the message
/// has no such part.
pub(in crate::engine) fn without_circuit(message: &str) -> Option<&str> {
    if message.starts_with(CIRCUIT_OPEN) {
        message.split_once(BEFORE).map(|(_, before)| before)
    } else {
        Some(message)
    }
}

/// Returns the instant that a message names for the next try, or `None` if it names none.
pub(in crate::engine) fn retry_instant(message: &str) -> Option<Timestamp> {
    let told = message.strip_prefix(CIRCUIT_OPEN)?.split(BEFORE).next()?;
    told.rsplit_once(AGAIN_AT)?.1.parse().ok()
}

/// The interval after which a saga requeues itself while a step waits for capacity at its host, or
/// for the probe of a half-open breaker.
pub(in crate::engine) const THROTTLED_POLL: Duration = Duration::from_secs(5);
