//! What leaves the process once the status that names it is written.

mod end;
pub mod perform;
pub(crate) mod request;
mod rival;
mod succession;
