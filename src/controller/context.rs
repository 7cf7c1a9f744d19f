//! What every reconcile shares.

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

/// What every reconcile shares. Nothing that matters lives only here.
pub struct Context {
    /// The operator's own client.
    pub client: Client,
    /// Sends requests.
    pub caller: HttpCaller,
    /// This process: a random id, for events.
    pub instance: String,
    /// The executor under whose id this process sends requests.
    pub own: Own,
    /// The executors of other processes.
    pub others: Others,
    /// How many requests are under way to each host.
    pub slots: Slots,
    /// The circuits of the hosts that are called.
    pub circuits: Circuits,
    /// The memory of attempts.
    pub attempts: Attempts,
    /// The memory of own writes.
    pub writes: OwnWrites,
    /// The watches that the API server does not answer.
    pub barred: Barred,
    /// What the watches show of children.
    pub caches: Caches,
    /// The pods of Jobs.
    pub families: Families,
    /// Reads and writes objects as the accounts of sagas.
    pub objects: Objects,
    /// What guards requests.
    pub request_policy: RequestPolicy,
    /// The definition of sagas that is served.
    pub definition: Definition,
    /// What another version has to do with the sagas.
    pub versions: OtherVersions,
    /// What came of trying sagas before their first step.
    pub prechecks: Prechecks,
    /// Valid sagas whose expressions are parsed.
    pub validated: ValidatedSagas,
    /// How many sagas with expressions may be checked or planned at once.
    pub evaluations: Semaphore,
    /// How often each saga's reconcile failed since it last did not.
    pub failures: Failures,
    /// Counts.
    pub metrics: Arc<Metrics>,
    queues: Vec<Queue>,
    draining: AtomicBool,
    leading: AtomicBool,
    beginning: AtomicUsize,
}

/// How many sagas with expressions are checked or planned at once: an expression may take
/// milliseconds, and no saga is to wait for another's.
const EVALUATIONS: usize = 4;

impl Context {
    /// A context of this process.
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

    /// Sagas of one namespace.
    #[must_use]
    pub fn sagas(&self, namespace: &str) -> Api<StoredSaga> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Pods of one namespace.
    #[must_use]
    pub fn pods_of(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// How many sagas the watches show, by phase and reason.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::new();
        for saga in self.caches.sagas.iter().flat_map(Store::state) {
            *census.entry(counted_as(&saga)).or_default() += 1;
        }
        census
    }

    /// The saga of this name as the watch last showed it.
    #[must_use]
    pub fn cached_saga(&self, namespace: &str, name: &str) -> Option<Arc<StoredSaga>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.sagas.iter().find_map(|store| store.get(&reference))
    }

    /// The first saga that the watches show of which there is something to be told, and that.
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

    /// The Pod of this name as the watch last showed it.
    #[must_use]
    pub fn cached_pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.pods.iter().find_map(|store| store.get(&reference))
    }

    /// The Job of this name as the watch last showed it.
    #[must_use]
    pub fn cached_job(&self, namespace: &str, name: &str) -> Option<Arc<Job>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.caches.jobs.iter().find_map(|store| store.get(&reference))
    }

    /// Thinks about a saga. `heavy`: it takes so long that it holds up what else its thread does;
    /// of that, little is done at once.
    pub(super) async fn think<T>(&self, heavy: bool, thought: impl FnOnce() -> T) -> T {
        if !heavy {
            return thought();
        }
        // Never closed.
        let _permit = self.evaluations.acquire().await;
        tokio::task::block_in_place(thought)
    }

    /// Announces that a saga has to be looked at.
    pub fn announce(&self, namespace: &str, name: &str) {
        for queue in &self.queues {
            if queue.namespace.as_deref().is_none_or(|watched| watched == namespace) {
                // A closed queue means that the process is about to end.
                let _ = queue.sender.send(ObjectRef::new(name).within(namespace));
            }
        }
    }

    /// Announces every saga that the watches show and that is `wanted`.
    pub fn announce_all(&self, wanted: impl Fn(&StoredSaga) -> bool) {
        for saga in self.caches.sagas.iter().flat_map(Store::state).filter(|saga| wanted(saga)) {
            self.announce(
                saga.metadata.namespace.as_deref().unwrap_or_default(),
                saga.metadata.name.as_deref().unwrap_or_default(),
            );
        }
    }

    /// From now on nothing new is decided; what is under way ends and is recorded.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether sagas are this process's business from now on, or that of another one, the leader.
    /// What this process could not begin may then be begun by that one; `followed`: or may have
    /// been, since it may have led meanwhile.
    pub fn lead(&self, leads: bool, followed: bool) {
        match (leads, followed) {
            (false, _) => self.attempts.set_verdicts_aside(),
            (true, false) => self.attempts.take_verdicts_up(),
            (true, true) => self.attempts.forget_verdicts(),
        }
        self.leading.store(leads, Ordering::SeqCst);
        self.metrics.leads(leads);
    }

    /// Whether sagas are this process's business: always, but where a leader is elected.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leading.load(Ordering::SeqCst)
    }

    /// Whether this saga is this process's business: while it leads, and later as long as an
    /// attempt under way is to be sent by it and by nobody else, or one that it sent is not known
    /// to be recorded. What came of those only this process can tell.
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

    /// Asks whether something new may be decided. If so, the process does not end before the answer
    /// is dropped: an intent that is being written now must not lose its request.
    #[must_use]
    pub fn may_begin(&self) -> Option<Beginning<'_>> {
        // Counted before it is looked: either this sees the drain, or the drain sees this. (The end
        // of a leadership waits for nobody.)
        self.beginning.fetch_add(1, Ordering::SeqCst);
        let beginning = Beginning(&self.beginning);
        (self.leads() && !self.draining.load(Ordering::SeqCst)).then_some(beginning)
    }

    /// Whether decisions from before the drain are still being carried out.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.beginning.load(Ordering::SeqCst) > 0
    }
}

/// What the tests of this folder share.
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

    /// A context over this API server, and what is announced in it.
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
