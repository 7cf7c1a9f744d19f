//! The events of a world, for display.

use std::time::Duration;

use super::{attempt::AttemptRef, execution::AttemptEnd, user::UserMove};
use crate::{api::SagaPhase, model::plan::Notice};

/// One event of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The clock advanced by this time.
    Passed(Duration),
    /// A user made a request, or changed the saga.
    Asked(UserMove),
    /// A replica had only a copy older than its own last write, and decided nothing.
    TooOld(usize),
    /// A replica wrote the status.
    Wrote {
        /// The number of the replica, from 0.
        replica: usize,
        /// The phase of the saga after the write.
        phase: Option<SagaPhase>,
    },
    /// A write of this replica failed because a newer version exists. The decision is dropped.
    Conflict(usize),
    /// A replica added (`true`) or removed the finalizer of the saga.
    Finalizer(bool),
    /// A replica created the Pod of an attempt, or sent its HTTP request.
    Began {
        /// The number of the replica.
        replica: usize,
        /// The attempt.
        attempt: AttemptRef,
        /// The last part of the idempotency key of the attempt.
        key: i64,
        /// The time limit of the attempt, from now on.
        time_limit: Duration,
    },
    /// A replica found that the Pod of the attempt already exists.
    Adopted(AttemptRef),
    /// The creation of a child, or an HTTP request, was lost before it arrived.
    Lost(AttemptRef),
    /// The API server refused to create the child of an attempt.
    Refused(AttemptRef),
    /// An effect was late and no longer wanted, and was not performed.
    Dropped(AttemptRef),
    /// A replica stopped an attempt that was past its time limit.
    Stopped(AttemptRef),
    /// An attempt ended at the service.
    Ended(AttemptRef, AttemptEnd),
    /// An HTTP request did its work although no replica waits for its answer.
    DoneUnawaited(AttemptRef),
    /// The user receives a notice.
    Published(Notice),
    /// The annotations of recorded requests were removed.
    TookAway,
    /// A replica deleted the succeeded Pods of the saga.
    Swept,
    /// The saga no longer exists.
    Gone,
}
