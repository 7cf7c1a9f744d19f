//! What a replica observes of the attempts that the status calls active, in the terms of the
//! engine.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    child_state::{end_state, never_sent, unknown},
    children, query,
    state::{
        attempt::AttemptRef,
        child::pod_uid,
        execution::AttemptEnd,
        object::{SagaObject, active_in},
        replica::{AttemptMemory, KnownEnd, executor_id},
        world::World,
    },
};
use crate::{
    api::{ActiveAttempt, Direction},
    clock::between,
    coordination::executor_lease::{LeaseState, LeaseWatch, TERM, may_last},
    engine::planner::deadline::own_time,
    model::{
        observation::{Absence, ChildState, End, Observations, Present, Unavailable},
        saga::Work,
    },
};

/// Returns the states of the attempts that the copy calls active. The replica forgets what it knows
/// of other attempts, unless its own HTTP request is under way.
pub(super) fn observe(world: &mut World, number: usize, copy: &Arc<SagaObject>) -> Observations {
    let mut observed = Observations::new();
    if let Some(replica) = world.replicas.get_mut(number) {
        replica.memory.retain(|known| known.flight.is_some() || copy.is_active(known.attempt));
        replica.cache.again = None;
    }
    for (attempt, record) in active_in(copy.status()) {
        let Some(active) = &record.active else { continue };
        let step = copy.saga().steps.get(attempt.place);
        let Some(operation) = step.and_then(|step| step.operation(attempt.direction)) else {
            continue;
        };
        let state = match operation.work {
            Work::Http(_) => {
                request(world, number, attempt, active, own_time(Some(active), operation.timeout))
            }
            Work::Pod(_) | Work::Job(_) if query::simulates_children(world) => {
                children::observe::child(world, number, attempt, active)
            }
            // An object is created, observed and lost as a Pod is.
            Work::Pod(_)
            | Work::Job(_)
            | Work::Apply(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga => pod(world, number, attempt, active),
            Work::Delete(_) => deletion(world, number, attempt, active),
            // These steps are states of the saga: there is nothing to observe.
            Work::Approval(_) | Work::Wait(_) => continue,
        };
        let state = with_outputs(world, attempt, state);
        observed.insert(world.id(attempt), in_words(world, number, attempt, state));
    }
    observed
}

/// Returns the state. If the action of a step succeeded, the state carries the outputs of the step.
fn with_outputs(world: &World, attempt: AttemptRef, state: ChildState) -> ChildState {
    let step = world.object().saga().steps.get(attempt.place);
    let Some(step) = step.filter(|_| {
        attempt.direction == Direction::Action && state == ChildState::Ended(End::Succeeded(None))
    }) else {
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
    ChildState::Ended(End::Succeeded(
        given
            .or_else(|| of_child.map(|outputs| outputs.keys().map(|name| stand_in(name)).collect()))
            .or_else(own),
    ))
}

/// Returns the state in the words of the service, of the child and of the API server, if the
/// circumstances hold such words.
fn in_words(world: &World, number: usize, attempt: AttemptRef, state: ChildState) -> ChildState {
    let around = &world.rules.circumstances;
    if around.answers.is_empty() && around.talk.is_empty() && around.trouble.is_none() {
        return state;
    }
    let said = |message: &str| format!("{}{message}", around.talk);
    match state {
        ChildState::Ended(end) => {
            let replica = world.replicas.get(number);
            let known = replica
                .and_then(|replica| replica.memory.iter().find(|known| known.attempt == attempt))
                .and_then(|known| known.end);
            // Every replica reads how a child ended. Only its sender hears the answer to a request.
            let is_answer = match known {
                Some(KnownEnd::Answered(_)) => true,
                Some(KnownEnd::Aborted | KnownEnd::CalledOff) => false,
                None => !query::is_request(world, attempt),
            };
            let told = around.answers.get(&attempt).filter(|_| is_answer);
            ChildState::Ended(told.cloned().unwrap_or(end))
        }
        ChildState::Active { uid, age, detail, trouble } => {
            let trouble = around.trouble.or(trouble);
            let detail = trouble.map_or_else(|| said(&detail), |trouble| said(trouble.as_str()));
            ChildState::Active { uid, age, detail, trouble }
        }
        ChildState::Unavailable(Unavailable::Refused { message, retry_in, known_for }) => {
            let message = said(&message);
            ChildState::Unavailable(Unavailable::Refused { message, retry_in, known_for })
        }
        state @ (ChildState::Absent(_)
        | ChildState::Present(_)
        | ChildState::Unavailable(Unavailable::Elsewhere { .. })) => state,
    }
}

fn request(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
    timeout: Duration,
) -> ChildState {
    let now = world.now;
    let sender = active.executor.clone().unwrap_or_default();
    let Some(replica) = world.replicas.get_mut(number) else { return never_sent() };
    let is_ours = executor_id(replica.executor) == sender;
    let was_ours = replica.former.iter().any(|former| executor_id(*former) == sender);
    let known = replica.memory_of(attempt, now).clone();
    if !is_ours && !was_ours {
        return elsewhere(world, &sender, &known, timeout);
    }
    match (known.end, known.flight) {
        (Some(end), _) => end_state(end, true),
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
fn elsewhere(world: &World, sender: &str, known: &AttemptMemory, timeout: Duration) -> ChildState {
    let left = may_last(world.instant(known.first_read), timeout, world.instant(world.now));
    if left.is_zero() {
        return unknown(
            "the replica that sent the request has recorded no outcome long after the time limit",
        );
    }
    let lapsed = world
        .executors
        .iter()
        .enumerate()
        .find(|(number, _)| executor_id(*number) == sender)
        .and_then(|(_, executor)| executor.lapsed);
    let Some(lapsed) = lapsed else {
        return ChildState::Unavailable(Unavailable::Elsewhere { look_again_in: left });
    };
    let (since, now) = (world.instant(lapsed.max(known.first_read)), world.instant(world.now));
    let mut lease_watch = LeaseWatch::default();
    let last = || LeaseState::Held("the last renewal".into());
    lease_watch.saw(last(), since, since);
    lease_watch.saw(last(), now, now);
    if lease_watch.is_gone() {
        return unknown("the replica that sent the request is gone");
    }
    ChildState::Unavailable(Unavailable::Elsewhere {
        look_again_in: left.min(TERM.saturating_sub(now.saturating_duration_since(since))),
    })
}

fn pod(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
) -> ChildState {
    let now = world.now;
    let execution = world
        .executions
        .iter()
        .find(|execution| execution.attempt == attempt)
        .filter(|execution| execution.exists())
        .cloned();
    let Some(replica) = world.replicas.get_mut(number) else { return never_sent() };
    let known = replica.memory_of(attempt, now);
    if let Some(end) = known.end {
        return end_state(end, false);
    }
    let Some((execution, pod)) =
        execution.and_then(|execution| Some((execution.clone(), execution.pod?)))
    else {
        if let Some(until) = known.refused.filter(|until| *until > now) {
            let known_for = between(known.first_read, now);
            return ChildState::Unavailable(Unavailable::Refused {
                message: "exceeded quota".into(),
                retry_in: between(now, until),
                known_for,
            });
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
    match execution.ended {
        // The earlier Pod may have done its work.
        Some(AttemptEnd::No) if another => unknown("an earlier Pod of this attempt vanished"),
        Some(ending) => end_state(KnownEnd::Answered(ending), false),
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
fn deletion(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
) -> ChildState {
    let (now, object) = (world.now, query::deletion_target(world, attempt));
    let going = world
        .executions
        .iter()
        .any(|execution| execution.attempt == attempt && execution.pod == Some(object));
    let Some(replica) = world.replicas.get_mut(number) else { return never_sent() };
    let known = replica.memory_of(attempt, now);
    if going {
        return pod(world, number, attempt, active);
    }
    let known_for = between(known.first_read, now);
    match known.refused.filter(|until| *until > now) {
        Some(until) => ChildState::Unavailable(Unavailable::Refused {
            message: "too many requests".into(),
            retry_in: between(now, until),
            known_for,
        }),
        None => ChildState::Present(Present::Standing {
            uid: pod_uid(object),
            refused: known.refused.is_some(),
            known_for,
        }),
    }
}
