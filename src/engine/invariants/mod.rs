//! What must hold of every stored status, and of every plan.
//!
//! A status is input: people can edit it, and an older operator may have written it. What [`check`]
//! finds becomes a condition, never a panic. A plan is the engine's own: what [`check_plan`] finds
//! is a fault of the engine, for tests and the model to find.
//!
//! Each rule, by its number, and where it is held:
//!
//! - 1 intent first: in [`crate::model::plan::Plan`], effects come only out of a recorded plan; in
//!   [`check_plan`], each of them is an active attempt of the status that the plan writes.
//! - 2 one identity for an attempt: child names and keys are functions of the attempt; in
//!   [`check_plan`], the key of an effect is that of its record.
//! - 3 own writes, 12 live reads: [`crate::coordination::fence`] and the shell.
//! - 4 adopt or refuse, 19 outcomes of children: the shell; a vanished child is `Unknown`, see
//!   [`crate::model::observation`].
//! - 5 order of dependencies: [`check`].
//! - 6 no undo before all settled, 7 reverse order, 8 the right set: [`check`].
//! - 9 one undo, nothing forward after it: [`check`] and [`check_plan`].
//! - 10 one way, 11 one end: [`check`] and [`check_plan`].
//! - 13 bounded retries, 14 recorded instants: in [`check_plan`], no attempt is beyond its budget,
//!   and none before its instant.
//! - 15 counters never fall, outcomes stay: [`check_plan`].
//! - 16 what was accepted is pinned: [`super::plan`] compares `specHash` before all else;
//!   [`check_plan`].
//! - 17 requests once: [`check`] for their numbers; [`check_plan`] for records, which stay.
//! - 18 pause starts nothing, cancel keeps every outcome: [`check_plan`].
//! - No number: values are what the API server gives back: [`check_plan`] for outputs, and for what
//!   a skip leaves out.
//! - 20 a deleted saga is let go only when it may: [`check_plan`].
//! - 26 it comes to rest: the model.
//! - 27 a next wake-up: [`check_plan`].
//! - 28 an ended saga is left alone: [`check_plan`].

mod planned;
mod progress;
mod stored;
mod values;

pub use planned::check_plan;
pub use stored::check;
