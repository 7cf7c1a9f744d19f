//! The rule on the order of what an expression reads. The rule has the name of the mutant that
//! breaks it.

use kube::core::cel::cel::objects::Key;

/// Rule "map order": a map is iterated in the order of its keys, so that equal inputs give equal
/// results.
pub(in crate::expression) fn in_order(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    keys
}
