//! Sends the HTTP request of one attempt and reports its outcome.
//!
//! # Guarantees
//! - One call sends at most one HTTP request, over a connection of its own: no pool, no proxy, no
//!   redirect, no retry, no second name look-up.
//! - Every address of the host is checked before the HTTP request is built. Connections are made
//!   only to checked addresses.
//! - `Failed` with [`Reached::Nothing`](crate::model::observation::Reached::Nothing) is reported
//!   only if no connection was made. If a connection was made and then breaks without an answer,
//!   the outcome is `Unknown`.
//! - Time and memory are bounded whatever the service does. The time limit covers everything,
//!   including name look-up and connecting. Of an answer, at most 100 headers, 64 KiB of headers
//!   and 64 KiB of the body are kept; 408 KiB of an incomplete head are read. Nothing is
//!   decompressed. A message holds at most 256 characters of the body.
//! - The number of threads that look names up is bounded, in all and for each namespace
//!   ([`lookups`]).
//! - The search for secret values blocks no other task. It takes at most some tens of megabytes at
//!   once.
//! - No secret value appears in a message or in what expressions read, even if the service repeats
//!   the value ([`redact`]).
//! - Dropping the future of a call closes its connection.
//!
//! # Caveats
//! - A body that breaks off, exceeds the time limit or is too long is marked as not whole. The
//!   engine decides whether that matters.
//! - Host names resolve as they do for the pod of the operator: a name without a namespace belongs
//!   to the namespace of the operator.

pub mod call;
mod headers;
pub mod lookups;
pub mod outcome;
mod redact;
mod resolve;
pub mod sent;
pub(in crate::controller) mod tls;
