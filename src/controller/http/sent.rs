//! Whether a request may leave, and whether it has left.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, Ordering},
};

use futures::{FutureExt, future::BoxFuture};
use tower::BoxError;

/// Whether anything of a request may have left the process. For the one who drops a call: where
/// nothing left, nothing was done. Besides, the status of the answer.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU8>, pub(super) Arc<OnceLock<u16>>);

/// Nothing left.
pub(crate) const KEPT: u8 = 0;

/// Something may have left.
pub(crate) const LEFT: u8 = 1;

/// Nothing left, and nothing will.
pub(crate) const FORBIDDEN: u8 = 2;

impl Sent {
    /// Whether a connection was made, so that the request may be under way.
    #[must_use]
    pub fn may_have_left(&self) -> bool {
        self.0.load(Ordering::Acquire) == LEFT
    }

    /// The status of the answer; `None` where none came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.1.get().copied()
    }

    /// Notes that something may have left.
    #[cfg(test)]
    pub(crate) fn has_left(&self) {
        self.0.store(LEFT, Ordering::Release);
    }

    /// Lets nothing leave any more. Returns whether nothing did.
    #[must_use]
    pub fn forbid(&self) -> bool {
        self.0.compare_exchange(KEPT, FORBIDDEN, Ordering::AcqRel, Ordering::Acquire) != Err(LEFT)
    }

    /// Asks once more at the moment at which a connection stands, before the first byte of the
    /// request is written to it.
    pub(crate) fn on_connection<T: Send + 'static>(
        &self,
        permit: Permit,
    ) -> impl FnOnce(T) -> BoxFuture<'static, Result<T, BoxError>> + Clone + Send + Sync + 'static
    {
        let sent = Arc::clone(&self.0);
        move |connection| {
            async move {
                if !permit().await {
                    return Err("the request is not wanted any more".into());
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

/// Whether a request may still leave: asked when the connection stands, so that no slow name server
/// or handshake makes it leave late.
pub type Permit = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;
