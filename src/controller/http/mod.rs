//! Sends the request of one attempt and says what came of it.
//!
//! # Guarantees
//! - One call sends at most one request, over a connection of its own: no pool, no proxy, no
//!   redirect, no retry, no second name look-up.
//! - Every address the host resolves to is checked before anything else happens, and only checked
//!   addresses are connected to.
//! - `Failed` with [`Reached::Nothing`](crate::model::observation::Reached::Nothing) is only said
//!   where no connection was made. From then on, whatever breaks without an answer is `Unknown`.
//! - Time and memory are bounded whatever the other side does: the time limit covers everything,
//!   name look-up and connecting included; of an answer at most 100 headers and 408 KiB of them,
//!   and 64 KiB of its body, are read. Nothing is unpacked. A message holds at most 256 characters
//!   of the body.
//! - What looks for the values of Secrets holds up no other task, and takes no more than some tens
//!   of megabytes at once.
//! - No value of a Secret shows in a message or in what expressions read, even where the other side
//!   repeats it ([`redact`]).
//! - Dropping the future of a call closes its connection.
//!
//! # Caveats
//! - Whether a body that breaks off, outlasts the time limit or is too long matters is for the
//!   engine to say: it is marked as not whole.
//! - Host names resolve as they do for the operator's own pod: a name without a namespace is one of
//!   the operator's namespace.

pub mod call;
mod headers;
pub mod outcome;
mod redact;
mod resolve;
pub mod sent;
pub(crate) mod tls;
