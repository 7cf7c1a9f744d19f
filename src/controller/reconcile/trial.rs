//! Tries a saga before its first step, in a task of its own. A reconcile only takes the result.
//!
//! # Guarantees
//! - No reconcile waits for a trial. The saga is enqueued when its trial has ended.
//! - A trial holds the operations of its saga only while it is the saga's turn. While it waits, it
//!   holds the name of the saga.
//! - A refusal counts only if it is met again after [`BELIEVED_AFTER`]. Roles and Secrets that were
//!   created together with the saga may take a moment to be visible.
//! - A panic harms only the saga: it is tried again after the wait of a refused saga.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use tracing::Instrument;

use super::{
    requeue::{Action, unwatched},
    validation::valid,
};
use crate::{
    api::{
        RequestAction, StoredSaga,
        stored::{name, namespace},
    },
    controller::{
        clock::now,
        cluster::error::{Error, chain},
        context::Context,
        memory::{
            prechecks::BELIEVED_AFTER,
            trials::{TrialEnd, TrialOrder, TrialQuestion, TrialRequest, TrialStanding, TriedSpec},
        },
        precheck::{precheck, so_far::SoFar},
        queue::SagaRef,
    },
    engine::{
        precheck::{first_wait, has_probes},
        request::inbox::{asks_to_cancel, asks_to_check_again},
    },
    fault::Fault,
    model::{input::Precheck, saga::ValidSaga},
};

/// Returns the result of the last trial of a saga that is not accepted yet. If there is none that
/// counts, returns when the saga is reconciled again. A trial begins if one is due.
///
/// Other sagas are not tried: a saga that was accepted, is being deleted or cancelled, cannot be
/// read, has fields that this version does not know, or has nothing that can be tried.
pub(super) fn tried(
    context: &Arc<Context>,
    stored: &StoredSaga,
    saga: &Result<ValidSaga, Vec<Fault>>,
) -> Result<Precheck, Action> {
    let uid = stored.metadata.uid.clone().unwrap_or_default();
    let is_known = stored.strangers.as_ref().is_none_or(|strangers| strangers.spec.is_empty());
    let tried = stored.status.as_ref().ok().filter(|status| {
        is_known
            && saga.as_ref().is_ok_and(has_probes)
            && status.spec_hash.is_none()
            && stored.metadata.deletion_timestamp.is_none()
            && !asks_to_cancel(&stored.asked, stored.handled, status)
    });
    let Some(status) = tried else {
        context.memory.trials.settle(&uid);
        return Ok(Precheck::default());
    };
    let request = asks_to_check_again(&stored.asked, stored.handled, status)
        .then(|| request(stored))
        .flatten();
    let generation = stored.metadata.generation.unwrap_or_default();
    let question = TrialQuestion {
        uid: uid.clone(),
        spec: TriedSpec::of(stored),
        request,
        first_wait: first_wait(status, generation, now()),
    };
    let standing = context.memory.trials.standing(question, |order| {
        let trial = Trial {
            context: Arc::clone(context),
            saga: SagaRef::new(namespace(stored), name(stored)),
            uid: uid.clone(),
            spec: TriedSpec::of(stored),
            order,
        };
        let span =
            tracing::info_span!("trial", saga = name(stored), namespace = namespace(stored), uid);
        tokio::spawn(trial.run().instrument(span)).abort_handle()
    });
    match standing {
        TrialStanding::Known(result) => Ok(result),
        TrialStanding::Awaited(wait) => {
            let again = [wait, unwatched(stored, &context.cluster)].into_iter().flatten().min();
            Err(again.map_or_else(Action::await_change, Action::requeue))
        }
    }
}

/// Returns what tells the request to try the saga again from every other one.
fn request(stored: &StoredSaga) -> Option<TrialRequest> {
    let asked = stored.asked.iter().find(|asked| asked.action == RequestAction::Retry)?;
    Some((asked.hash(), stored.handled))
}

/// One trial of one saga.
struct Trial {
    context: Arc<Context>,
    saga: SagaRef,
    uid: String,
    spec: TriedSpec,
    order: TrialOrder,
}

impl Trial {
    async fn run(self) {
        let begun = Instant::now();
        let tried = AssertUnwindSafe(self.look_twice()).catch_unwind().await;
        let tried = tried.unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref())));
        let end = tried.unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "the trial failed and begins again later");
            self.context.metrics.reconciled(error.outcome(), begun.elapsed());
            TrialEnd::Failed
        });
        // A saga that has changed is enqueued by its watch.
        let is_awaited = !matches!(end, TrialEnd::Obsolete);
        self.context.memory.trials.end(&self.uid, self.order.number, end);
        if is_awaited {
            self.context.queue.enqueue(&self.saga);
        }
    }

    /// Tries the saga, and once more if it is refused for the first time.
    async fn look_twice(&self) -> Result<TrialEnd, Error> {
        let first = self.look().await?;
        let is_refused =
            matches!(&first, TrialEnd::Tried(precheck) if !precheck.refused.is_empty());
        if !is_refused || self.order.was_refused {
            return Ok(first);
        }
        tokio::time::sleep(BELIEVED_AFTER).await;
        self.look().await
    }

    /// Tries the operations of the saga, in as many turns as that takes.
    async fn look(&self) -> Result<TrialEnd, Error> {
        let mut so_far = SoFar::default();
        loop {
            let waits = self.context.metrics.trials.waiting();
            let _turn = self.context.trial_gates.sagas.enter(&self.saga.namespace).await;
            drop(waits);
            let Some(stored) = self.stored().await? else { return Ok(TrialEnd::Obsolete) };
            let validated =
                valid(&self.context.memory.validated, &self.context.evaluations, &stored).await;
            let Ok(saga) = validated.as_ref() else { return Ok(TrialEnd::Obsolete) };
            let tools = self.context.precheck_tools();
            if let Some(tried) = precheck(tools, saga, self.order.anew, &mut so_far).await {
                return Ok(TrialEnd::Tried(tried));
            }
        }
    }

    /// Reads the saga. Returns `None` if it is gone or has another spec.
    async fn stored(&self) -> Result<Option<Arc<StoredSaga>>, Error> {
        let SagaRef { namespace, name } = &self.saga;
        let is_same = |saga: &StoredSaga| {
            saga.metadata.uid.as_ref() == Some(&self.uid) && TriedSpec::of(saga) == self.spec
        };
        let cached = self.context.cluster.cached_saga(namespace, name);
        if let Some(cached) = cached.filter(|cached| is_same(cached)) {
            return Ok(Some(cached));
        }
        // The cache may lag behind the copy from which the trial was begun.
        let live = self.context.cluster.sagas(namespace).get_opt(name).await;
        let live = live.map_err(Error::api("read the saga"))?;
        Ok(live.filter(is_same).map(Arc::new))
    }
}

#[cfg(test)]
mod tests;
