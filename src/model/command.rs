//! Demands of a parent to its child saga.

use crate::api::DeletionPolicy;

/// A command to a child saga. A command can be sent any number of times: it is stored on the child
/// until it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildCommand {
    /// To take over `spec.suspend` and `spec.deletionPolicy` from its parent.
    Follow {
        /// Whether the child starts nothing new.
        suspend: bool,
        /// What happens to the child when it is deleted.
        deletion_policy: DeletionPolicy,
    },
    /// To undo itself.
    Compensate {
        /// The token of the request. The child handles a request with this token once.
        token: String,
    },
    /// To stop, and to undo nothing.
    Cancel,
}
