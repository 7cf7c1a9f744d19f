//! Shares of a limited number of places: which item begins next, when items of many namespaces
//! wait. An item is a name: a saga that is to be reconciled, or a task that waits for a permit.
//!
//! ```text
//!                  push                 start                 ended
//!   (not here) ───────────► Waiting ───────────► Running ───────────────► (not here)
//!                            ▲    ▲                 │
//!          the timer is due, │    └─────────────────┤ ended, and it was pushed meanwhile
//!          or push           │                      │
//!                          Timed ◄──────────────────┘ ended, with a timer
//! ```
//!
//! # Guarantees
//! - An item is in one state at a time, so it never runs twice at once. An item that is pushed
//!   while it runs runs once more afterwards.
//! - An item that waits stays until it begins. The items of one namespace begin in the order in
//!   which they began to wait. Namespaces take turns: while a namespace waits and may begin an
//!   item, each other namespace begins at most one item before it.
//! - No namespace begins an item beyond its bound. The bound is lower while another namespace
//!   waits, and some places then stay free if few namespaces wait: the next namespace to come finds
//!   them free.
//! - A push replaces the timer of an item. The end of the run that follows sets the next timer, as
//!   in kube's controller.
//!
//! # Caveats
//! A namespace that already runs more items than the lower bound, when another one begins to wait,
//! keeps them until they end.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
    time::Instant,
};

/// How many items may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All items.
    pub all: usize,
    /// The items of one namespace.
    pub namespace: usize,
    /// The items of one namespace while another namespace waits.
    pub contended: usize,
}

/// The instant of a timer, and the number that tells it from other timers of that instant.
type TimerKey = (Instant, u64);

/// What becomes of an item next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemState {
    /// It waits when this timer is due.
    Timed(TimerKey),
    /// It begins in its turn.
    Waiting,
    /// It runs. `again`: it was pushed meanwhile.
    Running { again: bool },
}

/// The items of one namespace.
#[derive(Debug)]
struct Share<T> {
    items: HashMap<T, ItemState>,
    /// The items that wait, in the order of their arrival.
    waiting: VecDeque<T>,
    running: usize,
}

impl<T> Default for Share<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), waiting: VecDeque::new(), running: 0 }
    }
}

/// The items of all namespaces that wait, run, or have a timer.
#[derive(Debug)]
pub struct Shares<T> {
    bounds: Bounds,
    namespaces: HashMap<String, Share<T>>,
    /// The namespaces in which an item waits, each once, in the order of their turns.
    turns: VecDeque<String>,
    /// The timers, each with its namespace and item.
    timers: BTreeMap<TimerKey, (String, T)>,
    /// The number of timers that were ever set.
    timers_set: u64,
    running: usize,
    waiting: usize,
}

impl<T: Clone + Eq + Hash> Shares<T> {
    /// Creates the shares of places within these bounds, without any item.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            namespaces: HashMap::new(),
            turns: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            running: 0,
            waiting: 0,
        }
    }

    /// Adds an item that wants to run as soon as it may. An item that waits already keeps its
    /// place.
    pub fn push(&mut self, namespace: &str, item: T) {
        let share = self.namespaces.entry(namespace.to_owned()).or_default();
        match share.items.get_mut(&item) {
            Some(ItemState::Waiting) => return,
            Some(ItemState::Running { again }) => {
                *again = true;
                return;
            }
            Some(ItemState::Timed(timer)) => _ = self.timers.remove(timer),
            None => {}
        }
        share.items.insert(item.clone(), ItemState::Waiting);
        if share.waiting.is_empty() {
            self.turns.push_back(namespace.to_owned());
        }
        share.waiting.push_back(item);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// Takes the item that begins now, with its namespace. Returns `None` if none may begin.
    #[must_use]
    pub fn start(&mut self) -> Option<(String, T)> {
        let Bounds { all, namespace: alone, contended } = self.bounds;
        if self.running >= all {
            return None;
        }
        let most = if self.turns.len() > 1 { contended.min(alone) } else { alone };
        // The search is short: only few namespaces can run as many items as they may.
        let turn = self.turns.iter().position(|namespace| {
            self.namespaces.get(namespace).is_some_and(|share| share.running < most)
        })?;
        let namespace = self.turns.remove(turn)?;
        let share = self.namespaces.get_mut(&namespace)?;
        let item = share.waiting.pop_front()?;
        share.items.insert(item.clone(), ItemState::Running { again: false });
        share.running = share.running.saturating_add(1);
        self.running = self.running.saturating_add(1);
        self.waiting = self.waiting.saturating_sub(1);
        if !share.waiting.is_empty() {
            self.turns.push_back(namespace.clone());
        }
        Some((namespace, item))
    }

    /// Notes that an item that [`Self::start`] returned has ended. The item waits again at
    /// `again_at`, or at once if it was pushed while it ran.
    pub fn ended(&mut self, namespace: &str, item: T, again_at: Option<Instant>) {
        let Some(share) = self.namespaces.get_mut(namespace) else { return };
        let Some(ItemState::Running { again }) = share.items.get(&item).copied() else { return };
        share.items.remove(&item);
        share.running = share.running.saturating_sub(1);
        self.running = self.running.saturating_sub(1);
        match again_at {
            _ if again => self.push(namespace, item),
            Some(at) => {
                self.timers_set = self.timers_set.saturating_add(1);
                let timer = (at, self.timers_set);
                share.items.insert(item.clone(), ItemState::Timed(timer));
                self.timers.insert(timer, (namespace.to_owned(), item));
            }
            None if share.items.is_empty() => _ = self.namespaces.remove(namespace),
            None => {}
        }
    }

    /// Adds the items whose timers are due.
    pub fn due(&mut self, now: Instant) {
        while let Some(timer) = self.timers.first_entry()
            && timer.key().0 <= now
        {
            let (namespace, item) = timer.remove();
            self.push(&namespace, item);
        }
    }

    /// Returns the instant at which the next timer is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Returns how many items run.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Returns how many items wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests;
