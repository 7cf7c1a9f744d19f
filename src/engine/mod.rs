//! Decides what a saga does next.
//!
//! # Guarantees
//! The engine is pure: it does no I/O, and uses no clock and no randomness. Equal inputs give equal
//! plans. An attempt is in the status before its effect can be taken out of a plan. A step is
//! undone only after it settled, and after everything that depends on it is undone. What may have
//! happened counts as happened. The stored status is input: a status that contradicts itself is
//! held and reported, and never causes a panic.
//!
//! # Assumptions
//! The status was read before the children were read. If a child is reported absent, a live read
//! did not find it.
//!
//! # Caveats
//! A lost child is `Unknown`, because it may have acted. Effects happen at least once. The
//! idempotency key lets the service recognize a repetition.

pub mod attempt;
mod compensate;
mod forward;
pub mod invariants;
mod plan;
pub mod planner;
pub mod precheck;
pub mod report;
pub mod request;
mod rules;
mod settlement;
pub mod succession;
#[cfg(feature = "operator")]
pub(crate) mod surplus;
mod terminal;
pub mod versions;
mod whose;

pub use self::{
    plan::{plan, says_the_same},
    whose::applied_by,
};
