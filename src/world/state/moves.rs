//! What may happen next.

use jiff::Timestamp;

use super::{
    ask::Ask,
    child::Turn,
    fault::{Fault, Halt},
    trial::Ending,
    world::Who,
};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// An operator looks at the saga.
    Look {
        /// The operator's number, from 0.
        process: usize,
        /// How many versions old the copy is that it decides from.
        staleness: usize,
        /// Where in the look a fault halts it.
        halt: Option<Halt>,
    },
    /// A fault between two looks: any but [`Fault::Stall`] and [`Fault::Refuse`].
    Strike {
        /// The operator's number.
        process: usize,
        /// What happens to it.
        fault: Fault,
    },
    /// An operator that was frozen or stalled goes on where it stood.
    Resume(usize),
    /// An operator whose watches broke lists all again.
    Relist(usize),
    /// Another process starts in the place of one that crashed.
    Restart(usize),
    /// An attempt ends at the other side.
    End {
        /// The attempt.
        who: Who,
        /// How.
        ending: Ending,
    },
    /// A person does something.
    Ask(Ask),
    /// Somebody does something to a child, or it does something itself.
    Turn(Turn),
    /// Somebody makes the object again that this attempt deleted.
    Remake(Who),
    /// The clock goes on, at most to the next instant at which something is due.
    Tick(Timestamp),
}
