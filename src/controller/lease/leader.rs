//! Stands for leadership: looks at the Lease, takes it, renews it, and gives it back.
//!
//! ```text
//!  stand by ─► the Lease is free, or its holder is gone ─► lead: every saga is looked at
//!     ▲                                                      │
//!     │                                                      ├─► resign: the Lease is released
//!     │                                                      ▼
//!     │                             not renewed in time, or another one holds it
//!     │                                                      │
//!     └── nothing new begins; requests end and are recorded ◄┘
//! ```
//!
//! # Guarantees
//! The process goes on when it leads no more, whatever the reason: its requests end under the Lease
//! of its executor, and it stands again. So an API server that is away for a while ends no process.
//!
//! # Caveats
//! One that stands by keeps its caches filled and its executor's Lease renewed: the cost of taking
//! over at once.

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
        context::Context,
    },
    coordination::election::{Candidate, Move, Warmth},
};

/// The longest time of one call. A look takes two of them at most, which is less than a leader
/// leads without a renewal.
const LOOK: Duration = Duration::from_secs(2);
/// How soon a leader looks again after a look that failed.
const AGAIN: Duration = Duration::from_millis(300);
/// How soon one that stands by looks again after a look that failed.
const LATER: Duration = Duration::from_secs(2);
/// How long a write whose answer was not waited for may still be on its way, where it is worth
/// another look.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// The longest time that the release may take.
const RELEASE: Duration = Duration::from_secs(2);

/// This process as one that leads or would like to.
pub(crate) struct Candidacy {
    api: Api<Lease>,
    candidate: Candidate,
    /// The Lease as it was last written; `None` while it is not ours, or where an answer was lost.
    known: Option<Lease>,
    /// Whether the answer to the last write was not waited for: it may yet arrive.
    unanswered: bool,
    /// What was told last, so that it is not told every two seconds.
    told: String,
}

/// Why a look did not do what it was to do.
enum Failed {
    /// The API server or the connection said so.
    Answered(kube::Error),
    /// No answer came in time.
    Silent,
}

/// Stands for leadership until `resigned`, then gives it back. Where nobody is elected, only waits.
/// `warmth`: how much of the caches is filled.
pub(crate) async fn run(
    candidacy: Option<Candidacy>,
    context: Arc<Context>,
    warmth: Receiver<Warmth>,
    resigned: impl Future<Output = ()>,
) {
    let Some(mut candidacy) = candidacy else { return resigned.await };
    tokio::select! {
        () = candidacy.stand(&context, warmth) => {}
        () = resigned => {}
    }
    // First: who takes over is not to meet anything new of this process.
    turn(false, false, &context);
    candidacy.release().await;
}

/// Begins or ends to lead. Every saga is looked at: at the beginning because nobody did before, at
/// the end to call off what was not sent.
fn turn(leads: bool, followed: bool, context: &Context) {
    context.lead(leads, followed);
    context.announce_all(|_| true);
}

impl Candidacy {
    pub(crate) const fn new(api: Api<Lease>, candidate: Candidate) -> Self {
        Self { api, candidate, known: None, unanswered: false, told: String::new() }
    }

    /// Never returns.
    async fn stand(&mut self, context: &Context, mut warmth: Receiver<Warmth>) {
        loop {
            self.candidate.warms(*warmth.borrow_and_update());
            let failed = match self.look(Instant::now()).await {
                Ok(()) => false,
                Err(Failed::Answered(error)) => {
                    self.complain(&error);
                    true
                }
                Err(Failed::Silent) => {
                    self.tell("no answer to a look at the leader's Lease");
                    true
                }
            };
            let now = Instant::now();
            let leads = self.candidate.leads(now);
            if leads != context.leads() {
                self.tell_turn(leads, context);
                turn(leads, leads && self.candidate.was_followed(), context);
            }
            self.tell_rival(failed);
            let next = match (failed, self.candidate.until()) {
                (false, _) => self.candidate.next_look(now),
                // Not later than its time is over: that has to be seen when it comes.
                (true, Some(until)) if leads => until.min(now + AGAIN),
                (true, _) => now + LATER,
            };
            tokio::select! {
                () = sleep_until(next.into()) => {}
                // It may take now what it could not.
                Ok(()) = warmth.changed() => {}
            }
        }
    }

    /// One look at the Lease, and what follows from it.
    async fn look(&mut self, sent: Instant) -> Result<(), Failed> {
        let lease = match self.known.take() {
            Some(lease) => Some(lease),
            None => self.in_time(self.api.get_opt(self.candidate.lease())).await?,
        };
        // Before the write, in whose midst this may be broken off.
        self.unanswered = true;
        let written = match self.candidate.saw(lease.as_ref(), sent, Instant::now(), now()) {
            Move::Wait => {
                self.unanswered = false;
                return Ok(());
            }
            Move::Create(lease) => {
                self.in_time(self.api.create(&PostParams::default(), &lease)).await
            }
            Move::Replace(lease) => {
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

    /// What came of a call, which is given up when the leadership is over, so that this is seen
    /// when it comes.
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

    /// Says that it leads, or does no more.
    fn tell_turn(&mut self, leads: bool, context: &Context) {
        let (lease, identity) = (self.candidate.lease(), self.candidate.identity());
        if leads {
            tracing::info!(lease, identity, "this operator leads from now on");
        } else {
            let requests = context.attempts.unrecorded_requests();
            tracing::warn!(
                lease,
                identity,
                requests,
                "this operator leads no more: nothing new begins, requests may end"
            );
        }
    }

    /// Lets the others know that nobody leads, so that they need not wait. Best effort: a Lease
    /// that stays runs out.
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

    /// Gives the Lease back, where it is ours. Returns whether it was.
    async fn give_back(&mut self) -> Result<bool, kube::Error> {
        // A write that was broken off may come in between, or make it ours only now: it is tried
        // once more.
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
            // Only the Lease itself tells what came of a look that was broken off.
            None => self.api.get_opt(self.candidate.lease()).await?,
        };
        let Some(free) = lease.and_then(|lease| self.candidate.released(&lease)) else {
            return Ok(false);
        };
        self.api.replace(self.candidate.lease(), &PostParams::default(), &free).await.map(|_| true)
    }

    /// Says who leads, where that was seen and is another one.
    fn tell_rival(&mut self, failed: bool) {
        if let Some(rival) = self.candidate.rival().filter(|_| !failed) {
            let what = format!("another operator leads, and this one stands by: {rival}");
            if self.told != what {
                tracing::info!(
                    lease = self.candidate.lease(),
                    leader = rival,
                    "another operator leads, and this one stands by"
                );
                self.told = what;
            }
        }
    }

    fn complain(&mut self, error: &kube::Error) {
        let namespace = self.api.namespace().unwrap_or_default();
        match code(error) {
            // Another one was faster: the next look tells who.
            Some(409) => {}
            Some(403) => self.tell(&format!(
                "no operator leads: their account needs the verbs get, create and update on \
                 leases.coordination.k8s.io in the namespace {namespace}, as the chart gives \
                 them: {}",
                chain(error)
            )),
            _ => self.tell(&format!(
                "the leader's Lease could not be looked at, and it is tried again: {}",
                chain(error)
            )),
        }
    }

    /// Says it in the log, unless it was said last.
    fn tell(&mut self, what: &str) {
        if self.told != what {
            tracing::warn!(lease = self.candidate.lease(), "{what}");
            what.clone_into(&mut self.told);
        }
    }
}

#[cfg(test)]
mod tests;
