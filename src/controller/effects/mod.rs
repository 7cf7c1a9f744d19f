//! Performs effects: everything that leaves the process after the status that names it is written.

pub mod child_saga;
pub(in crate::controller) mod end;
pub(in crate::controller) mod object;
pub mod perform;
pub mod performance;
pub mod publish;
mod refused;
pub(in crate::controller) mod request;
mod rival;
mod succession;
