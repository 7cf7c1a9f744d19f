//! The limit on concurrent computations that evaluate expressions.

use super::turns::{Turn, Turns};
use crate::coordination::shares::Bounds;

/// The number of sagas with expressions that are checked or planned at once. An expression may take
/// milliseconds, and no saga should wait for the expressions of another saga. One namespace never
/// has all places, and not more than its share while another namespace waits.
const AT_ONCE: Bounds = Bounds { all: 4, namespace: 3, contended: 2 };

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
pub struct Evaluations(Turns);

impl Default for Evaluations {
    fn default() -> Self {
        Self(Turns::new(AT_ONCE))
    }
}

impl Evaluations {
    /// Runs a computation about a saga of this namespace. A heavy computation waits until few
    /// others run.
    pub async fn run<T>(
        &self,
        namespace: &str,
        weight: Weight,
        computation: impl FnOnce() -> T,
    ) -> T {
        self.turn(namespace, weight).await.run(computation)
    }

    /// Waits until a computation about a saga of this namespace may run.
    pub async fn turn(&self, namespace: &str, weight: Weight) -> EvaluationTurn {
        match weight {
            Weight::Light => EvaluationTurn(None),
            Weight::Heavy => EvaluationTurn(Some(self.0.take(namespace).await)),
        }
    }
}

/// The right to run one computation. A light computation has it at once.
pub struct EvaluationTurn(Option<Turn>);

impl EvaluationTurn {
    /// Runs the computation.
    pub fn run<T>(self, computation: impl FnOnce() -> T) -> T {
        match self.0 {
            None => computation(),
            Some(_turn) => tokio::task::block_in_place(computation),
        }
    }
}
