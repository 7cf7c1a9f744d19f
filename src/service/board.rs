//! A board shows the current value of a source. The source computes the value when a reader asks.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// Shows the value of one source. Clones share the source.
pub struct Board<T>(Arc<OnceLock<Source<T>>>);

/// Computes the value that a board shows.
type Source<T> = Box<dyn Fn() -> T + Send + Sync>;

impl<T> Clone for Board<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Board<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for Board<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Board").finish_non_exhaustive()
    }
}

impl<T: Default> Board<T> {
    /// Sets the source. Later calls have no effect: the first source stays.
    pub fn show(&self, source: impl Fn() -> T + Send + Sync + 'static) {
        let _first = self.0.set(Box::new(source));
    }

    /// Returns the current value of the source, or the default value if there is no source yet.
    #[must_use]
    pub fn told(&self) -> T {
        self.0.get().map(|source| source()).unwrap_or_default()
    }
}
