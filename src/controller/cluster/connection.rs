//! The connection to the cluster: the client, the caches, and what is read through both.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client,
    runtime::reflector::{ObjectRef, Store},
};

use super::{
    definition::Definition, objects::Objects, request_policy::RequestPolicy,
    watch_health::WatchHealth,
};
use crate::{
    api::StoredSaga, controller::cache::Caches, model::count::counted_as,
    objects::stored::StoredObject, service::sagas::Census,
};

/// The connection to the cluster.
pub struct Cluster {
    /// The client with the operator's own account.
    pub client: Client,
    /// A random id of this process, for events.
    pub instance: String,
    /// The caches of sagas, Pods and Jobs.
    pub caches: Caches,
    /// Reads and writes objects under the accounts of sagas.
    pub objects: Objects,
    /// The barred watches: those that the API server answers with 403 or 404.
    pub watch_health: Arc<WatchHealth>,
    /// Whether a policy guards users' requests.
    pub request_policy: RequestPolicy,
    /// The served definition of the saga resource.
    pub definition: Definition,
}

impl Cluster {
    /// Creates the connection of this process.
    #[must_use]
    pub fn new(client: Client, caches: Caches) -> Self {
        Self {
            instance: uuid::Uuid::new_v4().to_string(),
            objects: Objects::new(client.clone()),
            request_policy: RequestPolicy::new(client.clone()),
            definition: Definition::new(client.clone()),
            watch_health: Arc::default(),
            client,
            caches,
        }
    }

    /// Returns the API for the sagas of one namespace.
    #[must_use]
    pub fn sagas(&self, namespace: &str) -> Api<StoredSaga> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Returns the API for the Pods of one namespace.
    #[must_use]
    pub fn pods_of(&self, namespace: &str) -> Api<StoredObject<Pod>> {
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

    /// Returns the first cached saga for which `found` returns a value, with the value.
    pub fn saga_that<T>(
        &self,
        found: impl Fn(&StoredSaga) -> Option<T>,
    ) -> Option<(Arc<StoredSaga>, T)> {
        self.caches
            .sagas
            .iter()
            .flat_map(Store::state)
            .find_map(|saga| found(&saga).map(|found| (saga, found)))
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
}
