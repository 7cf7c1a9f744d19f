//! The source of a value that is computed when a reader asks, such as a metric.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// Computes a value when a reader asks. It is set once. Clones share the source.
pub struct Source<T>(Arc<OnceLock<ReadSource<T>>>);

/// The function that computes the value.
type ReadSource<T> = Box<dyn Fn() -> T + Send + Sync>;

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").finish_non_exhaustive()
    }
}

impl<T: Default> Source<T> {
    /// Sets the function. Later calls have no effect: the first function stays.
    pub fn set(&self, source: impl Fn() -> T + Send + Sync + 'static) {
        let _first = self.0.set(Box::new(source));
    }

    /// Returns the current value, or the default value if no function is set yet.
    #[must_use]
    pub fn read(&self) -> T {
        self.0.get().map(|source| source()).unwrap_or_default()
    }
}
