//! What a replica observes of the attempts that the status calls active, in the terms of the
//! engine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Object,
    children::{look, there},
    process,
    state::{
        object::active_in,
        process::{End, Known, executor_id},
        trial::Ending,
        world::{Who, World},
    },
};
use crate::{
    api::{ActiveAttempt, Direction},
    clock::between,
    coordination::executor_lease::{Sighting, TERM, Vigil, may_last},
    engine::planner::deadline::own_time,
    model::{
        observation::{Absence, Answer, ChildState, Failure, Observed, Reached},
        saga::{Operation, Work},
    },
    world::look::instant,
};

/// The message for an HTTP request that its replica called off.
pub(super) const CALLED_OFF: &str = "the operator lost its Lease before an answer came";

/// Returns the states of the attempts that the copy calls active. The replica forgets what it knows
/// of other attempts, unless its own HTTP request is under way.
pub(super) fn gather(world: &mut World, number: usize, copy: &Arc<Object>) -> Observed {
    let mut observed = Observed::new();
    if let Some(process) = world.processes.get_mut(number) {
        process.memory.retain(|known| known.flight.is_some() || copy.is_active(known.who));
        process.view.again = None;
    }
    for (who, record) in active_in(copy.status()) {
        let Some(active) = &record.active else { continue };
        let step = copy.saga().steps.get(who.place);
        let Some(operation) = step.and_then(|step| step.operation(who.direction)) else {
            continue;
        };
        let state = match operation.work {
            Work::Http(_) => {
                request(world, number, who, active, own_time(Some(active), operation.timeout))
            }
            Work::Pod(_) | Work::Job(_) if there::has_children(world) => {
                look::child(world, number, who, active)
            }
            // An object is created, observed and lost as a Pod is.
            Work::Pod(_)
            | Work::Job(_)
            | Work::Apply(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga => pod(world, number, who, active),
            Work::Delete(_) => standing_or_going(world, number, who, active),
            // These steps are states of the saga: there is nothing to observe.
            Work::Approval(_) | Work::Wait(_) => continue,
        };
        observed.insert(world.id(who), handing_on(world, who, state));
    }
    observed
}

/// Returns the state. If the action of a step succeeded, the state carries the outputs of the step.
fn handing_on(world: &World, who: Who, state: ChildState) -> ChildState {
    let step = world.object().saga().steps.get(who.place);
    let Some(step) =
        step.filter(|_| who.direction == Direction::Action && state == ChildState::Succeeded(None))
    else {
        return state;
    };
    let given = world.rules.outputs.get(&step.name).cloned();
    let stand_in = |name: &str| (name.to_owned(), Value::String(format!("<{}.{name}>", step.name)));
    // The outputs of a child saga are named in its own spec.
    let of_child = if let Work::Saga(action) = &step.action.work {
        action.spec.get("outputs").and_then(Value::as_object)
    } else {
        None
    };
    let own = || step.outputs.as_ref().map(|outputs| outputs.names().map(stand_in).collect());
    ChildState::Succeeded(
        given
            .or_else(|| of_child.map(|outputs| outputs.keys().map(|name| stand_in(name)).collect()))
            .or_else(own),
    )
}

fn request(
    world: &mut World,
    number: usize,
    who: Who,
    active: &ActiveAttempt,
    timeout: Duration,
) -> ChildState {
    let now = world.now;
    let sender = active.executor.clone().unwrap_or_default();
    let Some(process) = world.processes.get_mut(number) else { return never_sent() };
    let is_ours = executor_id(process.executor) == sender;
    let was_ours = process.former.iter().any(|former| executor_id(*former) == sender);
    let known = process.known(who, now).clone();
    if !is_ours && !was_ours {
        return elsewhere(world, &sender, &known, timeout);
    }
    match (known.end, known.flight) {
        (Some(end), _) => told(end, true),
        (None, Some(since)) => ChildState::Active {
            uid: None,
            age: between(since, now),
            detail: "the request is under way".into(),
            trouble: None,
        },
        (None, None) if was_ours => never_sent(),
        (None, None) => ChildState::Absent(Absence {
            seen: false,
            refused: false,
            known_for: between(known.first_read, now),
        }),
    }
}

/// Returns the state of an HTTP request that another replica was to send.
fn elsewhere(world: &World, sender: &str, known: &Known, timeout: Duration) -> ChildState {
    let left = may_last(instant(world, known.first_read), timeout, instant(world, world.now));
    if left.is_zero() {
        return gone("its operator has not said so long after its time");
    }
    let lapsed = world
        .executors
        .iter()
        .enumerate()
        .find(|(number, _)| executor_id(*number) == sender)
        .and_then(|(_, executor)| executor.lapsed);
    let Some(lapsed) = lapsed else { return ChildState::Elsewhere { look_again_in: left } };
    let (since, now) = (instant(world, lapsed.max(known.first_read)), instant(world, world.now));
    let mut vigil = Vigil::default();
    let last = || Sighting::Held("the last renewal".into());
    vigil.saw(last(), since, since);
    vigil.saw(last(), now, now);
    if vigil.is_gone() {
        return gone("the operator that sent the request is gone");
    }
    ChildState::Elsewhere {
        look_again_in: left.min(TERM.saturating_sub(now.saturating_duration_since(since))),
    }
}

fn pod(world: &mut World, number: usize, who: Who, active: &ActiveAttempt) -> ChildState {
    let now = world.now;
    let trial =
        world.trials.iter().find(|trial| trial.who == who).filter(|trial| trial.exists()).cloned();
    let Some(process) = world.processes.get_mut(number) else { return never_sent() };
    let known = process.known(who, now);
    if let Some(end) = known.end {
        return told(end, false);
    }
    let Some((trial, pod)) = trial.and_then(|trial| Some((trial.clone(), trial.pod?))) else {
        if let Some(until) = known.refused.filter(|until| *until > now) {
            let known_for = between(known.first_read, now);
            return ChildState::Refused {
                message: "exceeded quota".into(),
                retry_in: between(now, until),
                known_for,
            };
        }
        let (seen, refused) = (known.child.is_some(), known.refused.is_some());
        return ChildState::Absent(Absence {
            seen,
            refused,
            known_for: between(known.first_read, now),
        });
    };
    let written = active.child_uid.as_ref().is_some_and(|uid| *uid != pod_uid(pod));
    let (since, first) = *known.child.get_or_insert((now, pod));
    let another = written || first != pod;
    match trial.ended {
        // The earlier Pod may have done its work.
        Some(Ending::No) if another => gone("an earlier Pod of this attempt vanished"),
        Some(ending) => told(End::Answered(ending), false),
        None => ChildState::Active {
            uid: Some(pod_uid(pod)),
            age: between(since, now),
            detail: "it runs".into(),
            trouble: None,
        },
    }
}

/// Returns the state of an object that a step deletes: the object exists, it is terminating, or its
/// deletion has ended.
fn standing_or_going(
    world: &mut World,
    number: usize,
    who: Who,
    active: &ActiveAttempt,
) -> ChildState {
    let (now, object) = (world.now, standing(world, who));
    let going = world.trials.iter().any(|trial| trial.who == who && trial.pod == Some(object));
    let Some(process) = world.processes.get_mut(number) else { return never_sent() };
    let known = process.known(who, now);
    if going {
        return pod(world, number, who, active);
    }
    let known_for = between(known.first_read, now);
    match known.refused.filter(|until| *until > now) {
        Some(until) => ChildState::Refused {
            message: "too many requests".into(),
            retry_in: between(now, until),
            known_for,
        },
        None => ChildState::Standing {
            uid: pod_uid(object),
            refused: known.refused.is_some(),
            known_for,
        },
    }
}

/// Returns the number of the object that the step deletes: the object that has its name now, or had
/// it last.
pub(super) fn standing(world: &World, who: Who) -> u32 {
    let [action, undo] = world.remade.get(who.place).copied().unwrap_or_default();
    if who.direction == Direction::Action { action } else { undo }
}

/// Returns whether the attempt deletes an object.
pub(super) fn deletes(world: &World, who: Who) -> bool {
    let step = world.object().saga().steps.get(who.place);
    step.and_then(|step| step.operation(who.direction)).is_some_and(Operation::deletes)
}

/// Creates an object again that an attempt deleted. A third party does this, not the operator.
pub(super) fn remake(world: &mut World, who: Who) -> Option<()> {
    let object = standing(world, who);
    let gone = |trial: &super::state::trial::Trial| {
        trial.who == who && trial.pod == Some(object) && trial.ended == Some(Ending::Done)
    };
    let may = deletes(world, who) && object < world.rules.remakes && world.trials.iter().any(gone);
    let [action, undo] = world.remade.get_mut(who.place).filter(|_| may)?;
    *(if who.direction == Direction::Action { action } else { undo }) += 1;
    // No watch covers the object: a replica that waits reconciles again from time to time.
    process::trigger_all(world);
    Some(())
}

/// Returns the UID of a Pod by its number.
pub(super) fn pod_uid(pod: u32) -> String {
    format!("pod-{pod}")
}

/// Returns the number of a Pod by its UID.
pub(super) fn pod_number(uid: &str) -> Option<u32> {
    uid.strip_prefix("pod-")?.parse().ok()
}

/// Returns the end of an attempt in the terms of the engine.
fn told(end: End, request: bool) -> ChildState {
    let failed = |reached, last, exit_code| {
        let message = "the other side said no".into();
        ChildState::Failed(Failure {
            reached,
            last,
            exit_code,
            disrupted: false,
            retry_after: None,
            message,
        })
    };
    let no = |reached, last| failed(reached, last, None);
    let exited = |code| failed(Reached::Answer, false, Some(code));
    match end {
        End::Answered(Ending::Done) => ChildState::Succeeded(None),
        End::Answered(Ending::No) if request => no(Reached::Answer, true),
        End::Answered(Ending::No) => exited(1),
        End::Answered(Ending::Crash) => exited(101),
        End::Answered(Ending::Busy) => no(Reached::Door, false),
        End::Answered(Ending::Accepted(_)) => no(Reached::Accepted, true),
        End::Answered(Ending::Conflict) => ChildState::Answered(Arc::new(Answer {
            status: 409,
            headers: BTreeMap::new(),
            body: Value::Null,
            text: String::new(),
            whole: true,
            retry_after: None,
        })),
        End::Answered(Ending::Unknown(_) | Ending::Vanished(_)) => gone("no answer came"),
        End::Aborted => gone("given up before an answer came"),
        End::CalledOff => ChildState::CalledOff { message: CALLED_OFF.into() },
    }
}

fn gone(message: &str) -> ChildState {
    ChildState::Unknown { message: message.into(), retry_after: None }
}

/// Returns the state of an HTTP request that its replica never sent and never will.
pub(super) fn never_sent() -> ChildState {
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last: false,
        exit_code: None,
        disrupted: true,
        retry_after: None,
        message: "it was called off before anything of it was sent".into(),
    })
}
