//! The watches. What they show is stripped, remembered, and enqueued for the sagas that it
//! concerns.

mod children;
pub(in crate::controller) mod listeners;
mod relist;
mod sagas;
pub(in crate::controller) mod streams;
pub(in crate::controller) mod sync;
mod unreadable;
