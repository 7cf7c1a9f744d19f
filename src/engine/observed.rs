//! What was seen of the children, in the only form in which the engine takes it.

use std::{collections::BTreeMap, time::Duration};

use crate::api::names::AttemptId;

/// What is known of one attempt's child, be it a Pod or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// No child exists. Only from a live read, or, for a request, from this process's own memory.
    Absent(Absence),
    /// The child exists and has not ended.
    Active {
        /// The Pod's UID; `None` for a request.
        uid: Option<String>,
        /// How long it has been known to this process.
        age: Duration,
        /// What it waits for or does, in one line.
        detail: String,
    },
    /// The API server refused to create the child for a reason that passes: too many requests, exceeded quota. No attempt is used up.
    Refused {
        /// The reason, in one line.
        message: String,
        /// How long from now until it is tried again.
        retry_in: Duration,
        /// How long ago this process first read the intent, by its monotonic clock.
        known_for: Duration,
    },
    /// The executor of another process sends it, and is not known to be gone.
    Elsewhere {
        /// After how long to look again although nobody tells of anything.
        look_again_in: Duration,
    },
    /// It was done.
    Succeeded,
    /// It was not done.
    Failed(Failure),
    /// It may have been done.
    Unknown {
        /// Why nobody can tell, in one line.
        message: String,
        /// What the other side asked to wait before the next attempt, at most one hour: a 503 may carry it.
        retry_after: Option<Duration>,
    },
}

/// What is known about a child that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Whether this process saw the child earlier.
    pub seen: bool,
    /// Whether the API server definitely refused this process's newest attempt to create it.
    pub refused: bool,
    /// How long ago this process first read the intent, by its monotonic clock.
    pub known_for: Duration,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far the attempt came.
    pub reached: Reached,
    /// Whether no further attempt is made whatever the policy says.
    pub last: bool,
    /// Whether a disruption ended it before it started, so that it uses up no attempt (at most five times).
    pub disrupted: bool,
    /// What the other side asked to wait before the next attempt, at most one hour.
    pub retry_after: Option<Duration>,
    /// What happened, in one line.
    pub message: String,
}

/// How far a failed attempt came; decides about the idempotency key and about the undo set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing was sent, no container started. The key is kept.
    Nothing,
    /// The other side was reached and turned it away without looking at it (401, 403, 407, 425, 429). The key is kept.
    Door,
    /// The other side answered with a definite no: an exit code, a final HTTP answer. The next attempt has a new key.
    Answer,
}

/// All that was seen of a saga's active attempts at one instant.
pub type Observed = BTreeMap<AttemptId, ChildState>;
