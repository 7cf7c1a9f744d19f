//! Twins: the operator with one of its guards switched off, to show that the tests notice.
//!
//! # Guarantees
//! Without the Cargo feature `twins`, which no release has, nothing can be switched off: [`broken`] is `false` and costs nothing.

/// A guard that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// An effect that is late is performed without a live read.
    TwoSeconds,
    /// A copy older than an own write is decided from.
    OwnWrites,
    /// A Pod of that name counts as the attempt's, whoever made it.
    Adopt,
    /// A request that another process sent counts as unknown at once.
    Executor,
    /// The idempotency key moves after an unknown outcome, too.
    Key,
}

impl Twin {
    /// Every twin.
    pub const ALL: [Self; 5] = [Self::TwoSeconds, Self::OwnWrites, Self::Adopt, Self::Executor, Self::Key];

    /// The twin's name, as the tests' operator takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TwoSeconds => "two-seconds",
            Self::OwnWrites => "own-writes",
            Self::Adopt => "adopt",
            Self::Executor => "executor",
            Self::Key => "key",
        }
    }
}

/// Whether the guard is switched off in this process.
#[cfg(not(feature = "twins"))]
#[must_use]
pub const fn broken(_: Twin) -> bool {
    false
}

#[cfg(feature = "twins")]
pub use switched::{broken, switch_off};

#[cfg(feature = "twins")]
mod switched {
    use std::sync::OnceLock;

    use super::Twin;

    static OFF: OnceLock<Twin> = OnceLock::new();

    /// Whether the guard is switched off in this process.
    #[must_use]
    pub fn broken(twin: Twin) -> bool {
        OFF.get() == Some(&twin)
    }

    /// Switches one guard off for the rest of this process. Only the first call has an effect.
    pub fn switch_off(twin: Twin) {
        // A second twin in one process would prove nothing about either.
        let _ = OFF.set(twin);
    }
}
