//! A look of an operator at the saga: what it is about to do.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::world::Who;
use crate::{
    api::{Part, RequestAction, SagaStatus},
    model::plan::Notice,
};

/// One thing to be done of a plan, in the order in which the shell does them.
#[derive(Clone, Debug)]
pub(in crate::world) enum Act {
    AddFinalizer,
    Write(Arc<Part<SagaStatus>>),
    /// `alone`: no status is written with it, so that nothing is left to be told where it fails.
    RemoveFinalizer {
        alone: bool,
    },
    Begin(Start),
    Stop(Who),
    TakeAway {
        annotations: Vec<RequestAction>,
        handled: i64,
    },
    Publish(Notice),
    Sweep,
    /// Delete the saga: it ended long enough ago.
    Delete,
}

/// An attempt that is to begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Start {
    pub(in crate::world) who: Who,
    /// The last part of its idempotency key.
    pub(in crate::world) key: i64,
    /// When its intent was decided, as far as its operator can tell, by the world's time.
    pub(in crate::world) intended: Timestamp,
    /// How long it may take.
    pub(in crate::world) time_limit: Duration,
    /// The number of the object that it deletes.
    pub(in crate::world) object: Option<u32>,
}

impl Act {
    pub(in crate::world) const fn begins(&self) -> Option<Who> {
        match self {
            Self::Begin(start) => Some(start.who),
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

    /// Whether anybody else notices whether it was done.
    pub(in crate::world) const fn matters(&self) -> bool {
        !matches!(self, Self::Publish(_) | Self::Sweep)
    }
}

/// What a look rests on while it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) struct Cursor {
    /// The version that the next write is made under.
    pub(in crate::world) version: u64,
    /// When the status was written by this look.
    pub(in crate::world) written: Option<Timestamp>,
    /// The executor when the plan was made.
    pub(in crate::world) executor: usize,
    /// By how much the operator's clock was ahead when the plan was made.
    pub(in crate::world) ahead: SignedDuration,
}

/// A plan, taken apart.
#[derive(Clone, Debug)]
pub(in crate::world) struct Look {
    pub(in crate::world) acts: Vec<Act>,
    pub(in crate::world) cursor: Cursor,
}

impl Look {
    /// How many acts somebody notices.
    pub(in crate::world) fn length(&self) -> usize {
        self.acts.iter().filter(|act| act.matters()).count()
    }
}
