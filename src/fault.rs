//! What is wrong with a spec.

use std::fmt;

/// The most faults of a spec that are told.
const MAX_FAULTS: usize = 200;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `spec.steps[2].dependsOn[0]`.
    pub path: String,
    /// What, and what to write instead.
    pub message: String,
    /// Whether no saga can be made of it at all, or none that may run. Any other fault of what
    /// nobody can change any more is a warning, once the saga was accepted.
    pub broken: bool,
}

impl Fault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), broken: false }
    }

    /// A fault at a path with which no saga may run, whoever accepted it.
    pub fn broken(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { broken: true, ..Self::new(path, message) }
    }

    /// Whether it lies in what nobody can change any more.
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

/// Whether there are so many faults that nobody will be told of another one, and none need be
/// looked for.
pub(crate) const fn are_enough(faults: &[Fault]) -> bool {
    faults.len() > MAX_FAULTS
}

/// Cuts the faults to as many as are told, and says that there are more.
pub(crate) fn tell_no_more(faults: &mut Vec<Fault>) {
    if are_enough(faults) {
        faults.truncate(MAX_FAULTS);
        faults.push(Fault::new(
            "spec",
            format!(
                "has more faults than these {MAX_FAULTS}: mend them, and the next ones are told"
            ),
        ));
    }
}

/// Whether among the faults since there were so many is one with which nothing can be made.
pub(crate) fn is_broken_since(faults: &[Fault], before: usize) -> bool {
    faults.iter().skip(before).any(|fault| fault.broken)
}

/// Says of the newest fault that nothing can be made with it.
pub(crate) fn is_missing(missing: bool, faults: &mut [Fault]) {
    if let Some(fault) = faults.last_mut().filter(|_| missing) {
        fault.broken = true;
    }
}

/// What is wrong with a template: the path within the action, and what to write instead.
pub type Wrong = (String, String);

/// All faults in one sentence.
pub(crate) fn sentences(faults: Vec<Wrong>) -> String {
    faults.into_iter().map(sentence).collect::<Vec<_>>().join("; ")
}

/// A fault as a sentence.
pub(crate) fn sentence((path, message): Wrong) -> String {
    format!("{path}: {message}")
}

pub(crate) fn wrong(path: impl Into<String>, message: &str) -> Vec<Wrong> {
    vec![(path.into(), message.to_owned())]
}
