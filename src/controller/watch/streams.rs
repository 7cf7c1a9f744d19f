//! The watches on sagas, their Pods and their Jobs, and the streams that they deliver.
//!
//! # Guarantees
//! A watch event enqueues its saga only when the store shows the changed object. After a gap, a
//! list is read again, and the store shows it only when it is whole. Then every object in the list
//! is enqueued.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{batch::v1::Job, core::v1::Pod},
};
use kube::{
    Api, Client, Resource,
    runtime::{
        reflector::{self, Store, store::Writer},
        watcher,
    },
};
use tokio::sync::watch;

use super::{
    children::{job_stream, pod_stream},
    listeners::Listeners,
    sagas::saga_stream,
    sync::CacheSync,
};
use crate::{api::StoredSaga, objects::stored::StoredObject};

/// The watches of one namespace, or of all namespaces.
pub(in crate::controller) struct Watch {
    namespace: Option<String>,
    saga_api: Api<StoredSaga>,
    sagas: Store<StoredSaga>,
    saga_writer: Writer<StoredSaga>,
    pod_api: Api<StoredObject<Pod>>,
    pods: Store<Pod>,
    pod_writer: Writer<Pod>,
    job_api: Api<StoredObject<Job>>,
    jobs: Store<Job>,
    job_writer: Writer<Job>,
    /// Whether the sagas and the Pods were listed, in this order.
    listed: [watch::Sender<bool>; 2],
}

impl Watch {
    pub(in crate::controller) fn new(client: &Client, namespace: Option<&String>) -> Self {
        let (sagas, saga_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let (jobs, job_writer) = reflector::store();
        Self {
            namespace: namespace.cloned(),
            saga_api: scoped(client, namespace),
            sagas,
            saga_writer,
            pods,
            pod_writer,
            pod_api: scoped(client, namespace),
            jobs,
            job_writer,
            job_api: scoped(client, namespace),
            listed: Default::default(),
        }
    }

    pub(in crate::controller) fn sagas(&self) -> Store<StoredSaga> {
        self.sagas.clone()
    }

    pub(in crate::controller) fn pods(&self) -> Store<Pod> {
        self.pods.clone()
    }

    pub(in crate::controller) fn jobs(&self) -> Store<Job> {
        self.jobs.clone()
    }

    pub(in crate::controller) fn cache_sync(&self) -> CacheSync {
        let [sagas, pods] = &self.listed;
        CacheSync {
            namespace: self.namespace.clone(),
            sagas: sagas.subscribe(),
            pods: pods.subscribe(),
        }
    }

    /// Returns the streams of the watches. They report to `listeners`.
    pub(in crate::controller) fn streams(self, listeners: &Listeners) -> Streams {
        let Self {
            namespace: _,
            saga_api,
            sagas: store,
            saga_writer,
            pod_api,
            pods: _,
            pod_writer,
            job_api,
            jobs: _,
            job_writer,
            listed: [sagas_listed, pods_listed],
        } = self;
        Streams {
            store,
            pods_are_listed: pods_listed.subscribe(),
            sagas: saga_stream(saga_api, saga_writer, sagas_listed, listeners.clone()).boxed(),
            pods: pod_stream(pod_api, pod_writer, pods_listed, listeners.clone()).boxed(),
            jobs: job_stream(job_api, job_writer, listeners.clone()).boxed(),
        }
    }
}

/// The objects of one kind that changed.
type Events<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// The streams that the watches of one namespace, or of all namespaces, deliver.
pub(in crate::controller) struct Streams {
    /// The cache of the sagas.
    pub(in crate::controller) store: Store<StoredSaga>,
    /// Whether the Pods were listed.
    pub(in crate::controller) pods_are_listed: watch::Receiver<bool>,
    /// The sagas that changed.
    pub(in crate::controller) sagas: Events<StoredSaga>,
    /// The Pods that changed.
    pub(in crate::controller) pods: Events<Pod>,
    /// The Jobs that changed.
    pub(in crate::controller) jobs: Events<Job>,
}

fn scoped<K>(client: &Client, namespace: Option<&String>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
