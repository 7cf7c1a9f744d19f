//! The caches: what the watches show.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::runtime::reflector::Store;

use crate::api::StoredSaga;

/// The caches: what the watches show. Pods and Jobs are stripped to the fields that the operator
/// reads. Each list has one store for each watch.
#[derive(Debug, Default)]
pub struct Caches {
    /// The sagas.
    pub sagas: Vec<Store<StoredSaga>>,
    /// The Pods.
    pub pods: Vec<Store<Pod>>,
    /// The Jobs.
    pub jobs: Vec<Store<Job>>,
}
