//! What people may ask for.

use crate::api::RequestAction;

/// What a person does to the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// Asks for something by annotation, for a step or, where none is named, for all.
    Request(RequestAction, Option<usize>),
    /// Sets `spec.suspend`.
    Suspend,
    /// Takes it back.
    Unsuspend,
    /// Deletes the saga.
    Delete,
}
