//! Decides what a saga does next.

pub mod observed;
pub mod saga;
