//! The values that the other modules exchange: the valid saga, its graph, observations, the plan
//! and its effects.
//!
//! # Guarantees
//! No decision is made in this module.

pub mod command;
pub mod count;
pub mod graph;
pub mod input;
pub mod observation;
pub mod origin;
pub mod plan;
mod rules;
pub mod saga;
pub mod skew;
pub mod values;
pub mod versions;
