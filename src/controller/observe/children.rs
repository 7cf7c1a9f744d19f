//! Observes the children of attempts, in the engine's terms.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{
    child_saga,
    learned::{AttemptView, Learned},
    object::Attempt,
    request::request,
    sources::Sources,
    workload::explained,
};
use crate::{
    api::{
        ActiveAttempt, ChildStatus, DeletionPolicy, SagaStatus, names::AttemptId,
        status::active_attempts,
    },
    controller::{
        cluster::error::Error,
        evaluations::Weight,
        memory::{attempt::AttemptKey, remembered::absent},
    },
    engine::planner::{
        child_sagas::{left_behind, made_by},
        deadline::own_time,
    },
    model::{
        observation::{ChildState, End},
        saga::{Operation, ValidSaga, Work},
        values::Values,
    },
};

/// An attempt whose child is observed.
pub(in crate::controller) struct Target<'a> {
    /// The attempt.
    pub(in crate::controller) key: AttemptKey,
    kind: TargetKind<'a>,
}

enum TargetKind<'a> {
    /// The attempt is active.
    Active { intent: &'a ActiveAttempt, operation: &'a Operation },
    /// The attempt created a child saga that a deleted saga leaves behind.
    LeftBehind { child: &'a ChildStatus },
}

/// What an observation of one attempt showed.
pub(in crate::controller) struct Observed {
    /// The state of the child, and after how long to requeue the saga if no event arrives. An error
    /// if a live read failed.
    pub(in crate::controller) seen: Result<(ChildState, Option<Duration>), Error>,
    /// What the observation learned, even if a live read failed.
    pub(in crate::controller) learned: Vec<Learned>,
}

/// Returns the attempts whose children are observed, in this order: the attempts of the children
/// that a deleted saga leaves behind, and the active attempts that have a child.
///
/// `goes`: the deletion policy in the spec, if the saga is being deleted.
pub(in crate::controller) fn targets<'a>(
    saga: &'a ValidSaga,
    status: &'a SagaStatus,
    goes: Option<DeletionPolicy>,
) -> Vec<Target<'a>> {
    let left = goes.map(|policy| left_behind(saga, status, policy)).unwrap_or_default();
    let left = left.into_iter().map(|(made_by, child)| Target {
        key: AttemptKey::new(&saga.uid, made_by),
        kind: TargetKind::LeftBehind { child },
    });
    let active = active_attempts(status).filter_map(|(id, intent)| {
        let step = saga.steps.iter().find(|step| step.name == id.step)?;
        let operation = step.operation(id.direction).filter(|operation| !operation.only_waits())?;
        let kind = TargetKind::Active { intent, operation };
        Some(Target { key: AttemptKey::new(&saga.uid, id), kind })
    });
    left.chain(active).collect()
}

/// Observes the child of one attempt.
pub(in crate::controller) async fn observe(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    target: &Target<'_>,
    executor: Option<&str>,
) -> Observed {
    let mut view = AttemptView::new(sources.memory, &target.key);
    let seen = match target.kind {
        TargetKind::Active { intent, operation } => {
            state(sources, saga, status, &mut view, (intent, operation), executor).await
        }
        TargetKind::LeftBehind { child } => {
            let (view, made_by, written) = (&mut view, &target.key.attempt, Some(child));
            let state =
                child_saga::ChildReader { sources, saga, view, made_by, written }.live(None).await;
            // The plan of the deleted saga sets the time of the next look.
            state.map(|(state, _)| (state, None))
        }
    };
    Observed { seen, learned: view.into_learned() }
}

/// Returns the state of the child of an active attempt, and after how long to requeue the saga if
/// no event arrives.
async fn state(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    view: &mut AttemptView<'_>,
    (intent, operation): (&ActiveAttempt, &Operation),
    executor: Option<&str>,
) -> Result<(ChildState, Option<Duration>), Error> {
    Ok(match operation.work {
        Work::Http(_) => {
            let timeout = own_time(Some(intent), operation.timeout);
            (request(sources, saga, view, intent, timeout, executor), None)
        }
        Work::Pod(_) => explained::<Pod>(sources, saga, status, view, intent).await?,
        Work::Job(_) => explained::<Job>(sources, saga, status, view, intent).await?,
        Work::Apply(_) | Work::Delete(_) | Work::Until(_) => {
            object(sources, saga, status, view, (intent, operation)).await
        }
        Work::Saga(_) => {
            let made_by = view.key.attempt.clone();
            observe_child_saga(sources, saga, status, view, intent, &made_by).await?
        }
        Work::UndoSaga => {
            let step = status.steps.iter().find(|known| known.name == view.key.attempt.step);
            let made_by = step.map_or_else(|| view.key.attempt.clone(), made_by);
            observe_child_saga(sources, saga, status, view, intent, &made_by).await?
        }
        // An attempt that only waits has no child, and is no target.
        Work::Approval(_) | Work::Wait(_) => (absent(&view.known(), false), None),
    })
}

/// Returns the state of a child saga, and after how long to requeue the saga.
///
/// `made_by`: the attempt that created the child.
async fn observe_child_saga(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
    made_by: &AttemptId,
) -> Result<(ChildState, Option<Duration>), Error> {
    let step = status.steps.iter().find(|known| known.name == view.key.attempt.step);
    let written = step.and_then(|step| step.child.as_ref());
    child_saga::ChildReader { sources, saga, view, made_by, written }.state(attempt).await
}

/// Returns the state of the object that a step applies, deletes or waits for, and after how long to
/// requeue the saga.
async fn object(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    view: &mut AttemptView<'_>,
    (intent, operation): (&ActiveAttempt, &Operation),
) -> (ChildState, Option<Duration>) {
    let known = status.steps.iter().find(|step| step.name == view.key.attempt.step);
    let Some(known) = known else { return (absent(&view.known(), false), None) };
    let values = Values { saga, steps: &status.steps };
    match sources
        .evaluations
        .run(&saga.namespace, Weight::of(operation.template.is_some()), || {
            values.resolve(operation, known, view.key.attempt.direction)
        })
        .await
    {
        Ok(work) => Attempt { sources, values, view }.state(&work, intent).await,
        Err(message) => (ChildState::Ended(End::Unknown { message, retry_after: None }), None),
    }
}
