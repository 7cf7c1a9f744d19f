//! A small shop for tests and samples: five services over HTTP, each with actions and
//! compensations, and one ledger of all calls.
//!
//! ```text
//!  POST /payments/charges ──► behaviour: any instructions? ──► ledger: done, repeat, fault …
//!      ──► answer, or none at all
//! ```
//!
//! # Guarantees
//! - An effect is done at most once for each `Idempotency-Key`, and every call with a well-formed
//!   key leaves one ledger entry.
//! - A call that was read runs to its end even if its client closes the connection, as in a real
//!   service.
//! - If the instructions ask for no answer, the TCP connection is closed without a byte.
//!
//! # Caveats
//! The shop keeps everything in memory. It does not check who calls, and it does not keep what it
//! receives: bodies appear as hashes.

#![allow(dead_code, reason = "every binary that includes the shop uses another part of it")]
#![allow(unused_imports, reason = "every binary that includes the shop uses another part of it")]

mod behaviour;
mod call;
mod ledger;
mod server;

pub use call::{Call, Key, SERVICES, Service, hash};
pub use ledger::{Entry, Kind, Ledger, Summary};
pub use server::{Shop, serve};
