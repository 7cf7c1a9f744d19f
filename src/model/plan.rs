//! Plans, as data.
//!
//! # Guarantees
//! Effects can be taken only out of a recorded plan: [`Plan<Drafted>`] does not release them, and a
//! [`Plan<Recorded>`] is created only with a proof that the status is stored: [`Acknowledged`].

use std::{marker::PhantomData, time::Duration};

use jiff::Timestamp;

use super::{
    command::ChildCommand,
    saga::{Identity, Work},
};
use crate::api::{
    Direction, Outcome, RequestAction, RequestResult, SagaPhase, SagaStatus, names::AttemptId,
};

/// The state of a plan whose status is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drafted;
/// The state of a plan whose status is written to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded;

/// The proof that the API server holds the status of a plan: the saga's resourceVersion, as the
/// answer to the write shows it, or as the copy shows it that already holds the status.
///
/// `controller/record.rs` alone makes proofs from answers. A test looks for other places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged(String);

impl Acknowledged {
    /// Makes the proof from the resourceVersion that the API server answered.
    #[cfg(feature = "operator")]
    pub(crate) const fn by_api_server(version: String) -> Self {
        Self(version)
    }

    /// Makes the proof of a simulated API server.
    #[must_use]
    pub fn simulated() -> Self {
        Self(String::new())
    }

    /// Returns the saga's resourceVersion.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0
    }
}

/// What happens to a saga now: first the status is written, then the effects are performed, then
/// the saga is requeued.
#[must_use = "a plan does nothing until it is recorded and performed"]
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<S = Drafted> {
    /// The status to write; `None` if the stored status is already right.
    pub status: Option<StatusWrite>,
    /// What happens to the saga's finalizer.
    pub finalizer: Finalizer,
    /// When the saga is requeued even if no event arrives.
    pub wake: Option<Timestamp>,
    /// What the metrics count when the plan is recorded.
    pub tally: Tally,
    effects: Vec<Effect>,
    state: PhantomData<S>,
}

/// How the status is written.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusWrite {
    /// The whole status.
    Whole(Box<SagaStatus>),
    /// Only the message and the conditions, because the rest cannot be read and must not be lost.
    Verdict(Box<SagaStatus>),
}

/// What happens to the saga's finalizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Finalizer {
    /// It is not changed.
    #[default]
    Keep,
    /// It is added before the status is written.
    Add,
    /// It is removed after the status is written.
    Remove,
}

/// One change outside the status.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create the Pod or the Job, send the HTTP request, or delete the object of an active attempt.
    Begin {
        /// The identity of the attempt.
        identity: Identity,
        /// What is done, with the values of its expressions.
        work: Box<Work>,
        /// The time limit of the operation, as the spec states it.
        timeout: Duration,
        /// The instant of the intent.
        intended: Timestamp,
        /// The time limit of the attempt, counted from now. Deadlines are not included, because
        /// their clock may stop. Later plans enforce them.
        time_limit: Duration,
        /// The UID of the object to delete, as the status names it; `None` if nothing is deleted.
        uid: Option<String>,
    },
    /// Send a command to the child saga of an active attempt, as the saga's ServiceAccount. A
    /// deleted saga that is released also sends one to the children that it leaves behind.
    Ask {
        /// The attempt for which the command is sent: the active attempt, or, if none belongs to
        /// the child, the attempt that created the child.
        attempt: AttemptId,
        /// The attempt that created the child. It differs from `attempt` if the child is being
        /// undone.
        child: AttemptId,
        /// The command.
        command: ChildCommand,
    },
    /// End an attempt that is past its time limit: delete the Pod or the Job, or abort the HTTP
    /// request.
    Stop(AttemptId),
    /// Delete the Pods and Jobs that are no longer needed: the succeeded ones of a saga that ended
    /// ten minutes ago, or those of old failed attempts of a saga under way.
    Sweep,
    /// Delete the saga, with its UID and the version that was read as preconditions. The time that
    /// its spec sets has passed since the saga ended.
    Delete,
    /// Publish an event for users.
    Publish(Notice),
    /// Remove annotations whose requests are recorded, with the version that holds the records as
    /// precondition.
    TakeAway {
        /// The annotations of the requests; empty if only the number was lost.
        annotations: Vec<RequestAction>,
        /// The new value of `saga.dev/handled`.
        handled: i64,
    },
}

/// An event for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether the event is a warning.
    pub warning: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// The event's text.
    pub message: String,
}

/// What the metrics count once a plan is recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// The attempts that settled.
    pub settled: Vec<SettledAttempt>,
    /// The attempts that begin and are not the first of their step and direction, each with its
    /// kind and direction.
    pub retries: Vec<(&'static str, Direction)>,
    /// The requests that were answered.
    pub requests: Vec<(RequestAction, RequestResult)>,
    /// The phase that was entered.
    pub entered: Option<SagaPhase>,
}

/// One settled attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledAttempt {
    /// The kind, as [`crate::model::saga::Operation::kind`] returns it.
    pub kind: &'static str,
    /// Action or compensation.
    pub direction: Direction,
    /// The outcome.
    pub outcome: Outcome,
    /// The time from the intent to the outcome.
    pub took: Duration,
}

impl Plan<Drafted> {
    /// Creates a plan that changes nothing.
    pub fn nothing() -> Self {
        Self {
            status: None,
            finalizer: Finalizer::Keep,
            wake: None,
            tally: Tally::default(),
            effects: Vec::new(),
            state: PhantomData,
        }
    }

    pub(crate) fn new(
        status: Option<StatusWrite>,
        finalizer: Finalizer,
        wake: Option<Timestamp>,
        tally: Tally,
        effects: Vec<Effect>,
    ) -> Self {
        Self { status, finalizer, wake, tally, effects, state: PhantomData }
    }

    /// Returns the same plan after its status was acknowledged.
    pub fn recorded(self, proof: &Acknowledged) -> Plan<Recorded> {
        let Acknowledged(_) = proof;
        let Self { status, finalizer, wake, tally, effects, state: _ } = self;
        Plan { status, finalizer, wake, tally, effects, state: PhantomData }
    }

    /// Returns the effects for inspection. They must not be performed yet.
    #[must_use]
    pub fn drafted_effects(&self) -> &[Effect] {
        &self.effects
    }
}

impl Plan<Recorded> {
    /// Returns the effects to perform.
    #[must_use]
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}
