//! Permits that tasks of all namespaces wait for: namespaces take turns.
//!
//! # Guarantees
//! A task that is dropped while it waits, or while it has its permit, holds up nobody.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::coordination::shares::{Bounds, Shares};

/// A limited number of permits. All clones stand for the same permits.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Mutex<Waiting>>);

/// The tasks that wait for a permit or have one, by their numbers.
#[derive(Debug)]
struct Waiting {
    shares: Shares<u64>,
    /// Wakes the tasks that have no permit yet.
    asleep: HashMap<u64, oneshot::Sender<()>>,
    /// The number of tasks that ever asked.
    asked: u64,
}

impl Waiting {
    /// Gives permits to the tasks whose turn it is.
    fn wake(&mut self) {
        while let Some((namespace, number)) = self.shares.start() {
            // A task that was dropped meanwhile needs no permit.
            let woken = self.asleep.remove(&number).is_some_and(|task| task.send(()).is_ok());
            if !woken {
                self.shares.ended(&namespace, number, None);
            }
        }
    }
}

impl Turns {
    /// Creates permits within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let shares = Shares::new(bounds);
        Self(Arc::new(Mutex::new(Waiting { shares, asleep: HashMap::new(), asked: 0 })))
    }

    /// Waits for a permit for a task of this namespace.
    pub async fn take(&self, namespace: &str) -> Turn {
        let (wakes, woken) = oneshot::channel();
        let turn = {
            let mut waiting = self.lock();
            waiting.asked = waiting.asked.wrapping_add(1);
            let number = waiting.asked;
            waiting.shares.push(namespace, number);
            waiting.asleep.insert(number, wakes);
            waiting.wake();
            Turn { turns: self.clone(), namespace: namespace.to_owned(), number }
        };
        // The sender is dropped only after it was used, or with the turn.
        let _ = woken.await;
        turn
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit, or the place of a task that waits for one, until it is dropped.
#[derive(Debug)]
#[must_use = "the permit is given back when this is dropped"]
pub struct Turn {
    turns: Turns,
    namespace: String,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.turns.lock();
        // A task without a permit keeps its place in the queue, which is passed over in its turn.
        if waiting.asleep.remove(&self.number).is_none() {
            waiting.shares.ended(&self.namespace, self.number, None);
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::time::Duration;

    use futures::{FutureExt, future::join_all};
    use tokio::time::{Instant, sleep};

    use super::*;

    const BOUNDS: Bounds = Bounds { all: 3, namespace: 2, contended: 1 };

    /// Holds a permit for a second. Returns the second at which the task has ended.
    async fn works(turns: &Turns, namespace: &str, begun: Instant) -> u64 {
        let _turn = turns.take(namespace).await;
        sleep(Duration::from_secs(1)).await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_does_not_wait_for_the_thousand_tasks_of_another_one() {
        let (turns, begun) = (Turns::new(BOUNDS), Instant::now());
        let busy = join_all((0..1000).map(|_| works(&turns, "busy", begun)));
        let quiet = join_all((0..3).map(|_| works(&turns, "quiet", begun)));
        let (busy, quiet) = tokio::join!(busy, quiet);
        assert_eq!(quiet, [1, 2, 3], "one at a time, while the other namespace waits");
        assert_eq!(busy.into_iter().max(), Some(501), "two at once, when it is alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_dropped_holds_up_nobody() {
        let (turns, begun) = (Turns::new(BOUNDS), Instant::now());
        let held = [turns.take("shop").await, turns.take("shop").await];
        let mut gone = (0..9).map(|_| Box::pin(turns.take("shop"))).collect::<Vec<_>>();
        assert!(gone.iter_mut().all(|task| task.now_or_never().is_none()), "nothing is free");
        let mut last = Box::pin(works(&turns, "shop", begun));
        assert_eq!(last.as_mut().now_or_never(), None);
        drop(gone);
        drop(held);
        assert_eq!(last.await, 1);
        let waiting = turns.lock();
        assert_eq!((waiting.shares.running(), waiting.shares.waiting()), (0, 0));
        assert!(waiting.asleep.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_came_to_a_dropped_task_is_given_on() {
        let turns = Turns::new(BOUNDS);
        let held = [turns.take("shop").await, turns.take("shop").await];
        let mut gone = Box::pin(turns.take("shop"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(held);
        // The permit has come, and the task has not noticed.
        drop(gone);
        assert_eq!(turns.lock().shares.running(), 0);
    }
}
