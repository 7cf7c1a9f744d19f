//! What this process knows of attempts beyond the status: children it created or saw, refusals, requests in flight and their results.
//!
//! # Guarantees
//! Nothing here is needed for correctness after a restart: what is lost becomes `Unknown` by the engine's rules. One request at most is
//! in flight for an attempt.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

use crate::{api::names::AttemptId, engine::observed::ChildState};

/// The first wait after a refused creation; doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);

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
    /// What the child did or waited for when this process ended it because its time had passed.
    pub overdue: Option<String>,
    /// How it ended, where this process knows and the status does not yet.
    pub end: Option<ChildState>,
    /// The request in flight.
    flight: Option<(Instant, AbortHandle)>,
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
    fn new() -> Self {
        Self { first_read: Instant::now(), child: None, refusal: None, overdue: None, end: None, flight: None }
    }

    /// Since when a request is in flight.
    #[must_use]
    pub fn in_flight(&self) -> Option<Instant> {
        self.flight.as_ref().map(|(since, _)| *since)
    }
}

/// The memory of all attempts.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<AttemptKey, Known>>);

impl Attempts {
    /// Looks at what is known of an attempt; the first look is when the intent was first read.
    pub fn look<T>(&self, key: &AttemptKey, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut attempts = self.lock();
        look(attempts.entry(key.clone()).or_insert_with(Known::new))
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
            known.refusal = Some(Refusal { message, until: Instant::now() + wait, times: times.saturating_add(1) });
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

    /// Notes what the last copy of a child that went says of its end, if the attempt is known here.
    pub fn child_gone(&self, key: &AttemptKey, end: ChildState) {
        if let Some(known) = self.lock().get_mut(key) {
            known.end.get_or_insert(end);
        }
    }

    /// Sends a request on its way, unless one is under way or has ended. `fly` spawns it.
    pub fn take_off(&self, key: &AttemptKey, fly: impl FnOnce() -> AbortHandle) {
        // The lock is held while the task is spawned, so that its end cannot be noted before its start.
        self.look(key, |known| {
            if known.flight.is_none() && known.end.is_none() {
                known.flight = Some((Instant::now(), fly()));
            }
        });
    }

    /// Ends a request from outside.
    pub fn abort(&self, key: &AttemptKey, end: ChildState) {
        self.look(key, |known| {
            if let Some((_, flight)) = known.flight.take() {
                flight.abort();
                known.end.get_or_insert(end);
            }
        });
    }

    /// Ends every request that is still in flight and says how many there were.
    pub fn abort_all(&self) -> usize {
        let mut attempts = self.lock();
        let flights = attempts.values_mut().filter_map(|known| known.flight.take());
        flights.map(|(_, flight)| flight.abort()).count()
    }

    /// Forgets the attempts of a saga that are not active any more.
    pub fn keep_only(&self, uid: &str, active: &[AttemptId]) {
        self.lock().retain(|(saga, attempt), _| saga != uid || active.contains(attempt));
    }

    /// Forgets the attempts of sagas that are gone and have nothing in flight.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|(uid, _), known| known.flight.is_some() || lives(uid));
    }

    /// How many requests are in flight, or have ended without their outcome being in the status.
    #[must_use]
    pub fn unrecorded_requests(&self) -> usize {
        self.lock().values().filter(|known| known.flight.is_some() || (known.child.is_none() && known.end.is_some())).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
