//! What was seen of the children, in the only form in which the engine takes it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::command::Demand;
use crate::api::{DeletionPolicy, SagaPhase, names::AttemptId};

/// What is known of one attempt's child, be it a Pod or a request.
#[derive(Clone, Debug, PartialEq)]
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
        /// What keeps it from going on, where that is known to be none of its own doing.
        trouble: Option<Trouble>,
    },
    /// The API server refused to create the child for a reason that passes: too many requests,
    /// exceeded quota. No attempt is used up.
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
    /// It was done, and hands this on.
    Succeeded(Option<Map<String, Value>>),
    /// The object that the step applied or waits for is there. Whether it is as it should be is for
    /// the step to say.
    Object {
        /// The object, without `metadata.managedFields`.
        object: Arc<Value>,
        /// How long it has been known to this process.
        age: Duration,
    },
    /// The child saga is there. What its phase means is for the step to say.
    Saga(Arc<ChildSaga>),
    /// The object that the step deletes is there, and nobody deletes it. Only from a live read.
    Standing {
        /// Its UID.
        uid: String,
        /// Whether the API server definitely refused each deletion that this process asked for.
        refused: bool,
        /// How long ago this process first read the intent, by its monotonic clock.
        known_for: Duration,
    },
    /// The other side answered a request. What that means is for the step's `expect` and `outputs`
    /// to say.
    Answered(Arc<Answer>),
    /// It was not done.
    Failed(Failure),
    /// It may have been done.
    Unknown {
        /// Why nobody can tell, in one line.
        message: String,
        /// What the other side asked to wait before the next attempt, at most one hour: a 503 may
        /// carry it.
        retry_after: Option<Duration>,
    },
    /// This process called the request off after it may have left: its Lease lapsed, or it was told
    /// to stop. It may have been done.
    CalledOff {
        /// Why, in one line.
        message: String,
    },
}

/// What keeps a Pod from starting or going on: mended by a person or by time, not by the Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An image cannot be had.
    Image,
    /// A container cannot be made as it is described, for example without a Secret that is missing.
    Container,
    /// No node takes it.
    Scheduling,
    /// Its node does not answer.
    Node,
}

impl Trouble {
    /// As it stands in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Container => "Container",
            Self::Scheduling => "Scheduling",
            Self::Node => "Node",
        }
    }
}

/// A child saga, as a live read shows it.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are seen one by one, in any combination"
)]
pub struct ChildSaga {
    /// Its name, in the namespace of its parent.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// How long it has been known to this process.
    pub age: Duration,
    /// Where it stands; `None` where no operator saw it yet, or its status cannot be read.
    pub phase: Option<SagaPhase>,
    /// What it says of itself.
    pub message: String,
    /// What it hands on.
    pub outputs: Option<Map<String, Value>>,
    /// Its steps that did something which is not undone; only where it ended.
    pub still_in_effect: Vec<String>,
    /// Its `spec.suspend`.
    pub suspended: bool,
    /// Its `spec.deletionPolicy`.
    pub deletion_policy: DeletionPolicy,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it takes no request before a person mended it.
    pub held: bool,
    /// Whether it was asked to cancel.
    pub cancel_asked: bool,
    /// The token of the newest request to compensate that stands on it.
    pub compensate_asked: Option<String>,
    /// The token of its newest request to compensate that was refused, and why.
    pub refused: Option<(String, String)>,
    /// What it could not be told when it was to be told it last.
    pub unheard: Vec<Unheard>,
}

/// Something that a child saga could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// What.
    pub demand: Demand,
    /// Why, in one line.
    pub why: String,
    /// Whether it was refused for a reason that does not pass by itself.
    pub refused: bool,
}

/// The answer to a request, with the values of Secrets taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case; of those that repeat, the values with `, ` between
    /// them. Only what is text.
    pub headers: BTreeMap<String, String>,
    /// The body, at most 64 KiB of it: as JSON, or as text where it is none.
    pub body: Value,
    /// The same as text, for messages.
    pub text: String,
    /// Whether the body came as a whole.
    pub whole: bool,
    /// What the other side asked to wait before the next attempt, at most one hour.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Whether it says by its status that it was done.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// What expressions read as `response`: `status`, `headers` and `body`.
    #[must_use]
    pub fn response(&self) -> Value {
        serde_json::json!({"status": self.status, "headers": self.headers, "body": self.body})
    }
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
    /// With which a container ended by itself, 1 to 255; `None` where no container said no.
    pub exit_code: Option<i32>,
    /// Whether a disruption ended it before it started, so that it uses up no attempt (at most five
    /// times).
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
    /// The service was reached and turned it away without looking at it (401, 403, 407, 425, 429).
    /// The key is kept.
    Door,
    /// A program ran, and its exit code does not say whether its work was done. The key is kept:
    /// the next attempt continues the same work.
    Work,
    /// A 2xx that the step does not take for a success: it may well have been done. The key is
    /// kept, and the step is uncertain.
    Accepted,
    /// The service said no: a final HTTP answer, an exit code that the step calls final. The next
    /// attempt has a new key, unless an earlier one is uncertain: a no proves nothing about that.
    Answer,
    /// The step's own rule says that nothing was done under this key, and nothing will be. The next
    /// attempt has a new key.
    Settled,
}

/// All that was seen at one instant of a saga's active attempts, and of the children that a deleted
/// one leaves behind.
pub type Observed = BTreeMap<AttemptId, ChildState>;
