//! What HTTP requests of sagas need: the client, the limits, and the executors.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::{
    http::call::HttpCaller,
    lease::{
        others::{Others, OthersView},
        own::Own,
    },
    limits::{breakers::Circuits, slots::Slots},
    queue::Queue,
};
use crate::service::{args::CallLimits, calls::CallUsage};

/// What HTTP requests of sagas need.
pub struct Outbound {
    /// Sends HTTP requests.
    pub caller: HttpCaller,
    /// The limits on HTTP requests in flight.
    pub slots: Arc<Slots>,
    /// The circuit breakers of the called hosts.
    pub circuits: Arc<Circuits>,
    /// The executor under whose id this process sends HTTP requests.
    pub own: Own,
    /// The executors of other processes.
    pub others: Others,
    /// The API for the Leases of executors.
    pub leases: Api<Lease>,
}

impl Outbound {
    /// Creates what HTTP requests need. `leases`: the API for the Leases of executors.
    #[must_use]
    pub fn new(
        caller: HttpCaller,
        limits: CallLimits,
        circuits: Circuits,
        leases: Api<Lease>,
        queue: Queue,
    ) -> Self {
        Self {
            caller,
            slots: Arc::new(Slots::new(limits, queue.clone())),
            circuits: Arc::new(circuits),
            own: Own::new(leases.clone()),
            others: Others::new(leases.clone(), queue),
            leases,
        }
    }

    /// Returns what the limits on HTTP requests and on look-ups show.
    #[must_use]
    pub fn usage(&self) -> CallUsage {
        CallUsage { calls: self.slots.usage(), lookups: self.caller.lookups().usage() }
    }

    /// Returns what observations may read of executors.
    #[must_use]
    pub const fn executors(&self) -> ExecutorsView<'_> {
        ExecutorsView { own: &self.own, others: self.others.view() }
    }
}

/// A read-only view of the executors of this process and of other processes.
#[derive(Clone, Copy)]
pub struct ExecutorsView<'a> {
    own: &'a Own,
    /// The executors of other processes.
    pub others: OthersView<'a>,
}

impl ExecutorsView<'_> {
    /// Returns whether this process used this id and lost it.
    #[must_use]
    pub fn was_ours(self, id: &str) -> bool {
        self.own.was_ours(id)
    }
}
