//! The time of the world. It advances only to instants that something asked for.

use std::time::Duration;

use jiff::Timestamp;
use saga_operator::clock::later;

use super::{Died, World};
use crate::watch;

impl World {
    /// Runs until nothing more would happen.
    pub fn run_to_rest(&mut self) -> &mut Self {
        self.run_until(|_| false);
        watch::rest(self);
        self
    }

    /// Runs until a condition holds, or until nothing more would happen.
    pub fn run_until(&mut self, holds: impl Fn(&Self) -> bool) -> &mut Self {
        for _ in 0..3000 {
            self.passes();
            if holds(self) {
                return self;
            }
            let Some(next) = self.next() else { return self };
            self.now = next;
            // If the process dies here, the next process reconciles again.
            let _ = self.step_forward();
        }
        panic!("never comes to rest: {:?}", self.status());
    }

    /// Runs for this duration.
    pub fn run_for(&mut self, duration: Duration) -> &mut Self {
        let until = later(self.now, duration);
        loop {
            self.passes();
            match self.next().filter(|next| *next <= until) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = until;
        // Nothing asked for this reconcile. A resync changes nothing that a wake-up would not
        // change.
        self.passes();
        self
    }

    /// Returns when the saga is reconciled next.
    fn next(&self) -> Option<Timestamp> {
        if self.gone {
            return None;
        }
        [self.wake, self.again, self.other_side.next_event(self.now)].into_iter().flatten().min()
    }

    /// Reconciles until nothing changes any more.
    fn passes(&mut self) {
        for _ in 0..12 {
            if self.gone {
                return;
            }
            if let Ok(false) = self.look() {
                let again = self.wake.is_some_and(|wake| wake <= self.now);
                assert!(
                    !again,
                    "asks to be looked at again at once, for ever: {:?}",
                    self.status()
                );
                return;
            }
        }
        panic!("changes something every time it is looked at: {:?}", self.status());
    }

    pub(super) fn step_forward(&mut self) -> Result<(), Died> {
        self.moves += 1;
        let Some(down) = self.fatal.remove(&self.moves) else { return Ok(()) };
        self.crash(down);
        Err(Died)
    }

    /// Ends the process with everything in its memory. Another process starts after `down`.
    pub fn crash(&mut self, down: Duration) {
        self.crashes += 1;
        self.draining = false;
        self.now = later(self.now, down);
        self.other_side.forget();
        (self.wake, self.again) = (None, None);
    }
}
