//! Decides what a saga does next.
//!
//! # Guarantees
//! Pure: no I/O, no clock, no randomness; equal inputs give equal plans. An attempt stands in the status before its effect can be taken
//! out of a plan. A step is undone only after it settled and after everything that depends on it is undone. What may have happened
//! counts as happened. Stored status is input: what contradicts itself is held and reported, never a panic.
//!
//! # Assumptions
//! The status was read before the children were. A child reported absent was looked for with a live read.
//!
//! # Caveats
//! A lost child is `Unknown`: it may have acted. Effects are at-least-once, with a key by which the other side can tell.

pub mod allowed;
mod answer;
pub mod backoff;
mod budget;
pub mod census;
mod child;
mod data;
mod deadline;
pub mod effect;
mod ended;
mod exit_code;
mod forward;
pub mod gate;
mod grant;
pub mod graph;
mod inbox;
pub mod invariants;
mod judge;
mod message;
mod missing;
mod note;
pub mod observed;
mod pass;
mod plan;
pub mod precheck;
mod ready;
pub mod saga;
mod settle;
mod slots;
pub mod step;
pub mod succession;
mod summary;
mod undo;
pub mod valid;
pub mod versions;
mod wait;
mod whose;
mod word;

pub use child::{left_behind, made_by};
pub use data::Values;
pub use deadline::own_time;
pub use inbox::asks_to_check_again;
pub use plan::{Seen, active_attempts, plan, says_the_same};
pub(crate) use settle::FREE_CALLED_OFF;
pub use summary::cannot_be_told;
pub use whose::applied_by;
