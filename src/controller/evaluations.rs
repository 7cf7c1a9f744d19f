//! The limit on concurrent computations that evaluate expressions.

use tokio::sync::Semaphore;

/// The number of sagas with expressions that are checked or planned at once. An expression may take
/// milliseconds, and no saga should wait for the expressions of another saga.
const AT_ONCE: usize = 4;

/// Whether a computation evaluates expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The computation evaluates no expressions and takes microseconds.
    Light,
    /// The computation evaluates expressions, and may take so long that it would hold up other
    /// tasks of its thread.
    Heavy,
}

impl Weight {
    /// Returns `Heavy` if the computation evaluates expressions.
    #[must_use]
    pub const fn of(evaluates: bool) -> Self {
        if evaluates { Self::Heavy } else { Self::Light }
    }
}

/// Limits how many heavy computations run at once.
#[derive(Debug)]
pub struct Evaluations(Semaphore);

impl Default for Evaluations {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Evaluations {
    /// Runs a computation about a saga. A heavy computation waits until few others run.
    pub async fn run<T>(&self, weight: Weight, computation: impl FnOnce() -> T) -> T {
        match weight {
            Weight::Light => computation(),
            Weight::Heavy => {
                // The semaphore is never closed.
                let _permit = self.0.acquire().await;
                tokio::task::block_in_place(computation)
            }
        }
    }
}
