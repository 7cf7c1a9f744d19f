//! One reconcile of one saga: gather, validate, plan, record, perform, and choose the requeue.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::FutureExt;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use tracing::Instrument;

use super::{
    clock::now,
    cluster::{
        error::{Error, chain},
        namespace::{self, NAMESPACE_POLL},
        watch_health::Watched,
    },
    context::Context,
    effects::{
        perform,
        performance::{Next, Performance},
    },
    limits::{
        reservation::{Admission, Outgoing},
        slots::Slot,
    },
    memory::{own_writes::Freshness, prechecks, validated::Validated},
    observe::{children, parent},
    precheck, record, versions,
};
use crate::{
    api::{
        SagaPhase, StoredSaga,
        names::{AttemptId, FINALIZER},
        status::active_attempts,
        stored::{name, namespace},
    },
    clock::{between, later},
    engine::plan,
    fault::Fault,
    model::{
        input::{Gate, Precheck, Seen},
        observation::Observed,
        origin::{self, Origin},
        plan::{Effect, Plan, Tally},
        saga::{Identity, SagaName, ValidSaga, Work},
        skew::Skew,
        versions::{Served, Versions},
    },
    service::metrics::ReconcileResult,
    validate::{
        read_scope::may_have_expressions,
        saga::{validate_accepted, validate_stored},
    },
};

/// The wait before a copy that is older than an own write is read again, if the watch brings
/// nothing newer.
pub(super) const STALE_AGAIN: Duration = Duration::from_secs(1);
/// How long the watch may lag behind an own write before the saga is read live.
const LAG: Duration = Duration::from_secs(2);
/// The waits after failed reconciles: they double from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);

/// Reconciles one saga if this process is responsible for it. A panic harms only this saga.
///
/// # Errors
/// Returns an error if a call failed. The error policy sets the time of the retry.
pub async fn reconcile(saga: Arc<StoredSaga>, context: Arc<Context>) -> Result<Action, Error> {
    if !context.answers_for(&saga) {
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
    let result = looked.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Err(Error::Panic(
            text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default(),
        ))
    });
    let outcome = result.as_ref().map_or_else(Error::outcome, |(_, outcome)| *outcome);
    context.metrics.reconciled(outcome, begun.elapsed());
    match &result {
        Ok(_) => context.failures.reset(saga.metadata.uid.as_deref().unwrap_or_default()),
        Err(error) => span.in_scope(|| {
            tracing::warn!(error = chain(error), "the reconcile failed and is tried again");
        }),
    }
    result.map(|(action, _)| action)
}

/// Returns the wait before a failed reconcile is retried: 1 s at first, doubling up to 1 min.
#[must_use]
pub fn error_policy(saga: &StoredSaga, context: &Context) -> Action {
    let times = context.failures.count(saga.metadata.uid.as_deref().unwrap_or_default());
    Action::requeue(FIRST_WAIT.saturating_mul(1 << times.min(6)).min(LAST_WAIT))
}

async fn look(
    cached: &StoredSaga,
    context: &Arc<Context>,
) -> Result<(Action, ReconcileResult), Error> {
    let uid = cached.metadata.uid.as_deref().unwrap_or_default();
    let version = cached.metadata.resource_version.as_deref().unwrap_or_default();
    // A barred watch may still show the state from before a deletion.
    let barred = context.barred.is(namespace(cached), Watched::Saga);
    match context.writes.judge(uid, version) {
        Freshness::Fresh if !barred => decide(cached, context).await,
        Freshness::Stale { since } if since < LAG && !barred => {
            Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Unchanged))
        }
        Freshness::Fresh | Freshness::Stale { .. } | Freshness::Incomparable => {
            let live = context
                .sagas(namespace(cached))
                .get_opt(name(cached))
                .await
                .map_err(Error::api("read the saga"))?;
            match live.filter(|live| live.metadata.uid == cached.metadata.uid) {
                Some(live) => decide(&live, context).await,
                // No watch shows whether the saga is gone or only cannot be seen. So the saga is
                // polled.
                None if barred => Ok((Action::requeue(NAMESPACE_POLL), ReconcileResult::Unchanged)),
                None => Ok((Action::await_change(), ReconcileResult::Unchanged)),
            }
        }
    }
}

/// Returns the wait before a saga is read again if a barred watch may miss its changes. Returns
/// `None` if nothing is left to do for the saga.
pub(super) fn unwatched(saga: &StoredSaga, context: &Context) -> Option<Duration> {
    let metadata = &saga.metadata;
    let ended =
        saga.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    let rests = ended
        && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        && metadata.deletion_timestamp.is_none();
    (!rests && context.barred.blinds(namespace(saga))).then_some(NAMESPACE_POLL)
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
    context.writes.seen(uid, version);
    if stored.strangers.as_ref().is_some_and(|strangers| !strangers.words.is_empty()) {
        return versions::leave_alone(stored, context).await;
    }
    let validated = valid(context, stored).await;
    let saga = validated.as_ref();
    let executor = context.own.id();
    let gathered = gathered(context, stored, saga, executor.as_deref()).await?;
    // A missing object may have been created together with the saga. So the precheck runs once more
    // before a refusal counts.
    let Some(gathered) = gathered else {
        return Ok((Action::requeue(prechecks::BELIEVED_AFTER), ReconcileResult::Unchanged));
    };
    let (at, planned) = (now(), Instant::now());
    let beginning = context.may_begin();
    let served = context.definition.served();
    let seen = Seen {
        draining: beginning.is_none() || executor.is_none(),
        ..seen_here(stored, context, &gathered, served.as_deref(), executor.as_deref(), at)
    };
    let heavy = saga.as_ref().is_ok_and(ValidSaga::has_expressions);
    let (plan, slots) = context.think(heavy, || plan_with_slots(context, saga, &seen)).await;
    let again = gathered.again.map(|again| later(at, again));
    let (wake, tally) = ([plan.wake, again].into_iter().flatten().min(), plan.tally.clone());
    let changes = plan.status.is_some();
    let Some(recorded) = record::record(context, stored, plan).await? else {
        return Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Conflict));
    };
    count_tally(context, &tally);
    let executor = executor.as_deref().unwrap_or_default();
    let performance = Performance {
        context,
        stored,
        saga: saga.as_ref().ok(),
        executor,
        planned: (at, planned),
        slots: Mutex::new(slots),
    };
    let next = perform::perform(&performance, recorded).await?;
    // All effects that may begin have begun.
    drop(beginning);
    let result = if changes { ReconcileResult::Changed } else { ReconcileResult::Unchanged };
    Ok((looked_at_again(next, wake), result))
}

/// Returns when the saga is requeued after its effects were performed.
fn looked_at_again(next: Next, wake: Option<Timestamp>) -> Action {
    match (next, wake) {
        (Next::AtOnce, _) => Action::requeue(Duration::ZERO),
        (Next::Later, Some(wake)) => Action::requeue(between(now(), wake)),
        (Next::Later, None) => Action::await_change(),
    }
}

/// What was read about a saga for one decision.
struct Gathered {
    children: Observed,
    tried: Precheck,
    /// Whether the namespace is terminating.
    terminating: bool,
    parent_holds: bool,
    /// The wait before the saga is requeued even if no watch shows a change.
    again: Option<Duration>,
}

/// Reads what a decision about a saga rests on. Returns `None` if a precheck refused the saga and
/// the refusal does not count yet.
async fn gathered(
    context: &Arc<Context>,
    stored: &StoredSaga,
    saga: &Result<ValidSaga, Vec<Fault>>,
    executor: Option<&str>,
) -> Result<Option<Gathered>, Error> {
    let (children, again) = match (saga, stored.status.as_ref().ok()) {
        (Ok(saga), Some(status)) => {
            let goes = stored.metadata.deletion_timestamp.as_ref().map(|_| stored.deletion_policy);
            children::children(context, saga, status, executor, goes).await?
        }
        (Ok(_) | Err(_), _) => (Observed::new(), None),
    };
    let Some(tried) = tried(context, stored, saga).await else { return Ok(None) };
    let terminating = namespace::terminating(context, stored).await?;
    let parent_holds = parent::holds(context, stored).await?;
    let again = [
        again,
        unwatched(stored, context),
        terminating.map(|_| NAMESPACE_POLL),
        // A new Lease enqueues no saga: the saga is requeued instead.
        executor.is_none().then_some(STALE_AGAIN),
    ];
    Ok(Some(Gathered {
        children,
        tried,
        terminating: terminating.unwrap_or_default(),
        parent_holds,
        again: again.into_iter().flatten().min(),
    }))
}

/// Builds the input of the plan from the saga and from what this process knows, whether or not this
/// process may begin anything.
fn seen_here<'a>(
    stored: &'a StoredSaga,
    context: &'a Context,
    gathered: &'a Gathered,
    served: Option<&'a Served>,
    executor: Option<&'a str>,
    now: Timestamp,
) -> Seen<'a> {
    let uid = stored.metadata.uid.as_deref().unwrap_or_default();
    let version = stored.metadata.resource_version.as_deref().unwrap_or_default();
    let words_wait = !context.writes.is_own(uid, version) && context.versions.reworded_lately(uid);
    Seen {
        versions: Versions { words_wait, ..Versions::of(stored.strangers.as_deref(), served) },
        terminating: gathered.terminating,
        parent_holds: gathered.parent_holds,
        precheck: &gathered.tried,
        executor: executor.unwrap_or_default(),
        skew: context.own.skew().towards_others(),
        ..seen(stored, context, &gathered.children, now)
    }
}

/// Prechecks the saga before its first step. A saga with fields that this version does not know is
/// not prechecked.
async fn tried(
    context: &Arc<Context>,
    stored: &StoredSaga,
    saga: &Result<ValidSaga, Vec<Fault>>,
) -> Option<Precheck> {
    let known = stored.strangers.as_ref().is_none_or(|strangers| strangers.spec.is_empty());
    match saga {
        Ok(saga) if known => precheck::precheck(context, stored, saga).await,
        Ok(_) | Err(_) => Some(Precheck::default()),
    }
}

/// Returns the plan and the slots of the HTTP requests that it begins. If a host has no free slot
/// or its breaker is not closed, the plan lets the HTTP requests to that host wait.
pub(super) fn plan_with_slots(
    context: &Arc<Context>,
    saga: &Result<ValidSaga, Vec<Fault>>,
    seen: &Seen<'_>,
) -> (Plan, HashMap<AttemptId, Slot>) {
    let (mut taken, mut room) = (HashMap::<String, Vec<Slot>>::new(), BTreeMap::new());
    let who = saga.as_ref().map_or(("", ""), |saga| (saga.namespace.as_str(), saga.name.as_str()));
    let mut circuits = Admission::new(context, who.0, who.1);
    // Each further round adds a limit for a host or a refusing breaker for an origin. So the loop
    // ends, at the latest when every host has a limit and every breaker refuses.
    loop {
        let plan = plan(saga, &Seen { room: &room, circuits: circuits.gates(), ..seen.clone() });
        let Ok(saga) = saga else { return (plan, HashMap::new()) };
        let requests = requests(saga, seen, &plan);
        // Breakers come first, so that an HTTP request that waits for its breaker takes no slot.
        let new = requests
            .iter()
            .filter(|request| !request.stands)
            .filter_map(|request| request.origin.clone());
        if !count(new).iter().all(|(origin, wanted)| circuits.ask(origin, *wanted)) {
            continue;
        }
        let limited = room.len();
        for (host, wanted) in count(requests.iter().map(|request| request.host.clone())) {
            let slots = taken.entry(host.clone()).or_default();
            while slots.len() < wanted && !room.contains_key(&host) {
                match Slot::take(context, &saga.namespace, &saga.name, &host) {
                    Some(slot) => slots.push(slot),
                    None => _ = room.insert(host.clone(), slots.len()),
                }
            }
        }
        if room.len() == limited {
            let slots =
                requests.into_iter().filter_map(|Outgoing { attempt, host, origin, stands }| {
                    if !stands {
                        context.attempts.intend(&(saga.uid.clone(), attempt.clone()));
                    }
                    let call = origin.and_then(|origin| circuits.take(&origin, stands));
                    Some((attempt, taken.get_mut(&host)?.pop()?.with(call)))
                });
            return (plan, slots.collect());
        }
    }
}

/// Returns the HTTP requests that a plan begins.
fn requests(saga: &ValidSaga, seen: &Seen<'_>, plan: &Plan) -> Vec<Outgoing> {
    let standing: BTreeSet<_> =
        seen.status.iter().flat_map(active_attempts).map(|(attempt, _)| attempt).collect();
    let request = |identity: &Identity, place: usize| match &saga
        .steps
        .get(place)?
        .operation(identity.attempt.direction)?
        .work
    {
        Work::Http(action) => {
            let (attempt, host, origin) =
                (identity.attempt.clone(), origin::host(&action.url), origin::origin(&action.url));
            Some(Outgoing { stands: standing.contains(&attempt), attempt, host, origin })
        }
        Work::Pod(_)
        | Work::Job(_)
        | Work::Apply(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Approval(_)
        | Work::Wait(_) => None,
    };
    let begins = plan.drafted_effects().iter();
    begins
        .filter_map(|effect| {
            if let Effect::Begin { identity, place, .. } = effect {
                request(identity, *place)
            } else {
                None
            }
        })
        .collect()
}

/// Counts how often each value occurs.
fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

/// Validates the saga, or returns the kept result. The validation evaluates expressions that read
/// only known values, so it counts as a heavy computation, like a plan.
async fn valid(context: &Context, stored: &StoredSaga) -> Validated {
    let uid = stored.metadata.uid.clone().unwrap_or_default();
    let accepted = stored.status.as_ref().is_ok_and(|status| status.spec_hash.is_some());
    let checked = (stored.metadata.generation.unwrap_or_default(), accepted);
    if let Some(kept) = context.validated.kept(&uid, checked) {
        return kept;
    }
    let who = SagaName {
        name: name(stored).to_owned(),
        namespace: namespace(stored).to_owned(),
        uid: uid.clone(),
    };
    let heavy = stored.spec.as_ref().is_ok_and(may_have_expressions);
    let made = context.think(heavy, || {
        if accepted {
            validate_accepted(&who, &stored.spec)
        } else {
            validate_stored(&who, &stored.spec)
        }
    });
    context.validated.keep(&uid, checked, made.await)
}

/// Builds the input of the plan from the saga alone, without what this process knows of itself.
pub(super) fn seen<'a>(
    stored: &'a StoredSaga,
    context: &'a Context,
    children: &'a Observed,
    now: Timestamp,
) -> Seen<'a> {
    static UNLIMITED: BTreeMap<String, usize> = BTreeMap::new();
    static FINE: Precheck = Precheck { refused: Vec::new(), unchecked: Vec::new() };
    static CLOSED: BTreeMap<Origin, Gate> = BTreeMap::new();
    let metadata = &stored.metadata;
    let terminal =
        stored.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    Seen {
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        terminating: false,
        finalizer: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
        parent_holds: false,
        spec_hash: &stored.spec_hash,
        deletion_policy: stored.deletion_policy,
        status: &stored.status,
        remains: &stored.remains,
        asked: &stored.asked,
        handled: stored.handled,
        keys_from: &stored.keys_from,
        children,
        leftovers: terminal && children::leaves_any(context, stored),
        precheck: &FINE,
        patch_alone: context.request_policy.is_patch_alone(),
        executor: "",
        skew: Skew::default(),
        room: &UNLIMITED,
        circuits: &CLOSED,
        versions: Versions::of(stored.strangers.as_deref(), None),
        draining: false,
        now,
    }
}

fn count_tally(context: &Context, tally: &Tally) {
    let Tally { settled, retries, requests, entered } = tally;
    for attempt in settled {
        context.metrics.step_settled(
            attempt.kind,
            attempt.direction.as_str(),
            attempt.outcome.as_str(),
            attempt.took,
        );
    }
    for (kind, direction) in retries {
        context.metrics.step_retried(kind, direction.as_str());
    }
    for (action, result) in requests {
        context.metrics.request_answered(action.as_str(), result.as_str());
    }
    let ended = |phase: &SagaPhase| {
        phase.is_terminal() || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
    };
    if let Some(phase) = entered.filter(ended) {
        context.metrics.saga_ended(phase.as_str());
    }
}
