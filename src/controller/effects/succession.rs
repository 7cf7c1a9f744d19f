//! Reads the earlier child saga that a new child saga follows.

use kube::Api;

use super::performance::Performance;
use crate::{
    api::{StoredSaga, status::Keys},
    controller::cluster::error::chain,
    engine::succession::{Hindrance, earlier_child, keys_after},
    model::saga::{Identity, ValidSaga},
};

/// Returns where the keys of an attempt's child continue.
///
/// # Errors
/// Why the child cannot be created, or not yet.
pub(in crate::controller) async fn succession(
    performance: &Performance<'_>,
    saga: &ValidSaga,
    identity: &Identity,
) -> Result<Keys, Hindrance> {
    let earlier = performance
        .stored
        .status
        .as_ref()
        .ok()
        .and_then(|status| earlier_child(saga, status, &identity.attempt));
    let Some(name) = earlier else { return Ok(Keys::new()) };
    let api: Api<StoredSaga> = performance.parts.cluster.sagas(&saga.namespace);
    match api.get_opt(&name).await {
        // A saga that acts as another account is not a child of this saga.
        Ok(found) => {
            let found =
                found.filter(|found| found.account() == Some(saga.service_account.as_str()));
            keys_after(&name, found.as_ref())
        }
        Err(error) => Err(Hindrance::NotEnded(format!(
            "its earlier child saga {name} cannot be read just now: {}",
            chain(&error)
        ))),
    }
}
