//! What this process knows of attempts beyond the status: children it created or saw, refusals,
//! requests in flight and their results.
//!
//! # Guarantees
//! Nothing here is needed for correctness after a restart: what is lost becomes `Unknown` by the
//! engine's rules. One request at most is in flight for an attempt. What came of a request only
//! this process can tell; of all else the cluster has the last word, and another process may have
//! gone on with it where this one could begin nothing.

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

/// The first wait after a refused creation; doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);
/// No attempt is forgotten with its saga before it is this old: the list of sagas that live may be
/// older than the attempt.
const KEPT: Duration = Duration::from_mins(10);

/// An attempt of a saga: the saga's UID and the attempt.
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
    /// Whether the answer to a creation was lost, so that a later refusal proves nothing.
    pub unanswered: bool,
    /// Whether it was looked for other sagas that applied the same object.
    pub looked_for_rivals: bool,
    /// What the child could not be told when it was to be told it last.
    pub unheard: Vec<Unheard>,
    /// How it ended, by the last copy of a child that the watch calls gone.
    pub gone: Option<ChildState>,
    /// When this process first saw that the child is being deleted.
    pub deleting_since: Option<Instant>,
    /// When this process first saw that the child ended by a signal, and that another container of
    /// it runs on.
    pub held_up_since: Option<Instant>,
    /// What the child did or waited for when this process ended it because its time had passed.
    pub overdue: Option<String>,
    /// How it ended, where this process knows and the status does not yet.
    pub end: Option<ChildState>,
    /// What was known of its end and of a refusal when this process ceased to lead.
    aside: Option<(Option<ChildState>, Option<Refusal>)>,
    /// That this process was about to write its intent.
    intent: Option<Intent>,
    /// Whether it is a request, and took off.
    request: bool,
    /// The request in flight.
    flight: Option<Flight>,
}

/// The intent of a request that this process was about to write.
#[derive(Debug, Clone, Copy)]
struct Intent {
    at: Instant,
    /// Whether a copy of the saga showed it since.
    shown: bool,
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    since: Instant,
    task: AbortHandle,
    departure: Departure,
}

/// What is known of a request that is about to take off.
#[derive(Debug, Clone, Default)]
pub struct Departure {
    /// The saga's namespace and name.
    pub saga: (String, String),
    /// Whether anything of it may have left.
    pub sent: Sent,
    /// Its part in the circuit of its host.
    pub call: Option<Call>,
}

impl Flight {
    /// Ends it, and says how it ended: `end` where it may have happened.
    fn abort(self, end: ChildState) -> ChildState {
        let Self { task, departure: Departure { sent, saga: _, call: _ }, since: _ } = self;
        // First: what is not forbidden may leave until the task has ended.
        let kept = sent.forbid();
        task.abort();
        if kept { never_sent() } else { end }
    }
}

/// The end of a request that this process was to send and never did: it costs no attempt.
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

/// The end of a request that this process was to send, and that is neither under way nor known to
/// have ended. Nothing was sent where this process knows of it since before its intent was written.
/// What it forgot was settled once: then the status is an old one, as after the restore of a
/// backup.
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

/// A refusal that passes.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What the API server said.
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

    /// Whether this process wrote its intent, or was about to, and remembers all that came of it
    /// since.
    #[must_use]
    pub const fn is_intended_here(&self) -> bool {
        self.intent.is_some()
    }

    /// Whether it is to be remembered, where a copy of its saga shows it as `active` or does not.
    fn is_kept(&mut self, active: bool) -> bool {
        match &mut self.intent {
            // Before, nobody had read it.
            Some(intent) if active && !intent.shown => {
                (intent.shown, self.first_read) = (true, Instant::now());
            }
            // The answer to the write of its intent may have been lost, and the copy may be older.
            Some(intent) if !intent.shown && !self.request && intent.at.elapsed() < KEPT => {
                return true;
            }
            Some(_) | None => {}
        }
        active || self.flight.is_some()
    }

    /// Whether it is a request that is in flight, or that has ended without its outcome being known
    /// to be in the status.
    const fn is_unrecorded_request(&self) -> bool {
        self.flight.is_some() || (self.request && self.end.is_some())
    }

    /// How it ended, as this process knows. `there`: something of the attempt is there. Where this
    /// process could begin nothing of it, somebody else did: then its refusal is forgotten.
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
        // Told twice, it keeps what it set aside first.
        let (end, refusal) = self.aside.take().unwrap_or_default();
        self.aside = Some((self.end.take().or(end), self.refusal.take().or(refusal)));
    }

    fn take_verdict_up(&mut self) {
        if let Some((end, refusal)) = self.aside.take() {
            self.end = self.end.take().or(end);
            self.refusal = self.refusal.take().or(refusal);
        }
    }

    /// Whether this process is certain that no child was created: every creation of its own was
    /// definitely refused.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.refusal.is_some() && !self.unanswered
    }

    /// Notes whether the child heard what it was told; `failed`: why it did not. Returns whether it
    /// is news that it did not. What it was told before of the same kind counts no more.
    pub fn told(&mut self, demand: &Demand, failed: Option<Unheard>) -> bool {
        let kind = std::mem::discriminant(demand);
        let before = self.unheard.len();
        self.unheard.retain(|unheard| std::mem::discriminant(&unheard.demand) != kind);
        let news = failed.is_some() && self.unheard.len() == before;
        self.unheard.extend(failed);
        news
    }

    /// Since when a request is in flight.
    #[must_use]
    pub fn in_flight(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.since)
    }
}

/// The memory of all attempts.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Table>);

/// The attempts of each saga, by its UID.
#[derive(Debug, Default)]
struct Table {
    sagas: HashMap<String, HashMap<AttemptId, Known>>,
    /// Whether no request may begin any more.
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
    /// Looks at what is known of an attempt; the first look is when the intent was first read.
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

    /// Notes a refusal that passes, and how long to wait.
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

    /// Notes what a child did that is about to be ended because its time has passed.
    pub fn overdue(&self, key: &AttemptKey, detail: String) {
        self.look(key, |known| {
            known.overdue.get_or_insert(detail);
        });
    }

    /// Notes how an attempt ended.
    pub fn ended(&self, key: &AttemptKey, end: ChildState) {
        self.look(key, |known| {
            known.flight = None;
            known.end.get_or_insert(end);
        });
    }

    /// Notes that a request came back without anything to be noted of it.
    pub fn landed(&self, key: &AttemptKey) {
        self.look(key, |known| known.flight = None);
    }

    /// Notes that the answer to a creation was lost: the child may exist, or may yet come to be.
    pub fn unanswered(&self, key: &AttemptKey) {
        self.look(key, |known| known.unanswered = true);
    }

    /// Notes what the last copy of a child that went says of its end, if the attempt is known here
    /// and has no other child since.
    pub fn child_gone(&self, (saga, attempt): &AttemptKey, child: &str, end: ChildState) {
        let mut table = self.lock();
        let known = table.sagas.get_mut(saga).and_then(|attempts| attempts.get_mut(attempt));
        if let Some(known) =
            known.filter(|known| known.child.as_ref().is_none_or(|(_, uid)| uid == child))
        {
            known.gone = Some(end);
        }
    }

    /// Notes that this process is about to write the intent of a request.
    pub fn intend(&self, key: &AttemptKey) {
        self.look(key, |known| known.intent = Some(Intent { at: Instant::now(), shown: false }));
    }

    /// The same of a child that does not say any more whose it is: by its UID, where it was ever
    /// seen.
    pub fn orphan_gone(&self, child: &str, end: ChildState) {
        let mut table = self.lock();
        let is_of = |known: &&mut Known| known.child.as_ref().is_some_and(|(_, uid)| uid == child);
        if let Some(known) = table.sagas.values_mut().flat_map(HashMap::values_mut).find(is_of) {
            known.gone = Some(end);
        }
    }

    /// Sends a request on its way, unless one is under way or has ended, or none may begin any
    /// more. `fly` spawns it.
    pub fn take_off(
        &self,
        key: &AttemptKey,
        departure: Departure,
        fly: impl FnOnce() -> AbortHandle,
    ) {
        // The lock is held while the task is spawned, so that its end cannot be noted before its
        // start.
        let mut table = self.lock();
        let closed = table.closed;
        let known = table.entry(key);
        if known.flight.is_none() && known.end.is_none() && !closed {
            known.request = true;
            known.flight = Some(Flight { since: Instant::now(), task: fly(), departure });
        }
    }

    /// Ends a request that is past its time. Returns how it ended, with its part in the circuit of
    /// its host.
    pub fn abort(&self, key: &AttemptKey, why: &str) -> Option<(Call, ChildState)> {
        self.look(key, |known| {
            let flight = known.flight.take()?;
            let call = flight.departure.call.clone();
            let end = flight.abort(ChildState::Unknown { message: why.into(), retry_after: None });
            Some((call?, known.end.get_or_insert(end).clone()))
        })
    }

    /// Ends every request that is still in flight, and lets none begin any more. Returns their
    /// sagas.
    pub fn abort_all(&self) -> Vec<(String, String)> {
        let mut table = self.lock();
        table.closed = true;
        table.abort_flights("the operator stopped before an answer came")
    }

    /// Ends every request that is still in flight, since the Lease under which they were sent
    /// lapsed. Returns their sagas.
    pub fn abort_flights(&self) -> Vec<(String, String)> {
        self.lock().abort_flights("the operator lost its Lease before an answer came")
    }

    /// This process leads no more: how attempts ended or were refused is not its to tell, requests
    /// apart, since another one may go on with them.
    pub fn set_verdicts_aside(&self) {
        self.of_all_but_requests(Known::set_verdict_aside);
    }

    /// This process leads again, and nobody else did meanwhile: what it knew is as true as before.
    pub fn take_verdicts_up(&self) {
        self.of_all_but_requests(Known::take_verdict_up);
    }

    /// This process leads, and somebody else may have led meanwhile: what it knew may be true no
    /// more.
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

    /// Forgets the attempts of a saga that are not active any more and have nothing in flight.
    pub fn keep_only(&self, uid: &str, active: &[AttemptId]) {
        let mut table = self.lock();
        let Some(attempts) = table.sagas.get_mut(uid) else { return };
        attempts.retain(|attempt, known| known.is_kept(active.contains(attempt)));
        if attempts.is_empty() {
            table.sagas.remove(uid);
        }
    }

    /// Forgets the attempts of sagas that are gone, once they are ten minutes old and have nothing
    /// in flight.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _, known| {
            known.flight.is_some() || known.first_read.elapsed() < KEPT || lives(uid)
        });
    }

    /// How many requests are in flight, or have ended without their outcome being in the status.
    #[must_use]
    pub fn unrecorded_requests(&self) -> usize {
        self.lock()
            .sagas
            .values()
            .flat_map(HashMap::values)
            .filter(|known| known.is_unrecorded_request())
            .count()
    }

    /// Whether a saga has such a request.
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
