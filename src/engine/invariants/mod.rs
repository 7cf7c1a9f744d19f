//! The rules for every stored status, and for every plan.
//!
//! A status is input: users can edit it, and an older operator may have written it. A fault that
//! [`check`] finds becomes a condition, never a panic. A plan comes from the engine. A fault that
//! [`check_plan`] finds is a fault of the engine, which tests and the model are to find.
//!
//! The rules by number, and where each one is enforced:
//!
//! - 1 intent first: in [`crate::model::plan::Plan`], effects come only out of a recorded plan. In
//!   [`check_plan`], each effect belongs to an active attempt of the status that the plan writes.
//! - 2 one identity for an attempt: child names and keys are functions of the attempt. In
//!   [`check_plan`], the key of an effect is the key of its record.
//! - 3 own writes, 12 live reads: [`crate::coordination::fence`] and the controller.
//! - 4 adopt or refuse, 19 outcomes of children: the controller. A vanished child is `Unknown`, see
//!   [`crate::model::observation`].
//! - 5 order of dependencies: [`check`].
//! - 6 no undo before all attempts settled, 7 reverse order, 8 the right undo set: [`check`].
//! - 9 one undo, nothing forward after it: [`check`] and [`check_plan`].
//! - 10 one way, 11 one end: [`check`] and [`check_plan`].
//! - 13 bounded retries, 14 recorded instants: in [`check_plan`], no attempt is beyond its budget,
//!   and none begins before its instant.
//! - 15 counters never decrease, outcomes stay: [`check_plan`].
//! - 16 what was accepted is pinned: [`super::plan`] compares `specHash` before all else;
//!   [`check_plan`].
//! - 17 requests once: [`check`] for their numbers; [`check_plan`] for records, which stay.
//! - 18 pause starts nothing, cancel keeps every outcome: [`check_plan`].
//! - No number: values are as the API server returns them: [`check_plan`] for outputs, and for the
//!   outputs that a skipped step lacks.
//! - 20 a deleted saga is released only when it may be: [`check_plan`].
//! - 26 the saga comes to rest: the model.
//! - 27 a next wake-up: [`check_plan`].
//! - 28 an ended saga is not changed: [`check_plan`].

mod planned;
mod progress;
mod stored;
mod values;

pub use planned::check_plan;
pub use stored::check;
