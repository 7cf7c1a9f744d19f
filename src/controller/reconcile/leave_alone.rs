//! Leaves alone a saga that an operator of another version has to continue.

use std::time::Instant;

use super::{
    plan_input::seen,
    requeue::{Action, STALE_AGAIN, unwatched},
};
use crate::{
    api::{RELEASE, StoredSaga},
    controller::{clock::now, cluster::error::Error, context::Context, effects::perform, record},
    engine::plan,
    model::{input::PlanInput, observation::Observations, versions::Versions},
    service::metrics::ReconcileResult,
};

/// Handles a saga whose status holds words that this version does not know. The operator warns once
/// and leaves the saga to an operator of that version.
///
/// # Errors
/// Returns an error if the finalizer could not be removed.
pub(super) async fn leave_alone(
    stored: &StoredSaga,
    context: &Context,
) -> Result<(Action, ReconcileResult), Error> {
    let words =
        stored.strangers.as_ref().map(|strangers| strangers.words.as_slice()).unwrap_or_default();
    let words_are_news =
        context.memory.versions.are_news(stored.metadata.uid.as_deref().unwrap_or_default(), words);
    if words_are_news {
        context.metrics.unknown_words_met();
        tracing::warn!(
            words = words.join(", "),
            version = RELEASE,
            "the status holds words of another version: this operator writes nothing to the saga"
        );
    }
    let (children, at) = (Observations::new(), now());
    let seen = seen(stored, &context.cluster, &children, at);
    let plan = plan(
        &Err(Vec::new()),
        &PlanInput { versions: Versions { words_are_news, ..seen.versions }, ..seen.clone() },
    );
    let again =
        unwatched(stored, &context.cluster).map_or_else(Action::await_change, Action::requeue);
    let Some(record) = record::record(&context.parts(), stored, plan).await? else {
        return Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Conflict));
    };
    perform::perform(&context.performance(stored, (at, Instant::now())), record).await?;
    Ok((again, ReconcileResult::Unchanged))
}
