//! What this process knows of attempts beyond the status: children that it created or saw,
//! refusals, HTTP requests under way, and their results.
//!
//! # Guarantees
//! Correctness needs nothing of this memory after a restart: the engine's rules make lost knowledge
//! `Unknown`. At most one HTTP request is under way for an attempt. Only this process knows the
//! outcome of its HTTP requests. For everything else the cluster decides, and if this process could
//! begin nothing, another replica may have continued.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

use crate::{
    api::names::AttemptId,
    controller::{http::sent::Sent, limits::reservation::Call},
    model::{
        command::Demand,
        observation::{ChildState, Failure, Reached, Unheard},
    },
};

/// The first wait after a refused creation. The wait doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);
/// The age before an attempt may be removed together with its saga. The list of live sagas may be
/// older than the attempt.
const KEPT: Duration = Duration::from_mins(10);

/// The key of an attempt: the saga's UID and the attempt.
pub type AttemptKey = (String, AttemptId);

/// What this process knows of one attempt.
#[derive(Debug)]
pub struct Known {
    /// When this process first read the intent.
    pub first_read: Instant,
    /// When this process first saw the child, and its UID.
    pub child: Option<(Instant, String)>,
    /// The API server's newest definite refusal to create the child.
    pub refusal: Option<Refusal>,
    /// Whether the answer to a creation was lost. If so, a later refusal proves nothing.
    pub unanswered: bool,
    /// Whether the operator looked for other sagas that applied the same object.
    pub looked_for_rivals: bool,
    /// The demands that the child saga could not be sent at the last try.
    pub unheard: Vec<Unheard>,
    /// The end of the attempt by the last copy of a child that the watch calls gone.
    pub gone: Option<ChildState>,
    /// When this process first saw that the child is terminating.
    pub deleting_since: Option<Instant>,
    /// When this process first saw that the child ended by a signal while another container of the
    /// child still runs.
    pub held_up_since: Option<Instant>,
    /// What the child did or waited for when this process ended it because its time limit had
    /// passed.
    pub overdue: Option<String>,
    /// The end of the attempt, if this process knows it and the status does not show it yet.
    pub end: Option<ChildState>,
    /// The end and the refusal that were known when this process stopped leading.
    aside: Option<(Option<ChildState>, Option<Refusal>)>,
    /// The intent that this process was about to write.
    intent: Option<Intent>,
    /// Whether the attempt is an HTTP request that was started.
    request: bool,
    /// The HTTP request under way.
    flight: Option<Flight>,
}

/// The intent of an HTTP request that this process was about to write.
#[derive(Debug, Clone, Copy)]
struct Intent {
    at: Instant,
    /// Whether a copy of the saga has shown the intent since.
    shown: bool,
}

/// An HTTP request under way.
#[derive(Debug)]
struct Flight {
    since: Instant,
    task: AbortHandle,
    departure: Departure,
}

/// What is known of an HTTP request that is about to be started.
#[derive(Debug, Clone, Default)]
pub struct Departure {
    /// The saga's namespace and name.
    pub saga: (String, String),
    /// Whether any part of it may have been sent.
    pub sent: Sent,
    /// The part of the HTTP request in the circuit breaker of its host.
    pub call: Option<Call>,
}

impl Flight {
    /// Aborts the HTTP request and returns its end: `end` if the request may have happened.
    fn abort(self, end: ChildState) -> ChildState {
        let Self { task, departure: Departure { sent, saga: _, call: _ }, since: _ } = self;
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
pub fn never_sent() -> ChildState {
    let message = "the request was called off before anything of it was sent".into();
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last: false,
        exit_code: None,
        disrupted: true,
        retry_after: None,
        message,
    })
}

/// Returns the end of an HTTP request that this process was to send, and that is neither under way
/// nor known to have ended. If this process has known the request since before its intent was
/// written, nothing was sent. A request that this process has forgotten was settled once: then the
/// status is an old one, for example from a restored backup.
#[must_use]
pub fn called_off(known: &Known) -> ChildState {
    if known.is_intended_here() {
        return never_sent();
    }
    let message =
        "it may have been sent: the operator that was to send it does not know of it any more"
            .into();
    ChildState::Unknown { message, retry_after: None }
}

/// A temporary refusal.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The API server's message.
    pub message: String,
    /// When the creation is tried again.
    pub until: Instant,
    times: u32,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self {
            first_read: Instant::now(),
            child: None,
            refusal: None,
            unanswered: false,
            looked_for_rivals: false,
            unheard: Vec::new(),
            gone: None,
            overdue: None,
            deleting_since: None,
            held_up_since: None,
            end: None,
            aside: None,
            intent: None,
            request: false,
            flight: None,
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
    fn is_kept(&mut self, active: bool) -> bool {
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
        active || self.flight.is_some()
    }

    /// Returns whether the attempt is an HTTP request that is under way, or whose end is not known
    /// to be in the status.
    const fn is_unrecorded_request(&self) -> bool {
        self.flight.is_some() || (self.request && self.end.is_some())
    }

    /// Returns the end of the attempt, as this process knows it. `there`: whether something of the
    /// attempt exists. If something exists although this process could begin nothing, another
    /// replica began it, and the refusal is forgotten.
    pub fn end(&mut self, there: bool) -> Option<ChildState> {
        let nothing = matches!(
            &self.end,
            Some(ChildState::Failed(Failure { reached: Reached::Nothing, .. }))
        );
        if there && nothing && !self.request && self.child.is_none() {
            self.forget_verdict();
        }
        self.end.clone()
    }

    fn forget_verdict(&mut self) {
        (self.end, self.refusal, self.aside) = (None, None, None);
    }

    fn set_verdict_aside(&mut self) {
        // If this runs twice in a row, the values of the first run are kept.
        let (end, refusal) = self.aside.take().unwrap_or_default();
        self.aside = Some((self.end.take().or(end), self.refusal.take().or(refusal)));
    }

    fn take_verdict_up(&mut self) {
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

    /// Notes the result of a demand on the child. `failed`: why the demand could not be sent.
    /// Returns whether the failure is new. Earlier results of the same kind of demand count no
    /// more.
    pub fn told(&mut self, demand: &Demand, failed: Option<Unheard>) -> bool {
        let kind = std::mem::discriminant(demand);
        let before = self.unheard.len();
        self.unheard.retain(|unheard| std::mem::discriminant(&unheard.demand) != kind);
        let news = failed.is_some() && self.unheard.len() == before;
        self.unheard.extend(failed);
        news
    }

    /// Returns since when an HTTP request is under way.
    #[must_use]
    pub fn in_flight(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.since)
    }
}

/// The memory of all attempts.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Table>);

/// The attempts of each saga, by the saga's UID.
#[derive(Debug, Default)]
struct Table {
    sagas: HashMap<String, HashMap<AttemptId, Known>>,
    /// Whether no HTTP request may begin any more.
    closed: bool,
}

impl Table {
    fn entry(&mut self, (uid, attempt): &AttemptKey) -> &mut Known {
        self.sagas.entry(uid.clone()).or_default().entry(attempt.clone()).or_insert_with(Known::new)
    }

    fn abort_flights(&mut self, why: &str) -> Vec<(String, String)> {
        let mut aborted = Vec::new();
        for known in self.sagas.values_mut().flat_map(HashMap::values_mut) {
            let Some(flight) = known.flight.take() else { continue };
            aborted.push(flight.departure.saga.clone());
            let end = flight.abort(ChildState::CalledOff { message: why.into() });
            known.end.get_or_insert(end);
        }
        aborted
    }

    fn retain(&mut self, keep: impl Fn(&str, &AttemptId, &Known) -> bool) {
        self.sagas.retain(|uid, attempts| {
            attempts.retain(|attempt, known| keep(uid, attempt, known));
            !attempts.is_empty()
        });
    }
}

impl Attempts {
    /// Gives access to what is known of an attempt. The first access counts as the first read of
    /// the intent.
    pub fn look<T>(&self, key: &AttemptKey, look: impl FnOnce(&mut Known) -> T) -> T {
        look(self.lock().entry(key))
    }

    /// Notes that the child exists.
    pub fn child_seen(&self, key: &AttemptKey, uid: &str) {
        self.look(key, |known| {
            known.refusal = None;
            known.child.get_or_insert_with(|| (Instant::now(), uid.to_owned()));
        });
    }

    /// Notes a temporary refusal and sets the wait.
    pub fn refused(&self, key: &AttemptKey, message: String) {
        self.look(key, |known| {
            let times = known.refusal.as_ref().map_or(0, |refusal| refusal.times);
            let wait = FIRST_WAIT.saturating_mul(1 << times.min(6)).min(LAST_WAIT);
            known.refusal = Some(Refusal {
                message,
                until: Instant::now() + wait,
                times: times.saturating_add(1),
            });
        });
    }

    /// Notes what a child did that is about to be ended because its time limit has passed.
    pub fn overdue(&self, key: &AttemptKey, detail: String) {
        self.look(key, |known| {
            known.overdue.get_or_insert(detail);
        });
    }

    /// Notes the end of an attempt.
    pub fn ended(&self, key: &AttemptKey, end: ChildState) {
        self.look(key, |known| {
            known.flight = None;
            known.end.get_or_insert(end);
        });
    }

    /// Notes that an HTTP request ended without a result to note.
    pub fn landed(&self, key: &AttemptKey) {
        self.look(key, |known| known.flight = None);
    }

    /// Notes that the answer to a creation was lost: the child may exist, or may come to exist
    /// later.
    pub fn unanswered(&self, key: &AttemptKey) {
        self.look(key, |known| known.unanswered = true);
    }

    /// Notes the end that the last copy of a deleted child shows, if the attempt is known here and
    /// has had no other child since.
    pub fn child_gone(&self, (saga, attempt): &AttemptKey, child: &str, end: ChildState) {
        let mut table = self.lock();
        let known = table.sagas.get_mut(saga).and_then(|attempts| attempts.get_mut(attempt));
        if let Some(known) =
            known.filter(|known| known.child.as_ref().is_none_or(|(_, uid)| uid == child))
        {
            known.gone = Some(end);
        }
    }

    /// Notes that this process is about to write the intent of an HTTP request.
    pub fn intend(&self, key: &AttemptKey) {
        self.look(key, |known| known.intent = Some(Intent { at: Instant::now(), shown: false }));
    }

    /// Notes the end of a deleted child whose metadata no longer names its attempt. The child is
    /// found by its UID, if it was ever seen.
    pub fn orphan_gone(&self, child: &str, end: ChildState) {
        let mut table = self.lock();
        let is_of = |known: &&mut Known| known.child.as_ref().is_some_and(|(_, uid)| uid == child);
        if let Some(known) = table.sagas.values_mut().flat_map(HashMap::values_mut).find(is_of) {
            known.gone = Some(end);
        }
    }

    /// Starts an HTTP request. Does nothing if the attempt has one under way, if it has ended, or
    /// if no request may begin any more. `fly` spawns the request.
    pub fn take_off(
        &self,
        key: &AttemptKey,
        departure: Departure,
        fly: impl FnOnce() -> AbortHandle,
    ) {
        // The lock is held while the task is spawned, so that the end of the task cannot be noted
        // before its start.
        let mut table = self.lock();
        let closed = table.closed;
        let known = table.entry(key);
        if known.flight.is_none() && known.end.is_none() && !closed {
            known.request = true;
            known.flight = Some(Flight { since: Instant::now(), task: fly(), departure });
        }
    }

    /// Ends an HTTP request that is past its time limit. Returns its end and its part in the
    /// circuit breaker of its host.
    pub fn abort(&self, key: &AttemptKey, why: &str) -> Option<(Call, ChildState)> {
        self.look(key, |known| {
            let flight = known.flight.take()?;
            let call = flight.departure.call.clone();
            let end = flight.abort(ChildState::Unknown { message: why.into(), retry_after: None });
            Some((call?, known.end.get_or_insert(end).clone()))
        })
    }

    /// Ends every HTTP request that is under way and lets none begin any more. Returns their sagas.
    pub fn abort_all(&self) -> Vec<(String, String)> {
        let mut table = self.lock();
        table.closed = true;
        table.abort_flights("the operator stopped before an answer came")
    }

    /// Ends every HTTP request that is under way, because the Lease under which they were sent
    /// lapsed. Returns their sagas.
    pub fn abort_flights(&self) -> Vec<(String, String)> {
        self.lock().abort_flights("the operator lost its Lease before an answer came")
    }

    /// Sets aside the ends and refusals of all attempts except HTTP requests, because this process
    /// leads no more. Another replica may continue those attempts.
    pub fn set_verdicts_aside(&self) {
        self.of_all_but_requests(Known::set_verdict_aside);
    }

    /// Restores the ends and refusals that were set aside. This process leads again, and no other
    /// replica led meanwhile, so they are as true as before.
    pub fn take_verdicts_up(&self) {
        self.of_all_but_requests(Known::take_verdict_up);
    }

    /// Removes the ends and refusals of all attempts except HTTP requests. This process leads, but
    /// another replica may have led meanwhile, so they may no longer be true.
    pub fn forget_verdicts(&self) {
        self.of_all_but_requests(Known::forget_verdict);
    }

    fn of_all_but_requests(&self, change: fn(&mut Known)) {
        self.lock()
            .sagas
            .values_mut()
            .flat_map(HashMap::values_mut)
            .filter(|known| !known.request)
            .for_each(change);
    }

    /// Removes the attempts of a saga that are not active any more and have no HTTP request under
    /// way.
    pub fn keep_only(&self, uid: &str, active: &[AttemptId]) {
        let mut table = self.lock();
        let Some(attempts) = table.sagas.get_mut(uid) else { return };
        attempts.retain(|attempt, known| known.is_kept(active.contains(attempt)));
        if attempts.is_empty() {
            table.sagas.remove(uid);
        }
    }

    /// Removes the attempts of sagas that are gone, once they are ten minutes old and have no HTTP
    /// request under way.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _, known| {
            known.flight.is_some() || known.first_read.elapsed() < KEPT || lives(uid)
        });
    }

    /// Returns the number of HTTP requests that are under way, or have ended without their outcome
    /// in the status.
    #[must_use]
    pub fn unrecorded_requests(&self) -> usize {
        self.lock()
            .sagas
            .values()
            .flat_map(HashMap::values)
            .filter(|known| known.is_unrecorded_request())
            .count()
    }

    /// Returns whether a saga has such an HTTP request.
    #[must_use]
    pub fn has_unrecorded_request(&self, uid: &str) -> bool {
        self.lock()
            .sagas
            .get(uid)
            .into_iter()
            .flat_map(HashMap::values)
            .any(Known::is_unrecorded_request)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
