//! What goes wrong in a run, and what people do about it.

use saga_operator::{
    api::{Direction, RequestAction, SagaPhase, StepPhase},
    model::saga::Work,
    world::{Ask, Ending, Move, World},
};

/// What the other side does to an operation of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub place: usize,
    pub direction: Direction,
    pub ending: Ending,
    /// The attempts up to this number end so.
    pub up_to: i64,
}

/// The fair move, or the trouble that comes instead. Who is asked for an approval answers before
/// time passes.
pub fn meddle(world: &World, troubles: &[Trouble], fair: Move) -> Move {
    match fair {
        Move::End { who, .. } => {
            let meant = |trouble: &&Trouble| {
                trouble.place == who.place
                    && trouble.direction == who.direction
                    && who.number <= trouble.up_to
            };
            troubles
                .iter()
                .find(meant)
                .map_or(fair, |trouble| Move::End { who, ending: trouble.ending })
        }
        Move::Tick(_) => answer(world, troubles).map_or(fair, Move::Ask),
        Move::Look { .. }
        | Move::Strike { .. }
        | Move::Resume(_)
        | Move::Relist(_)
        | Move::Restart(_)
        | Move::Ask(_)
        | Move::Turn(_)
        | Move::Remake(_) => fair,
    }
}

/// A step that waits for an approval.
fn awaited(world: &World) -> Option<usize> {
    let steps = world.object().saga().steps.iter().zip(&world.status().steps);
    steps.into_iter().position(|(step, status)| {
        matches!(step.action.work, Work::Approval(_)) && status.phase == StepPhase::Waiting
    })
}

/// The answer to a step that waits for one: approved, after one that is in trouble was rejected
/// once.
fn answer(world: &World, troubles: &[Trouble]) -> Option<Ask> {
    let place = awaited(world)?;
    let reject = Ask::Request(RequestAction::Reject, Some(place));
    let fails = troubles
        .iter()
        .any(|trouble| trouble.place == place && trouble.direction == Direction::Action);
    Some(if fails && !world.asked().contains(&reject) {
        reject
    } else {
        Ask::Request(RequestAction::Approve, Some(place))
    })
}

/// What a person asks for where the world rests; `None` where there is nothing to be done.
pub fn person(world: &World, troubles: &[Trouble], wanted: RequestAction) -> Option<Ask> {
    if let Some(answer) = answer(world, troubles) {
        return Some(answer);
    }
    let once = |action| Some(Ask::Request(action, None)).filter(|ask| !world.asked().contains(ask));
    match world.status().phase? {
        SagaPhase::Failed => once(wanted).or_else(|| once(RequestAction::Retry)),
        SagaPhase::CompensationFailed => once(RequestAction::Retry),
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::Completed
        | SagaPhase::Cancelled => None,
    }
}
