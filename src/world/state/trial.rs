//! Attempts under way outside the operators, and what they really did.

use super::world::Who;
use crate::api::Direction;

/// How an attempt ends at the other side, or what becomes of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It was done, and says so.
    Done,
    /// A no: the exit code 1, a final answer.
    No,
    /// A request is told that an earlier one with its key is under way, or was done: 409.
    Conflict,
    /// A program crashes after its work: the exit code 101.
    Crash,
    /// A request is answered with a 2xx that the step does not take for a success. `true`: it was
    /// done.
    Accepted(bool),
    /// Turned away at the door: 429. A Pod never ends so.
    Busy,
    /// Nobody can tell. `true`: it was done.
    Unknown(bool),
    /// Its Pod is deleted by somebody. A request and a deletion never end so. `true`: it was done.
    Vanished(bool),
}

impl Ending {
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

    /// Whether the work is done.
    pub(in crate::world) const fn lands(self) -> bool {
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

/// A Pod, or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct Trial {
    pub(in crate::world) who: Who,
    /// The last part of the idempotency key.
    pub(in crate::world) key: i64,
    /// The number of its Pod; `None` for a request.
    pub(in crate::world) pod: Option<u32>,
    /// Who hears of the end of a request: the operator's number, while that waits for it.
    pub(in crate::world) hears: Option<usize>,
    /// How it ended.
    pub(in crate::world) ended: Option<Ending>,
    /// Whether its Pod is being deleted.
    pub(in crate::world) stopping: bool,
    /// Whether its Pod was made after somebody deleted an earlier one. An operator that was halted
    /// between its look and its write may then settle the attempt although the later Pod runs: no
    /// version fences the creation of a Pod.
    pub(in crate::world) again: bool,
}

impl Trial {
    /// Whether it has not ended.
    pub(in crate::world) const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether there is a Pod of it.
    pub(in crate::world) const fn exists(&self) -> bool {
        self.pod.is_some() && !matches!(self.ended, Some(Ending::Vanished(_)))
    }

    /// Whether it is a request whose answer nobody waits for.
    pub(in crate::world) const fn is_unheard(&self) -> bool {
        self.pod.is_none() && self.hears.is_none()
    }
}

/// What a step really did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    /// Whether something that it did is not undone.
    pub in_effect: bool,
    /// Whether its compensation was done.
    pub undone: bool,
    /// Whether its action was done by a program that then crashed, so that its exit code tells
    /// nothing.
    pub(in crate::world) crashed: bool,
    /// The key under which its action was done.
    pub(in crate::world) done_under: Option<i64>,
    /// The key under which its compensation was done.
    pub(in crate::world) undone_under: Option<i64>,
    /// The last key under which its action was refused.
    pub(in crate::world) refused_under: Option<i64>,
    /// The last key under which its compensation was refused.
    pub(in crate::world) undo_refused_under: Option<i64>,
    /// How many attempts of its action reached the other side.
    pub(in crate::world) begun: u16,
    /// How many attempts of its compensation did.
    pub(in crate::world) undo_begun: u16,
}

impl Truth {
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
