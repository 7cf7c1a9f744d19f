//! A small shop for tests and samples: five services over HTTP, each of which can do and undo, and
//! one ledger of all calls.
//!
//! ```text
//!  POST /payments/charges ──► behaviour: what was I told? ──► ledger: done, repeat, fault …
//!      ──► answer, or none at all
//! ```
//!
//! # Guarantees
//! - An effect is done at most once for each `Idempotency-Key`, and every call with a well-formed
//!   key leaves one ledger entry.
//! - A call that was read runs to its end although its client goes away, as a real service would.
//! - "No answer" is real: the TCP connection is closed without a byte.
//!
//! # Caveats
//! All of it lives in memory. It neither checks who calls nor keeps what it is sent: bodies appear
//! as hashes.

#![allow(dead_code, reason = "every binary that includes the shop uses another part of it")]
#![allow(unused_imports, reason = "every binary that includes the shop uses another part of it")]

mod behaviour;
mod call;
mod ledger;
mod server;

pub use call::{Call, Key, SERVICES, Service, hash};
pub use ledger::{Entry, Kind, Ledger, Summary};
pub use server::{Shop, serve};
