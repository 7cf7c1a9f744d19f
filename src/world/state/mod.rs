//! The parts of a world at one instant: values, and questions that a value answers alone.

pub(in crate::world) mod attempt;
pub(in crate::world) mod cache;
pub(in crate::world) mod child;
pub(in crate::world) mod circumstances;
pub(in crate::world) mod clock;
pub(in crate::world) mod event;
pub(in crate::world) mod execution;
pub(in crate::world) mod fault;
pub(in crate::world) mod interference;
pub(in crate::world) mod moves;
pub(in crate::world) mod object;
pub(in crate::world) mod property;
pub(in crate::world) mod reconcile;
pub(in crate::world) mod replica;
pub(in crate::world) mod rules;
pub(in crate::world) mod user;
pub(in crate::world) mod world;
