//! What happens to an ended saga: its requests are answered, its finalizer is removed, and later
//! its succeeded Pods and the saga are deleted.
//!
//! # Guarantees
//! A child saga is kept as long as its parent has the finalizer, even if the child is deleted,
//! because the parent reads how the child ended and may have to undo it. A garbage collector that
//! deletes in the foreground deletes children before their parent.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    planner::{child_sagas::made_by, undo_set::is_in_effect},
    rules,
    settlement::STOP_POLL,
};
use crate::{
    api::{DeletionPolicy, SagaPhase, SagaStatus, names::AttemptId, status::is_terminal},
    clock::later,
    model::{
        command::ChildCommand,
        input::PlanInput,
        observation::{ChildState, Present},
        plan::{Effect, Finalizer, Notice, Plan, StatusWrite, Tally},
        saga::{ValidSaga, Work},
    },
};

/// How long the succeeded Pods of an ended saga are kept. A late creation then finds its name
/// taken, and users can inspect the Pods.
const KEPT_CHILDREN: Duration = Duration::from_mins(10);
/// The least time for which an ended saga is kept. Its Pods are deleted with the saga, and a late
/// creation must still find its name taken.
const KEPT_LEAST: Duration = Duration::from_secs(10);

/// How often a deleted child is requeued to read its parent, in case no event tells that the parent
/// released its finalizer.
const FOR_PARENT: Duration = Duration::from_secs(30);

/// Returns whether a saga never began anything, or has ended. A status without steps proves nothing
/// once the saga was accepted.
pub(in crate::engine) fn nothing_to_undo(input: &PlanInput<'_>) -> bool {
    input.stored.status.as_ref().is_ok_and(|status| {
        let lost = status.steps.is_empty() && status.spec_hash.is_some();
        is_terminal(status) || (!lost && status.steps.iter().all(|step| step.action.is_none()))
    })
}

/// Returns whether a deleted saga that ended is kept because its parent reads how it ended and may
/// have to undo it. A garbage collector that deletes in the foreground deletes children before
/// their parent.
pub(in crate::engine) fn stays_for_parent(input: &PlanInput<'_>) -> bool {
    let ended = input.stored.status.as_ref().is_ok_and(is_terminal);
    input.surroundings.parent_holds
        && ended
        && input.stored.deletion_policy != DeletionPolicy::Abandon
}

/// Makes the plan for an ended saga: requests are answered, its finalizer is removed, later its
/// succeeded Pods are deleted, and the saga is deleted if the spec says so.
pub(in crate::engine) fn ended(
    saga: Option<&ValidSaga>,
    status: &SagaStatus,
    input: &PlanInput<'_>,
    (answered, mut effects, tally): Answered,
) -> Plan {
    let new = of_the_present_spec(answered, input);
    let mut wake = stays_for_parent(input)
        .then(|| later(input.now, FOR_PARENT))
        .filter(|_| input.stored.deleting);
    let after =
        |wait| status.completed_at.as_ref().map(|MicroTime(completed)| later(*completed, wait));
    if let Some(due) = after(KEPT_CHILDREN).filter(|_| input.surroundings.leftovers) {
        if due <= input.now {
            effects.push(Effect::Sweep);
        } else {
            wake = wake.into_iter().chain([due]).min();
        }
    }
    let ttl = saga.and_then(|saga| saga.ttl).filter(|_| !input.stored.deleting);
    if let Some(due) = ttl.and_then(|ttl| after(ttl.max(KEPT_LEAST))) {
        // The saga is deleted only after its own writes and after its parent. Each of these changes
        // enqueues the saga.
        let writes = input.versions.differs(status, &new)
            || input.stored.finalizer
            || input.surroundings.parent_holds
            || effects.iter().any(|effect| matches!(effect, Effect::TakeAway { .. }));
        if due > input.now {
            wake = wake.into_iter().chain([due]).min();
        } else if !writes {
            effects.push(Effect::Delete);
        }
    }
    let write =
        rules::is_written(&input.versions, status, &new).then(|| StatusWrite::Whole(Box::new(new)));
    Plan::new(write, rules::finalizer_of_ended(input), wake, tally, effects)
}

/// Returns the status of an ended saga for the present spec. Only answers to requests are written,
/// and that a changed spec was read, because a user who changed the spec in Git waits for this.
fn of_the_present_spec(mut status: SagaStatus, input: &PlanInput<'_>) -> SagaStatus {
    status.observed_generation = Some(input.stored.generation);
    for condition in &mut status.conditions {
        condition.observed_generation = Some(input.stored.generation);
    }
    status
}

/// Returns a plan that sends the remaining commands to the unfinished children of a deleted saga
/// that is released without being undone. The commands set the deletion policy Abandon, so that the
/// children are not undone when they are deleted with their parent. Returns `None` if every child
/// has received its command or cannot receive it.
pub(in crate::engine) fn command_children(
    saga: Option<&ValidSaga>,
    input: &PlanInput<'_>,
) -> Option<Plan> {
    let (saga, status) = (saga?, input.stored.status.as_ref().ok()?);
    let untold = |(id, child): (&AttemptId, &ChildState)| {
        let ChildState::Present(Present::Saga(child)) = child else { return None };
        let ended = child.phase.is_some_and(SagaPhase::is_terminal);
        let step = saga.steps.iter().find(|step| step.name == id.step)?;
        let undoes = matches!(step.operation(id.direction)?.work, Work::UndoSaga);
        let known = status.steps.iter().find(|known| known.name == id.step)?;
        let made_by = if undoes { made_by(known) } else { id.clone() };
        let command = ChildCommand::Follow {
            suspend: child.suspended,
            deletion_policy: DeletionPolicy::Abandon,
        };
        let refused = child
            .undelivered
            .iter()
            .any(|undelivered| undelivered.refused && undelivered.command == command);
        let told = ended || child.deletion_policy == DeletionPolicy::Abandon || refused;
        (!told).then(|| Effect::Ask { attempt: id.clone(), child: made_by, command })
    };
    let effects: Vec<_> = input.surroundings.children.iter().filter_map(untold).collect();
    (!effects.is_empty()).then(|| {
        Plan::new(
            None,
            Finalizer::Keep,
            Some(later(input.now, STOP_POLL)),
            Tally::default(),
            effects,
        )
    })
}

/// Releases a deleted saga.
pub(in crate::engine) fn release(notice: Option<Notice>) -> Plan {
    Plan::new(
        None,
        Finalizer::Remove,
        None,
        Tally::default(),
        notice.map(Effect::Publish).into_iter().collect(),
    )
}

/// The result of the requests to an ended saga: the status with their records, the effects, and
/// what the metrics count.
pub(in crate::engine) type Answered = (SagaStatus, Vec<Effect>, Tally);

/// Releases a saga without undoing it, after its children received their commands.
pub(super) fn release_with_children(
    saga: Option<&ValidSaga>,
    input: &PlanInput<'_>,
    why: &str,
) -> Plan {
    command_children(saga, input).unwrap_or_else(|| release(Some(abandoned(saga, input, why))))
}

/// Returns the event for a deleted saga that is released without being undone.
pub(super) fn abandoned(saga: Option<&ValidSaga>, input: &PlanInput<'_>, why: &str) -> Notice {
    let steps = input
        .stored
        .status
        .as_ref()
        .map(|status| in_effect(saga, status).join(", "))
        .unwrap_or_default();
    let steps = if steps.is_empty() { "no known step".into() } else { steps };
    let message = format!("{why}: the saga is deleted without an undo; still in effect: {steps}");
    Notice { warning: true, reason: "Abandoned", message }
}

/// Returns the names of the steps that did, or may have done, something that is not undone.
fn in_effect(saga: Option<&ValidSaga>, status: &SagaStatus) -> Vec<String> {
    use crate::api::StepPhase as P;
    let known = saga.map(|saga| saga.steps.as_slice()).unwrap_or_default();
    let counts = |(place, step): &(usize, &crate::api::StepStatus)| {
        let active = step.phase == P::Running;
        let valid = known.get(*place).filter(|valid| valid.name == step.name);
        active
            || (step.phase != P::Compensated
                && valid.is_none_or(|valid| is_in_effect(valid, step))
                && step.action.is_some())
    };
    status.steps.iter().enumerate().filter(counts).map(|(_, step)| step.name.clone()).collect()
}
