//! Performs effects: everything that leaves the process after the status that names it is written.

pub mod child_saga;
pub(crate) mod end;
pub(crate) mod object;
pub mod perform;
pub mod performance;
pub mod publish;
mod refused;
pub(crate) mod request;
mod rival;
mod succession;
