//! The part of the status for users: phase, message, progress and conditions, within the bounds of
//! the status.

pub mod blocked;
pub(super) mod conditions;
pub(super) mod doubts;
pub(super) mod message;
pub(super) mod size;
pub(super) mod summary;
