//! The requests that users make by annotation: which are new, which are allowed, and what they do.

pub mod allowed;
mod chosen;
pub(super) mod handle;
pub mod inbox;
pub(super) mod missing;
pub(super) mod sentence;
pub(super) mod settle_manually;
