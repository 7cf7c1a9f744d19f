//! The process around the controller: arguments, logs, metrics, probes, the API client, signals.
//!
//! # Guarantees
//! Nothing here knows what a saga is: labels and log fields are passed in, so that the rules of
//! sagas stand in one place only.

pub mod admin;
pub mod args;
pub mod board;
pub mod circuits;
pub mod client;
pub mod metrics;
pub mod sagas;
pub mod shutdown;
pub mod telemetry;
