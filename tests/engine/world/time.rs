//! The time of the world. It advances only to instants that something asked for.

use std::time::Duration;

use jiff::Timestamp;
use saga_operator::{
    clock::later,
    world::{self, ReplicaFault, WorldMove},
};

use super::{World, reconcile::PROCESS};
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
            self.step_forward();
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
        [self.wake, self.again, self.services.next_event(self.now)].into_iter().flatten().min()
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

    /// Counts the passage of time as a move, after which the process may die.
    fn step_forward(&mut self) {
        self.moves += 1;
        if let Some(down) = self.fatal.remove(&self.moves) {
            self.crash(down);
        }
    }

    /// Ends the process with everything in its memory. Another process starts after `down`.
    pub fn crash(&mut self, down: Duration) {
        self.crashes += 1;
        self.draining = false;
        self.arrange();
        self.strike(ReplicaFault::Crash);
        self.now = later(self.now, down);
        self.arrange();
        if let Some(step) = world::apply(&self.simulated, &WorldMove::Restart(PROCESS)) {
            self.simulated = step.world;
        }
        (self.wake, self.again) = (None, None);
    }

    /// Calls off what the process sent, as if its Lease expired.
    pub fn call_off(&mut self) {
        self.arrange();
        self.strike(ReplicaFault::Lapse);
    }

    /// A fault of the process. No process waits any more for the answers of its HTTP requests.
    fn strike(&mut self, fault: ReplicaFault) {
        // A process that died in the middle of a reconcile is down already.
        let next = WorldMove::Strike { replica: PROCESS, fault };
        if let Some(step) = world::apply(&self.simulated, &next) {
            self.simulated = step.world;
        }
        for ending in self.services.abandon_requests() {
            self.end(ending);
        }
    }
}
