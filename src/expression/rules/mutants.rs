//! The rule of [`kept`] with its mutant: a rule that this process breaks gives the wrong order.

use kube::core::cel::cel::objects::Key;

use super::kept;
use crate::mutants::{Mutant, broken};

pub(in crate::expression) fn in_order(keys: Vec<Key>) -> Vec<Key> {
    if broken(Mutant::MapOrder) { keys } else { kept::in_order(keys) }
}
