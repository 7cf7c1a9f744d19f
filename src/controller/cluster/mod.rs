//! Calls to the API server: reads, writes as another account, and the meaning of refusals.

pub mod connection;
pub mod definition;
pub(in crate::controller) mod deletion;
pub mod error;
pub mod impersonate;
mod kinds;
pub(in crate::controller) mod namespace;
pub(in crate::controller) mod object_text;
pub mod objects;
pub mod refusal;
pub mod request_policy;
pub mod sagas;
pub mod secrets;
pub mod watch_health;
