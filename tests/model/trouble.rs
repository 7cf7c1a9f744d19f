//! The troubles of a run, and the reactions of the users.

use saga_operator::{
    api::{Direction, RequestAction, SagaPhase, StepPhase},
    model::saga::Work,
    world::{AttemptEnd, UserMove, World, WorldMove},
};

/// The ending that the service causes for the operation of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub place: usize,
    pub direction: Direction,
    pub ending: AttemptEnd,
    /// The attempts up to this number have this ending.
    pub up_to: i64,
}

/// Returns the fair move, or the trouble that replaces it. Before time passes, a user answers a
/// waiting approval.
pub fn with_trouble(world: &World, troubles: &[Trouble], fair: WorldMove) -> WorldMove {
    match fair {
        WorldMove::End { attempt, .. } => {
            let meant = |trouble: &&Trouble| {
                trouble.place == attempt.place
                    && trouble.direction == attempt.direction
                    && attempt.number <= trouble.up_to
            };
            troubles
                .iter()
                .find(meant)
                .map_or(fair, |trouble| WorldMove::End { attempt, ending: trouble.ending })
        }
        WorldMove::Tick(_) => answer(world, troubles).map_or(fair, WorldMove::User),
        WorldMove::Reconcile { .. }
        | WorldMove::Strike { .. }
        | WorldMove::Resume(_)
        | WorldMove::Relist(_)
        | WorldMove::Restart(_)
        | WorldMove::User(_)
        | WorldMove::Child(_)
        | WorldMove::Remake(_) => fair,
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
fn answer(world: &World, troubles: &[Trouble]) -> Option<UserMove> {
    let place = awaited(world)?;
    let reject = UserMove::Request(RequestAction::Reject, Some(place));
    let fails = troubles
        .iter()
        .any(|trouble| trouble.place == place && trouble.direction == Direction::Action);
    Some(if fails && !world.asked().contains(&reject) {
        reject
    } else {
        UserMove::Request(RequestAction::Approve, Some(place))
    })
}

/// Returns the request of a user in a world that rests; `None` if no request is useful.
pub fn user(world: &World, troubles: &[Trouble], wanted: RequestAction) -> Option<UserMove> {
    if let Some(answer) = answer(world, troubles) {
        return Some(answer);
    }
    let once =
        |action| Some(UserMove::Request(action, None)).filter(|ask| !world.asked().contains(ask));
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
