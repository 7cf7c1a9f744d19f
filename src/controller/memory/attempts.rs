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

use super::attempt::{
    AttemptFact, AttemptKey, CreateRefusal, InFlight, Intent, KEPT, KnownAttempt, RunningRequest,
};
use crate::{
    api::names::AttemptId,
    controller::{limits::reservation::BreakerTicket, queue::SagaRef},
    model::observation::End,
};

/// The first wait after a refused creation. The wait doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);
/// The memory of all attempts.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<AttemptTable>);

/// The attempts of each saga, by the saga's UID.
#[derive(Debug, Default)]
struct AttemptTable {
    sagas: HashMap<String, HashMap<AttemptId, KnownAttempt>>,
    /// Whether no HTTP request may begin any more.
    closed: bool,
}

impl AttemptTable {
    fn entry(&mut self, AttemptKey { saga_uid, attempt }: &AttemptKey) -> &mut KnownAttempt {
        self.sagas
            .entry(saga_uid.clone())
            .or_default()
            .entry(attempt.clone())
            .or_insert_with(KnownAttempt::new)
    }

    fn abort_running(&mut self, why: &str) -> Vec<SagaRef> {
        let mut aborted = Vec::new();
        for known in self.sagas.values_mut().flat_map(HashMap::values_mut) {
            let Some(running) = known.running.take() else { continue };
            aborted.push(running.in_flight.saga.clone());
            let end = running.abort(End::CalledOff { message: why.into() });
            known.end.get_or_insert(end);
        }
        aborted
    }

    fn retain(&mut self, keep: impl Fn(&str, &AttemptId, &KnownAttempt) -> bool) {
        self.sagas.retain(|uid, attempts| {
            attempts.retain(|attempt, known| keep(uid, attempt, known));
            !attempts.is_empty()
        });
    }
}

impl Attempts {
    /// Gives access to what is known of an attempt. The first access counts as the first read of
    /// the intent.
    pub fn look<T>(&self, key: &AttemptKey, look: impl FnOnce(&mut KnownAttempt) -> T) -> T {
        look(self.lock().entry(key))
    }

    /// Returns a copy of what is known of an attempt. An attempt that is not known counts as first
    /// read now.
    #[must_use]
    pub fn known(&self, AttemptKey { saga_uid, attempt }: &AttemptKey) -> KnownAttempt {
        let table = self.lock();
        let known = table.sagas.get(saga_uid).and_then(|attempts| attempts.get(attempt));
        known.cloned().unwrap_or_else(KnownAttempt::new)
    }

    /// Notes that this process read the intent of an attempt.
    pub fn read(&self, key: &AttemptKey) {
        self.look(key, |_| ());
    }

    /// Notes a fact that an observation showed.
    pub fn learn(&self, key: &AttemptKey, fact: AttemptFact) {
        self.look(key, |known| known.learn(fact));
    }

    /// Notes that the child exists.
    pub fn child_seen(&self, key: &AttemptKey, uid: &str) {
        let fact = AttemptFact::ChildSeen { uid: uid.to_owned(), since: Instant::now() };
        self.learn(key, fact);
    }

    /// Notes a temporary refusal and sets the wait.
    pub fn refused(&self, key: &AttemptKey, message: String) {
        self.look(key, |known| {
            let times = known.refusal.as_ref().map_or(0, |refusal| refusal.times);
            let wait = FIRST_WAIT.saturating_mul(1 << times.min(6)).min(LAST_WAIT);
            known.refusal = Some(CreateRefusal {
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
    pub fn ended(&self, key: &AttemptKey, end: End) {
        self.learn(key, AttemptFact::Ended(end));
    }

    /// Notes that an HTTP request ended without a result to note.
    pub fn finish(&self, key: &AttemptKey) {
        self.look(key, |known| known.running = None);
    }

    /// Notes that the answer to a creation was lost: the child may exist, or may come to exist
    /// later.
    pub fn unanswered(&self, key: &AttemptKey) {
        self.look(key, |known| known.unanswered = true);
    }

    /// Notes the end that the last copy of a deleted child shows, if the attempt is known here and
    /// has had no other child since.
    pub fn child_gone(&self, AttemptKey { saga_uid, attempt }: &AttemptKey, child: &str, end: End) {
        let mut table = self.lock();
        let known = table.sagas.get_mut(saga_uid).and_then(|attempts| attempts.get_mut(attempt));
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
    pub fn orphan_gone(&self, child: &str, end: End) {
        let mut table = self.lock();
        let is_of =
            |known: &&mut KnownAttempt| known.child.as_ref().is_some_and(|(_, uid)| uid == child);
        if let Some(known) = table.sagas.values_mut().flat_map(HashMap::values_mut).find(is_of) {
            known.gone = Some(end);
        }
    }

    /// Starts an HTTP request. Does nothing if the attempt has one under way, if it has ended, or
    /// if no request may begin any more. `spawn` spawns the request.
    pub fn start(
        &self,
        key: &AttemptKey,
        in_flight: InFlight,
        spawn: impl FnOnce() -> AbortHandle,
    ) {
        // The lock is held while the task is spawned, so that the end of the task cannot be noted
        // before its start.
        let mut table = self.lock();
        let closed = table.closed;
        let known = table.entry(key);
        if known.running.is_none() && known.end.is_none() && !closed {
            known.request = true;
            known.running =
                Some(RunningRequest { since: Instant::now(), task: spawn(), in_flight });
        }
    }

    /// Ends an HTTP request that is past its time limit. Returns its end and its part in the
    /// circuit breaker of its host.
    pub fn abort(&self, key: &AttemptKey, why: &str) -> Option<(BreakerTicket, End)> {
        self.look(key, |known| {
            let running = known.running.take()?;
            let call = running.in_flight.call.clone();
            let end = running.abort(End::Unknown { message: why.into(), retry_after: None });
            Some((call?, known.end.get_or_insert(end).clone()))
        })
    }

    /// Ends every HTTP request that is under way and lets none begin any more. Returns their sagas.
    pub fn abort_all(&self) -> Vec<SagaRef> {
        let mut table = self.lock();
        table.closed = true;
        table.abort_running("the operator stopped before an answer came")
    }

    /// Ends every HTTP request that is under way, because the Lease under which they were sent
    /// lapsed. Returns their sagas.
    pub fn abort_running(&self) -> Vec<SagaRef> {
        self.lock().abort_running("the operator lost its Lease before an answer came")
    }

    /// Sets aside the ends and refusals of all attempts except HTTP requests, because this process
    /// leads no more. Another replica may continue those attempts.
    pub fn suspend_verdicts(&self) {
        self.of_all_but_requests(KnownAttempt::suspend_verdict);
    }

    /// Restores the ends and refusals that were set aside. This process leads again, and no other
    /// replica led meanwhile, so they are as true as before.
    pub fn resume_verdicts(&self) {
        self.of_all_but_requests(KnownAttempt::resume_verdict);
    }

    /// Removes the ends and refusals of all attempts except HTTP requests. This process leads, but
    /// another replica may have led meanwhile, so they may no longer be true.
    pub fn forget_verdicts(&self) {
        self.of_all_but_requests(KnownAttempt::forget_verdict);
    }

    fn of_all_but_requests(&self, change: fn(&mut KnownAttempt)) {
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
            known.running.is_some() || known.first_read.elapsed() < KEPT || lives(uid)
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
            .any(KnownAttempt::is_unrecorded_request)
    }

    fn lock(&self) -> MutexGuard<'_, AttemptTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
