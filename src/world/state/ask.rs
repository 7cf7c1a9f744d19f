//! The requests and changes that a user may make.

use crate::api::RequestAction;

/// What a user does to the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// Makes a request by annotation: for the step at this place, or for all if there is none.
    Request(RequestAction, Option<usize>),
    /// Sets `spec.suspend` to `true`.
    Suspend,
    /// Sets `spec.suspend` to `false`.
    Unsuspend,
    /// Deletes the saga.
    Delete,
}
