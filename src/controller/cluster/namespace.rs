//! The deletion of a namespace, as it affects sagas. Nothing new can begin in a terminating
//! namespace, and the operator's rights there may be deleted before the sagas are.
//!
//! # Guarantees
//! Only a live read decides that a namespace is terminating. A namespace that the operator may not
//! read (403) counts as not terminating.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;

use super::{
    connection::Cluster,
    error::{Error, chain, code},
};
use crate::{
    api::{SagaStatus, StoredSaga, status::stalled_reason, stored::namespace},
    objects::stored::StoredObject,
};

/// How often the operator reads the namespace of a stalled saga that is being deleted, because no
/// watch reports the deletion of the namespace. Also how often a saga is requeued if its watches no
/// longer report.
pub(in crate::controller) const NAMESPACE_POLL: Duration = Duration::from_mins(1);

/// Returns whether the namespace of a stalled saga that is being deleted is terminating. Returns
/// `None` if the saga is not being deleted or is not stalled. A saga with an unreadable status
/// counts as stalled.
///
/// # Errors
/// If the live read of the namespace failed.
pub(in crate::controller) async fn stalled_deletion(
    cluster: &Cluster,
    saga: &StoredSaga,
) -> Result<Option<bool>, Error> {
    let stalled = |status: &SagaStatus| stalled_reason(status).is_some();
    if saga.metadata.deletion_timestamp.is_none() || !saga.status.as_ref().map_or(true, stalled) {
        return Ok(None);
    }
    is_terminating(cluster, namespace(saga)).await.map(Some)
}

/// Returns whether a namespace is terminating.
///
/// # Errors
/// If the live read failed. A 403 is not an error.
pub(in crate::controller) async fn is_terminating(
    cluster: &Cluster,
    namespace: &str,
) -> Result<bool, Error> {
    let api: kube::Api<StoredObject<Namespace>> = kube::Api::all(cluster.client.clone());
    match api.get_opt(namespace).await {
        Ok(read) => Ok(read.is_some_and(|read| read.meta().deletion_timestamp.is_some())),
        // An operator that was installed without this right can still do everything else.
        Err(source) if code(&source) == Some(403) => {
            tracing::warn!(
                namespace,
                error = chain(&source),
                "cannot read the namespace of a saga: if the namespace is being deleted, the saga \
                 blocks the deletion"
            );
            Ok(false)
        }
        Err(source) => Err(Error::Api { doing: "read the namespace", source }),
    }
}
