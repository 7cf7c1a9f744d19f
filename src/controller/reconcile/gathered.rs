//! Reads what a decision about a saga rests on.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    observed::observed,
    plan_input::seen,
    requeue::{STALE_AGAIN, unwatched},
};
use crate::{
    api::StoredSaga,
    controller::{
        cluster::{
            error::Error,
            namespace::{self, NAMESPACE_POLL},
        },
        context::Context,
        lifecycle::StartPermit,
        observe::parent,
    },
    fault::Fault,
    model::{
        input::{PlanInput, Precheck, Surroundings, ThisProcess},
        observation::Observations,
        saga::ValidSaga,
        versions::{Served, Versions},
    },
};

/// What was read about a saga for one decision.
pub(super) struct Gathered {
    /// The states of the children.
    children: Observations,
    /// The result of the precheck.
    tried: Precheck,
    /// Whether the namespace is terminating.
    terminating: bool,
    /// Whether the parent may still have to undo the saga.
    parent_holds: bool,
    /// The wait before the saga is requeued even if no watch shows a change.
    pub(super) again: Option<Duration>,
}

/// Reads what a decision about a saga rests on. `tried`: the result of the precheck.
pub(super) async fn gathered(
    context: &Context,
    stored: &StoredSaga,
    saga: &Result<ValidSaga, Vec<Fault>>,
    executor: Option<&str>,
    tried: Precheck,
) -> Result<Gathered, Error> {
    let (children, again) = match (saga, stored.status.as_ref().ok()) {
        (Ok(saga), Some(status)) => {
            let goes = stored.metadata.deletion_timestamp.as_ref().map(|_| stored.deletion_policy);
            observed(context, saga, status, executor, goes).await?
        }
        (Ok(_) | Err(_), _) => (Observations::new(), None),
    };
    let terminating = namespace::stalled_deletion(&context.cluster, stored).await?;
    let parent_holds = parent::holds(&context.cluster, stored).await?;
    let again = [
        again,
        unwatched(stored, &context.cluster),
        terminating.map(|_| NAMESPACE_POLL),
        // A new Lease enqueues no saga: the saga is requeued instead.
        executor.is_none().then_some(STALE_AGAIN),
    ];
    Ok(Gathered {
        children,
        tried,
        terminating: terminating.unwrap_or_default(),
        parent_holds,
        again: again.into_iter().flatten().min(),
    })
}

/// Builds the input of the plan from the saga and from what this process knows. `permit`: whether
/// this process may begin anything.
pub(super) fn seen_here<'a>(
    stored: &'a StoredSaga,
    context: &'a Context,
    gathered: &'a Gathered,
    served: Option<&'a Served>,
    executor: Option<&'a str>,
    permit: Option<&StartPermit<'_>>,
    now: Timestamp,
) -> PlanInput<'a> {
    let uid = stored.metadata.uid.as_deref().unwrap_or_default();
    let version = stored.metadata.resource_version.as_deref().unwrap_or_default();
    let rewording_waits = !context.memory.writes.is_own(uid, version)
        && context.memory.versions.was_reworded_lately(uid);
    let seen = seen(stored, &context.cluster, &gathered.children, now);
    PlanInput {
        versions: Versions { rewording_waits, ..Versions::of(stored.strangers.as_deref(), served) },
        surroundings: Surroundings {
            terminating: gathered.terminating,
            parent_holds: gathered.parent_holds,
            precheck: Some(&gathered.tried),
            ..seen.surroundings
        },
        process: ThisProcess {
            executor,
            draining: permit.is_none() || executor.is_none(),
            skew: context.outbound.own.skew().towards_others(),
            ..ThisProcess::default()
        },
        ..seen
    }
}
