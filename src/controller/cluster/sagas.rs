//! Live reads of sagas.

use super::error::Error;
use crate::{
    api::{
        ActiveAttempt, StoredSaga,
        names::AttemptId,
        status::active_attempts,
        stored::{name, namespace},
    },
    controller::context::Context,
};

/// Whether a live read shows the attempt as one that may still begin: the active one, whose Pod
/// nobody has seen, or whose object, which is to be deleted, has this UID.
///
/// # Errors
/// Where the read failed.
pub(crate) async fn may_still_begin(
    context: &Context,
    stored: &StoredSaga,
    attempt: &AttemptId,
    uid: Option<&str>,
) -> Result<bool, Error> {
    Ok(live_intent(context, stored, attempt)
        .await?
        .is_some_and(|intent| intent.child_uid.as_deref() == uid))
}

/// The intent of an attempt that a live read shows still as the active one, of the same saga with
/// the same spec.
///
/// # Errors
/// Where the read failed.
pub(crate) async fn live_intent(
    context: &Context,
    stored: &StoredSaga,
    attempt: &AttemptId,
) -> Result<Option<ActiveAttempt>, Error> {
    let Some(live) = live(context, stored).await? else { return Ok(None) };
    let Ok(status) = &live.status else { return Ok(None) };
    let intent =
        active_attempts(status).find(|(id, _)| id == attempt).map(|(_, intent)| intent.clone());
    Ok(intent)
}

/// The same saga with the same spec as a live read shows it.
///
/// # Errors
/// Where the read failed.
pub(crate) async fn live(
    context: &Context,
    stored: &StoredSaga,
) -> Result<Option<StoredSaga>, Error> {
    let live = context
        .sagas(namespace(stored))
        .get_opt(name(stored))
        .await
        .map_err(Error::api("read the saga"))?;
    Ok(live.filter(|live| {
        live.metadata.uid == stored.metadata.uid && live.spec_hash == stored.spec_hash
    }))
}
