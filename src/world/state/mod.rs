//! The parts of a world at one instant: values, and questions that a value answers alone.

pub mod ask;
pub mod child;
pub mod clock;
pub mod deed;
pub mod fault;
pub(in crate::world) mod happened;
pub mod law;
pub mod look;
pub mod meddling;
pub mod moves;
pub(in crate::world) mod object;
pub mod process;
pub(in crate::world) mod rules;
pub mod shared;
pub mod trial;
pub mod view;
pub mod world;
