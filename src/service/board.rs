//! Shows what somebody else knows, at the moment it is asked for.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// Shows what a source tells. Clones share one source.
pub struct Board<T>(Arc<OnceLock<Source<T>>>);

/// Who knows it.
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
    /// Shows from now on what `source` tells. The first source stands.
    pub fn show(&self, source: impl Fn() -> T + Send + Sync + 'static) {
        let _first = self.0.set(Box::new(source));
    }

    /// What is told now; nothing before there is a source.
    #[must_use]
    pub fn told(&self) -> T {
        self.0.get().map(|source| source()).unwrap_or_default()
    }
}
