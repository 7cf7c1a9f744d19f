//! The requests of users, and the texts of their annotations.
//!
//! # Guarantees
//! Users tell the truth: they settle an attempt only with its real outcome, and only if nothing can
//! change that outcome any more.

use super::{
    other_side, person,
    state::{
        ask::Ask,
        deed::Deed,
        world::{Who, World},
    },
};
use crate::api::{Asked, Direction, RequestAction, StepPhase};

/// Returns what users may do now.
pub(super) fn asks(world: &World) -> Vec<Ask> {
    let object = world.object();
    if object.gone {
        return Vec::new();
    }
    if object.saga().suspend {
        return vec![Ask::Unsuspend];
    }
    let resume = Ask::Request(RequestAction::Resume, None);
    if world.status().paused.is_some() {
        let asked = object.asked.iter().any(|asked| asked.action == RequestAction::Resume);
        return if asked || world.asked.contains(&resume) { Vec::new() } else { vec![resume] };
    }
    if world.asked.len() >= world.rules.requests {
        return Vec::new();
    }
    let steps = object.saga().steps.len();
    let mut asks = vec![Ask::Suspend, Ask::Delete];
    asks.retain(|ask| *ask != Ask::Delete || !object.deleting);
    for action in RequestAction::ALL {
        match action {
            // A resume is offered above, if the saga is paused.
            RequestAction::Resume => {}
            RequestAction::Compensate | RequestAction::Cancel | RequestAction::Pause => {
                asks.push(Ask::Request(action, None));
            }
            RequestAction::Approve | RequestAction::Reject => {
                let waits = |step: &usize| {
                    world
                        .status()
                        .steps
                        .get(*step)
                        .is_some_and(|step| step.phase == StepPhase::Waiting)
                };
                asks.extend((0..steps).filter(waits).map(|step| Ask::Request(action, Some(step))));
            }
            RequestAction::Settle => {
                asks.extend(
                    (0..steps)
                        .filter(|step| word_on(world, *step).is_some())
                        .map(|step| Ask::Request(action, Some(step))),
                );
            }
            RequestAction::Skip => {
                asks.extend((0..steps).map(|step| Ask::Request(action, Some(step))));
            }
            RequestAction::Retry => {
                asks.push(Ask::Request(action, None));
                asks.extend((0..steps).map(|step| Ask::Request(action, Some(step))));
            }
        }
    }
    asks
}

pub(super) fn ask(world: &mut World, ask: Ask) -> Option<()> {
    if !asks(world).contains(&ask) {
        return None;
    }
    let deed = match ask {
        Ask::Request(action, step) => {
            Deed::Annotate(Asked { action, value: value(world, action, step)?, held_in_git: false })
        }
        Ask::Suspend => Deed::Suspend(true),
        Ask::Unsuspend => Deed::Suspend(false),
        Ask::Delete => Deed::Delete,
    };
    if ask != Ask::Unsuspend {
        world.asked.push(ask);
    }
    person::does(world, deed);
    Some(())
}

fn value(world: &World, action: RequestAction, step: Option<usize>) -> Option<String> {
    let named = match step {
        Some(place) => world.object().saga().steps.get(place)?.name.clone(),
        None => "*".into(),
    };
    let named = match action {
        RequestAction::Settle => format!("{named}={}", word_on(world, step?)?),
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
fn word_on(world: &World, place: usize) -> Option<&'static str> {
    let status = world.status().steps.get(place)?;
    let direction =
        if status.phase.is_backward() { Direction::Compensation } else { Direction::Action };
    let record = status.direction(direction).filter(|record| record.uncertain)?;
    let truth = world.truth.get(place)?;
    if truth.key_done(direction) == Some(record.failures) {
        return Some("Succeeded");
    }
    let newest = record.active.as_ref().map(|_| Who { place, direction, number: record.attempt });
    let half_done = direction == Direction::Action && truth.in_effect;
    // Nobody can state the outcome of an attempt that a halted replica has yet to begin.
    let to_begin =
        |who: &Who| who.place == place && who.direction == direction && Some(*who) != newest;
    let begins = world.processes.iter().any(|process| process.to_begin().iter().any(to_begin));
    (!half_done
        && !begins
        && !other_side::may_land(world, place, direction, record.failures, newest))
    .then_some("Failed")
}
