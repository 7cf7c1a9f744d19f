//! Reports another unfinished saga that applied the object which a step is about to apply. An event
//! tells the user. Nothing is refused.
//!
//! # Caveats
//! Only the saga that applied the object last is known. If the read of the object takes too long or
//! is refused, nothing is reported.

use std::time::Duration;

use tokio::time::timeout;

use super::{performance::Performance, publish};
use crate::{
    api::{
        ApplyAction, StoredSaga,
        stored::{name, namespace},
    },
    controller::{
        cluster::impersonate::{Account, ObjectTarget},
        memory::attempt::AttemptKey,
    },
    engine::applied_by,
    model::{
        plan::Notice,
        saga::{Identity, ValidSaga},
    },
};

/// The longest time for which the read of the object may delay the apply.
const LOOK: Duration = Duration::from_secs(1);

/// Reports, once for each attempt, another unfinished saga that applied the object last.
pub(in crate::controller) async fn warn_of_shared_object(
    performance: &Performance<'_>,
    saga: &ValidSaga,
    identity: &Identity,
    action: &ApplyAction,
) {
    let key = AttemptKey::new(&identity.uid, identity.attempt.clone());
    if performance
        .parts
        .memory
        .attempts
        .look(&key, |known| std::mem::replace(&mut known.looked_for_rivals, true))
    {
        return;
    }
    let account = Account { namespace: &saga.namespace, name: &saga.service_account };
    let target = ObjectTarget::applied(account, action);
    let Ok(Ok(Some(object))) = timeout(LOOK, performance.parts.cluster.objects.get(target)).await
    else {
        return;
    };
    let Some(mark) = object.head().ok().and_then(|head| head.mark) else { return };
    let Some((other_saga, step)) = performance
        .parts
        .cluster
        .saga_that(|other| applied_by(other, &mark).filter(|_| is_another(other, saga)))
    else {
        return;
    };
    let whose = if namespace(&other_saga) == saga.namespace {
        String::new()
    } else {
        format!("{}/", namespace(&other_saga))
    };
    let message = format!(
        "step {} applies {} {}, which step {step} of the saga {whose}{} applied, and that saga has \
         not ended: each saga overwrites what the other saga wrote",
        identity.attempt.step,
        target.kind,
        target.name,
        name(&other_saga)
    );
    // A lost event is no error: `publish` logs it.
    let _ =
        publish::publish(performance, &Notice { warning: true, reason: "ObjectShared", message })
            .await;
}

fn is_another(other: &StoredSaga, saga: &ValidSaga) -> bool {
    other.metadata.uid.as_deref() != Some(&saga.uid)
}
