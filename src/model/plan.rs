//! What a plan wants done, as data.
//!
//! # Guarantees
//! Effects can be taken only out of a plan that was recorded: [`Plan<Drafted>`] has no way to them,
//! and only the writer of the status makes a [`Plan<Recorded>`].

use std::{marker::PhantomData, time::Duration};

use jiff::Timestamp;

use super::{
    command::Demand,
    saga::{Identity, Work},
};
use crate::api::{
    Direction, Outcome, RequestAction, RequestResult, SagaPhase, SagaStatus, names::AttemptId,
};

/// A plan whose status is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drafted;
/// A plan whose status stands in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded;

/// What happens to a saga now: the status to be written, then the effects, then the instant to look
/// again.
#[must_use = "a plan does nothing until it is recorded and performed"]
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<S = Drafted> {
    /// The status to be written; `None` where it stands already as it should.
    pub status: Option<StatusWrite>,
    /// What happens to the saga's finalizer.
    pub finalizer: Finalizer,
    /// When the saga has to be looked at again although nothing happened.
    pub wake: Option<Timestamp>,
    /// What the writes mean to the metrics.
    pub tally: Tally,
    effects: Vec<Effect>,
    state: PhantomData<S>,
}

/// How the status is written.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusWrite {
    /// The whole status.
    Whole(Box<SagaStatus>),
    /// Only message and conditions, because the rest cannot be read and must not be lost.
    Verdict(Box<SagaStatus>),
}

/// What happens to the saga's finalizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Finalizer {
    /// Nothing.
    #[default]
    Keep,
    /// It is set before the status is written.
    Add,
    /// It is taken off after the status is written.
    Remove,
}

/// One thing to be done outside the status.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create the Pod or the Job, send the request, or delete the object of an active attempt.
    Begin {
        /// Who the attempt is.
        identity: Identity,
        /// The step's place in the list.
        place: usize,
        /// What is done, where that follows from expressions; else it stands in the spec.
        work: Option<Box<Work>>,
        /// The instant of its intent.
        intended: Timestamp,
        /// Its own time limit, from now on. Deadlines may stand still, and are kept by later plans.
        time_limit: Duration,
        /// The UID that the status names as that of the object to be deleted; `None` for all that
        /// is not deleted.
        uid: Option<String>,
    },
    /// Tell the child saga of an active attempt something, as the saga's account; or one that a
    /// deleted saga leaves behind.
    Ask {
        /// The attempt for whose sake it is told: the active one, or, where none follows the child
        /// any more, the one that made it.
        attempt: AttemptId,
        /// The attempt by which the child was made: another one where it is undone.
        child: AttemptId,
        /// What.
        demand: Demand,
    },
    /// End an attempt that is past its time: delete the Pod or the Job, or abort the request.
    Stop(AttemptId),
    /// Delete the succeeded Pods and Jobs of a saga that ended ten minutes ago.
    Sweep,
    /// Delete the saga, under its UID and the version that was read: it ended as long ago as its
    /// spec says.
    Delete,
    /// Tell a person.
    Publish(Notice),
    /// Take away annotations whose requests are recorded, under the version that the record stands
    /// in.
    TakeAway {
        /// The requests' annotations; none where only the number was lost.
        annotations: Vec<RequestAction>,
        /// The new value of `saga.dev/handled`.
        handled: i64,
    },
}

/// Something a person should notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it calls for attention.
    pub warning: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// The event's text.
    pub message: String,
}

/// What a plan means to the metrics, once it is recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// The attempts that settled.
    pub settled: Vec<SettledAttempt>,
    /// How many attempts begin that are not the first of their step and direction, by kind and
    /// direction.
    pub retries: Vec<(&'static str, Direction)>,
    /// The requests that were answered.
    pub requests: Vec<(RequestAction, RequestResult)>,
    /// The phase that was entered.
    pub entered: Option<SagaPhase>,
}

/// One settled attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledAttempt {
    /// As [`crate::model::saga::Operation::kind`] says it.
    pub kind: &'static str,
    /// Action or compensation.
    pub direction: Direction,
    /// How it ended.
    pub outcome: Outcome,
    /// From intent to outcome.
    pub took: Duration,
}

impl Plan<Drafted> {
    /// A plan that changes nothing.
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

    /// The same plan after its status was acknowledged. To be called by the writer of the status
    /// alone.
    pub fn recorded(self) -> Plan<Recorded> {
        let Self { status, finalizer, wake, tally, effects, state: _ } = self;
        Plan { status, finalizer, wake, tally, effects, state: PhantomData }
    }

    /// The effects, to look at and not to perform.
    #[must_use]
    pub fn drafted_effects(&self) -> &[Effect] {
        &self.effects
    }
}

impl Plan<Recorded> {
    /// The effects, to be performed.
    #[must_use]
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}
