//! Executions outside the replicas, and what they really did.

use super::attempt::AttemptRef;
use crate::api::Direction;

/// How an attempt ends at the service, or what happens to its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttemptEnd {
    /// The work was done, and the answer says so.
    Done,
    /// A definite failure: the exit code 1, or a permanent refusal.
    No,
    /// 409: an earlier HTTP request with the same key is under way, or did the work.
    Conflict,
    /// The program crashes after its work: the exit code 101.
    Crash,
    /// An HTTP request is answered with a 2xx that the step does not accept as a success. `true`:
    /// the work was done.
    Accepted(bool),
    /// 429: the service refused the HTTP request before any work. A Pod never ends so.
    Busy,
    /// Nobody can tell the outcome. `true`: the work was done.
    Unknown(bool),
    /// A third party deletes the Pod. An HTTP request and a deletion never end so. `true`: the work
    /// was done.
    Vanished(bool),
}

impl AttemptEnd {
    /// Every ending.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::No,
        Self::Busy,
        Self::Unknown(false),
        Self::Unknown(true),
        Self::Vanished(false),
        Self::Vanished(true),
        Self::Conflict,
        Self::Crash,
        Self::Accepted(false),
        Self::Accepted(true),
    ];

    /// Returns whether the work was done.
    pub(in crate::world) const fn does_work(self) -> bool {
        matches!(
            self,
            Self::Done
                | Self::Crash
                | Self::Unknown(true)
                | Self::Vanished(true)
                | Self::Accepted(true)
        )
    }
}

/// An execution of an attempt: a Pod, an HTTP request, or the deletion of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct Execution {
    pub(in crate::world) attempt: AttemptRef,
    /// The last part of the idempotency key.
    pub(in crate::world) key: i64,
    /// The number of the Pod, or of the object that is deleted; `None` for an HTTP request.
    pub(in crate::world) pod: Option<u32>,
    /// The number of the replica that waits for the answer to an HTTP request, while it waits.
    pub(in crate::world) awaited_by: Option<usize>,
    /// How the execution ended.
    pub(in crate::world) ended: Option<AttemptEnd>,
    /// Whether the Pod is terminating.
    pub(in crate::world) stopping: bool,
    /// Whether the Pod was created after a third party deleted an earlier Pod. A replica that was
    /// halted between its reads and its write may then settle the attempt although the later Pod
    /// runs: no version fences the creation of a Pod.
    pub(in crate::world) again: bool,
}

impl Execution {
    /// Returns an HTTP request that this replica sends.
    pub(in crate::world) const fn request(attempt: AttemptRef, key: i64, replica: usize) -> Self {
        let awaited_by = Some(replica);
        Self { attempt, key, pod: None, awaited_by, ended: None, stopping: false, again: false }
    }

    /// Returns a Pod that is created, or the deletion of an object, by the number of either.
    pub(in crate::world) const fn of_object(attempt: AttemptRef, key: i64, object: u32) -> Self {
        let pod = Some(object);
        Self { attempt, key, pod, awaited_by: None, ended: None, stopping: false, again: false }
    }

    /// Returns whether the execution has not ended.
    pub(in crate::world) const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// Returns whether the Pod of the execution exists.
    pub(in crate::world) const fn exists(&self) -> bool {
        self.pod.is_some() && !matches!(self.ended, Some(AttemptEnd::Vanished(_)))
    }

    /// Returns whether this is an HTTP request whose answer no replica waits for.
    pub(in crate::world) const fn is_unawaited(&self) -> bool {
        self.pod.is_none() && self.awaited_by.is_none()
    }
}

/// What a step really did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroundTruth {
    /// Whether an effect of the step is not undone.
    pub in_effect: bool,
    /// Whether the compensation was done.
    pub undone: bool,
    /// Whether the action was done by a program that then crashed. Its exit code tells nothing.
    pub(in crate::world) crashed: bool,
    /// The key under which the action was done.
    pub(in crate::world) done_under: Option<i64>,
    /// The key under which the compensation was done.
    pub(in crate::world) undone_under: Option<i64>,
    /// The last key under which the action was refused.
    pub(in crate::world) refused_under: Option<i64>,
    /// The last key under which the compensation was refused.
    pub(in crate::world) undo_refused_under: Option<i64>,
    /// How many attempts of the action reached the service.
    pub(in crate::world) begun: u16,
    /// How many attempts of the compensation reached the service.
    pub(in crate::world) undo_begun: u16,
}

impl GroundTruth {
    pub(in crate::world) const fn key_done(&self, direction: Direction) -> Option<i64> {
        match direction {
            Direction::Action => self.done_under,
            Direction::Compensation => self.undone_under,
        }
    }

    pub(in crate::world) const fn key_refused(&self, direction: Direction) -> Option<i64> {
        match direction {
            Direction::Action => self.refused_under,
            Direction::Compensation => self.undo_refused_under,
        }
    }
}
