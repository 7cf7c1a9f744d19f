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

pub mod allowed;
mod answer;
pub mod backoff;
mod begin;
mod budget;
mod child;
mod data;
mod deadline;
mod ended;
mod exit_code;
mod forward;
pub mod gate;
mod grant;
mod inbox;
pub mod invariants;
mod judge;
mod message;
mod missing;
mod note;
mod pass;
mod plan;
pub mod precheck;
mod ready;
mod settle;
mod slots;
pub mod step;
pub mod succession;
mod summary;
mod undo;
pub mod versions;
mod wait;
mod whose;
mod word;

pub use self::{
    child::{left_behind, made_by},
    deadline::own_time,
    inbox::asks_to_check_again,
    plan::{active_attempts, plan, says_the_same},
    summary::cannot_be_told,
    whose::applied_by,
};
pub use crate::model::{input::Seen, values::Values};

pub(crate) use self::settle::FREE_CALLED_OFF;
