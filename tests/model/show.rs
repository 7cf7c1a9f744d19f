//! The text form of moves and events.

use saga_operator::{
    api::{StepPhase, StepStatus},
    world::{Event, World, WorldMove},
};

/// The number of steps from which on the steps in `Pending` are omitted.
const MANY: usize = 5;

pub fn line(world: &World, next: &WorldMove, events: &[Event]) -> String {
    let told = |event: &Event| {
        if let Event::Published(notice) = event {
            format!("\"{}\"", notice.reason)
        } else {
            format!("{event:?}")
        }
    };
    let told: Vec<_> = events.iter().map(told).collect();
    let begun =
        |step: &&StepStatus| world.status().steps.len() < MANY || step.phase != StepPhase::Pending;
    let steps: Vec<_> = world
        .status()
        .steps
        .iter()
        .filter(begun)
        .map(|step| format!("{}={}", step.name, step.phase.as_str()))
        .collect();
    format!(
        "  {next:?}\n      {} | {:?} {}",
        told.join(", "),
        world.status().phase,
        steps.join(" ")
    )
}
