//! What this process knows of one attempt beyond the status: a child that it created or saw,
//! refusals, an HTTP request under way, and its result.
//!
//! # Guarantees
//! Only this process knows the outcome of its HTTP requests. For everything else the cluster
//! decides, and if this process could begin nothing, another replica may have continued.

use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::{
    api::names::AttemptId,
    controller::{http::sent::Sent, limits::reservation::BreakerTicket, queue::SagaRef},
    model::{
        command::ChildCommand,
        observation::{End, Failure, Reached, Undelivered},
    },
};

/// The age before an attempt may be removed together with its saga. The list of live sagas may be
/// older than the attempt.
pub(super) const KEPT: Duration = Duration::from_mins(10);

/// The key of an attempt: the saga's UID and the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The UID of the saga.
    pub saga_uid: String,
    /// The attempt.
    pub attempt: AttemptId,
}

impl AttemptKey {
    /// Returns the key of an attempt of the saga with this UID.
    #[must_use]
    pub fn new(saga_uid: impl Into<String>, attempt: AttemptId) -> Self {
        Self { saga_uid: saga_uid.into(), attempt }
    }
}

/// What an observation shows of an attempt. A fact that is learned twice changes nothing more.
#[derive(Clone, Debug)]
pub enum AttemptFact {
    /// Something of the attempt exists. If this process could begin nothing, another replica began
    /// it.
    Exists,
    /// The child exists.
    ChildSeen {
        /// The UID of the child.
        uid: String,
        /// When this process saw the child.
        since: Instant,
    },
    /// The child is terminating.
    Terminating {
        /// When this process saw this.
        since: Instant,
    },
    /// The child ended by a signal while another container of the child still runs.
    HeldUp {
        /// When this process saw this.
        since: Instant,
    },
    /// The attempt ended.
    Ended(End),
}

/// What this process knows of one attempt. A clone is a copy to read: it ends no HTTP request.
#[derive(Clone, Debug)]
pub struct KnownAttempt {
    /// When this process first read the intent.
    pub first_read: Instant,
    /// When this process first saw the child, and its UID.
    pub child: Option<(Instant, String)>,
    /// The API server's newest definite refusal to create the child.
    pub refusal: Option<CreateRefusal>,
    /// Whether the answer to a creation was lost. If so, a later refusal proves nothing.
    pub unanswered: bool,
    /// Whether the operator looked for other sagas that applied the same object.
    pub looked_for_rivals: bool,
    /// The commands that the child saga could not be sent at the last try.
    pub undelivered: Vec<Undelivered>,
    /// The end of the attempt by the last copy of a child that the watch calls gone.
    pub gone: Option<End>,
    /// When this process first saw that the child is terminating.
    pub deleting_since: Option<Instant>,
    /// When this process first saw that the child ended by a signal while another container of the
    /// child still runs.
    pub held_up_since: Option<Instant>,
    /// What the child did or waited for when this process ended it because its time limit had
    /// passed.
    pub overdue: Option<String>,
    /// The end of the attempt, if this process knows it and the status does not show it yet.
    pub end: Option<End>,
    /// The end and the refusal that were known when this process stopped leading.
    pub(super) aside: Option<(Option<End>, Option<CreateRefusal>)>,
    /// The intent that this process was about to write.
    pub(super) intent: Option<Intent>,
    /// Whether the attempt is an HTTP request that was started.
    pub(super) request: bool,
    /// The HTTP request under way.
    pub(super) running: Option<RunningRequest>,
}

/// The intent of an HTTP request that this process was about to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intent {
    pub(super) at: Instant,
    /// Whether a copy of the saga has shown the intent since.
    pub(super) shown: bool,
}

/// An HTTP request under way.
#[derive(Clone, Debug)]
pub(super) struct RunningRequest {
    pub(super) since: Instant,
    pub(super) task: AbortHandle,
    pub(super) in_flight: InFlight,
}

/// What is known of an HTTP request that is about to be started.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    /// The saga.
    pub saga: SagaRef,
    /// Whether any part of it may have been sent.
    pub sent: Sent,
    /// The part of the HTTP request in the circuit breaker of its host.
    pub call: Option<BreakerTicket>,
}

impl RunningRequest {
    /// Aborts the HTTP request and returns its end: `end` if the request may have happened.
    pub(super) fn abort(self, end: End) -> End {
        let Self { task, in_flight: InFlight { sent, saga: _, call: _ }, since: _ } = self;
        // The request is forbidden first, because a request that is not forbidden may be sent until
        // the task has ended.
        let kept = sent.forbid();
        task.abort();
        if kept { never_sent() } else { end }
    }
}

/// Returns the end of an HTTP request that this process was to send and never did. It costs no
/// attempt.
#[must_use]
pub fn never_sent() -> End {
    let message = "the request was called off before anything of it was sent".into();
    End::Failed(Failure { disrupted: true, ..Failure::not_started(message) })
}

/// Returns the end of an HTTP request that this process was to send, and that is neither under way
/// nor known to have ended. If this process has known the request since before its intent was
/// written, nothing was sent. A request that this process has forgotten was settled once: then the
/// status is an old one, for example from a restored backup.
#[must_use]
pub fn called_off(known: &KnownAttempt) -> End {
    if known.is_intended_here() {
        return never_sent();
    }
    let message =
        "it may have been sent: the replica that was to send it no longer knows about it".into();
    End::Unknown { message, retry_after: None }
}

/// A temporary refusal.
#[derive(Debug, Clone)]
pub struct CreateRefusal {
    /// The API server's message.
    pub message: String,
    /// When the creation is tried again.
    pub until: Instant,
    pub(super) times: u32,
}

impl KnownAttempt {
    pub(in crate::controller) fn new() -> Self {
        Self {
            first_read: Instant::now(),
            child: None,
            refusal: None,
            unanswered: false,
            looked_for_rivals: false,
            undelivered: Vec::new(),
            gone: None,
            overdue: None,
            deleting_since: None,
            held_up_since: None,
            end: None,
            aside: None,
            intent: None,
            request: false,
            running: None,
        }
    }

    /// Returns whether this process wrote the intent, or was about to, and remembers everything
    /// that happened to the attempt since.
    #[must_use]
    pub const fn is_intended_here(&self) -> bool {
        self.intent.is_some()
    }

    /// Returns whether the attempt stays in memory. `active`: whether a copy of the saga shows the
    /// attempt as active.
    pub(super) fn is_kept(&mut self, active: bool) -> bool {
        match &mut self.intent {
            // Before the copy showed the intent, nobody had read it.
            Some(intent) if active && !intent.shown => {
                (intent.shown, self.first_read) = (true, Instant::now());
            }
            // The answer to the write of the intent may have been lost, and the copy may be older
            // than the write.
            Some(intent) if !intent.shown && !self.request && intent.at.elapsed() < KEPT => {
                return true;
            }
            Some(_) | None => {}
        }
        active || self.running.is_some()
    }

    /// Returns whether the attempt is an HTTP request that is under way, or whose end is not known
    /// to be in the status.
    pub(super) const fn is_unrecorded_request(&self) -> bool {
        self.running.is_some() || (self.request && self.end.is_some())
    }

    /// Notes a fact.
    pub fn learn(&mut self, fact: AttemptFact) {
        match fact {
            AttemptFact::Exists => {
                let nothing = matches!(
                    &self.end,
                    Some(End::Failed(Failure { reached: Reached::Nothing, .. }))
                );
                if nothing && !self.request && self.child.is_none() {
                    self.forget_verdict();
                }
            }
            AttemptFact::ChildSeen { uid, since } => {
                self.refusal = None;
                self.child.get_or_insert((since, uid));
            }
            AttemptFact::Terminating { since } => _ = self.deleting_since.get_or_insert(since),
            AttemptFact::HeldUp { since } => _ = self.held_up_since.get_or_insert(since),
            AttemptFact::Ended(end) => {
                self.running = None;
                self.end.get_or_insert(end);
            }
        }
    }

    pub(super) fn forget_verdict(&mut self) {
        (self.end, self.refusal, self.aside) = (None, None, None);
    }

    pub(super) fn suspend_verdict(&mut self) {
        // If this runs twice in a row, the values of the first run are kept.
        let (end, refusal) = self.aside.take().unwrap_or_default();
        self.aside = Some((self.end.take().or(end), self.refusal.take().or(refusal)));
    }

    pub(super) fn resume_verdict(&mut self) {
        if let Some((end, refusal)) = self.aside.take() {
            self.end = self.end.take().or(end);
            self.refusal = self.refusal.take().or(refusal);
        }
    }

    /// Returns whether this process is certain that no child was created: every creation of its own
    /// was definitely refused.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.refusal.is_some() && !self.unanswered
    }

    /// Notes the result of a command on the child. `failed`: why the command could not be sent.
    /// Returns whether the failure is new. Earlier results of the same kind of command count no
    /// more.
    pub fn note_command(&mut self, command: &ChildCommand, failed: Option<Undelivered>) -> bool {
        let kind = std::mem::discriminant(command);
        let before = self.undelivered.len();
        self.undelivered.retain(|undelivered| std::mem::discriminant(&undelivered.command) != kind);
        let news = failed.is_some() && self.undelivered.len() == before;
        self.undelivered.extend(failed);
        news
    }

    /// Returns since when an HTTP request is under way.
    #[must_use]
    pub fn in_flight(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.since)
    }
}
