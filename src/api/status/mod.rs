//! The status of a saga: what users read and what the engine decides from.

mod attempt;
mod doubts;
mod lookup;
mod request;
mod saga;
mod schema;
mod step;
mod throttle;

pub(crate) use self::lookup::{is_terminal, stalled_reason};
pub use self::{
    attempt::{ActiveAttempt, AttemptRecord, DirectionStatus},
    doubts::SpecDoubts,
    lookup::active_attempts,
    request::{Pause, RequestRecord, RequestResult},
    saga::SagaStatus,
    step::{ChildStatus, Keys, KeysFrom, StepStatus},
    throttle::ThrottleStatus,
};
