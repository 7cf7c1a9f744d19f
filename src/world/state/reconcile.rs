//! A reconcile of a replica: what the replica is about to do.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::attempt::AttemptRef;
use crate::{
    api::{Decoded, RequestAction, SagaStatus},
    model::plan::Notice,
};

/// One part of a plan, in the order in which the shell performs them.
#[derive(Clone, Debug)]
pub(in crate::world) enum Act {
    AddFinalizer,
    Write(Arc<Decoded<SagaStatus>>),
    /// `alone`: no status is written together with the removal, so if the removal fails, the rest
    /// is not performed.
    RemoveFinalizer {
        alone: bool,
    },
    Begin(Start),
    Stop(AttemptRef),
    TakeAway {
        annotations: Vec<RequestAction>,
        handled: i64,
    },
    Publish(Notice),
    Sweep,
    /// Deletes the saga: its time to live is over.
    Delete,
}

/// An attempt that is about to begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Start {
    pub(in crate::world) attempt: AttemptRef,
    /// The last part of the idempotency key of the attempt.
    pub(in crate::world) key: i64,
    /// When the intent was decided, as far as the replica can tell, in simulated time.
    pub(in crate::world) intended: Timestamp,
    /// The time limit of the attempt.
    pub(in crate::world) time_limit: Duration,
    /// The number of the object that the attempt deletes.
    pub(in crate::world) object: Option<u32>,
}

impl Act {
    pub(in crate::world) const fn begins(&self) -> Option<AttemptRef> {
        match self {
            Self::Begin(start) => Some(start.attempt),
            Self::AddFinalizer
            | Self::Write(_)
            | Self::RemoveFinalizer { .. }
            | Self::Stop(_)
            | Self::TakeAway { .. }
            | Self::Publish(_)
            | Self::Sweep
            | Self::Delete => None,
        }
    }

    /// Returns whether anybody else notices that the act was done.
    pub(in crate::world) const fn matters(&self) -> bool {
        !matches!(self, Self::Publish(_) | Self::Sweep)
    }
}

/// What a reconcile relies on while it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) struct Cursor {
    /// The version that the next write expects.
    pub(in crate::world) version: u64,
    /// When this reconcile wrote the status.
    pub(in crate::world) written: Option<Timestamp>,
    /// The number of the executor when the plan was made.
    pub(in crate::world) executor: usize,
    /// How far the clock of the replica was ahead when the plan was made.
    pub(in crate::world) ahead: SignedDuration,
}

/// A plan as a list of acts.
#[derive(Clone, Debug)]
pub(in crate::world) struct Reconcile {
    pub(in crate::world) acts: Vec<Act>,
    pub(in crate::world) cursor: Cursor,
}

impl Reconcile {
    /// Returns the number of acts that others notice.
    pub(in crate::world) fn length(&self) -> usize {
        self.acts.iter().filter(|act| act.matters()).count()
    }
}
