//! The input and the result of performing effects.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use jiff::Timestamp;

use crate::{
    api::{StoredSaga, names::AttemptId},
    controller::{limits::slots::Slot, outbound::Outbound, parts::Parts},
    model::saga::ValidSaga,
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
    /// What every write to the cluster needs.
    pub parts: Parts<'a>,
    /// What HTTP requests need.
    pub outbound: &'a Arc<Outbound>,
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
