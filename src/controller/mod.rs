//! The outer layer of the operator: gather → validate → plan → record → perform → wake. Only this
//! layer awaits. It makes no decision.
//!
//! # Guarantees
//! The rules of the protocol with the cluster, each with the module that keeps it:
//! - An intent is written before its effect, under the version that was read: `record`, and the
//!   type of the plan.
//! - An effect is performed within two seconds of the write that names it, or after a live read:
//!   `effects`.
//! - No decision rests on a copy older than an own write: `memory::own_writes`.
//! - A child of the same name is adopted or refused: `observe::children`, `effects::perform`.
//! - A live read comes before a child is deleted or counted as lost, and before a child saga
//!   removes its finalizer: `observe`, `effects::perform`.
//! - An HTTP request is sent only under a Lease that holds. An HTTP request that another process
//!   sent counts as Unknown only when that process is gone: `lease`.
//! - The number of HTTP requests to one host at once is limited, and none is sent while the breaker
//!   of the host is open: `limits`.
//! - Few operations are tried at once before the first steps of sagas, and no reconcile waits for
//!   them: `reconcile::trial`, `limits::trials`.
//! - One bad object or panic harms one saga only: `reconcile`, and [`crate::api::StoredSaga`].
//! - The sagas of one namespace do not hold up those of another: `drive`, `turns`.
//! - A namespace that the operator may not read does not hold up other namespaces (`watch::sync`),
//!   and neither does a terminating namespace (`cluster::namespace`, `cluster::watch_health`).
//!
//! # Caveats
//! Any number of replicas may work on the same sagas. All of them do the same work, so the cost
//! grows with each replica. The work is not divided between them. With leader election
//! (`lease::leader`), one replica works and the others stand by. Correctness does not depend on
//! there being only one.

mod cache;
mod clock;
mod cluster;
mod connect;
mod context;
mod drive;
mod effects;
mod evaluations;
mod gc;
mod http;
mod lease;
mod lifecycle;
mod limits;
mod memory;
mod observe;
mod outbound;
mod parts;
mod precheck;
mod queue;
mod reconcile;
mod record;
pub mod run;
#[cfg(test)]
mod scenes;
mod turns;
mod watch;
mod workload;
