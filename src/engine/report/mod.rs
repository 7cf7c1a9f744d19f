//! What a person reads: phase, message, progress, conditions, within the bounds of the status.

pub mod blocked;
pub(super) mod conditions;
pub(super) mod message;
pub(super) mod size;
pub(super) mod summary;
