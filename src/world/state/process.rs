//! The operators: what each of them knows.

use jiff::Timestamp;

use super::{
    fault::Fault,
    look::{Act, Cursor},
    trial::Ending,
    view::View,
    world::Who,
};

/// One operator.
#[derive(Clone, Debug)]
pub(in crate::world) struct Process {
    pub(in crate::world) life: Life,
    /// The number of the id under which it sends requests.
    pub(in crate::world) executor: usize,
    /// Ids under which it sent before.
    pub(in crate::world) former: Vec<usize>,
    /// The version of the saga below which it decides nothing.
    pub(in crate::world) floor: u64,
    /// When its last plan asked to look again.
    pub(in crate::world) wake: Option<Timestamp>,
    /// Whether something told it to look.
    pub(in crate::world) triggered: bool,
    /// Whether its watches are broken, so that it hears of no change until it lists all again.
    pub(in crate::world) deaf: bool,
    /// Whether it is of a later version.
    pub(in crate::world) later: bool,
    pub(in crate::world) memory: Vec<Known>,
    /// What it was shown of the children, where they are played as they are.
    pub(in crate::world) view: View,
}

/// Whether an operator goes on.
#[derive(Clone, Debug)]
pub(in crate::world) enum Life {
    Up,
    Down,
    /// In the middle of a look, or between two.
    Halted(Halted),
}

/// An operator that stands still.
#[derive(Clone, Debug)]
pub(in crate::world) struct Halted {
    pub(in crate::world) since: Timestamp,
    /// [`Fault::Freeze`] or [`Fault::Stall`].
    pub(in crate::world) how: Fault,
    /// What is left to be done of the look.
    pub(in crate::world) rest: Vec<Act>,
    pub(in crate::world) cursor: Cursor,
}

/// What a process remembers of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct Known {
    pub(in crate::world) who: Who,
    /// When it first read the intent.
    pub(in crate::world) first_read: Timestamp,
    /// Since when it knows the Pod, and its number.
    pub(in crate::world) child: Option<(Timestamp, u32)>,
    /// Until when it waits after the API server refused to create the Pod.
    pub(in crate::world) refused: Option<Timestamp>,
    /// Since when a request of its own is under way.
    pub(in crate::world) flight: Option<Timestamp>,
    pub(in crate::world) end: Option<End>,
}

/// How an attempt ended, as far as an operator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::world) enum End {
    /// The answer of the other side.
    Answered(Ending),
    /// Given up before an answer came.
    Aborted,
    /// Called off before an answer came, since the Lease of its operator lapsed.
    CalledOff,
}

/// An id under which requests are sent, with its Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::world) struct Executor {
    /// Since when its Lease is not renewed any more.
    pub(in crate::world) lapsed: Option<Timestamp>,
}

/// The text of an id.
pub(in crate::world) fn executor_id(number: usize) -> String {
    format!("executor-{number}")
}

impl Process {
    pub(in crate::world) fn new(executor: usize, later: bool) -> Self {
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

    pub(in crate::world) const fn is_up(&self) -> bool {
        matches!(self.life, Life::Up)
    }

    pub(in crate::world) const fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    pub(in crate::world) fn known(&mut self, who: Who, now: Timestamp) -> &mut Known {
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
    pub(in crate::world) fn to_begin(&self) -> Vec<Who> {
        match &self.life {
            Life::Halted(halted) => halted.rest.iter().filter_map(Act::begins).collect(),
            Life::Up | Life::Down => Vec::new(),
        }
    }
}
