//! The table of the slots that are taken, and of the sagas that wait for one.
//!
//! # Guarantees
//! - At most so many slots are taken for a namespace and a host, for a namespace, and in all, as
//!   the limits say. One entry of the table counts in all three, and is given back in all three.
//! - A slot that becomes free is offered to a waiting saga before another saga can take it: in a
//!   namespace, to the saga that has waited longest for a host with a free slot. Among namespaces
//!   the offers go in turns.
//! - No saga waits while the slot that it waits for is free: after each call, no slot is free for
//!   any waiting saga. A saga that is offered a slot is woken.
//! - An offer that is not taken lapses after [`LAPSES`], and the slot is offered to the next saga.
//!   A reconcile that needs the slot no longer gives the offer back at once.
//!
//! # Caveats
//! A lapse is noticed by the next call. Every waiting saga is also reconciled every few seconds, so
//! that there is a next call.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{controller::queue::SagaRef, model::input::CallLimit, service::args::CallLimits};

/// How long a slot is kept for the saga that it was offered to. A reconcile follows within
/// milliseconds, unless the operator is overloaded or the saga is gone.
pub(super) const LAPSES: Duration = Duration::from_secs(30);

/// The slots that are taken or offered, and the sagas that wait.
#[derive(Debug)]
pub(super) struct SlotTable {
    limits: CallLimits,
    /// The slots that are taken or offered.
    taken: usize,
    /// The number of claims that wait.
    waiting: usize,
    namespaces: HashMap<String, NamespaceSlots>,
    /// The namespaces in which a saga waits, each once, the next to be served first.
    turns: VecDeque<String>,
    /// The offers, the oldest first. Offers that are no more may still be listed.
    offers: VecDeque<SlotOffer>,
    /// The number of the newest claim.
    newest: u64,
    /// The sagas that were offered a slot and are not woken yet.
    woken: Vec<SagaRef>,
}

/// The slots of one namespace.
#[derive(Debug, Default)]
struct NamespaceSlots {
    taken: usize,
    hosts: HashMap<String, HostSlots>,
    /// The hosts for which a saga waits, by the number of the claim that has waited longest.
    heads: BTreeMap<u64, String>,
    /// The claims, by saga and host.
    claims: HashMap<String, BTreeMap<String, Claim>>,
}

/// The slots of one namespace and host.
#[derive(Debug, Default)]
struct HostSlots {
    taken: usize,
    /// The sagas that wait, by the numbers of their claims: the longest wait first.
    waiting: BTreeMap<u64, String>,
}

/// What a saga that found no free slot has. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// The saga waits.
    Waits(u64),
    /// A slot is kept for the saga.
    Offered(u64),
}

/// A slot that is kept for a saga.
#[derive(Debug)]
struct SlotOffer {
    at: Instant,
    number: u64,
    saga: SagaRef,
    host: String,
}

impl SlotTable {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self {
            limits,
            taken: 0,
            waiting: 0,
            namespaces: HashMap::new(),
            turns: VecDeque::new(),
            offers: VecDeque::new(),
            newest: 0,
            woken: Vec::new(),
        }
    }

    /// Takes a slot: the one that is kept for the saga, or one that is free. If there is none, the
    /// saga waits, and the limit that is reached is returned.
    pub(super) fn take(
        &mut self,
        saga: &SagaRef,
        host: &str,
        now: Instant,
    ) -> Result<(), CallLimit> {
        self.lapse(now);
        if let Some(Claim::Offered(_)) = self.claim(saga, host) {
            self.remove_claim(saga, host);
            return Ok(());
        }
        let Some(limit) = self.reached(&saga.namespace, host) else {
            self.count(&saga.namespace, host);
            return Ok(());
        };
        if self.claim(saga, host).is_none() {
            self.wait(saga, host);
        }
        Err(limit)
    }

    /// Gives a taken slot back.
    pub(super) fn give_back(&mut self, namespace: &str, host: &str, now: Instant) {
        self.lapse(now);
        self.uncount(namespace, host);
        self.serve(now);
    }

    /// Removes what a saga waits for or was offered, unless `wanted` returns true for the host.
    pub(super) fn keep(&mut self, saga: &SagaRef, wanted: impl Fn(&str) -> bool, now: Instant) {
        let claims =
            self.namespaces.get(&saga.namespace).and_then(|known| known.claims.get(&saga.name));
        let given_up: Vec<String> = claims
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|host| !wanted(host))
            .cloned()
            .collect();
        for host in &given_up {
            self.give_up(saga, host);
        }
        if !given_up.is_empty() {
            self.serve(now);
        }
    }

    /// Returns the sagas to be woken. A saga may be listed twice.
    pub(super) fn take_woken(&mut self) -> Vec<SagaRef> {
        std::mem::take(&mut self.woken)
    }

    /// Returns how many slots are taken or offered.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// Returns how many sagas wait, counted once for each host.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the limit that is reached; `None` if a slot is free.
    fn reached(&self, namespace: &str, host: &str) -> Option<CallLimit> {
        let CallLimits { per_host, per_namespace, total } = self.limits;
        let known = self.namespaces.get(namespace);
        let of_host = known.and_then(|known| known.hosts.get(host));
        if of_host.is_some_and(|of_host| of_host.taken >= per_host) {
            Some(CallLimit::Host(per_host))
        } else if known.is_some_and(|known| known.taken >= per_namespace) {
            Some(CallLimit::Namespace(per_namespace))
        } else if self.taken >= total {
            Some(CallLimit::Process(total))
        } else {
            None
        }
    }

    fn claim(&self, saga: &SagaRef, host: &str) -> Option<Claim> {
        self.namespaces.get(&saga.namespace)?.claims.get(&saga.name)?.get(host).copied()
    }

    /// Withdraws the offers that were not taken in time, and offers their slots to others.
    fn lapse(&mut self, now: Instant) {
        let mut lapsed = false;
        while let Some(SlotOffer { at, number, saga, host }) = self.offers.pop_front() {
            if self.claim(&saga, &host) != Some(Claim::Offered(number)) {
                continue;
            }
            if now.saturating_duration_since(at) < LAPSES {
                self.offers.push_front(SlotOffer { at, number, saga, host });
                break;
            }
            self.give_up(&saga, &host);
            lapsed = true;
        }
        if lapsed {
            self.serve(now);
        }
    }

    /// Offers each free slot to the waiting saga whose turn it is.
    fn serve(&mut self, now: Instant) {
        while let Some((namespace, number, host)) = self.next() {
            self.count(&namespace, &host);
            let name = self.offer(&namespace, &host, number);
            self.turns.retain(|waiting| *waiting != namespace);
            if self.namespaces.get(&namespace).is_some_and(|known| !known.heads.is_empty()) {
                self.turns.push_back(namespace.clone());
            }
            let saga = SagaRef { namespace, name };
            self.offers.push_back(SlotOffer { at: now, number, saga: saga.clone(), host });
            self.woken.push(saga);
        }
    }

    /// Returns the waiting claim whose turn it is, if a slot is free for one: its namespace, number
    /// and host.
    fn next(&self) -> Option<(String, u64, String)> {
        let CallLimits { per_host, per_namespace, total } = self.limits;
        if self.taken >= total {
            return None;
        }
        self.turns.iter().find_map(|namespace| {
            let known = self.namespaces.get(namespace).filter(|own| own.taken < per_namespace)?;
            let is_free = |host| known.hosts.get(host).is_some_and(|own| own.taken < per_host);
            let (number, host) = known.heads.iter().find(|(_, host)| is_free(*host))?;
            Some((namespace.clone(), *number, host.clone()))
        })
    }

    /// Turns the claim with this number, the first of its host, into an offer. Returns its saga.
    fn offer(&mut self, namespace: &str, host: &str, number: u64) -> String {
        let Some(known) = self.namespaces.get_mut(namespace) else { return String::new() };
        let saga = known.stop_waiting(host, number).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(claim) = known.claims.get_mut(&saga).and_then(|claims| claims.get_mut(host)) {
            *claim = Claim::Offered(number);
        }
        saga
    }

    /// Lets a saga wait that has no claim.
    fn wait(&mut self, saga: &SagaRef, host: &str) {
        self.newest = self.newest.saturating_add(1);
        self.waiting = self.waiting.saturating_add(1);
        let number = self.newest;
        let known = self.namespaces.entry(saga.namespace.clone()).or_default();
        if known.heads.is_empty() {
            self.turns.push_back(saga.namespace.clone());
        }
        let of_host = known.hosts.entry(host.to_owned()).or_default();
        if of_host.waiting.is_empty() {
            known.heads.insert(number, host.to_owned());
        }
        of_host.waiting.insert(number, saga.name.clone());
        let claims = known.claims.entry(saga.name.clone()).or_default();
        claims.insert(host.to_owned(), Claim::Waits(number));
    }

    /// Removes the claim of a saga, with the slot that was kept for it.
    fn give_up(&mut self, saga: &SagaRef, host: &str) {
        match self.remove_claim(saga, host) {
            Some(Claim::Waits(number)) => {
                self.waiting = self.waiting.saturating_sub(1);
                let Some(known) = self.namespaces.get_mut(&saga.namespace) else { return };
                known.stop_waiting(host, number);
                if known.heads.is_empty() {
                    self.turns.retain(|waiting| *waiting != saga.namespace);
                }
                self.forget_unused(&saga.namespace, host);
            }
            Some(Claim::Offered(_)) => self.uncount(&saga.namespace, host),
            None => {}
        }
    }

    fn remove_claim(&mut self, saga: &SagaRef, host: &str) -> Option<Claim> {
        let known = self.namespaces.get_mut(&saga.namespace)?;
        let claims = known.claims.get_mut(&saga.name)?;
        let claim = claims.remove(host);
        if claims.is_empty() {
            known.claims.remove(&saga.name);
        }
        claim
    }

    fn count(&mut self, namespace: &str, host: &str) {
        self.taken = self.taken.saturating_add(1);
        let known = self.namespaces.entry(namespace.to_owned()).or_default();
        known.taken = known.taken.saturating_add(1);
        let of_host = known.hosts.entry(host.to_owned()).or_default();
        of_host.taken = of_host.taken.saturating_add(1);
    }

    fn uncount(&mut self, namespace: &str, host: &str) {
        let Some(known) = self.namespaces.get_mut(namespace) else { return };
        let Some(of_host) = known.hosts.get_mut(host) else { return };
        self.taken = self.taken.saturating_sub(1);
        known.taken = known.taken.saturating_sub(1);
        of_host.taken = of_host.taken.saturating_sub(1);
        self.forget_unused(namespace, host);
    }

    /// Forgets a host that nobody calls and for which nobody waits, and then its namespace.
    fn forget_unused(&mut self, namespace: &str, host: &str) {
        let Some(known) = self.namespaces.get_mut(namespace) else { return };
        let unused = |of_host: &HostSlots| of_host.taken == 0 && of_host.waiting.is_empty();
        if known.hosts.get(host).is_some_and(unused) {
            known.hosts.remove(host);
        }
        if known.hosts.is_empty() {
            self.namespaces.remove(namespace);
        }
    }
}

impl NamespaceSlots {
    /// Removes a claim from those that wait for a host. Returns its saga.
    fn stop_waiting(&mut self, host: &str, number: u64) -> Option<String> {
        let of_host = self.hosts.get_mut(host)?;
        let saga = of_host.waiting.remove(&number);
        if self.heads.remove(&number).is_some()
            && let Some((next, _)) = of_host.waiting.first_key_value()
        {
            self.heads.insert(*next, host.to_owned());
        }
        saga
    }
}

#[cfg(test)]
mod tests;
