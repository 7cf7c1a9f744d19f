//! Leases: the Lease under which this process sends HTTP requests, the Leases of other processes,
//! and the leader's Lease.

mod executor;
pub(in crate::controller) mod leader;
pub(in crate::controller) mod old_leases;
pub(in crate::controller) mod others;
pub(in crate::controller) mod own;
