//! Decides what a saga does next.
//!
//! # Guarantees
//! Pure: no I/O, no clock, no randomness; equal inputs give equal plans. An attempt stands in the
//! status before its effect can be taken out of a plan. A step is undone only after it settled and
//! after everything that depends on it is undone. What may have happened counts as happened. Stored
//! status is input: what contradicts itself is held and reported, never a panic.
//!
//! # Assumptions
//! The status was read before the children were. A child reported absent was looked for with a live
//! read.
//!
//! # Caveats
//! A lost child is `Unknown`: it may have acted. Effects are at-least-once, with a key by which the
//! other side can tell.

pub mod attempt;
mod compensate;
mod forward;
pub mod invariants;
mod plan;
pub mod planner;
pub mod precheck;
pub mod report;
pub mod request;
pub mod succession;
mod terminal;
pub mod versions;
mod whose;

pub use self::{
    plan::{plan, says_the_same},
    whose::applied_by,
};
