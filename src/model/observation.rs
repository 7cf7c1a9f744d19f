//! Observations of children, in the only form that the engine takes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::command::ChildCommand;
use crate::api::{DeletionPolicy, SagaPhase, names::AttemptId};

/// The observed state of an attempt's child: one of five.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildState {
    /// No child exists. The state comes only from a live read, or, for an HTTP request, from this
    /// process's own memory.
    Absent(Absence),
    /// The child exists and has not ended.
    Active {
        /// The Pod's UID; `None` for an HTTP request.
        uid: Option<String>,
        /// How long this process has known the child.
        age: Duration,
        /// What the child waits for or does, in one line.
        detail: String,
        /// What keeps the child from continuing, if the cause is known to lie outside the child.
        trouble: Option<PodTrouble>,
    },
    /// An object or a child saga exists. The step decides what its state means.
    Present(Present),
    /// The attempt ended.
    Ended(End),
    /// The child cannot be created for now, or another process alone knows its state.
    Unavailable(Unavailable),
}

/// An object or a child saga whose state means something to its step alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Present {
    /// The object that the step applied or waits for exists.
    Object {
        /// What the step says of the object.
        judged: JudgedObject,
        /// How long this process has known the object.
        age: Duration,
    },
    /// The child saga exists. The step decides what its phase means.
    Saga(Arc<ChildSaga>),
    /// The object that the step deletes exists and is not terminating. The state comes only from a
    /// live read.
    Standing {
        /// The UID of the object.
        uid: String,
        /// Whether the API server definitely refused every deletion that this process sent.
        refused: bool,
        /// How long ago this process first read the intent, by its monotonic clock.
        known_for: Duration,
    },
}

/// What a step says of an object. The object itself is dropped, because it may be large and a saga
/// may have many such steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgedObject {
    /// The UID of the object.
    pub uid: Option<String>,
    /// What is missing until the object is as the step wants it, in one line; `None` if nothing is
    /// missing.
    pub missing: Option<String>,
    /// The outputs of the step, as the status can store them, or why it cannot. `None` if the step
    /// has no outputs, or if something is missing.
    pub outputs: Option<Result<Map<String, Value>, String>>,
}

/// Why nothing can be said or done about a child for now.
#[derive(Clone, Debug, PartialEq)]
pub enum Unavailable {
    /// The API server refused to create the child for a temporary reason: too many requests, or an
    /// exceeded quota. The refusal uses up no attempt.
    Refused {
        /// The reason, in one line.
        message: String,
        /// How long from now until the creation is tried again.
        retry_in: Duration,
        /// How long ago this process first read the intent, by its monotonic clock.
        known_for: Duration,
    },
    /// The executor of another process sends the HTTP request. That executor is not known to be
    /// gone.
    Elsewhere {
        /// After how long the saga is requeued if no event arrives.
        look_again_in: Duration,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The work was done. The value holds the outputs.
    Succeeded(Option<Map<String, Value>>),
    /// The service answered an HTTP request. The step's `expect` and `outputs` decide what the
    /// answer means.
    Answered(Arc<Answer>),
    /// The work was not done.
    Failed(Failure),
    /// The work may have been done.
    Unknown {
        /// Why the outcome is unknown, in one line.
        message: String,
        /// How long the service asked to wait before the next attempt, at most one hour. A 503 may
        /// carry this value.
        retry_after: Option<Duration>,
    },
    /// The work may have been done, and no retry would show whether it was.
    UnknownForGood {
        /// Why the outcome stays unknown, in one line.
        message: String,
    },
    /// This process called off the HTTP request after it may have been sent, because the Lease
    /// lapsed or the process was told to stop. The work may have been done.
    CalledOff {
        /// Why it was called off, in one line.
        message: String,
    },
}

impl From<End> for ChildState {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl From<Unavailable> for ChildState {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// What keeps a Pod from starting or continuing. A user or time resolves it, not the Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodTrouble {
    /// An image cannot be pulled.
    Image,
    /// A container cannot be created as described, for example because a Secret is missing.
    Container,
    /// No node takes the Pod.
    Scheduling,
    /// The node of the Pod does not answer.
    Node,
}

impl PodTrouble {
    /// Returns the name that the status uses.
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
    /// The name of the child, in the namespace of its parent.
    pub name: String,
    /// The UID of the child.
    pub uid: String,
    /// How long this process has known the child.
    pub age: Duration,
    /// The phase of the child; `None` if no operator has reconciled the child yet, or its status
    /// cannot be read.
    pub phase: Option<SagaPhase>,
    /// The message in the child's status.
    pub message: String,
    /// The outputs of the child.
    pub outputs: Option<Map<String, Value>>,
    /// The steps of the child that did something that is not undone; empty unless the child ended.
    pub still_in_effect: Vec<String>,
    /// The child's `spec.suspend`.
    pub suspended: bool,
    /// The child's `spec.deletionPolicy`.
    pub deletion_policy: DeletionPolicy,
    /// Whether the child is terminating.
    pub deleting: bool,
    /// Whether the child takes no request until a user corrects it.
    pub held: bool,
    /// Whether the child was asked to cancel.
    pub cancel_asked: bool,
    /// The token of the newest compensate request that is stored on the child.
    pub compensate_asked: Option<String>,
    /// The token of the newest compensate request that the child refused, and the reason.
    pub refused: Option<(String, String)>,
    /// The commands that could not be sent at the last try.
    pub undelivered: Vec<Undelivered>,
}

/// A command that could not be sent to a child saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The command.
    pub command: ChildCommand,
    /// The reason, in one line.
    pub why: String,
    /// Whether the command was refused for a reason that does not pass without a change.
    pub refused: bool,
}

/// The answer to an HTTP request. The values of Secrets are removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers that are text, with their names in lower case. The values of a repeated header
    /// are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// The body, at most 64 KiB: as JSON, or as text if it is not JSON.
    pub body: Value,
    /// The body as text, for messages.
    pub text: String,
    /// Whether the body was received completely.
    pub whole: bool,
    /// How long the service asked to wait before the next attempt, at most one hour.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Returns whether the status code is a 2xx.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Returns what expressions read as `response`: `status`, `headers` and `body`.
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
    /// Whether the API server definitely refused this process's newest attempt to create the child.
    pub refused: bool,
    /// How long ago this process first read the intent, by its monotonic clock.
    pub known_for: Duration,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far the attempt came.
    pub reached: Reached,
    /// Whether the failure is permanent: no retry follows, whatever the policy says.
    pub permanent: bool,
    /// The code with which a container ended without being stopped, 1 to 255; `None` if no
    /// container reported a failure.
    pub exit_code: Option<i32>,
    /// Whether a disruption ended the attempt before it started. Up to five such attempts use up no
    /// attempt of the budget.
    pub disrupted: bool,
    /// How long the service asked to wait before the next attempt, at most one hour.
    pub retry_after: Option<Duration>,
    /// What happened, in one line.
    pub message: String,
}

impl Failure {
    /// Returns the failure of an attempt that came so far, and after which a retry may help.
    #[must_use]
    pub const fn new(reached: Reached, message: String) -> Self {
        Self {
            reached,
            permanent: false,
            exit_code: None,
            disrupted: false,
            retry_after: None,
            message,
        }
    }

    /// Returns the failure of an attempt of which nothing was begun, and after which a retry may
    /// help.
    #[must_use]
    pub const fn not_started(message: String) -> Self {
        Self::new(Reached::Nothing, message)
    }

    /// Returns the same failure as a permanent one.
    #[must_use]
    pub const fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }
}

/// How far a failed attempt came. This decides about the idempotency key and about the undo set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing was sent, and no container started. The key is kept.
    Nothing,
    /// The service refused the HTTP request without reading it (401, 403, 407, 425, 429). The key
    /// is kept.
    Rejected,
    /// A program ran, and its exit code does not say whether its work was done. The key is kept:
    /// the next attempt continues the same work.
    Work,
    /// The service answered with a 2xx that the step does not accept as a success. The work was
    /// possibly done. The key is kept, and the step is uncertain.
    Accepted,
    /// The service definitely refused: a final HTTP answer, or an exit code that the step declares
    /// final. The next attempt has a new key, unless an earlier attempt is uncertain, because a
    /// refusal proves nothing about earlier attempts.
    Answer,
    /// The step's own rule says that nothing was done under this key, and nothing will be. The next
    /// attempt has a new key.
    Settled,
}

/// All observations of a saga's active attempts at one instant, and of the children that a deleted
/// saga leaves behind.
pub type Observations = BTreeMap<AttemptId, ChildState>;
