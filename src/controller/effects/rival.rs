//! Another unfinished saga that applied the object which a step is about to apply: a person is
//! told, and nothing is refused.
//!
//! # Caveats
//! Known is the one that applied the object last. A look that takes too long, or is refused, tells
//! nobody anything.

use std::time::Duration;

use tokio::time::timeout;

use super::perform::Performance;
use crate::{
    api::{
        ApplyAction, StoredSaga,
        stored::{name, namespace},
    },
    controller::cluster::{
        impersonate::{Account, Target},
        objects::mark_of,
    },
    engine::applied_by,
    model::{
        plan::Notice,
        saga::{Identity, ValidSaga},
    },
};

/// The longest that a look may hold up what is applied.
const LOOK: Duration = Duration::from_secs(1);

impl Performance<'_> {
    /// Tells once of another unfinished saga that applied the object of this attempt last.
    pub(crate) async fn tell_of_a_rival(
        &self,
        saga: &ValidSaga,
        identity: &Identity,
        action: &ApplyAction,
    ) {
        let key = (identity.uid.clone(), identity.attempt.clone());
        if self
            .context
            .attempts
            .look(&key, |known| std::mem::replace(&mut known.looked_for_rivals, true))
        {
            return;
        }
        let account = Account { namespace: &saga.namespace, name: &saga.service_account };
        let target = Target::applied(account, action);
        let Ok(Ok(Some(object))) = timeout(LOOK, self.context.objects.get(target)).await else {
            return;
        };
        let Some(mark) = mark_of(&object) else { return };
        let Some((rival, step)) = self
            .context
            .saga_that(|other| applied_by(other, mark).filter(|_| is_another(other, saga)))
        else {
            return;
        };
        let whose = if namespace(&rival) == saga.namespace {
            String::new()
        } else {
            format!("{}/", namespace(&rival))
        };
        let message = format!(
            "step {} applies {} {}, which step {step} of the saga {whose}{} applied, and that \
             saga has not ended: each overwrites what the other one wrote",
            identity.attempt.step,
            target.kind,
            target.name,
            name(&rival)
        );
        // A courtesy: what comes of it is in the log.
        let _ = self.publish(&Notice { warning: true, reason: "ObjectShared", message }).await;
    }
}

fn is_another(other: &StoredSaga, saga: &ValidSaga) -> bool {
    other.metadata.uid.as_deref() != Some(&saga.uid)
}
