//! The leader election: reads the Lease, takes it, renews it, and releases it.
//!
//! ```text
//!  stand by ─► the Lease is free, or its holder is gone ─► lead: every saga is enqueued
//!     ▲                                                           │
//!     │                                                           ├─► resign: release the Lease
//!     │                                                           ▼
//!     │                   not renewed in time, or another replica holds it
//!     │                                                           │
//!     └── nothing new begins; HTTP requests end and are recorded ◄┘
//! ```
//!
//! # Guarantees
//! The process continues when it stops leading, whatever the reason. Its HTTP requests end under
//! the Lease of its executor, and it stands for leadership again. So an API server that is away for
//! a while ends no process.
//!
//! # Caveats
//! A replica that stands by keeps its caches filled and its executor's Lease renewed. This is the
//! cost of taking over at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::PostParams};
use tokio::{
    sync::watch::Receiver,
    time::{sleep, sleep_until, timeout},
};

use crate::{
    controller::{
        clock::now,
        cluster::error::{chain, code},
        lifecycle::{Lifecycle, Role},
        memory::memories::Memory,
        queue::Queue,
    },
    coordination::election::{CacheState, Candidate, LeaseAction},
    service::metrics::Metrics,
};

/// The time limit of one call. A round takes at most two calls, a read and a write. That is less
/// than a leader leads without a renewal.
const LOOK: Duration = Duration::from_secs(2);
/// The wait of a leader after a failed round.
const AGAIN: Duration = Duration::from_millis(300);
/// The wait of a replica that stands by after a failed round.
const LATER: Duration = Duration::from_secs(2);
/// How long a write that was not waited for may still be under way, if it matters to the release.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// The time limit of the release.
const RELEASE: Duration = Duration::from_secs(2);

/// This process as a leader or a candidate for leadership.
pub(in crate::controller) struct Candidacy {
    api: Api<Lease>,
    candidate: Candidate,
    /// The Lease as last written; `None` while this process does not hold it, or if an answer was
    /// lost.
    known: Option<Lease>,
    /// Whether the last write was not waited for: its answer may still arrive.
    unanswered: bool,
    /// The last log message, so that a repeated state is not logged every two seconds.
    told: String,
}

/// Why a round failed.
enum Failed {
    /// The API server or the connection reported an error.
    Answered(kube::Error),
    /// No answer came in time.
    Silent,
}

/// Stands for leadership until `resigned` completes, then releases the Lease. Without election,
/// only waits. `cache_state`: how much of the caches is filled.
pub(in crate::controller) async fn run(
    candidacy: Option<Candidacy>,
    process: Process,
    cache_state: Receiver<CacheState>,
    resigned: impl Future<Output = ()>,
) {
    let Some(mut candidacy) = candidacy else { return resigned.await };
    tokio::select! {
        () = candidacy.stand(&process, cache_state) => {}
        () = resigned => {}
    }
    // This comes before the release: the replica that takes over must not meet anything new of this
    // process.
    process.turn(Role::Standby);
    candidacy.release().await;
}

/// What a change of the leadership changes in this process.
#[derive(Clone)]
pub(in crate::controller) struct Process {
    pub(in crate::controller) lifecycle: Arc<Lifecycle>,
    pub(in crate::controller) memory: Arc<Memory>,
    pub(in crate::controller) queue: Queue,
    pub(in crate::controller) metrics: Arc<Metrics>,
}

impl Process {
    /// Begins or ends the leadership. Enqueues every saga: at the beginning because nobody
    /// reconciled them before, at the end to call off HTTP requests that were not sent.
    fn turn(&self, role: Role) {
        self.lifecycle.turn(role, &self.memory.attempts, &self.metrics);
        self.queue.enqueue_where(|_| true);
    }
}

impl Candidacy {
    pub(in crate::controller) const fn new(api: Api<Lease>, candidate: Candidate) -> Self {
        Self { api, candidate, known: None, unanswered: false, told: String::new() }
    }

    /// Runs the election. Never returns.
    async fn stand(&mut self, process: &Process, mut cache_state: Receiver<CacheState>) {
        loop {
            self.candidate.set_cache_state(*cache_state.borrow_and_update());
            let failed = match self.look(Instant::now()).await {
                Ok(()) => false,
                Err(Failed::Answered(error)) => {
                    self.complain(&error);
                    true
                }
                Err(Failed::Silent) => {
                    self.tell("no answer to a read of the leader's Lease");
                    true
                }
            };
            let now = Instant::now();
            let leads = self.candidate.leads(now);
            if leads != process.lifecycle.leads() {
                let role = match (leads, self.candidate.was_followed()) {
                    (false, _) => Role::Standby,
                    (true, false) => Role::LeaderAgain,
                    (true, true) => Role::LeaderAfterOthers,
                };
                self.tell_turn(role, &process.memory);
                process.turn(role);
            }
            if !failed {
                self.log_holder();
            }
            let next = match (failed, self.candidate.until()) {
                (false, _) => self.candidate.next_look(now),
                // Not later than the end of the leadership: the process must see that end when it
                // comes.
                (true, Some(until)) if leads => until.min(now + AGAIN),
                (true, _) => now + LATER,
            };
            tokio::select! {
                () = sleep_until(next.into()) => {}
                // The candidate may now be able to take the Lease.
                Ok(()) = cache_state.changed() => {}
            }
        }
    }

    /// Runs one round: reads the Lease and acts on what it shows.
    async fn look(&mut self, sent: Instant) -> Result<(), Failed> {
        let lease = match self.known.take() {
            Some(lease) => Some(lease),
            None => self.in_time(self.api.get_opt(self.candidate.lease())).await?,
        };
        // This is set before the write, because the write may be aborted midway.
        self.unanswered = true;
        let written = match self.candidate.saw(lease.as_ref(), sent, Instant::now(), now()) {
            LeaseAction::Wait => {
                self.unanswered = false;
                return Ok(());
            }
            LeaseAction::Create(lease) => {
                self.in_time(self.api.create(&PostParams::default(), &lease)).await
            }
            LeaseAction::Replace(lease) => {
                self.in_time(self.api.replace(
                    self.candidate.lease(),
                    &PostParams::default(),
                    &lease,
                ))
                .await
            }
        };
        self.unanswered = matches!(&written, Err(Failed::Silent));
        let written = written?;
        self.candidate.acknowledged(sent);
        self.known = Some(written);
        self.told.clear();
        Ok(())
    }

    /// Returns the outcome of a call. A leader's call is given up when the leadership ends, so that
    /// the process sees the end when it comes.
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failed> {
        let now = Instant::now();
        let left = self
            .candidate
            .until()
            .map(|until| until.saturating_duration_since(now))
            .filter(|left| !left.is_zero());
        let answered = timeout(left.map_or(LOOK, |left| left.min(LOOK)), call).await;
        answered.map_err(|_| Failed::Silent)?.map_err(Failed::Answered)
    }

    /// Logs that this process leads, or that it leads no more.
    fn tell_turn(&mut self, role: Role, memory: &Memory) {
        let (lease, identity) = (self.candidate.lease(), self.candidate.identity());
        match role {
            Role::LeaderAgain | Role::LeaderAfterOthers => {
                tracing::info!(lease, identity, "this replica is the leader");
            }
            Role::Standby => {
                let requests = memory.attempts.unrecorded_requests();
                tracing::warn!(
                    lease,
                    identity,
                    requests,
                    "this replica is no longer the leader: no new attempt begins, and requests in \
                     flight may end"
                );
            }
        }
    }

    /// Releases the Lease, so that the other replicas need not wait. This is best effort: a Lease
    /// that is not released expires.
    async fn release(mut self) {
        match timeout(RELEASE, self.give_back()).await {
            Ok(Ok(true)) => {
                tracing::info!(lease = self.candidate.lease(), "the leader's Lease is released");
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(
                error = chain(&error),
                "the leader's Lease is not released: it runs out"
            ),
            Err(_) => tracing::warn!("the leader's Lease is not released in time: it runs out"),
        }
    }

    /// Releases the Lease if this process holds it. Returns whether it did.
    async fn give_back(&mut self) -> Result<bool, kube::Error> {
        // An aborted write may arrive between the two attempts, or may give this process the Lease
        // only now. So the release is tried a second time.
        match self.give_back_once().await {
            Err(error) if code(&error) == Some(409) => {}
            Ok(false) if self.unanswered => sleep(ON_ITS_WAY).await,
            done => return done,
        }
        self.give_back_once().await
    }

    async fn give_back_once(&mut self) -> Result<bool, kube::Error> {
        let lease = match self.known.take() {
            Some(lease) => Some(lease),
            // Only the Lease itself shows the outcome of an aborted round.
            None => self.api.get_opt(self.candidate.lease()).await?,
        };
        let Some(free) = lease.and_then(|lease| self.candidate.released(&lease)) else {
            return Ok(false);
        };
        self.api.replace(self.candidate.lease(), &PostParams::default(), &free).await.map(|_| true)
    }

    /// Logs which other replica leads, if one was seen.
    fn log_holder(&mut self) {
        if let Some(holder) = self.candidate.holder() {
            let what = format!("another replica is the leader, and this one stands by: {holder}");
            if self.told != what {
                tracing::info!(
                    lease = self.candidate.lease(),
                    leader = holder,
                    "another replica is the leader, and this one stands by"
                );
                self.told = what;
            }
        }
    }

    fn complain(&mut self, error: &kube::Error) {
        let namespace = self.api.namespace().unwrap_or_default();
        match code(error) {
            // Another replica was faster: the next round shows which one.
            Some(409) => {}
            Some(403) => self.tell(&format!(
                "no replica can become the leader: the operator's account needs the verbs get, \
                 create and update on leases.coordination.k8s.io in the namespace {namespace}, as \
                 the chart gives them: {}",
                chain(error)
            )),
            _ => self.tell(&format!(
                "the leader's Lease could not be read, and the read is repeated: {}",
                chain(error)
            )),
        }
    }

    /// Logs a message, unless the last message was the same.
    fn tell(&mut self, what: &str) {
        if self.told != what {
            tracing::warn!(lease = self.candidate.lease(), "{what}");
            what.clone_into(&mut self.told);
        }
    }
}

#[cfg(test)]
mod tests;
