//! Whether this process begins anything.

use std::sync::atomic::{AtomicUsize, Ordering};

/// While it lives, what was decided may still begin.
#[derive(Debug)]
pub struct Beginning<'a>(pub(super) &'a AtomicUsize);

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
