//! The values that flow between the rooms: the valid saga, its graph, observations, the plan and
//! its effects.
//!
//! # Guarantees
//! Nothing here decides anything.

pub mod command;
pub mod count;
pub mod graph;
pub mod input;
pub mod observation;
pub mod origin;
pub mod plan;
pub mod saga;
pub mod skew;
pub mod values;
pub mod versions;
