//! The limit on concurrent HTTP requests: at most [`MAX_CALLS_PER_HOST`] to one host and port for
//! one namespace.
//!
//! # Guarantees
//! A slot is taken before the intent of its HTTP request is written. The slot is given back when
//! the HTTP request has finished, or when it is not started.
//!
//! # Caveats
//! Slots are counted in this process: another replica has its own slots. Two names of one host
//! count as two hosts.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::reservation::BreakerTicket;
use crate::{
    api::limits::MAX_CALLS_PER_HOST,
    controller::queue::{Queue, SagaRef},
};

/// The host that the sagas of one namespace call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct HostKey {
    namespace: String,
    /// The host with its port.
    host: String,
}

/// All slots that are taken.
#[derive(Debug, Default)]
pub struct Slots(Mutex<HashMap<HostKey, Taken>>);

#[derive(Debug, Default)]
struct Taken {
    slots: usize,
    /// The sagas that wait for a slot, the longest wait first, each once.
    waiting: VecDeque<String>,
}

impl Slots {
    /// Takes a slot. If no slot is free, the saga is enqueued when a slot may be free. Returns
    /// whether a slot was taken.
    fn take(&self, place: &HostKey, saga: &str) -> bool {
        let mut table = self.lock();
        let taken = table.entry(place.clone()).or_default();
        let free = taken.slots < MAX_CALLS_PER_HOST;
        if free {
            taken.slots = taken.slots.saturating_add(1);
        } else if !taken.waiting.iter().any(|waiting| waiting == saga) {
            taken.waiting.push_back(saga.to_owned());
        }
        free
    }

    /// Gives a slot back. Returns the saga that has waited longest for a slot.
    fn give_back(&self, place: &HostKey) -> Option<String> {
        let mut table = self.lock();
        let taken = table.get_mut(place)?;
        taken.slots = taken.slots.saturating_sub(1);
        let next = taken.waiting.pop_front();
        if taken.slots == 0 && taken.waiting.is_empty() {
            table.remove(place);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostKey, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that is taken until it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    queue: Queue,
    place: HostKey,
    /// The place of the HTTP request in the breaker of its host.
    call: Option<BreakerTicket>,
}

impl Slot {
    /// Takes a slot for an HTTP request of a saga to `host`, if one is free. Otherwise the saga is
    /// enqueued when a slot may be free.
    #[must_use]
    pub fn take(slots: &Arc<Slots>, queue: &Queue, saga: &SagaRef, host: &str) -> Option<Self> {
        let place = HostKey { namespace: saga.namespace.clone(), host: host.to_owned() };
        slots.take(&place, &saga.name).then(|| Self {
            slots: Arc::clone(slots),
            queue: queue.clone(),
            place,
            call: None,
        })
    }

    /// Returns the same slot, with the place of its HTTP request in the breaker of the host.
    #[must_use]
    pub fn with(self, call: Option<BreakerTicket>) -> Self {
        let mut slot = self;
        slot.call = call;
        slot
    }

    /// Returns the place of the HTTP request in the breaker of its host.
    #[must_use]
    pub fn call(&self) -> Option<&BreakerTicket> {
        self.call.as_ref()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(saga) = self.slots.give_back(&self.place) {
            self.queue.enqueue(&SagaRef::new(&self.place.namespace, &saga));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(namespace: &str, host: &str) -> HostKey {
        HostKey { namespace: namespace.into(), host: host.into() }
    }

    #[test]
    fn so_many_are_taken_at_once_and_who_waits_longest_is_told_first() {
        let (slots, shop) = (Slots::default(), place("shop", "stock:80"));
        assert!((0..MAX_CALLS_PER_HOST).all(|_| slots.take(&shop, "a")));
        assert!(!slots.take(&shop, "b") && !slots.take(&shop, "c") && !slots.take(&shop, "b"));
        assert!(
            slots.take(&place("shop", "mail:80"), "b")
                && slots.take(&place("other", "stock:80"), "b"),
            "counted apart"
        );
        assert_eq!(slots.give_back(&shop), Some("b".into()));
        assert!(slots.take(&shop, "b"));
        assert_eq!((slots.give_back(&shop), slots.give_back(&shop)), (Some("c".into()), None));
    }

    #[test]
    fn nothing_is_kept_of_a_host_that_nobody_calls() {
        let (slots, shop) = (Slots::default(), place("shop", "stock:80"));
        assert!(slots.take(&shop, "a"));
        assert_eq!(slots.give_back(&shop), None);
        assert!(slots.lock().is_empty());
    }
}
