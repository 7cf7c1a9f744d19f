//! The limits on name look-ups: for a namespace, and for the process.
//!
//! # Guarantees
//! - The thread that looks a name up holds a permit until the look-up itself ends, although its
//!   HTTP request may have given up long before. So at most so many threads are blocked as the
//!   limits say.
//! - HTTP requests of one namespace get permits in the order in which they ask. Among namespaces
//!   the permits go in turns.
//! - While every permit that a namespace may have is held by a look-up that is slow, no new attempt
//!   of the namespace that calls a host by its name begins. Its saga is enqueued when that changes.
//!
//! # Caveats
//! Look-ups that are not slow keep no attempt from beginning: its HTTP request waits for a permit
//! for some milliseconds.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    api::limits::{MAX_LOOKUPS, MAX_LOOKUPS_PER_NAMESPACE},
    controller::queue::{Queue, SagaRef},
    model::input::CallLimit,
    service::calls::Usage,
};

/// The age from which on a look-up is slow. Name servers in a cluster answer within milliseconds,
/// and a name may need some questions.
const SLOW: Duration = Duration::from_millis(250);

/// All look-ups under way.
#[derive(Debug, Default)]
pub struct Lookups(Mutex<LookupTable>);

#[derive(Debug, Default)]
struct LookupTable {
    /// The look-ups under way.
    taken: usize,
    namespaces: HashMap<String, NamespaceLookups>,
    /// The namespaces in which an HTTP request waits, each once, the next to be served first.
    turns: VecDeque<String>,
    /// The sagas that begin no attempt because look-ups are slow.
    sagas: HashMap<SagaRef, Queue>,
    /// The number of the newest look-up.
    newest: u64,
}

/// The look-ups of one namespace.
#[derive(Debug, Default)]
struct NamespaceLookups {
    /// When each look-up under way began, by number.
    begun: BTreeMap<u64, Instant>,
    /// The HTTP requests that wait for a permit, the longest wait first.
    callers: VecDeque<oneshot::Sender<LookupPermit>>,
}

/// The right to look one name up. It is held until the look-up has ended.
#[derive(Debug)]
pub(super) struct LookupPermit {
    lookups: Arc<Lookups>,
    namespace: String,
    number: u64,
}

impl Drop for LookupPermit {
    fn drop(&mut self) {
        self.lookups.give_back(&self.namespace, self.number);
    }
}

impl Lookups {
    /// Waits for a permit for an HTTP request of this namespace.
    pub(super) async fn acquire(self: &Arc<Self>, namespace: &str) -> LookupPermit {
        match self.ask(namespace) {
            Ok(permit) => permit,
            Err(granted) => match granted.await {
                Ok(permit) => permit,
                // Only a table that is dropped drops the sender, and this table is borrowed.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Returns a permit, or the receiver of a later permit.
    fn ask(
        self: &Arc<Self>,
        namespace: &str,
    ) -> Result<LookupPermit, oneshot::Receiver<LookupPermit>> {
        let mut table = self.lock();
        if table.has_room(namespace) {
            return Ok(table.begin(self, namespace));
        }
        let (caller, granted) = oneshot::channel();
        table.wait(namespace, caller);
        Err(granted)
    }

    /// Returns the limit whose permits are all held by slow look-ups, so that an HTTP request of
    /// the saga would wait for long. The saga is enqueued when that changes.
    pub(in crate::controller) fn blocks(&self, saga: &SagaRef, queue: &Queue) -> Option<CallLimit> {
        let mut table = self.lock();
        let limit = table.slow(&saga.namespace, Instant::now())?;
        table.sagas.insert(saga.clone(), queue.clone());
        Some(limit)
    }

    /// Returns how many look-ups are under way, and how many HTTP requests wait for one.
    pub(in crate::controller) fn usage(&self) -> Usage {
        let table = self.lock();
        let open = |known: &NamespaceLookups| {
            known.callers.iter().filter(|caller| !caller.is_closed()).count()
        };
        Usage {
            in_use: table.taken,
            limit: MAX_LOOKUPS,
            waiting: table.namespaces.values().map(open).sum(),
        }
    }

    /// Ends a look-up. Its permit goes to the HTTP request whose turn it is.
    fn give_back(self: &Arc<Self>, namespace: &str, number: u64) {
        let mut table = self.lock();
        table.end(namespace, number);
        let mut granted = Vec::new();
        while let Some((namespace, caller)) = table.next() {
            granted.push((caller, table.begin(self, &namespace)));
        }
        let woken = table.woken(Instant::now());
        drop(table);
        for (caller, permit) in granted {
            // If the HTTP request gave up meanwhile, the permit is dropped and goes to the next.
            let _ = caller.send(permit);
        }
        for (saga, queue) in woken {
            queue.enqueue(&saga);
        }
    }

    /// Takes all permits of a namespace, as look-ups that are slow.
    #[cfg(test)]
    pub(in crate::controller) fn all_slow(self: &Arc<Self>, namespace: &str) -> impl Sized + use<> {
        let permits: Vec<_> =
            (0..MAX_LOOKUPS_PER_NAMESPACE).filter_map(|_| self.ask(namespace).ok()).collect();
        self.age();
        permits
    }

    /// Makes every look-up under way slow.
    #[cfg(test)]
    fn age(&self) {
        let mut table = self.lock();
        for begun in table.namespaces.values_mut().flat_map(|known| known.begun.values_mut()) {
            *begun = begun.checked_sub(SLOW).unwrap_or(*begun);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LookupTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LookupTable {
    fn has_room(&self, namespace: &str) -> bool {
        let of_one = self.namespaces.get(namespace).map_or(0, |known| known.begun.len());
        self.taken < MAX_LOOKUPS && of_one < MAX_LOOKUPS_PER_NAMESPACE
    }

    fn begin(&mut self, lookups: &Arc<Lookups>, namespace: &str) -> LookupPermit {
        self.newest = self.newest.saturating_add(1);
        self.taken = self.taken.saturating_add(1);
        let known = self.namespaces.entry(namespace.to_owned()).or_default();
        known.begun.insert(self.newest, Instant::now());
        LookupPermit {
            lookups: Arc::clone(lookups),
            namespace: namespace.to_owned(),
            number: self.newest,
        }
    }

    fn wait(&mut self, namespace: &str, caller: oneshot::Sender<LookupPermit>) {
        let known = self.namespaces.entry(namespace.to_owned()).or_default();
        // The callers that gave up are removed here, because nothing else removes them while the
        // look-ups hang.
        known.callers.retain(|caller| !caller.is_closed());
        known.callers.push_back(caller);
        if !self.turns.iter().any(|waiting| waiting == namespace) {
            self.turns.push_back(namespace.to_owned());
        }
    }

    fn end(&mut self, namespace: &str, number: u64) {
        let Some(known) = self.namespaces.get_mut(namespace) else { return };
        if known.begun.remove(&number).is_some() {
            self.taken = self.taken.saturating_sub(1);
        }
        if known.begun.is_empty() && known.callers.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Removes the caller whose turn it is from those that wait, if a look-up of it may begin.
    fn next(&mut self) -> Option<(String, oneshot::Sender<LookupPermit>)> {
        for _ in 0..self.turns.len() {
            let namespace = self.turns.pop_front()?;
            let has_room = self.has_room(&namespace);
            let Some(known) = self.namespaces.get_mut(&namespace) else { continue };
            known.callers.retain(|caller| !caller.is_closed());
            if known.callers.is_empty() {
                if known.begun.is_empty() {
                    self.namespaces.remove(&namespace);
                }
                continue;
            }
            let caller = if has_room { known.callers.pop_front() } else { None };
            if !known.callers.is_empty() {
                self.turns.push_back(namespace.clone());
            }
            if let Some(caller) = caller {
                return Some((namespace, caller));
            }
        }
        None
    }

    /// Returns the limit whose permits are all held by slow look-ups.
    fn slow(&self, namespace: &str, now: Instant) -> Option<CallLimit> {
        let is_slow = |begun: &&Instant| now.saturating_duration_since(**begun) >= SLOW;
        let slow = |known: &NamespaceLookups| known.begun.values().filter(is_slow).count();
        if self.namespaces.get(namespace).map_or(0, slow) >= MAX_LOOKUPS_PER_NAMESPACE {
            return Some(CallLimit::NamespaceLookups(MAX_LOOKUPS_PER_NAMESPACE));
        }
        // Most often few are under way at all.
        let all = self.taken >= MAX_LOOKUPS
            && self.namespaces.values().map(slow).sum::<usize>() >= MAX_LOOKUPS;
        all.then_some(CallLimit::ProcessLookups(MAX_LOOKUPS))
    }

    /// Removes and returns the sagas that slow look-ups no longer block.
    fn woken(&mut self, now: Instant) -> Vec<(SagaRef, Queue)> {
        let sagas = std::mem::take(&mut self.sagas);
        let (blocked, woken) =
            sagas.into_iter().partition(|(saga, _)| self.slow(&saga.namespace, now).is_some());
        self.sagas = blocked;
        woken.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
