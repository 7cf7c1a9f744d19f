//! How many requests may be under way, and what is reserved for those that may begin.

pub mod breakers;
pub mod reservation;
pub mod slots;
