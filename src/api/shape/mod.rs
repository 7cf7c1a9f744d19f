//! What this version knows of a saga: its fields, and the words that may stand in them.
//!
//! # Guarantees
//! The types alone say what is known, through the schema that is generated from them.

mod path;
mod schema;
mod strangers;
#[cfg(test)]
mod tests;

pub use self::schema::{KNOWN, KnownShapes, Shape};
pub(super) use self::strangers::{put_strangers_back, strangers_of_spec, take_strangers};
