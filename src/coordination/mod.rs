//! Decides on clocks and versions among many processes: Leases, leader election, the fence before
//! an effect, circuit breakers. Also decides on turns among namespaces.

pub mod breaker;
pub mod election;
pub mod executor_lease;
pub mod fence;
mod rules;
#[cfg(feature = "operator")]
pub mod shares;
