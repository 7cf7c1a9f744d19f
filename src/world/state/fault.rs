//! The faults of a replica.

/// One fault of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReplicaFault {
    /// The process dies, and its memory is lost.
    Crash,
    /// The whole process stops and renews no Lease until it resumes.
    Freeze,
    /// One reconcile stops. The rest of the process continues.
    Stall,
    /// The renewals of the Lease are refused.
    Lapse,
    /// The API server refuses to create a Pod, for a temporary reason.
    Refuse,
    /// The wall clock is set forward.
    SetAhead,
    /// The wall clock is set back.
    SetBack,
    /// The watches break: the replica receives no change of the saga or of a Pod until it lists
    /// again. Its own timers and HTTP requests still trigger it.
    Deafen,
}

impl ReplicaFault {
    /// Every fault.
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Freeze,
        Self::Stall,
        Self::Lapse,
        Self::Refuse,
        Self::SetAhead,
        Self::SetBack,
        Self::Deafen,
    ];
    /// The faults that need neither a wrong clock nor broken watches.
    pub const USUAL: [Self; 5] =
        [Self::Crash, Self::Freeze, Self::Stall, Self::Lapse, Self::Refuse];
    /// The faults that halt a reconcile.
    pub const HALTS: [Self; 4] = [Self::Crash, Self::Freeze, Self::Stall, Self::Refuse];
}

/// A fault in the middle of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Halt {
    /// The fault.
    pub how: ReplicaFault,
    /// The number of writes and effects before the fault. Only those that others can notice count.
    pub after: usize,
}
