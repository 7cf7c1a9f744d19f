//! What a parent tells its child saga.

use crate::api::DeletionPolicy;

/// What a child saga is told. Each can be told again and again: it stands on the child until it is
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// To follow its parent: its `spec.suspend` and `spec.deletionPolicy`.
    Follow {
        /// Whether it starts nothing new.
        suspend: bool,
        /// What happens to it when it is deleted.
        deletion_policy: DeletionPolicy,
    },
    /// To undo itself.
    Compensate {
        /// The token of the request, by which it is acted on once.
        token: String,
    },
    /// To stop, and undo nothing.
    Cancel,
}
