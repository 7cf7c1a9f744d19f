//! Tracks whether an HTTP request may leave the process and whether it may have left.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, Ordering},
};

use futures::{FutureExt, future::BoxFuture};
use tower::BoxError;

use crate::coordination::breaker::CallProgress;

/// The record of whether any part of an HTTP request may have left the process. If nothing left,
/// the caller of a dropped call knows that nothing was done. The second field holds the status of
/// the answer.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU8>, pub(super) Arc<OnceLock<u16>>);

/// Nothing has left the process.
pub(in crate::controller) const KEPT: u8 = 0;

/// Something may have left the process.
pub(in crate::controller) const LEFT: u8 = 1;

/// Nothing has left the process, and nothing will.
pub(in crate::controller) const FORBIDDEN: u8 = 2;

impl Sent {
    /// Returns whether a connection was made, so that the HTTP request may be under way.
    #[must_use]
    pub fn may_have_left(&self) -> bool {
        self.0.load(Ordering::Acquire) == LEFT
    }

    /// Returns how far the HTTP request came.
    #[must_use]
    pub fn progress(&self) -> CallProgress {
        CallProgress { may_have_left: self.may_have_left(), status: self.1.get().copied() }
    }

    /// Records that something may have left the process.
    #[cfg(test)]
    pub(in crate::controller) fn has_left(&self) {
        self.0.store(LEFT, Ordering::Release);
    }

    /// Forbids the HTTP request to leave from now on. Returns whether nothing has left.
    #[must_use]
    pub fn forbid(&self) -> bool {
        self.0.compare_exchange(KEPT, FORBIDDEN, Ordering::AcqRel, Ordering::Acquire) != Err(LEFT)
    }

    /// Returns the check of a new connection. The check runs before the first byte of the HTTP
    /// request is written to the connection: it asks `permit`, then records that something may have
    /// left. The connection is refused if the permit is denied or the HTTP request was forbidden.
    pub(in crate::controller) fn on_connection<T: Send + 'static>(
        &self,
        permit: Permit,
    ) -> impl FnOnce(T) -> BoxFuture<'static, Result<T, BoxError>> + Clone + Send + Sync + 'static
    {
        let sent = Arc::clone(&self.0);
        move |connection| {
            async move {
                if !permit().await {
                    return Err("the saga no longer wants the request".into());
                }
                if sent.compare_exchange(KEPT, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    return Err("the request was called off".into());
                }
                Ok(connection)
            }
            .boxed()
        }
    }
}

/// Decides whether an HTTP request may still leave. The permit is asked after the connection is
/// made, so that a slow name server or handshake cannot let the HTTP request leave late.
pub type Permit = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;
