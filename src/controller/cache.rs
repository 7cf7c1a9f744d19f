//! What the watches show.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::runtime::reflector::Store;

use crate::api::StoredSaga;

/// What the watches show; Pods and Jobs are stripped to what is read.
#[derive(Debug, Default)]
pub struct Caches {
    /// The sagas.
    pub sagas: Vec<Store<StoredSaga>>,
    /// The Pods.
    pub pods: Vec<Store<Pod>>,
    /// The Jobs.
    pub jobs: Vec<Store<Job>>,
}
