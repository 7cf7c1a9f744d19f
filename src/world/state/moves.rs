//! The moves of a world.

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
    /// A replica reconciles the saga.
    Look {
        /// The number of the replica, from 0.
        process: usize,
        /// The age of the copy from which the replica decides, in versions.
        staleness: usize,
        /// The fault that halts the reconcile, and the place of the fault.
        halt: Option<Halt>,
    },
    /// A fault between two reconciles: any fault but [`Fault::Stall`] and [`Fault::Refuse`].
    Strike {
        /// The number of the replica.
        process: usize,
        /// What happens to the replica.
        fault: Fault,
    },
    /// A replica that was frozen or stalled continues at the place of the halt.
    Resume(usize),
    /// A replica whose watches broke lists all objects again.
    Relist(usize),
    /// A new process replaces a replica that crashed.
    Restart(usize),
    /// An attempt ends at the service.
    End {
        /// The attempt.
        who: Who,
        /// How the attempt ends.
        ending: Ending,
    },
    /// A user does something.
    Ask(Ask),
    /// Something happens to a child.
    Turn(Turn),
    /// A third party creates the object again that this attempt deleted.
    Remake(Who),
    /// The clock advances to this instant, at most to the next instant at which something is due.
    Tick(Timestamp),
}
