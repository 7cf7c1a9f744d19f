//! Whether this process begins anything: it leads, and it is not about to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::memory::attempts::Attempts;
use crate::service::metrics::Metrics;

/// The part of this process in the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another replica may lead, and may begin attempts that this process could not begin.
    Standby,
    /// This process leads, and no other replica led since this process last led.
    LeaderAgain,
    /// This process leads, and another replica may have led since this process last led. The
    /// attempts that this process could not begin may have begun already.
    LeaderAfterOthers,
}

/// Whether this process begins anything.
#[derive(Debug)]
pub struct Lifecycle {
    draining: AtomicBool,
    leading: AtomicBool,
    permits: AtomicUsize,
}

impl Default for Lifecycle {
    /// Without leader election, the process always leads.
    fn default() -> Self {
        Self {
            draining: AtomicBool::new(false),
            leading: AtomicBool::new(true),
            permits: AtomicUsize::new(0),
        }
    }
}

impl Lifecycle {
    /// Starts the drain: from now on this process decides nothing new. Work under way ends and is
    /// recorded.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Sets the part of this process in the election. `attempts`: the memory whose refusals are
    /// true only while no other replica leads.
    pub fn turn(&self, role: Role, attempts: &Attempts, metrics: &Metrics) {
        match role {
            Role::Standby => attempts.suspend_verdicts(),
            Role::LeaderAgain => attempts.resume_verdicts(),
            Role::LeaderAfterOthers => attempts.forget_verdicts(),
        }
        let leads = role != Role::Standby;
        self.leading.store(leads, Ordering::SeqCst);
        metrics.set_leads(leads);
    }

    /// Returns whether this process leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leading.load(Ordering::SeqCst)
    }

    /// Returns a guard if this process may decide something new. The process does not end before
    /// the guard is dropped: if an intent is being written, its HTTP request must not be lost.
    #[must_use]
    pub fn start_permit(&self) -> Option<StartPermit<'_>> {
        // The counter is raised before the flag is read. So either this function sees the drain, or
        // the drain sees this guard. (The end of a leadership does not wait for guards.)
        self.permits.fetch_add(1, Ordering::SeqCst);
        let permit = StartPermit(&self.permits);
        (self.leads() && !self.draining.load(Ordering::SeqCst)).then_some(permit)
    }

    /// Returns whether decisions from before the drain are still being carried out.
    #[must_use]
    pub fn has_permits(&self) -> bool {
        self.permits.load(Ordering::SeqCst) > 0
    }
}

/// A guard of decisions. While it lives, decided effects may still begin.
#[derive(Debug)]
pub struct StartPermit<'a>(&'a AtomicUsize);

impl Drop for StartPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns once the receiver shows true. A dropped sender means the same as true.
pub async fn until_true(mut receiver: tokio::sync::watch::Receiver<bool>) {
    let _ = receiver.wait_for(|value| *value).await;
}
