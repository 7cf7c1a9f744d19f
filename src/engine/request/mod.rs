//! What people ask for by annotation: which is new, what is allowed, what is done.

pub mod allowed;
pub(super) mod handle;
pub mod inbox;
pub(super) mod missing;
pub(super) mod sentence;
pub(super) mod settle_by_word;
