//! The troubles of a run, and the reactions of the users.

use saga_operator::{
    api::{Direction, RequestAction, SagaPhase, StepPhase},
    model::saga::Work,
    world::{Ask, Ending, Move, World},
};

/// The ending that the service causes for the operation of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub place: usize,
    pub direction: Direction,
    pub ending: Ending,
    /// The attempts up to this number have this ending.
    pub up_to: i64,
}

/// Returns the fair move, or the trouble that replaces it. Before time passes, a user answers a
/// waiting approval.
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

/// Returns the place of a step that waits for an approval.
fn awaited(world: &World) -> Option<usize> {
    let steps = world.object().saga().steps.iter().zip(&world.status().steps);
    steps.into_iter().position(|(step, status)| {
        matches!(step.action.work, Work::Approval(_)) && status.phase == StepPhase::Waiting
    })
}

/// Returns the answer to a step that waits for an approval. If the step has a trouble, the user
/// rejects it once and approves it afterwards. Otherwise, the user approves it.
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

/// Returns the request of a user in a world that rests; `None` if no request is useful.
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
