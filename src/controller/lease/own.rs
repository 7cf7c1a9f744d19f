//! This process's own executor: an id, its Lease, and the check whether it may send HTTP requests.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{Api, ResourceExt, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout, timeout_at},
};

use super::executor::{lease, lease_name};
use crate::{
    controller::{
        clock::now,
        cluster::error::{chain, code},
        memory::memories::Memory,
        queue::Queue,
    },
    coordination::{
        executor_lease::{EVERY, Tenure, may_send},
        fence::Comparison,
    },
    model::skew::Skew,
};

/// The time limit of one renewal. If the answer is lost, there is time for another renewal before
/// the tenure lapses.
const RENEWAL: Duration = Duration::from_millis(1500);
/// The wait after a renewal or an acquisition failed for a temporary reason.
const AGAIN: Duration = Duration::from_millis(300);
/// The limit of the waits after failed acquisitions. They double from [`AGAIN`] up to this value.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// The time limit of the release at the end of the process.
const RELEASE: Duration = Duration::from_secs(2);
/// The number of lapsed ids that this process remembers as its own. If an id is forgotten, its
/// Lease decides, as for any other executor.
const REMEMBERED: usize = 1000;

/// The executor of this process.
#[derive(Debug)]
pub struct Own {
    api: Api<Lease>,
    state: Mutex<State>,
    /// Whether this process ever had a tenure.
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    /// How the clocks of this process compared with the API server's, by the newest renewal.
    compared: Option<Comparison>,
    former: Vec<String>,
}

#[derive(Debug)]
struct Current {
    id: String,
    tenure: Tenure,
    /// The Lease as last read or written; `None` if an answer was lost.
    lease: Option<Lease>,
}

impl State {
    /// Ends the tenure if it no longer holds.
    fn look(&mut self) {
        if self.current.as_mut().is_some_and(|current| !current.tenure.holds(Instant::now())) {
            self.lapse();
        }
    }

    fn lapse(&mut self) {
        if let Some(Current { id, .. }) = self.current.take() {
            self.former.push(id);
            let surplus = self.former.len().saturating_sub(REMEMBERED);
            self.former.drain(..surplus);
        }
    }
}

impl Own {
    /// Creates an executor without a Lease. [`Self::run`] acquires one.
    #[must_use]
    pub fn new(api: Api<Lease>) -> Self {
        Self { api, state: Mutex::default(), ready: watch::channel(false).0 }
    }

    /// Returns the id under which HTTP requests may be sent now; `None` if there is none.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        let mut state = self.lock();
        state.look();
        state.current.as_ref().map(|current| current.id.clone())
    }

    /// Returns how far the clock of this process may be from the API server's clock.
    #[must_use]
    pub fn skew(&self) -> Skew {
        self.lock()
            .compared
            .map(|compared| compared.skew((now(), Instant::now())))
            .unwrap_or_default()
    }

    /// Returns whether the tenure of this id holds now.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        let mut state = self.lock();
        state.look();
        state.current.as_ref().is_some_and(|current| current.id == id)
    }

    /// Returns whether an HTTP request whose intent names this id may be sent now.
    #[must_use]
    pub fn may_send(&self, id: &str) -> bool {
        may_send(self.id().as_deref(), id)
    }

    /// Returns whether this process used this id and lost it. It never sends under the id again.
    #[must_use]
    pub fn was_ours(&self, id: &str) -> bool {
        self.lock().former.iter().any(|former| former == id)
    }

    /// Returns once this process had a tenure.
    pub async fn first(&self) {
        // The sender lives as long as this executor.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Acquires a Lease and renews it. If the Lease lapses, aborts the HTTP requests under way and
    /// begins again with another id. Never returns.
    pub async fn run(&self, memory: &Memory, queue: &Queue) {
        let mut wait = AGAIN;
        loop {
            match self.acquire().await {
                Ok(()) => wait = AGAIN,
                Err(error) => {
                    self.complain(&error);
                    sleep(wait).await;
                    wait = wait.saturating_mul(2).min(LAST_WAIT);
                    continue;
                }
            }
            let why = self.keep().await;
            self.lock().lapse();
            let aborted = memory.attempts.abort_running();
            // The API server may have been restored from a backup while it was away. Then the same
            // generation may stand for another spec.
            memory.validated.forget();
            tracing::warn!(
                requests = aborted.len(),
                why,
                "the executor's Lease lapsed: its requests are aborted, a new id follows"
            );
            for saga in &aborted {
                queue.enqueue(saga);
            }
        }
    }

    /// Creates a new id and its Lease. If the answer is lost, the id is never used.
    async fn acquire(&self) -> Result<(), kube::Error> {
        let (id, sent) = (uuid::Uuid::new_v4().to_string(), Instant::now());
        let lease = self.api.create(&PostParams::default(), &lease(&id)).await?;
        self.compare_clocks(&lease, sent);
        let mut tenure = Tenure::new(sent);
        if tenure.holds(Instant::now()) {
            tracing::info!(
                executor = id,
                lease = lease.name_any(),
                "requests are sent under this id from now on"
            );
            self.lock().current = Some(Current { id, tenure, lease: Some(lease) });
            self.ready.send_replace(true);
        }
        Ok(())
    }

    /// Renews the Lease until the tenure ends. Returns why it ended.
    async fn keep(&self) -> String {
        loop {
            let Some((until, next)) = self.times() else {
                return "no renewal was acknowledged in time".into();
            };
            sleep_until(next.into()).await;
            let sent = Instant::now();
            let renewed = timeout_at(until.min(sent + RENEWAL).into(), self.renew(sent)).await;
            match renewed {
                Ok(Ok(())) => {}
                Ok(Err(error)) if is_definite(&error) => return chain(&error),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = chain(&error),
                        "the executor's Lease was not renewed and is tried again"
                    );
                    // Not longer than the tenure holds: the process must see its end when it comes.
                    sleep_until((Instant::now() + AGAIN).min(until).into()).await;
                }
                Err(_) => tracing::warn!(
                    "no answer to the renewal of the executor's Lease: it is tried again"
                ),
            }
        }
    }

    /// Returns the end of the tenure and the time of the next renewal; `None` if the tenure is
    /// over.
    fn times(&self) -> Option<(Instant, Instant)> {
        let mut state = self.lock();
        state.look();
        let current = state.current.as_ref()?;
        let (until, now) = (current.tenure.until(), Instant::now());
        let due = if current.lease.is_some() { current.tenure.renewed() + EVERY } else { now };
        Some((until, due.min(until)))
    }

    /// Renews the Lease once: an update under the version that was read, never a create.
    async fn renew(&self, sent: Instant) -> Result<(), kube::Error> {
        let taken =
            self.lock().current.as_mut().map(|current| (current.id.clone(), current.lease.take()));
        let Some((id, known)) = taken else { return Ok(()) };
        let mut lease = match known {
            Some(lease) => lease,
            // An answer was lost, so the Lease may have another version.
            None => self.api.get(&lease_name(&id)).await?,
        };
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&id) {
            self.lock().lapse();
            return Ok(());
        }
        let stamped = Instant::now();
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(now()));
        let written = self.api.replace(&lease_name(&id), &PostParams::default(), &lease).await?;
        self.compare_clocks(&written, stamped);
        let mut state = self.lock();
        if let Some(current) = state.current.as_mut().filter(|current| current.id == id) {
            current.tenure.acknowledged(sent, Instant::now());
            current.lease = Some(written);
        }
        Ok(())
    }

    /// Compares this process's clock with the API server's, by the times that both wrote in a Lease
    /// that was written just now.
    fn compare_clocks(&self, written: &Lease, sent: Instant) {
        if let Some(compared) = compared(written, sent, Instant::now()) {
            self.lock().compared = Some(compared);
        }
    }

    /// Ends the tenure and releases the Lease, so that other replicas need not wait. This is best
    /// effort: a Lease that is not released expires.
    pub async fn release(&self) {
        let current = {
            let mut state = self.lock();
            let current =
                state.current.as_mut().map(|current| (current.id.clone(), current.lease.take()));
            state.lapse();
            current
        };
        let Some((id, lease)) = current else { return };
        let released = async {
            let mut lease = match lease {
                Some(lease) => lease,
                None => self.api.get(&lease_name(&id)).await?,
            };
            lease.spec.get_or_insert_default().holder_identity = None;
            self.api.replace(&lease_name(&id), &PostParams::default(), &lease).await
        };
        match timeout(RELEASE, released).await {
            Ok(Ok(_)) => tracing::info!(executor = id, "the executor's Lease is released"),
            Ok(Err(error)) => tracing::warn!(
                executor = id,
                error = chain(&error),
                "the executor's Lease is not released: it runs out"
            ),
            Err(_) => tracing::warn!(
                executor = id,
                "the executor's Lease is not released in time: it runs out"
            ),
        }
    }

    fn complain(&self, error: &kube::Error) {
        let error_text = chain(error);
        if code(error) == Some(403) {
            let namespace = self.api.namespace().unwrap_or_default();
            tracing::error!(
                error = error_text,
                "no step begins: the operator's account needs the verbs get, list, create, update \
                 and delete on leases.coordination.k8s.io in the namespace {namespace}, as the \
                 chart gives them"
            );
        } else {
            tracing::warn!(
                error = error_text,
                "no step begins before the executor has a Lease: it is tried again"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the clock that renewed a Lease with the API server's clock, which stamps each write.
/// Returns `None` if the answer holds no stamp.
fn compared(written: &Lease, sent: Instant, answered: Instant) -> Option<Comparison> {
    let renewed = written.spec.as_ref()?.renew_time.as_ref()?.0;
    let stamped = written
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| Some(entry.time.as_ref()?.0))
        .max()?;
    Some(Comparison::of((renewed, sent), stamped, answered))
}

/// Returns whether the API server refused a renewal definitely: another process wrote the Lease, or
/// the Lease is gone.
const fn is_definite(error: &kube::Error) -> bool {
    matches!(code(error), Some(400..=407 | 409..=428 | 430..=499))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use kube::core::Status;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clock_is_compared_with_the_newest_stamp_of_the_api_server() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let stamps = json!([
            {"manager": "kubectl", "time": "2026-03-01T11:00:00Z"},
            {"manager": "saga-operator", "time": "2026-03-01T12:00:40Z"},
        ]);
        let lease = |fields: serde_json::Value| {
            let lease = json!({
                "metadata": {"managedFields": fields},
                "spec": {"renewTime": "2026-03-01T12:00:00.500000Z"},
            });
            serde_json::from_value::<Lease>(lease).unwrap()
        };
        let sent = Instant::now();
        let found = compared(&lease(stamps), sent, sent + Duration::from_millis(100)).unwrap();
        let found = found.skew((at("2026-03-01T12:00:00.500000Z"), sent));
        assert_eq!((found.ahead, found.behind), (Duration::ZERO, Duration::from_millis(40_500)));
        assert_eq!(compared(&lease(json!(null)), sent, sent), None);
    }

    #[test]
    fn only_what_the_api_server_refused_for_good_ends_a_tenure_at_once() {
        let definite =
            |code| is_definite(&kube::Error::Api(Box::new(Status { code, ..Status::default() })));
        assert!([403, 404, 409, 410, 422].into_iter().all(definite));
        assert!(![408, 429, 500, 503, 504].into_iter().any(definite));
    }
}
