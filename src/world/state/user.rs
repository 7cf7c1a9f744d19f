//! What a user does to a saga.

use std::fmt;

use crate::api::{RequestAction, UserRequest};

/// A move of a user: a request or a change that a user may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserMove {
    /// Makes a request by annotation: for the step at this place, or for all if there is none.
    Request(RequestAction, Option<usize>),
    /// Sets `spec.suspend` to `true`.
    Suspend,
    /// Sets `spec.suspend` to `false`.
    Unsuspend,
    /// Deletes the saga.
    Delete,
}

/// What a user does to a saga, with the text of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// Annotates the saga. The previous value of the annotation is overwritten.
    Annotate(UserRequest),
    /// Sets `spec.suspend`.
    Suspend(bool),
    /// Deletes the saga.
    Delete,
}

impl fmt::Display for UserAction {
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
