//! Leases: the Lease under which this process sends HTTP requests, the Leases of other processes,
//! and the leader's Lease.

mod executor;
pub(crate) mod leader;
pub(crate) mod old_leases;
pub(crate) mod others;
pub(crate) mod own;
