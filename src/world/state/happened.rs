//! What happens in a world, to be told.

use std::{fmt, time::Duration};

use super::{ask::Ask, trial::Ending, world::Who};
use crate::{api::SagaPhase, model::plan::Notice};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The clock went on.
    Passed(Duration),
    /// A person asked for something, or changed the saga.
    Asked(Ask),
    /// An operator had only a copy older than its own last write, and decided nothing.
    TooOld(usize),
    /// An operator wrote the status.
    Wrote {
        /// The operator's number, from 0.
        process: usize,
        /// The saga's phase since then.
        phase: Option<SagaPhase>,
    },
    /// A write of an operator met a newer version: what it decided is dropped.
    Conflict(usize),
    /// An operator set (`true`) or took off the saga's finalizer.
    Finalizer(bool),
    /// An operator made the Pod, or sent the request, of an attempt.
    Began {
        /// The operator's number.
        process: usize,
        /// The attempt.
        who: Who,
        /// The last part of its idempotency key.
        key: i64,
        /// How long it may take from now on.
        time_limit: Duration,
    },
    /// An operator found the attempt's Pod made already.
    Adopted(Who),
    /// What was late was not wanted any more, and did not leave.
    Dropped(Who),
    /// An operator ended an attempt that was past its time.
    Stopped(Who),
    /// An attempt ended at the other side.
    Ended(Who, Ending),
    /// A request did its work although nobody hears of it.
    LandedUnheard(Who),
    /// A person is told something.
    Published(Notice),
    /// Annotations of recorded requests were taken away.
    TookAway,
    /// The saga is no more.
    Gone,
}

impl fmt::Display for Who {
    /// `step 0 action 2`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} {} {}", self.place, self.direction, self.number)
    }
}
