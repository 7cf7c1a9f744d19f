//! One reconcile of one saga: gather, validate, plan, record, perform, and choose the requeue.

mod gathered;
mod leave_alone;
pub(super) mod observed;
mod plan_input;
pub(super) mod requeue;
pub(super) mod reserve;
mod tally;
mod trial;
mod validation;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::FutureExt;
use jiff::Timestamp;
use tracing::Instrument;

use self::{
    gathered::{gathered, seen_here},
    leave_alone::leave_alone,
    requeue::{Action, STALE_AGAIN},
    reserve::plan_with_slots,
    tally::count_tally,
    trial::tried,
    validation::valid,
};
use super::{
    clock::now,
    cluster::{
        error::{Error, chain},
        namespace::NAMESPACE_POLL,
        sagas::whole,
        watch_health::WatchedKind,
    },
    context::Context,
    effects::{
        perform,
        performance::{Next, Performance},
    },
    evaluations::Weight,
    memory::{failures::Failures, own_writes::Freshness},
    record,
};
use crate::{
    api::{
        StoredSaga,
        status::active_attempts,
        stored::{name, namespace},
    },
    clock::{between, later},
    model::saga::ValidSaga,
    service::metrics::ReconcileResult,
};

/// How long the watch may lag behind an own write before the saga is read live.
const LAG: Duration = Duration::from_secs(2);
/// The wait of a saga whose spec is too large to be kept while another such saga is in work.
const LARGE_AGAIN: Duration = Duration::from_secs(1);
/// The waits after failed reconciles: they double from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
pub(super) const LAST_WAIT: Duration = Duration::from_mins(1);

/// Reconciles one saga if this process is responsible for it. A panic harms only this saga.
///
/// # Errors
/// Returns an error if a call failed. The error policy sets the time of the retry.
pub async fn reconcile(saga: Arc<StoredSaga>, context: Arc<Context>) -> Result<Action, Error> {
    if !answers_for(&saga, &context) {
        // A replica that becomes the leader enqueues every saga.
        return Ok(Action::await_change());
    }
    let span = tracing::info_span!(
        "reconcile",
        saga = name(&saga),
        namespace = namespace(&saga),
        uid = saga.metadata.uid.as_deref().unwrap_or_default()
    );
    let begun = Instant::now();
    let looked =
        AssertUnwindSafe(look(&saga, &context)).catch_unwind().instrument(span.clone()).await;
    let result = looked.unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref())));
    let outcome = result.as_ref().map_or_else(Error::outcome, |(_, outcome)| *outcome);
    context.metrics.reconciled(outcome, begun.elapsed());
    match &result {
        Ok(_) => context.memory.failures.reset(saga.metadata.uid.as_deref().unwrap_or_default()),
        Err(error) => span.in_scope(|| {
            tracing::warn!(error = chain(error), "the reconcile failed and is tried again");
        }),
    }
    result.map(|(action, _)| action)
}

/// Returns the wait before a failed reconcile is retried: 1 s at first, doubling up to 1 min.
#[must_use]
pub fn error_policy(saga: &StoredSaga, failures: &Failures) -> Action {
    let times = failures.count(saga.metadata.uid.as_deref().unwrap_or_default());
    Action::requeue(FIRST_WAIT.saturating_mul(1 << times.min(6)).min(LAST_WAIT))
}

async fn look(
    cached: &StoredSaga,
    context: &Arc<Context>,
) -> Result<(Action, ReconcileResult), Error> {
    let uid = cached.metadata.uid.as_deref().unwrap_or_default();
    let version = cached.metadata.resource_version.as_deref().unwrap_or_default();
    // A barred watch may still show the state from before a deletion.
    let barred = context.cluster.watch_health.is(namespace(cached), WatchedKind::Saga);
    // No watch shows whether the saga is gone or only cannot be seen. So the saga is polled.
    let gone = if barred { Action::requeue(NAMESPACE_POLL) } else { Action::await_change() };
    if cached.is_to_be_read_whole() {
        return decide_whole(cached, context, gone).await;
    }
    match context.memory.writes.judge(uid, version) {
        Freshness::Fresh if !barred => decide(cached, context).await,
        Freshness::Stale { since } if since < LAG && !barred => {
            Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Unchanged))
        }
        Freshness::Fresh | Freshness::Stale { .. } | Freshness::Incomparable => {
            let live = context
                .cluster
                .sagas(namespace(cached))
                .get_opt(name(cached))
                .await
                .map_err(Error::api("read the saga"))?;
            match live.filter(|live| live.metadata.uid == cached.metadata.uid) {
                Some(live) if live.is_to_be_read_whole() => {
                    decide_whole(&live, context, gone).await
                }
                Some(live) => decide(&live, context).await,
                None => Ok((gone, ReconcileResult::Unchanged)),
            }
        }
    }
}

/// Decides about an accepted saga whose spec is too large to be kept. The spec is read live and
/// dropped at the end. `gone`: what to do if the saga is gone.
async fn decide_whole(
    stored: &StoredSaga,
    context: &Arc<Context>,
    gone: Action,
) -> Result<(Action, ReconcileResult), Error> {
    // A saga that waited here for the permit would hold up the reconciles of other sagas.
    let Some(_permit) = context.memory.validated.large() else {
        return Ok((Action::requeue(LARGE_AGAIN), ReconcileResult::Unchanged));
    };
    match whole(&context.cluster, stored).await? {
        // Boxed: otherwise every reconcile would reserve the space of two decisions.
        Some(live) => Box::pin(decide(&live, context)).await,
        None => Ok((gone, ReconcileResult::Unchanged)),
    }
}

async fn decide(
    stored: &StoredSaga,
    context: &Arc<Context>,
) -> Result<(Action, ReconcileResult), Error> {
    let metadata = &stored.metadata;
    let (uid, version) = (
        metadata.uid.as_deref().unwrap_or_default(),
        metadata.resource_version.as_deref().unwrap_or_default(),
    );
    context.memory.writes.seen(uid, version);
    if stored.strangers.as_ref().is_some_and(|strangers| !strangers.words.is_empty()) {
        return leave_alone(stored, context).await;
    }
    let validated = valid(&context.memory.validated, &context.evaluations, stored).await;
    let saga = validated.as_ref();
    let tried = match tried(context, stored, saga) {
        Ok(tried) => tried,
        Err(again) => return Ok((again, ReconcileResult::Unchanged)),
    };
    let executor = context.outbound.own.id();
    let gathered = gathered(context, stored, saga, executor.as_deref(), tried).await?;
    let heavy = saga.as_ref().is_ok_and(ValidSaga::has_expressions);
    let turn = context.evaluations.turn(namespace(stored), Weight::of(heavy)).await;
    // The wait may have been long. What was observed holds for the executor of that time.
    if context.outbound.own.id() != executor {
        return Ok((Action::requeue(Duration::ZERO), ReconcileResult::Unchanged));
    }
    let (at, planned) = (now(), Instant::now());
    let permit = context.lifecycle.start_permit();
    let served = context.cluster.definition.served();
    let seen = seen_here(
        stored,
        context,
        &gathered,
        served.as_deref(),
        executor.as_deref(),
        permit.as_ref(),
        at,
    );
    let attempts = &context.memory.attempts;
    let (plan, slots) =
        turn.run(|| plan_with_slots(&context.outbound, &context.queue, attempts, saga, &seen));
    let again = gathered.again.map(|again| later(at, again));
    let (wake, tally) = ([plan.wake, again].into_iter().flatten().min(), plan.tally.clone());
    let changes = plan.status.is_some();
    let Some(recorded) = record::record(&context.parts(), stored, plan).await? else {
        return Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Conflict));
    };
    count_tally(&context.metrics, &tally);
    let executor = executor.as_deref().unwrap_or_default();
    let performance = Performance {
        saga: saga.as_ref().ok(),
        executor,
        slots: Mutex::new(slots),
        ..context.performance(stored, (at, planned))
    };
    let next = perform::perform(&performance, recorded).await?;
    // All effects that may begin have begun.
    drop(permit);
    let result = if changes { ReconcileResult::Changed } else { ReconcileResult::Unchanged };
    Ok((requeue_after(next, wake), result))
}

/// Returns when the saga is requeued after its effects were performed.
fn requeue_after(next: Next, wake: Option<Timestamp>) -> Action {
    match (next, wake) {
        (Next::AtOnce, _) => Action::requeue(Duration::ZERO),
        (Next::Later, Some(wake)) => Action::requeue(between(now(), wake)),
        (Next::Later, None) => Action::await_change(),
    }
}

/// Returns whether this process reconciles this saga. A process reconciles every saga while it
/// leads. After that, it reconciles a saga in two cases: an active attempt names one of this
/// process's executor ids, or this process sent an HTTP request whose outcome is not known to be
/// recorded. Only this process knows the outcomes of those HTTP requests.
pub(super) fn answers_for(saga: &StoredSaga, context: &Context) -> bool {
    let own = &context.outbound.own;
    let is_own = |id: &str| own.holds(id) || own.was_ours(id);
    let sends = |status| {
        active_attempts(status).any(|(_, attempt)| attempt.executor.as_deref().is_some_and(is_own))
    };
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    context.lifecycle.leads()
        || context.memory.attempts.has_unrecorded_request(uid)
        || saga.status.as_ref().is_ok_and(sends)
}
