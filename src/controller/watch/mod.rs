//! The watches. What they show is stripped, remembered, and enqueued for the sagas that it
//! concerns.

mod relist;
pub(crate) mod streams;
pub(crate) mod sync;
