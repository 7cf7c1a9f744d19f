//! Bounds that more than one room checks.

use std::time::Duration;

/// The most bytes of all steps' outputs together.
pub(crate) const MAX_ALL_OUTPUTS: usize = 32 * 1024;

/// The longest message that is kept of an attempt, in characters.
pub(crate) const KEPT_MESSAGE: usize = 400;

/// The most attempts of a budget, whatever `maxAttempts` says.
pub const MAX_BUDGET_ATTEMPTS: u32 = 1000;

/// The shortest delay between two attempts.
pub const LEAST_DELAY: Duration = Duration::from_millis(100);

/// The number of attempts of a budget after which [`LEAST_DELAY`] is enough. After every later
/// attempt the delay is at least [`LEAST_LATER_DELAY`].
pub const EARLY_ATTEMPTS: u32 = 2;

/// The shortest delay after the third attempt of a budget and after every later one.
pub const LEAST_LATER_DELAY: Duration = Duration::from_secs(1);

/// The shortest time limit of an attempt of `http` and `wait`.
pub(crate) const LEAST_SHORT_LIMIT: Duration = Duration::from_millis(100);

/// The shortest time limit of an attempt of every other action.
pub(crate) const LEAST_LIMIT: Duration = Duration::from_secs(1);

/// The number of settled attempts of a step and direction whose children stay while the saga is
/// under way. Children of earlier failed attempts are deleted.
pub const KEPT_FAILED_CHILDREN: i64 = 10;

/// How long a child stays at least after its attempt settled. Then no creation is on its way that
/// would find the name free.
pub const SETTLED_CHILD_FOR: Duration = Duration::from_mins(2);

/// The most attempts of a step and direction whose children are looked for at once, to delete them.
pub const LOOKED_FOR_CHILDREN: i64 = 200;

/// The most bytes of a spec, as stored JSON. The operator parses no larger spec into a tree, except
/// the spec of a saga that an earlier version accepted.
pub(crate) const MAX_SPEC: usize = 256 * 1024;

/// How deep the objects and lists of a spec may be nested in each other.
pub(crate) const MAX_SPEC_DEPTH: usize = 64;

/// The most bytes that are read of one object: an object that a step applies, deletes or waits for,
/// a Secret, or a ConfigMap.
#[cfg(feature = "operator")]
pub(crate) const MAX_OBJECT: usize = 1024 * 1024;

/// The most operations that one process tries at the same time before the first steps of sagas.
#[cfg(feature = "operator")]
pub(crate) const MAX_TRIALS: usize = 16;

/// How many refusals of the API server end the trials of one saga. What was not tried by then is
/// counted in the message.
#[cfg(feature = "operator")]
pub(crate) const MAX_REFUSED_TRIALS: usize = 20;

/// The wait before a refused saga is tried again for the first time. Each further wait is twice as
/// long.
#[cfg(feature = "operator")]
pub(crate) const FIRST_RECHECK: Duration = Duration::from_secs(5);

/// The longest wait before a refused saga is tried again.
#[cfg(feature = "operator")]
pub(crate) const LAST_RECHECK: Duration = Duration::from_mins(5);

/// The most reconciles that run at the same time in one process.
pub const MAX_RECONCILES: usize = 64;

/// The most reconciles of one namespace that run at the same time in one process.
pub const MAX_RECONCILES_PER_NAMESPACE: usize = 48;

/// The same, while sagas of another namespace wait for their reconciles.
pub const MAX_CONTENDED_RECONCILES_PER_NAMESPACE: usize = 16;

/// The most name look-ups of one namespace under way.
pub const MAX_LOOKUPS_PER_NAMESPACE: usize = 8;

/// The most name look-ups of one process under way. Each blocks a thread.
pub const MAX_LOOKUPS: usize = 32;
