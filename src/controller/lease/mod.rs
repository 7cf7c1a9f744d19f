//! Leases: the one under which this process sends requests, those of other processes, and that of
//! the leader.

mod executor;
pub(crate) mod leader;
pub(crate) mod others;
pub(crate) mod own;
