//! The users: which moves they have, and what they do to the saga.
//!
//! # Guarantees
//! Users tell the truth: they settle an attempt only with its real outcome, and only if nothing can
//! change that outcome any more.

use std::sync::Arc;

use super::{
    conclude::concluded,
    perform, query,
    state::{
        attempt::AttemptRef,
        user::{UserAction, UserMove},
        world::{Successor, World},
    },
};
use crate::api::{Direction, RequestAction, StepPhase, UserRequest};

/// Returns what users may do now.
pub(super) fn moves(world: &World) -> Vec<UserMove> {
    let object = world.object();
    if object.gone {
        return Vec::new();
    }
    if object.saga().suspend {
        return vec![UserMove::Unsuspend];
    }
    let resume = UserMove::Request(RequestAction::Resume, None);
    if world.status().paused.is_some() {
        let asked = object.asked.iter().any(|asked| asked.action == RequestAction::Resume);
        return if asked || world.asked.contains(&resume) { Vec::new() } else { vec![resume] };
    }
    if world.asked.len() >= world.rules.requests {
        return Vec::new();
    }
    let steps = object.saga().steps.len();
    let mut moves = vec![UserMove::Suspend, UserMove::Delete];
    moves.retain(|next| *next != UserMove::Delete || !object.deleting);
    for action in RequestAction::ALL {
        match action {
            // A resume is offered above, if the saga is paused.
            RequestAction::Resume => {}
            RequestAction::Compensate | RequestAction::Cancel | RequestAction::Pause => {
                moves.push(UserMove::Request(action, None));
            }
            RequestAction::Approve | RequestAction::Reject => {
                let waits = |step: &usize| {
                    world
                        .status()
                        .steps
                        .get(*step)
                        .is_some_and(|step| step.phase == StepPhase::Waiting)
                };
                moves.extend(
                    (0..steps).filter(waits).map(|step| UserMove::Request(action, Some(step))),
                );
            }
            RequestAction::Settle => {
                moves.extend(
                    (0..steps)
                        .filter(|step| true_outcome(world, *step).is_some())
                        .map(|step| UserMove::Request(action, Some(step))),
                );
            }
            RequestAction::Skip => {
                moves.extend((0..steps).map(|step| UserMove::Request(action, Some(step))));
            }
            RequestAction::Retry => {
                moves.push(UserMove::Request(action, None));
                moves.extend((0..steps).map(|step| UserMove::Request(action, Some(step))));
            }
        }
    }
    moves
}

/// Performs a move of a user. Returns `None` if the user has no such move now.
pub(super) fn apply(world: &mut World, user_move: UserMove) -> Option<()> {
    if !moves(world).contains(&user_move) {
        return None;
    }
    let action = match user_move {
        UserMove::Request(action, step) => UserAction::Annotate(UserRequest {
            action,
            value: value(world, action, step)?,
            reapplied: false,
        }),
        UserMove::Suspend => UserAction::Suspend(true),
        UserMove::Unsuspend => UserAction::Suspend(false),
        UserMove::Delete => UserAction::Delete,
    };
    if user_move != UserMove::Unsuspend {
        world.asked.push(user_move);
    }
    act(world, action);
    Some(())
}

fn value(world: &World, action: RequestAction, step: Option<usize>) -> Option<String> {
    let named = match step {
        Some(place) => world.object().saga().steps.get(place)?.name.clone(),
        None => "*".into(),
    };
    let named = match action {
        RequestAction::Settle => format!("{named}={}", true_outcome(world, step?)?),
        RequestAction::Cancel
        | RequestAction::Compensate
        | RequestAction::Pause
        | RequestAction::Resume
        | RequestAction::Reject
        | RequestAction::Approve
        | RequestAction::Skip
        | RequestAction::Retry => named,
    };
    let token = format!("t{}", world.asked.len());
    Some(match (action.takes_reason(), world.rules.tokens) {
        (true, false) => "asked for".into(),
        (true, true) => format!("@{token}: asked for"),
        (false, false) => named,
        (false, true) => format!("{named}@{token}"),
    })
}

/// Returns the outcome that a user can truthfully state for the uncertain attempts of a step. An
/// attempt that is under way does not belong to them.
fn true_outcome(world: &World, place: usize) -> Option<&'static str> {
    let status = world.status().steps.get(place)?;
    let direction =
        if status.phase.is_backward() { Direction::Compensation } else { Direction::Action };
    let record = status.direction(direction).filter(|record| record.uncertain)?;
    let truth = world.truth.get(place)?;
    if truth.key_done(direction) == Some(record.failures) {
        return Some("Succeeded");
    }
    let newest =
        record.active.as_ref().map(|_| AttemptRef { place, direction, number: record.attempt });
    let half_done = direction == Direction::Action && truth.in_effect;
    // Nobody can state the outcome of an attempt that a halted replica has yet to begin.
    let to_begin = |attempt: &AttemptRef| {
        attempt.place == place && attempt.direction == direction && Some(*attempt) != newest
    };
    let begins = world.replicas.iter().any(|replica| replica.to_begin().iter().any(to_begin));
    (!half_done && !begins && !query::may_be_done(world, place, direction, record.failures, newest))
        .then_some("Failed")
}

/// Returns the result of a user action; `None` if the saga no longer exists. Unlike
/// [`crate::world::WorldMove::User`], a user action is always allowed.
#[must_use]
pub fn after(before: &World, action: &UserAction) -> Option<Successor> {
    if before.object().gone {
        return None;
    }
    let mut world = before.clone();
    world.asked.push(match action {
        UserAction::Annotate(asked) => UserMove::Request(asked.action, None),
        UserAction::Suspend(true) => UserMove::Suspend,
        UserAction::Suspend(false) => UserMove::Unsuspend,
        UserAction::Delete => UserMove::Delete,
    });
    act(&mut world, action.clone());
    Some(concluded(Successor { world, events: Vec::new(), violations: Vec::new() }))
}

fn act(world: &mut World, action: UserAction) {
    perform::write(world, |object| match action {
        UserAction::Annotate(asked) => {
            object.asked.retain(|before| before.action != asked.action);
            object.asked.push(asked);
            object.asked.sort_by_key(|asked| asked.action);
        }
        UserAction::Delete => {
            object.deleting = true;
            object.generation = object.generation.saturating_add(1);
            object.gone = !object.finalizer;
        }
        UserAction::Suspend(suspend) => {
            object.generation = object.generation.saturating_add(1);
            if let Ok(saga) = &mut Arc::make_mut(&mut object.spec).saga {
                saga.suspend = suspend;
            }
        }
    });
}
