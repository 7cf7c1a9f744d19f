//! The limits on concurrent HTTP requests, and the reservations for those that may begin; the
//! limits on the trials before the first steps.

pub mod breakers;
pub mod gate;
pub mod reservation;
mod slot_table;
pub mod slots;
pub mod trials;
