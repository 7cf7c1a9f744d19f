//! The watches: what they show is stripped, remembered, and told to the sagas that it is about.

mod relist;
pub(crate) mod streams;
pub(crate) mod sync;
