//! The faults of a spec.

use std::fmt;

/// The most faults of a spec that are reported.
const MAX_FAULTS: usize = 200;

/// One fault of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field, for example `spec.steps[2].dependsOn[0]`.
    pub path: String,
    /// The description of the fault, and what to write instead.
    pub message: String,
    /// Whether the fault makes it impossible to build a saga from the spec, or to run that saga.
    /// After a saga was accepted, any other fault in a field that can no longer be changed is a
    /// warning.
    pub broken: bool,
}

impl Fault {
    /// Creates a fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), broken: false }
    }

    /// Creates a fault at a path. With this fault no saga may run, even if it was accepted earlier.
    pub fn broken(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { broken: true, ..Self::new(path, message) }
    }

    /// Returns whether the fault is in a field that cannot be changed after the saga was accepted.
    pub(crate) fn is_in_what_is_fixed(&self) -> bool {
        let fixed = [
            "spec.steps",
            "spec.params",
            "spec.outputs",
            "spec.idempotencyPrefix",
            "metadata.name",
        ];
        let within = |field: &str| {
            self.path
                .strip_prefix(field)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        fixed.into_iter().any(within)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Returns whether there are more faults than are reported. Then no further faults need to be
/// searched for.
pub(crate) const fn are_enough(faults: &[Fault]) -> bool {
    faults.len() > MAX_FAULTS
}

/// Cuts the faults to the most that are reported, and adds one fault that says that there are more.
pub(crate) fn tell_no_more(faults: &mut Vec<Fault>) {
    if are_enough(faults) {
        faults.truncate(MAX_FAULTS);
        faults.push(Fault::new(
            "spec",
            format!(
                "has more faults than these {MAX_FAULTS}: correct them, and the next check reports \
                 the others"
            ),
        ));
    }
}

/// Returns whether a fault after the first `before` faults is marked as broken.
pub(crate) fn is_broken_since(faults: &[Fault], before: usize) -> bool {
    faults.iter().skip(before).any(|fault| fault.broken)
}

/// Marks the newest fault as broken: a part of the saga is missing because of it.
pub(crate) fn mark_broken(faults: &mut [Fault]) {
    if let Some(fault) = faults.last_mut() {
        fault.broken = true;
    }
}

/// A fault of a template: the path within the action, and what to write instead.
pub type Wrong = (String, String);

/// Returns all faults in one sentence.
pub(crate) fn sentences(faults: Vec<Wrong>) -> String {
    faults.into_iter().map(sentence).collect::<Vec<_>>().join("; ")
}

/// Returns a fault as a sentence.
pub(crate) fn sentence((path, message): Wrong) -> String {
    format!("{path}: {message}")
}

pub(crate) fn wrong(path: impl Into<String>, message: &str) -> Vec<Wrong> {
    vec![(path.into(), message.to_owned())]
}
