//! Live reads of sagas.

use kube::{Resource, api::GetParams, core::Request};

use super::{
    connection::Cluster,
    error::{Error, is_not_found},
};
use crate::api::{
    ActiveAttempt, StoredSaga, WholeSaga,
    names::AttemptId,
    status::active_attempts,
    stored::{name, namespace},
};

/// Returns whether a live read shows the attempt as active with this child UID. `uid` is `None` for
/// an attempt whose child has not been seen. Otherwise `uid` is the UID of the object to delete.
///
/// # Errors
/// If the read failed.
pub(in crate::controller) async fn may_still_begin(
    cluster: &Cluster,
    stored: &StoredSaga,
    attempt: &AttemptId,
    uid: Option<&str>,
) -> Result<bool, Error> {
    Ok(live_intent(cluster, stored, attempt)
        .await?
        .is_some_and(|intent| intent.child_uid.as_deref() == uid))
}

/// Returns the intent of an attempt if a live read shows the same saga with the same spec, and the
/// attempt is still active.
///
/// # Errors
/// If the read failed.
pub(in crate::controller) async fn live_intent(
    cluster: &Cluster,
    stored: &StoredSaga,
    attempt: &AttemptId,
) -> Result<Option<ActiveAttempt>, Error> {
    let Some(live) = live(cluster, stored).await? else { return Ok(None) };
    let Ok(status) = &live.status else { return Ok(None) };
    let intent =
        active_attempts(status).find(|(id, _)| id == attempt).map(|(_, intent)| intent.clone());
    Ok(intent)
}

/// Reads the saga live. Returns `None` if the saga is gone, has another UID or has another spec.
///
/// # Errors
/// If the read failed.
pub(in crate::controller) async fn live(
    cluster: &Cluster,
    stored: &StoredSaga,
) -> Result<Option<StoredSaga>, Error> {
    let live = cluster
        .sagas(namespace(stored))
        .get_opt(name(stored))
        .await
        .map_err(Error::api("read the saga"))?;
    Ok(live.filter(|live| live.metadata.uid == stored.metadata.uid && live.has_steps_of(stored)))
}

/// Reads the saga live with its whole spec, however large the spec is, if the saga was accepted.
/// Returns `None` if the saga is gone or has another UID. The caller holds the permit to hold a
/// large spec.
///
/// # Errors
/// If the read failed.
pub(in crate::controller) async fn whole(
    cluster: &Cluster,
    stored: &StoredSaga,
) -> Result<Option<StoredSaga>, Error> {
    let doing = "read a saga with a large spec";
    let path = StoredSaga::url_path(&(), Some(namespace(stored)));
    let request = Request::new(path)
        .get(name(stored), &GetParams::default())
        .map_err(|error| Error::Api { doing, source: kube::Error::BuildRequest(error) })?;
    match cluster.client.request::<WholeSaga>(request).await {
        Ok(WholeSaga(live)) => {
            Ok(Some(live).filter(|live| live.metadata.uid == stored.metadata.uid))
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(source) => Err(Error::Api { doing, source }),
    }
}
