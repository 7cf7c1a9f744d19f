//! What becomes of a saga that ended: its requests are answered, its finalizer goes, later its
//! succeeded Pods, and itself.
//!
//! # Guarantees
//! A child saga is kept as long as its parent has the finalizer, also where it is deleted: its
//! parent reads how it ended, and may have to undo it. A garbage collector that deletes in the
//! foreground deletes children before their parent.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{attempt::settlement::STOP_POLL, planner::child_sagas::made_by};
use crate::{
    api::{DeletionPolicy, SagaPhase, SagaStatus, names::AttemptId, status::is_terminal},
    clock::later,
    model::{
        command::Demand,
        input::Seen,
        observation::ChildState,
        plan::{Effect, Finalizer, Notice, Plan, StatusWrite, Tally},
        saga::{ValidSaga, Work},
    },
    mutants::{Twin, broken},
};

/// How long the succeeded Pods of an ended saga are kept, so that a late creation meets its name
/// and a person can look at them.
const KEPT_CHILDREN: Duration = Duration::from_mins(10);
/// The least time for which an ended saga is kept: its Pods go with it, and a creation that is late
/// must still meet its name.
const KEPT_LEAST: Duration = Duration::from_secs(10);

/// How often a deleted child asks for its parent, should nothing tell that it let go.
const FOR_PARENT: Duration = Duration::from_secs(30);

/// Whether a saga never began anything, or has ended. A status without steps proves nothing once
/// the saga was accepted.
pub(crate) fn nothing_to_undo(seen: &Seen<'_>) -> bool {
    seen.status.as_ref().is_ok_and(|status| {
        let lost = status.steps.is_empty() && status.spec_hash.is_some();
        is_terminal(status) || (!lost && status.steps.iter().all(|step| step.action.is_none()))
    })
}

/// Whether a deleted saga that ended is kept, since its parent may have to undo it, and reads how
/// it ended. A garbage collector that deletes in the foreground deletes children before their
/// parent.
pub(crate) fn stays_for_parent(seen: &Seen<'_>) -> bool {
    let ended = seen.status.as_ref().is_ok_and(is_terminal);
    seen.parent_holds && ended && seen.deletion_policy != DeletionPolicy::Abandon
}

/// What becomes of the finalizer of a saga that ended: a child keeps it as long as its parent has
/// one.
pub(crate) fn finalizer_of_ended(seen: &Seen<'_>) -> Finalizer {
    match (seen.finalizer, seen.parent_holds) {
        (true, false) if !broken(Twin::KeepsFinalizer) => Finalizer::Remove,
        (false, true) if !seen.deleting => Finalizer::Add,
        (_, _) => Finalizer::Keep,
    }
}

/// An ended saga: requests are answered, its finalizer goes, later its succeeded Pods, and itself
/// where the spec says so.
pub(crate) fn ended(
    saga: Option<&ValidSaga>,
    status: &SagaStatus,
    seen: &Seen<'_>,
    (answered, mut effects, tally): Answered,
) -> Plan {
    let new = of_the_present_spec(answered, seen);
    let mut wake =
        stays_for_parent(seen).then(|| later(seen.now, FOR_PARENT)).filter(|_| seen.deleting);
    let after =
        |wait| status.completed_at.as_ref().map(|MicroTime(completed)| later(*completed, wait));
    if let Some(due) = after(KEPT_CHILDREN).filter(|_| seen.leftovers) {
        if due <= seen.now {
            effects.push(Effect::Sweep);
        } else {
            wake = wake.into_iter().chain([due]).min();
        }
    }
    let ttl = saga.and_then(|saga| saga.ttl).filter(|_| !seen.deleting);
    if let Some(due) = ttl.and_then(|ttl| after(ttl.max(KEPT_LEAST))) {
        // Its own writes first, and its parent: each of them has the saga looked at again.
        let writes = seen.versions.differs(status, &new)
            || seen.finalizer
            || seen.parent_holds
            || effects.iter().any(|effect| matches!(effect, Effect::TakeAway { .. }));
        if due > seen.now {
            wake = wake.into_iter().chain([due]).min();
        } else if !writes {
            effects.push(Effect::Delete);
        }
    }
    let write = (seen.versions.differs(status, &new) || broken(Twin::EndWrites))
        .then(|| StatusWrite::Whole(Box::new(new)));
    Plan::new(write, finalizer_of_ended(seen), wake, tally, effects)
}

/// Nothing is written to an ended saga but answers, and that a changed spec was seen: who changed
/// it in Git waits to read that.
fn of_the_present_spec(mut status: SagaStatus, seen: &Seen<'_>) -> SagaStatus {
    status.observed_generation = Some(seen.generation);
    for condition in &mut status.conditions {
        condition.observed_generation = Some(seen.generation);
    }
    status
}

/// What is left to be told to the unfinished children of a deleted saga that goes as it is: to go
/// likewise, and not to be undone when they are deleted with it. `None` where all were told, or
/// cannot be.
pub(crate) fn let_go(saga: Option<&ValidSaga>, seen: &Seen<'_>) -> Option<Plan> {
    let (saga, status) = (saga?, seen.status.as_ref().ok()?);
    let untold = |(id, child): (&AttemptId, &ChildState)| {
        let ChildState::Saga(child) = child else { return None };
        let ended = child.phase.is_some_and(SagaPhase::is_terminal);
        let step = saga.steps.iter().find(|step| step.name == id.step)?;
        let undoes = matches!(step.operation(id.direction)?.work, Work::UndoSaga);
        let known = status.steps.iter().find(|known| known.name == id.step)?;
        let made_by = if undoes { made_by(known) } else { id.clone() };
        let demand =
            Demand::Follow { suspend: child.suspended, deletion_policy: DeletionPolicy::Abandon };
        let refused =
            child.unheard.iter().any(|unheard| unheard.refused && unheard.demand == demand);
        let told = ended || child.deletion_policy == DeletionPolicy::Abandon || refused;
        (!told).then(|| Effect::Ask { attempt: id.clone(), child: made_by, demand })
    };
    let effects: Vec<_> = seen.children.iter().filter_map(untold).collect();
    (!effects.is_empty()).then(|| {
        Plan::new(
            None,
            Finalizer::Keep,
            Some(later(seen.now, STOP_POLL)),
            Tally::default(),
            effects,
        )
    })
}

/// A deleted saga goes.
pub(crate) fn release(notice: Option<Notice>) -> Plan {
    Plan::new(
        None,
        Finalizer::Remove,
        None,
        Tally::default(),
        notice.map(Effect::Publish).into_iter().collect(),
    )
}

/// What came of the requests to an ended saga: the status with their records, and what is to be
/// done.
pub(crate) type Answered = (SagaStatus, Vec<Effect>, Tally);
