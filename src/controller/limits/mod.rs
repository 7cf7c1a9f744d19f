//! The limits on concurrent HTTP requests, and the reservations for those that may begin.

pub mod breakers;
pub mod reservation;
pub mod slots;
