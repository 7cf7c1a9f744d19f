//! The state that all reconciles share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use k8s_openapi::api::{batch::v1::Job, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::Semaphore;

use super::{
    cache::Caches,
    cluster::{
        definition::Definition, objects::Objects, request_policy::RequestPolicy,
        watch_health::Barred,
    },
    http::call::HttpCaller,
    lease::{others::Others, own::Own},
    lifecycle::Beginning,
    limits::{breakers::Circuits, slots::Slots},
    memory::{
        attempts::Attempts, failures::Failures, job_pods::Families, own_writes::OwnWrites,
        prechecks::Prechecks, validated::ValidatedSagas,
    },
    queue::Queue,
    versions::OtherVersions,
};
use crate::{
    api::{StoredSaga, status::active_attempts},
    model::count::counted_as,
    service::{metrics::Metrics, sagas::Census},
};

/// The state that all reconciles share. No fact that correctness needs is kept only here.
pub struct Context {
    /// The client with the operator's own account.
    pub client: Client,
    /// Sends HTTP requests.
    pub caller: HttpCaller,
    /// A random id of this process, for events.
    pub instance: String,
    /// The executor under whose id this process sends HTTP requests.
    pub own: Own,
    /// The executors of other processes.
    pub others: Others,
    /// The number of HTTP requests under way to each host.
    pub slots: Slots,
    /// The circuit breakers of the called hosts.
    pub circuits: Circuits,
    /// The memory of attempts.
    pub attempts: Attempts,
    /// The memory of this process's own writes.
    pub writes: OwnWrites,
    /// The barred watches: those that the API server answers with 403 or 404.
    pub barred: Barred,
    /// The caches of sagas, Pods and Jobs.
    pub caches: Caches,
    /// The pods of Jobs.
    pub families: Families,
    /// Reads and writes objects under the accounts of sagas.
    pub objects: Objects,
    /// Whether a policy guards users' requests.
    pub request_policy: RequestPolicy,
    /// The served definition of the saga resource.
    pub definition: Definition,
    /// The memory of what operators of other versions wrote.
    pub versions: OtherVersions,
    /// The results of prechecks.
    pub prechecks: Prechecks,
    /// Validated sagas with their parsed expressions.
    pub validated: ValidatedSagas,
    /// Limits how many sagas with expressions are checked or planned at once.
    pub evaluations: Semaphore,
    /// The number of consecutive failed reconciles of each saga.
    pub failures: Failures,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    queues: Vec<Queue>,
    draining: AtomicBool,
    leading: AtomicBool,
    beginning: AtomicUsize,
}

/// The number of sagas with expressions that are checked or planned at once. An expression may take
/// milliseconds, and no saga should wait for the expressions of another saga.
const EVALUATIONS: usize = 4;

impl Context {
    /// Creates the context of this process.
    #[must_use]
    pub fn new(
        client: Client,
        caller: HttpCaller,
        metrics: Arc<Metrics>,
        circuits: Circuits,
        leases: Api<Lease>,
        caches: Caches,
        queues: Vec<Queue>,
    ) -> Self {
        Self {
            objects: Objects::new(client.clone()),
            request_policy: RequestPolicy::new(client.clone()),
            definition: Definition::new(client.clone()),
            versions: OtherVersions::default(),
            client,
            caller,
            instance: uuid::Uuid::new_v4().to_string(),
            own: Own::new(leases.clone()),
            others: Others::new(leases),
            slots: Slots::default(),
            circuits,
            attempts: Attempts::default(),
            writes: OwnWrites::default(),
            prechecks: Prechecks::default(),
            validated: ValidatedSagas::default(),
            evaluations: Semaphore::new(EVALUATIONS),
            failures: Failures::default(),
            barred: Barred::default(),
            caches,
            families: Families::default(),
            metrics,
            queues,
            draining: AtomicBool::new(false),
            leading: AtomicBool::new(true),
            beginning: AtomicUsize::new(0),
        }
    }

    /// Returns the API for the sagas of one namespace.
    #[must_use]
    pub fn sagas(&self, namespace: &str) -> Api<StoredSaga> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Returns the API for the Pods of one namespace.
    #[must_use]
    pub fn pods_of(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Counts the sagas in the caches by phase and reason.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::new();
        for saga in self.caches.sagas.iter().flat_map(Store::state) {
            *census.entry(counted_as(&saga)).or_default() += 1;
        }
        census
    }

    /// Returns the saga of this name from the cache.
    #[must_use]
    pub fn cached_saga(&self, namespace: &str, name: &str) -> Option<Arc<StoredSaga>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.sagas.iter().find_map(|store| store.get(&reference))
    }

    /// Returns the first cached saga for which `told` returns a value, with the value.
    pub fn saga_that<T>(
        &self,
        told: impl Fn(&StoredSaga) -> Option<T>,
    ) -> Option<(Arc<StoredSaga>, T)> {
        self.caches
            .sagas
            .iter()
            .flat_map(Store::state)
            .find_map(|saga| told(&saga).map(|told| (saga, told)))
    }

    /// Returns the Pod of this name from the cache.
    #[must_use]
    pub fn cached_pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.pods.iter().find_map(|store| store.get(&reference))
    }

    /// Returns the Job of this name from the cache.
    #[must_use]
    pub fn cached_job(&self, namespace: &str, name: &str) -> Option<Arc<Job>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.jobs.iter().find_map(|store| store.get(&reference))
    }

    /// Runs a computation about a saga. `heavy`: the computation may take so long that it would
    /// hold up other tasks of its thread. Only a few heavy computations run at once.
    pub(super) async fn think<T>(&self, heavy: bool, thought: impl FnOnce() -> T) -> T {
        if !heavy {
            return thought();
        }
        // The semaphore is never closed.
        let _permit = self.evaluations.acquire().await;
        tokio::task::block_in_place(thought)
    }

    /// Enqueues a saga for a reconcile.
    pub fn announce(&self, namespace: &str, name: &str) {
        for queue in &self.queues {
            if queue.namespace.as_deref().is_none_or(|watched| watched == namespace) {
                // If the queue is closed, the process is about to end.
                let _ = queue.sender.send(ObjectRef::new(name).within(namespace));
            }
        }
    }

    /// Enqueues every cached saga for which `wanted` returns true.
    pub fn announce_all(&self, wanted: impl Fn(&StoredSaga) -> bool) {
        for saga in self.caches.sagas.iter().flat_map(Store::state).filter(|saga| wanted(saga)) {
            self.announce(
                saga.metadata.namespace.as_deref().unwrap_or_default(),
                saga.metadata.name.as_deref().unwrap_or_default(),
            );
        }
    }

    /// Starts the drain: from now on this process decides nothing new. Work under way ends and is
    /// recorded.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Sets whether this process leads from now on. If this process does not lead, another replica
    /// may begin attempts that this process could not begin. `followed`: another replica may have
    /// led since this process last led, so those attempts may have begun already.
    pub fn lead(&self, leads: bool, followed: bool) {
        match (leads, followed) {
            (false, _) => self.attempts.set_verdicts_aside(),
            (true, false) => self.attempts.take_verdicts_up(),
            (true, true) => self.attempts.forget_verdicts(),
        }
        self.leading.store(leads, Ordering::SeqCst);
        self.metrics.leads(leads);
    }

    /// Returns whether this process leads. Without leader election, the process always leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leading.load(Ordering::SeqCst)
    }

    /// Returns whether this process reconciles this saga. A process reconciles every saga while it
    /// leads. After that, it reconciles a saga in two cases: an active attempt names one of this
    /// process's executor ids, or this process sent an HTTP request whose outcome is not known to
    /// be recorded. Only this process knows the outcomes of those HTTP requests.
    #[must_use]
    pub fn answers_for(&self, saga: &StoredSaga) -> bool {
        let own = |id: &str| self.own.holds(id) || self.own.was_ours(id);
        let sends = |status| {
            active_attempts(status).any(|(_, attempt)| attempt.executor.as_deref().is_some_and(own))
        };
        let uid = saga.metadata.uid.as_deref().unwrap_or_default();
        self.leads()
            || self.attempts.has_unrecorded_request(uid)
            || saga.status.as_ref().is_ok_and(sends)
    }

    /// Returns a guard if this process may decide something new. The process does not end before
    /// the guard is dropped: if an intent is being written, its HTTP request must not be lost.
    #[must_use]
    pub fn may_begin(&self) -> Option<Beginning<'_>> {
        // The counter is raised before the flag is read. So either this function sees the drain, or
        // the drain sees this guard. (The end of a leadership does not wait for guards.)
        self.beginning.fetch_add(1, Ordering::SeqCst);
        let beginning = Beginning(&self.beginning);
        (self.leads() && !self.draining.load(Ordering::SeqCst)).then_some(beginning)
    }

    /// Returns whether decisions from before the drain are still being carried out.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.beginning.load(Ordering::SeqCst) > 0
    }
}

/// The fixture that the tests of this folder share.
#[cfg(test)]
pub(super) mod fixture {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        controller::{cluster::secrets::SecretReader, http::tls::tls_config},
        coordination::breaker::Settings,
        egress::policy::{Reach, ReachRules},
    };

    /// Creates a context over this API server. Also returns the receiver of the enqueued sagas.
    pub fn context(
        client: Client,
        circuits: Option<Settings>,
    ) -> (Arc<Context>, mpsc::UnboundedReceiver<ObjectRef<StoredSaga>>) {
        let caller = HttpCaller::new(
            Reach::new(ReachRules::default(), []),
            tls_config().unwrap(),
            SecretReader::new(client.clone()),
        );
        let (sender, announced) = mpsc::unbounded_channel();
        let metrics = Metrics::new("1.2.3");
        let circuits = Circuits::new(circuits, Arc::clone(&metrics));
        let queues = vec![Queue { namespace: None, sender }];
        let leases = Api::namespaced(client.clone(), "default");
        (
            Arc::new(Context::new(
                client,
                caller,
                metrics,
                circuits,
                leases,
                Caches::default(),
                queues,
            )),
            announced,
        )
    }
}
