//! The input and the result of performing effects.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use jiff::Timestamp;

use crate::{
    api::{StoredSaga, names::AttemptId},
    controller::{context::Context, limits::slots::Slot},
    model::{
        observation::{ChildState, Failure, Reached},
        saga::ValidSaga,
    },
};

/// Whether the saga is reconciled again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At the wake-up time of the plan.
    Later,
    /// At once: something is known that the status does not say.
    AtOnce,
}

/// The context in which the effects of one saga are performed.
pub struct Performance<'a> {
    /// The state that all reconciles share.
    pub context: &'a Arc<Context>,
    /// The saga as it was read.
    pub stored: &'a StoredSaga,
    /// The same saga, validated; `None` if only events are to be published.
    pub saga: Option<&'a ValidSaga>,
    /// The executor of this process when the plan was made; empty if it had none.
    pub executor: &'a str,
    /// What the wall clock and the monotonic clock showed when the plan was made.
    pub planned: (Timestamp, Instant),
    /// The slots that were taken for the HTTP requests to begin.
    pub slots: Mutex<HashMap<AttemptId, Slot>>,
}

pub(crate) fn never_begun(message: String, last: bool) -> ChildState {
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    })
}
