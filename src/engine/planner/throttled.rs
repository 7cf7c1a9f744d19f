//! Steps that wait until their hosts take more HTTP requests, and what their statuses say.
//!
//! # Guarantees
//! What a step waits for is the field `throttled` of its status. The message of the step is
//! composed from this field, and no message is read back. The field counts only while the step has
//! the message that is composed from it: an operator that does not know the field may have written
//! another message since, and leaves the field behind.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::{
    api::{Direction, SagaStatus, StepStatus, ThrottleStatus, reason::CIRCUIT_OPEN},
    clock::to_micros,
    model::{input::CallLimit, origin::Origin},
    text::{clip, instant},
};

/// The most characters of the message. The schema allows 1024.
const MESSAGE: usize = 1000;

/// The most characters of the origin. The schema allows 512.
const ORIGIN: usize = 300;

/// A breaker that admits no more calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct BlockingBreaker {
    pub(in crate::engine) origin: Origin,
    /// The direction of the attempt that waits.
    pub(in crate::engine) direction: Direction,
    pub(in crate::engine) until: Option<Timestamp>,
}

/// A limit of this process that lets no more HTTP requests to a host begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct BlockingLimit {
    pub(in crate::engine) host: String,
    pub(in crate::engine) limit: CallLimit,
}

/// The reason for which a step waits for its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum ThrottleReason {
    /// A limit of this process lets no more HTTP requests to the host begin.
    Limit(BlockingLimit),
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
    /// Returns `step b waits: …`. The statuses of the steps already say which of them wait.
    pub(in crate::engine) fn sentence(&self, status: &SagaStatus) -> String {
        let message = status
            .steps
            .iter()
            .find(|status| status.name == self.step && status.throttled.is_some())
            .and_then(|status| status.message.clone());
        let why = message.unwrap_or_else(|| match &self.why {
            ThrottleReason::Circuit(breaker) => message_of(&breaker.throttle(None)),
            ThrottleReason::Limit(blocking) => blocking.sentence(),
        });
        format!("step {} waits: {why}", self.step)
    }
}

impl BlockingLimit {
    /// Returns the limit that is reached, such as `64 calls of this namespace are in flight`. The
    /// sentence is the same for as long as the limit is: it names no number that changes.
    fn sentence(&self) -> String {
        let Self { host, limit } = self;
        let (most, what, whose) = match *limit {
            CallLimit::Host(most) => {
                (most, "call", format!("to {} from this namespace", clip(host, ORIGIN)))
            }
            CallLimit::Namespace(most) => (most, "call", "of this namespace".into()),
            CallLimit::Process(most) => (most, "call", "of this operator".into()),
            CallLimit::NamespaceLookups(most) => (most, "name look-up", "of this namespace".into()),
            CallLimit::ProcessLookups(most) => (most, "name look-up", "of this operator".into()),
        };
        let (plural, are) = if most == 1 { ("", "is") } else { ("s", "are") };
        format!("{most} {what}{plural} {whose} {are} in flight")
    }
}

impl BlockingBreaker {
    /// Writes into the status of a step that the step waits for this breaker. If the status already
    /// names an instant in the future, the status is kept: the breaker of another replica may have
    /// opened at another instant, and the two replicas would overwrite each other without end.
    pub(in crate::engine) fn report(&self, status: &mut StepStatus, now: Timestamp) {
        let until = current(status).and_then(|throttle| throttle.until.as_ref());
        if until.is_some_and(|until| until.0 > now) {
            return;
        }
        let throttle = self.throttle(own_message(status));
        status.message = Some(message_of(&throttle));
        status.throttled = Some(Box::new(throttle));
    }

    fn throttle(&self, previous_message: Option<&str>) -> ThrottleStatus {
        let Self { origin, direction: _, until } = self;
        ThrottleStatus {
            reason: CIRCUIT_OPEN.into(),
            origin: clip(&origin.to_string(), ORIGIN),
            until: until.map(|until| MicroTime(to_micros(until))),
            previous_message: previous_message.map(str::to_owned),
        }
    }
}

/// Returns the message of a step that waits for a breaker.
fn message_of(throttle: &ThrottleStatus) -> String {
    let ThrottleStatus { reason, origin, until, previous_message } = throttle;
    let why = match until {
        Some(until) => format!(
            "{reason}: too many calls to {origin} ended unknown; tried again at {}",
            instant(until.0)
        ),
        None => format!(
            "{reason}: one call at a time finds out whether {origin} answers; tried again when \
             that one has ended"
        ),
    };
    let before = previous_message.as_ref().map(|before| format!(". Before: {before}"));
    clip(&format!("{why}{}", before.unwrap_or_default()), MESSAGE)
}

/// Returns what a step waits for, as its status says it; `None` if the field is absent, or if an
/// operator that does not know the field left it behind.
pub(in crate::engine) fn current(status: &StepStatus) -> Option<&ThrottleStatus> {
    status.throttled.as_deref().filter(|throttle| {
        throttle.reason == CIRCUIT_OPEN
            && status.message.as_deref() == Some(message_of(throttle).as_str())
    })
}

/// Returns the message that a step has, or had before it began to wait for a breaker.
pub(in crate::engine) fn own_message(status: &StepStatus) -> Option<&str> {
    match current(status) {
        Some(throttle) => throttle.previous_message.as_deref(),
        None => status.message.as_deref(),
    }
}

/// Removes from the status of a step that the step waits for a breaker. The step gets back the
/// message that it had before.
pub(in crate::engine) fn withdraw(status: &mut StepStatus) {
    if status.throttled.is_some() {
        status.message = own_message(status).map(str::to_owned);
        status.throttled = None;
    }
}

/// The interval after which a saga requeues itself while a step waits for capacity at its host, or
/// for the probe of a half-open breaker.
pub(in crate::engine) const THROTTLED_POLL: Duration = Duration::from_secs(5);
