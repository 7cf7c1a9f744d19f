//! The objects and HTTP requests of attempts: how they are built, and which outcome their end or
//! their answer gives.
//!
//! # Guarantees
//! Every function here is a pure function of its arguments: no client, no clock, no randomness, no
//! input or output.

pub mod applied;
pub mod attempt;
pub mod child;
pub mod child_saga;
#[cfg(feature = "operator")] // only the controller publishes events
pub mod event;
#[cfg(test)]
mod fixture;
pub mod http;
pub mod job;
pub mod kstatus;
pub mod pod;
mod rules;
#[cfg(feature = "operator")] // only the controller reads objects
pub mod stored;
pub mod unreadable;
