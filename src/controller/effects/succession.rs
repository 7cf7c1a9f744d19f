//! What stands of the earlier child saga that a new one follows.

use kube::Api;

use super::perform::Performance;
use crate::{
    api::{StoredSaga, status::Keys},
    controller::cluster::error::chain,
    engine::succession::{Hindrance, earlier_child, keys_after},
    model::saga::{Identity, ValidSaga},
};

impl Performance<'_> {
    /// Where the keys of an attempt's child go on.
    ///
    /// # Errors
    /// Why it cannot be made, or not yet.
    pub(crate) async fn succession(
        &self,
        saga: &ValidSaga,
        identity: &Identity,
    ) -> Result<Keys, Hindrance> {
        let earlier = self
            .stored
            .status
            .as_ref()
            .ok()
            .and_then(|status| earlier_child(saga, status, &identity.attempt));
        let Some(name) = earlier else { return Ok(Keys::new()) };
        let api: Api<StoredSaga> = self.context.sagas(&saga.namespace);
        match api.get_opt(&name).await {
            // One that acts as another account is nobody's child here.
            Ok(found) => {
                let found = found.filter(|found| {
                    found.spec.as_ref().is_ok_and(|spec| spec.account() == saga.service_account)
                });
                keys_after(&name, found.as_ref())
            }
            Err(error) => Err(Hindrance::NotEnded(format!(
                "its earlier child saga {name} cannot be read just now: {}",
                chain(&error)
            ))),
        }
    }
}
