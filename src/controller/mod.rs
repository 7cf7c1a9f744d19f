//! The thin shell: gather → validate → plan → record → perform → wake. The only code that awaits;
//! it decides nothing.
//!
//! # Guarantees
//! The rules of the protocol with the cluster, each where it is kept:
//! - Intent before effect, under the version that was read: `record`, and the type of the plan.
//! - An effect leaves within two seconds, or after a live read: `effects`.
//! - Nothing is decided from a copy older than an own write: `memory::own_writes`.
//! - A child of the same name is adopted or refused: `observe::children`, `effects::perform`.
//! - A live read comes before a child is deleted or counted lost, and before a child saga lets go
//!   of its finalizer: `observe`, `effects::perform`.
//! - A request leaves only under a Lease that holds; what another process sent counts as unknown
//!   only when that process is gone: `lease`.
//! - So many requests at once go to one host, and none while its circuit is open: `limits`.
//! - One bad object or panic harms one saga: `reconcile`, and [`crate::api::StoredSaga`].
//! - A namespace that the operator may not see holds up no other (`watch::sync`), and neither
//!   does one that is being deleted (`cluster::namespace`, `cluster::watch_health`).
//!
//! # Caveats
//! Any number of operators may work on the same sagas. They do the same work, so that it costs
//! more; nothing shares it between them. Where a leader is elected (`lease::leader`), one works
//! and the others stand by; nothing rests on there being only one.

mod cache;
mod clock;
mod cluster;
mod context;
mod effects;
mod gc;
mod http;
mod lease;
mod lifecycle;
mod limits;
mod memory;
mod observe;
mod precheck;
mod queue;
mod reconcile;
mod record;
pub mod run;
#[cfg(test)]
mod scenes;
mod versions;
mod watch;
mod workload;
