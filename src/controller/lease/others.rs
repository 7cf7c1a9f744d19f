//! The executors of other processes, and the check whether they are gone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use tokio::time::sleep;

use super::executor::lease_name;
use crate::{
    controller::{
        cluster::error::chain,
        queue::{Queue, SagaRef},
    },
    coordination::executor_lease::{LeaseState, LeaseWatch, TERM, may_last},
    model::observation::{ChildState, End, Unavailable},
};

/// The wait before a saga that waits for another executor is requeued, even if nothing enqueued the
/// saga.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long an executor is watched after the last saga asked for it. A saga that is gone does not
/// say that it waits no more.
const INTEREST: Duration = Duration::from_secs(30);
/// How long the fact that an executor is gone is remembered after the last saga asked for it.
const REMEMBERED: Duration = Duration::from_mins(10);

/// The most executors whose Leases are read at once. Stored status is input, so it may name any
/// number of executors.
const MOST_READ: usize = 256;

/// What this process knows of other executors, by id. All clones stand for the same memory.
#[derive(Clone, Debug)]
pub struct Others {
    api: Api<Lease>,
    queue: Queue,
    watched: Arc<Mutex<HashMap<String, WatchedLease>>>,
}

/// What an observation needs of another executor from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The saga waits until the executor is gone.
    Waits,
    /// The fact that the executor is gone stays remembered.
    Remembers,
}

/// A read-only view of what this process knows of other executors.
#[derive(Clone, Copy)]
pub struct OthersView<'a>(&'a Others);

#[derive(Debug)]
struct WatchedLease {
    lease_watch: LeaseWatch,
    /// The sagas that wait for the executor.
    sagas: HashSet<SagaRef>,
    /// When a saga last asked for the executor.
    asked: Instant,
    /// Whether a task is reading the executor's Lease.
    reading: bool,
}

impl OthersView<'_> {
    /// Returns the state of an HTTP request that the executor `id` of another process was to send.
    /// Also returns what the saga needs of that executor from now on. `first_read`: when this
    /// process first read the intent. `timeout`: the time limit of the HTTP request.
    #[must_use]
    pub fn state(
        self,
        id: &str,
        first_read: Instant,
        timeout: Duration,
    ) -> (ChildState, Option<Interest>) {
        let now = Instant::now();
        let left = may_last(first_read, timeout, now);
        if left.is_zero() {
            let message = "the outcome of the request is unknown: the replica that sent it has \
                recorded none long after its time limit"
                .into();
            return (ChildState::Ended(End::Unknown { message, retry_after: None }), None);
        }
        // An id in another format never had a Lease, and is not a valid name to read.
        if !is_id(id) {
            let left = TERM.saturating_sub(now.saturating_duration_since(first_read));
            let state = if left.is_zero() {
                gone()
            } else {
                ChildState::Unavailable(Unavailable::Elsewhere { look_again_in: left })
            };
            return (state, None);
        }
        if self.0.lock().get(id).is_some_and(|watched| watched.lease_watch.is_gone()) {
            return (gone(), Some(Interest::Remembers));
        }
        let look_again_in = left.min(LOOK_AGAIN);
        (ChildState::Unavailable(Unavailable::Elsewhere { look_again_in }), Some(Interest::Waits))
    }
}

impl Others {
    /// Creates the memory of other executors. `api` reads their Leases. `queue` takes the sagas
    /// that waited for an executor that is gone.
    #[must_use]
    pub fn new(api: Api<Lease>, queue: Queue) -> Self {
        Self { api, queue, watched: Arc::default() }
    }

    /// Returns a read-only view.
    #[must_use]
    pub const fn view(&self) -> OthersView<'_> {
        OthersView(self)
    }

    /// Notes what a saga needs of the executor `id`. If the saga waits for the executor, the Lease
    /// of the executor is read repeatedly. If the executor is gone meanwhile, the saga is enqueued.
    pub fn note(&self, id: &str, saga: SagaRef, interest: Interest) {
        let now = Instant::now();
        let mut table = self.lock();
        if interest == Interest::Remembers {
            if let Some(watched) = table.get_mut(id) {
                watched.asked = now;
            }
            return;
        }
        let read = table.get(id).is_some_and(|watched| watched.reading);
        let has_room =
            !read && table.values().filter(|watched| watched.reading).count() < MOST_READ;
        let fresh = || WatchedLease {
            lease_watch: LeaseWatch::default(),
            sagas: HashSet::new(),
            asked: now,
            reading: false,
        };
        let watched = table.entry(id.to_owned()).or_insert_with(fresh);
        watched.asked = now;
        if watched.lease_watch.is_gone() {
            drop(table);
            self.queue.enqueue(&saga);
            return;
        }
        watched.sagas.insert(saga);
        // If there is no room, the saga asks again later.
        if has_room {
            watched.reading = true;
            tokio::spawn(self.clone().read(id.to_owned()));
        }
    }

    /// Notes that a saga waits for no executors except these.
    pub fn waits_only_for(&self, saga: &SagaRef, ids: &[&str]) {
        for (id, watched) in self.lock().iter_mut() {
            if !ids.contains(&id.as_str()) {
                watched.sagas.remove(saga);
            }
        }
    }

    /// Reads an executor's Lease repeatedly until the executor is gone or no saga waits for it.
    async fn read(self, id: String) {
        loop {
            let asked = Instant::now();
            let lease_state = self.sight(&id).await;
            let (sagas, wait) = {
                let mut table = self.lock();
                let Some(watched) = table.get_mut(&id) else { return };
                if let Some(lease_state) = lease_state {
                    watched.lease_watch.saw(lease_state, asked, Instant::now());
                }
                let unwanted = watched.sagas.is_empty() || watched.asked.elapsed() >= INTEREST;
                let over = unwanted || watched.lease_watch.is_gone();
                watched.reading = !over;
                let sagas: Vec<_> = if watched.lease_watch.is_gone() {
                    watched.sagas.drain().collect()
                } else {
                    Vec::new()
                };
                (sagas, (!over).then(|| watched.lease_watch.next_look(asked, Instant::now())))
            };
            if !sagas.is_empty() {
                tracing::warn!(
                    executor = id,
                    sagas = sagas.len(),
                    "another replica is gone: the requests that it was sending may have taken \
                     effect"
                );
            }
            for saga in &sagas {
                self.queue.enqueue(saga);
            }
            let Some(wait) = wait else { return };
            sleep(wait).await;
        }
    }

    /// Returns what a live read of an executor's Lease shows; `None` if the read failed.
    async fn sight(&self, id: &str) -> Option<LeaseState> {
        match self.api.get_opt(&lease_name(id)).await {
            Ok(None) => Some(LeaseState::Absent),
            Ok(Some(lease)) => {
                let held = lease
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.holder_identity.as_deref())
                    .is_some_and(|holder| !holder.is_empty());
                // The UID counts too: a Lease that was deleted and created again is a different
                // Lease.
                let version = format!(
                    "{}/{}",
                    lease.uid().unwrap_or_default(),
                    lease.resource_version().unwrap_or_default()
                );
                Some(if held { LeaseState::Held(version) } else { LeaseState::Released })
            }
            Err(error) => {
                tracing::warn!(
                    executor = id,
                    error = chain(&error),
                    "cannot read the Lease of another replica"
                );
                None
            }
        }
    }

    /// Removes executors for which no saga asked for ten minutes, unless their Lease is being read.
    pub fn forget(&self) {
        self.lock().retain(|_, watched| watched.reading || watched.asked.elapsed() < REMEMBERED);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, WatchedLease>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the text is an id in the format that [`crate::controller::lease::own`] makes.
fn is_id(id: &str) -> bool {
    uuid::Uuid::parse_str(id).is_ok_and(|uuid| uuid.to_string() == id)
}

fn gone() -> ChildState {
    ChildState::Ended(End::Unknown {
        message: "the replica that sent the request is gone".into(),
        retry_after: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::json;

    use super::*;
    use crate::controller::context::fixture;

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_read_is_read_every_two_seconds() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let refuse = tower::service_fn(move |_: Request<Body>| {
            let times = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                if times > 99 {
                    return std::future::pending().await;
                }
                let body = json!({
                    "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
                    "message": "no",
                });
                Ok::<_, Infallible>(fixture::answer(403, &body))
            }
        });
        let (context, _announced) = fixture::context(Client::new(refuse, "default"), None);
        let (now, id) = (Instant::now(), "0d1c5a2e-0000-4000-8000-000000000000");
        // A term has passed since the Lease was last seen.
        let mut lease_watch = LeaseWatch::default();
        lease_watch.saw(
            LeaseState::Held("1".into()),
            now.checked_sub(TERM).unwrap(),
            now.checked_sub(TERM).unwrap(),
        );
        let sagas = HashSet::from([SagaRef::new("shop", "order")]);
        context
            .outbound
            .others
            .lock()
            .insert(id.to_owned(), WatchedLease { lease_watch, sagas, asked: now, reading: true });
        let reads = context.outbound.others.clone().read(id.to_owned());
        tokio::time::timeout(Duration::from_secs(21), reads).await.unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), 11);
    }
    #[tokio::test]
    async fn a_saga_is_enqueued_if_the_executor_is_gone_before_its_wait_is_noted() {
        let silent = tower::service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let (context, mut enqueued) = fixture::context(Client::new(silent, "default"), None);
        let (others, id) = (&context.outbound.others, "0d1c5a2e-0000-4000-8000-000000000000");
        let (now, saga) = (Instant::now(), SagaRef::new("shop", "order"));
        let look = || others.view().state(id, now, Duration::from_mins(1));
        let (state, interest) = look();
        assert!(
            matches!(state, ChildState::Unavailable(Unavailable::Elsewhere { .. })),
            "{state:?}"
        );
        assert_eq!(interest, Some(Interest::Waits));
        assert!(others.lock().is_empty(), "a look writes nothing");
        let mut lease_watch = LeaseWatch::default();
        lease_watch.saw(LeaseState::Released, now, now);
        let gone = WatchedLease { lease_watch, sagas: HashSet::new(), asked: now, reading: false };
        others.lock().insert(id.to_owned(), gone);
        others.note(id, saga, Interest::Waits);
        assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
        let (state, interest) = look();
        assert!(matches!(state, ChildState::Ended(End::Unknown { .. })), "{state:?}");
        assert_eq!(interest, Some(Interest::Remembers));
    }
}
