//! Whether this process begins anything.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A guard of decisions. While it lives, decided effects may still begin.
#[derive(Debug)]
pub struct Beginning<'a>(pub(super) &'a AtomicUsize);

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
