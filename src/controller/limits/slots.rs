//! The limits on HTTP requests in flight: for a namespace and a host, for a namespace, and for the
//! process.
//!
//! # Guarantees
//! A slot is taken before the intent of its HTTP request is written. The slot is given back when
//! the HTTP request has finished, or when it is not started. [`SlotTable`] says who gets it next.
//!
//! # Caveats
//! Slots are counted in this process: another replica has its own slots. Two names of one host
//! count as two hosts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{reservation::BreakerTicket, slot_table::SlotTable};
use crate::{
    controller::queue::{Queue, SagaRef},
    model::input::CallLimit,
    service::{args::CallLimits, calls::Usage},
};

/// All slots that are taken.
#[derive(Debug)]
pub struct Slots {
    limits: CallLimits,
    table: Mutex<SlotTable>,
    queue: Queue,
}

impl Slots {
    /// Creates a table of free slots. A saga that waits is enqueued in `queue` when a slot is kept
    /// for it.
    #[must_use]
    pub fn new(limits: CallLimits, queue: Queue) -> Self {
        Self { limits, table: Mutex::new(SlotTable::new(limits)), queue }
    }

    /// Lets a saga wait for slots of the hosts alone for which `wanted` returns true. Slots that
    /// are kept for the saga and that it does not want go to others.
    pub fn keep(&self, saga: &SagaRef, wanted: impl Fn(&str) -> bool) {
        self.with(|table, now| table.keep(saga, wanted, now));
    }

    /// Returns how many slots are taken, and how many sagas wait for one.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.with(|table, _| Usage {
            in_use: table.taken(),
            limit: self.limits.total,
            waiting: table.waiting(),
        })
    }

    /// Changes the table, and enqueues the sagas that this wakes.
    fn with<T>(&self, change: impl FnOnce(&mut SlotTable, Instant) -> T) -> T {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // The instant is read under the lock, so that it never goes back.
        let result = change(&mut table, Instant::now());
        let woken = table.take_woken();
        drop(table);
        for saga in &woken {
            self.queue.enqueue(saga);
        }
        result
    }
}

/// A slot that is taken until it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    namespace: String,
    host: String,
    /// The place of the HTTP request in the breaker of its host.
    call: Option<BreakerTicket>,
}

impl Slot {
    /// Takes a slot for an HTTP request of a saga to `host`.
    ///
    /// # Errors
    /// Returns the limit that is reached if no slot is free. The saga then waits, and is enqueued
    /// when a slot is kept for it.
    pub fn take(slots: &Arc<Slots>, saga: &SagaRef, host: &str) -> Result<Self, CallLimit> {
        slots.with(|table, now| table.take(saga, host, now))?;
        Ok(Self {
            slots: Arc::clone(slots),
            namespace: saga.namespace.clone(),
            host: host.to_owned(),
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
        self.slots.with(|table, now| table.give_back(&self.namespace, &self.host, now));
    }
}
