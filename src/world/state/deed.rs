//! The actions of a user in a simulation.

use std::fmt;

use crate::api::Asked;

/// What a user does to a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Annotates the saga. The previous value of the annotation is overwritten.
    Annotate(Asked),
    /// Sets `spec.suspend`.
    Suspend(bool),
    /// Deletes the saga.
    Delete,
}

impl fmt::Display for Deed {
    /// Writes the action in words, such as `annotates saga.dev/retry=ship`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotate(asked) => {
                write!(f, "annotates {}={}", asked.action.annotation(), asked.value)
            }
            Self::Suspend(suspend) => write!(f, "sets spec.suspend to {suspend}"),
            Self::Delete => f.write_str("deletes the saga"),
        }
    }
}
