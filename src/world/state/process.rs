//! The operators: what each of them knows.

use super::{
    fault::Fault,
    look::{Act, Cursor},
    trial::Ending,
    view::View,
    world::Who,
};
use jiff::Timestamp;

/// One operator.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    /// The number of the id under which it sends requests.
    pub(crate) executor: usize,
    /// Ids under which it sent before.
    pub(crate) former: Vec<usize>,
    /// The version of the saga below which it decides nothing.
    pub(crate) floor: u64,
    /// When its last plan asked to look again.
    pub(crate) wake: Option<Timestamp>,
    /// Whether something told it to look.
    pub(crate) triggered: bool,
    /// Whether its watches are broken, so that it hears of no change until it lists all again.
    pub(crate) deaf: bool,
    /// Whether it is of a later version.
    pub(crate) later: bool,
    pub(crate) memory: Vec<Known>,
    /// What it was shown of the children, where they are played as they are.
    pub(crate) view: View,
}

/// Whether an operator goes on.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    Up,
    Down,
    /// In the middle of a look, or between two.
    Halted(Halted),
}

/// An operator that stands still.
#[derive(Clone, Debug)]
pub(crate) struct Halted {
    pub(crate) since: Timestamp,
    /// [`Fault::Freeze`] or [`Fault::Stall`].
    pub(crate) how: Fault,
    /// What is left to be done of the look.
    pub(super) rest: Vec<Act>,
    pub(super) cursor: Cursor,
}

/// What a process remembers of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) who: Who,
    /// When it first read the intent.
    pub(crate) first_read: Timestamp,
    /// Since when it knows the Pod, and its number.
    pub(crate) child: Option<(Timestamp, u32)>,
    /// Until when it waits after the API server refused to create the Pod.
    pub(crate) refused: Option<Timestamp>,
    /// Since when a request of its own is under way.
    pub(crate) flight: Option<Timestamp>,
    pub(crate) end: Option<End>,
}

/// How an attempt ended, as far as an operator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// The answer of the other side.
    Answered(Ending),
    /// Given up before an answer came.
    Aborted,
    /// Called off before an answer came, since the Lease of its operator lapsed.
    CalledOff,
}

/// An id under which requests are sent, with its Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Executor {
    /// Since when its Lease is not renewed any more.
    pub(crate) lapsed: Option<Timestamp>,
}

/// The text of an id.
pub(crate) fn executor_id(number: usize) -> String {
    format!("executor-{number}")
}

impl Process {
    pub(crate) fn new(executor: usize, later: bool) -> Self {
        Self {
            life: Life::Up,
            executor,
            former: Vec::new(),
            floor: 0,
            wake: None,
            triggered: true,
            deaf: false,
            later,
            memory: Vec::new(),
            view: View::default(),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.life, Life::Up)
    }

    pub(crate) const fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    pub(crate) fn known(&mut self, who: Who, now: Timestamp) -> &mut Known {
        let place = self.memory.iter().position(|known| known.who == who).unwrap_or_else(|| {
            self.memory.push(Known {
                who,
                first_read: now,
                child: None,
                refused: None,
                flight: None,
                end: None,
            });
            self.memory.len().saturating_sub(1)
        });
        // Just looked for, or just put there.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.memory[place]
    }

    /// The attempts that it is still to begin once it goes on.
    pub(crate) fn to_begin(&self) -> Vec<Who> {
        match &self.life {
            Life::Halted(halted) => halted.rest.iter().filter_map(Act::begins).collect(),
            Life::Up | Life::Down => Vec::new(),
        }
    }
}
