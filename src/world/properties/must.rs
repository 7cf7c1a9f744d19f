//! The record of a violation.

use crate::world::state::property::{Property, Violation};

/// Records the violation of a property that does not hold.
pub(in crate::world) fn must(
    violations: &mut Vec<Violation>,
    holds: bool,
    property: Property,
    what: impl FnOnce() -> String,
) {
    if !holds {
        violations.push(Violation::new(property, what()));
    }
}
