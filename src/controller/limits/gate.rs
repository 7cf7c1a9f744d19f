//! A gate that admits a limited number of tasks at once, and is fair to namespaces.
//!
//! # Guarantees
//! - Each namespace has a share of the places. A namespace that has its share inside gets a further
//!   place only while enough places stay free for other namespaces. So the slow tasks of one
//!   namespace do not keep the tasks of another one waiting.
//! - A free place goes to the namespace that has the fewest tasks inside. Among namespaces with
//!   equally many, it goes to the one whose next task has waited longest.
//! - A task that is aborted while it waits takes no place.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A gate. All clones stand for the same gate.
#[derive(Clone, Debug)]
pub struct FairGate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    places: Places,
    crowd: Mutex<Crowd>,
}

/// The places inside a gate.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// All places.
    pub all: usize,
    /// The share of each namespace.
    pub share: usize,
    /// The places that stay free for namespaces that have less than their share inside.
    pub kept_free: usize,
}

/// The tasks inside and the tasks that wait.
#[derive(Debug, Default)]
struct Crowd {
    inside: usize,
    /// How many tasks have come so far.
    arrived: u64,
    namespaces: HashMap<String, NamespaceCrowd>,
}

#[derive(Debug, Default)]
struct NamespaceCrowd {
    inside: usize,
    /// The tasks that wait, each with its number in the order of arrival, the oldest first.
    waiting: VecDeque<(u64, oneshot::Sender<GatePass>)>,
}

/// The place of a task that was admitted. The place is free again when this is dropped.
#[derive(Debug)]
#[must_use = "the place is free again when this is dropped"]
pub struct GatePass {
    gate: FairGate,
    namespace: String,
}

impl FairGate {
    /// Creates a gate with these places.
    #[must_use]
    pub fn new(places: Places) -> Self {
        Self(Arc::new(GateState { places, crowd: Mutex::default() }))
    }

    /// Waits for a place. (`None` would mean that the gate lost the task, which it never does.)
    pub async fn enter(&self, namespace: &str) -> Option<GatePass> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut crowd = self.lock();
            let number = crowd.arrived;
            crowd.arrived = number.saturating_add(1);
            crowd
                .namespaces
                .entry(namespace.to_owned())
                .or_default()
                .waiting
                .push_back((number, sender));
        }
        self.admit();
        receiver.await.ok()
    }

    /// Admits the tasks that find a place.
    fn admit(&self) {
        // The lock is not held here: if a task went away just now, its pass is dropped, and the
        // drop takes the lock.
        while let Some((sender, namespace)) = self.next() {
            drop(sender.send(GatePass { gate: self.clone(), namespace }));
        }
    }

    /// Takes a place for the task that is next.
    fn next(&self) -> Option<(oneshot::Sender<GatePass>, String)> {
        let mut crowd = self.lock();
        crowd.namespaces.retain(|_, crowd| {
            while crowd.waiting.front().is_some_and(|(_, sender)| sender.is_closed()) {
                crowd.waiting.pop_front();
            }
            crowd.inside > 0 || !crowd.waiting.is_empty()
        });
        let Places { all, share, kept_free } = self.0.places;
        if crowd.inside >= all {
            return None;
        }
        let beyond_share = crowd.inside < all.saturating_sub(kept_free);
        let (_, namespace, next) = crowd
            .namespaces
            .iter_mut()
            .filter(|(_, crowd)| beyond_share || crowd.inside < share)
            .filter_map(|(namespace, crowd)| {
                let (number, _) = crowd.waiting.front()?;
                Some(((crowd.inside, *number), namespace, crowd))
            })
            .min_by_key(|(rank, ..)| *rank)?;
        let (_, sender) = next.waiting.pop_front()?;
        next.inside = next.inside.saturating_add(1);
        let namespace = namespace.clone();
        crowd.inside = crowd.inside.saturating_add(1);
        Some((sender, namespace))
    }

    fn leave(&self, namespace: &str) {
        {
            let mut crowd = self.lock();
            crowd.inside = crowd.inside.saturating_sub(1);
            if let Some(left) = crowd.namespaces.get_mut(namespace) {
                left.inside = left.inside.saturating_sub(1);
            }
        }
        self.admit();
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.0.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GatePass {
    fn drop(&mut self) {
        self.gate.leave(&self.namespace);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use futures::FutureExt;
    use tokio::task::JoinHandle;

    use super::*;

    /// Starts a task that waits for a place, and lets it get as far as it can.
    async fn comes(gate: &FairGate, namespace: &'static str) -> JoinHandle<Option<GatePass>> {
        let gate = gate.clone();
        let task = tokio::spawn(async move { gate.enter(namespace).await });
        tokio::task::yield_now().await;
        task
    }

    /// Returns the pass of a task that was admitted.
    async fn inside(task: JoinHandle<Option<GatePass>>) -> GatePass {
        assert!(task.is_finished());
        task.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_free_place_goes_to_the_namespace_that_has_the_fewest_and_then_to_the_longest_wait() {
        let gate = FairGate::new(Places { all: 3, share: 3, kept_free: 0 });
        let mut of_a = Vec::new();
        for _ in 0..3 {
            of_a.push(inside(comes(&gate, "a").await).await);
        }
        let (a, z) = (comes(&gate, "a").await, comes(&gate, "z").await);
        let (b, a_again) = (comes(&gate, "b").await, comes(&gate, "a").await);
        assert!([&a, &z, &b].into_iter().all(|task| !task.is_finished()));
        drop(of_a.pop());
        tokio::task::yield_now().await;
        let of_z = inside(z).await;
        drop(of_a.pop());
        tokio::task::yield_now().await;
        let of_b = inside(b).await;
        assert!(!a.is_finished(), "a has one inside");
        drop((of_z, of_b));
        tokio::task::yield_now().await;
        drop((inside(a).await, inside(a_again).await));
    }

    #[tokio::test]
    async fn a_namespace_has_more_than_its_share_only_while_places_stay_free_for_others() {
        let gate = FairGate::new(Places { all: 5, share: 2, kept_free: 1 });
        let mut of_a = Vec::new();
        for _ in 0..4 {
            of_a.push(inside(comes(&gate, "a").await).await);
        }
        let (fifth, of_b) = (comes(&gate, "a").await, inside(comes(&gate, "b").await).await);
        drop(of_a.pop());
        tokio::task::yield_now().await;
        assert!(!fifth.is_finished(), "the place stays free");
        drop(inside(comes(&gate, "c").await).await);
        drop(of_b);
        tokio::task::yield_now().await;
        drop(inside(fifth).await);
        let gate = FairGate::new(Places { all: 4, share: 2, kept_free: 4 });
        let passes = [comes(&gate, "a").await, comes(&gate, "a").await];
        let third = comes(&gate, "a").await;
        assert!(!third.is_finished());
        drop(inside(comes(&gate, "b").await).await);
        assert!(!third.is_finished());
        for pass in passes {
            drop(inside(pass).await);
        }
        tokio::task::yield_now().await;
        drop(inside(third).await);
        assert_eq!(gate.lock().inside, 0);
        assert!(gate.enter("c").now_or_never().is_some());
        assert!(gate.lock().namespaces.len() <= 1, "who left is forgotten");
    }

    #[tokio::test]
    async fn a_task_that_is_aborted_takes_no_place() {
        let gate = FairGate::new(Places { all: 1, share: 1, kept_free: 0 });
        let first = inside(comes(&gate, "a").await).await;
        let (gone, admitted) = (comes(&gate, "a").await, comes(&gate, "a").await);
        gone.abort();
        tokio::task::yield_now().await;
        drop(first);
        // The second task is aborted with its pass in hand, before it looks at it.
        admitted.abort();
        assert!(admitted.await.is_err());
        drop(gone);
        drop(inside(comes(&gate, "b").await).await);
        assert_eq!(gate.lock().inside, 0);
    }
}
