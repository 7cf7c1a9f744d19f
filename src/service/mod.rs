//! The parts of the process around the controller: arguments, logs, metrics, probes, the API
//! client, signals.
//!
//! # Guarantees
//! This module does not know what a saga is. The callers pass labels and log fields in. All rules
//! of sagas are therefore in one other place.

pub mod admin;
pub mod args;
pub mod calls;
pub mod circuits;
pub mod client;
pub mod metrics;
pub mod reconciles;
pub mod sagas;
pub mod shutdown;
pub mod source;
pub mod telemetry;
pub mod trials;
