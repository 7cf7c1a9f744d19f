//! The watches. What they show is stripped, remembered, and enqueued for the sagas that it
//! concerns.

mod children;
pub(crate) mod listeners;
mod relist;
mod sagas;
pub(crate) mod streams;
pub(crate) mod sync;
