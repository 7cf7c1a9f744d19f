//! The status of a saga: what users read and what the engine decides from.

mod attempt;
mod lookup;
mod request;
mod saga;
mod schema;
mod step;

pub(crate) use self::lookup::{is_terminal, stalled_reason};
pub use self::{
    attempt::{ActiveAttempt, AttemptRecord, DirectionStatus},
    lookup::active_attempts,
    request::{Pause, RequestRecord, RequestResult},
    saga::SagaStatus,
    step::{ChildStatus, Keys, KeysFrom, StepStatus},
};
