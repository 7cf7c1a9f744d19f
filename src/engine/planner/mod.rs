//! The state of the plan that is being made, and questions about that state. The files of this
//! folder do not decide what happens next.

pub(super) mod approval;
pub(super) mod capacity;
pub(super) mod change;
pub mod child_sagas;
pub mod deadline;
pub(super) mod doubt;
pub(super) mod pivot;
pub(super) mod state;
pub(super) mod throttle;
pub(super) mod throttled;
pub(super) mod transition;
pub(super) mod undo_set;
