//! The moves of a world.

use jiff::Timestamp;

use super::{
    attempt::AttemptRef,
    child::ChildMove,
    execution::AttemptEnd,
    fault::{Halt, ReplicaFault},
    user::UserMove,
};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorldMove {
    /// A replica reconciles the saga.
    Reconcile {
        /// The number of the replica, from 0.
        replica: usize,
        /// The age of the copy from which the replica decides, in versions.
        staleness: usize,
        /// The fault that halts the reconcile, and the place of the fault.
        halt: Option<Halt>,
    },
    /// A fault between two reconciles: any fault but [`ReplicaFault::Stall`] and
    /// [`ReplicaFault::Refuse`].
    Strike {
        /// The number of the replica.
        replica: usize,
        /// What happens to the replica.
        fault: ReplicaFault,
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
        attempt: AttemptRef,
        /// How the attempt ends.
        ending: AttemptEnd,
    },
    /// A user does something.
    User(UserMove),
    /// Something happens to a child.
    Child(ChildMove),
    /// A third party creates the object again that this attempt deleted.
    Remake(AttemptRef),
    /// The clock advances to this instant, at most to the next instant at which something is due.
    Tick(Timestamp),
}
