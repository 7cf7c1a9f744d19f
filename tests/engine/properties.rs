//! What holds for every saga: random graphs, random outcomes, users who interfere, and a process
//! that dies at any moment.
//!
//! A failure prints the smallest case and the seed. `SAGA_SEED=<seed>` runs the same cases again,
//! `SAGA_CASES=<n>` runs more of them.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    sync::Once,
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use saga_operator::api::{Direction, SagaPhase, StepPhase, StepStatus, names::AttemptId};

use crate::{random_made::case, script::seconds, world::World};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs this many cases. If a case fails, prints the seed.
pub fn for_all<S: Strategy>(
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = number("SAGA_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let cases = number("SAGA_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(cases);
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 1000,
        ..Config::default()
    };
    quiet(true);
    let result = TestRunner::new(config).run(&strategy, test);
    quiet(false);
    if let Err(failure) = result {
        panic!("SAGA_SEED={seed}: {failure}");
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses or restores the messages of panics on this thread. A case that fails runs many times
/// while it is reduced.
fn quiet(on: bool) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(on);
}

/// Asserts that a key is repeated only after an attempt that the service did not definitely refuse.
fn keys_move_with_definite_answers(world: &World) {
    for step in &world.status().steps {
        for direction in [Direction::Action, Direction::Compensation] {
            let keys: Vec<i64> =
                world.keys(&step.name, direction).iter().map(|key| key.parse().unwrap()).collect();
            assert!(keys.is_sorted(), "{} {direction}: {keys:?}", step.name);
            assert!(
                keys.windows(2).all(|pair| pair[1] - pair[0] <= 1),
                "{} {direction}: {keys:?}",
                step.name
            );
        }
    }
}

/// Asserts that an attempt is sent once, unless a crash left open whether it was sent.
fn attempts_leave_in_order(world: &World) {
    let mut last: std::collections::BTreeMap<(&str, Direction), i64> =
        std::collections::BTreeMap::new();
    for sent in &world.services.sent {
        let AttemptId { step, direction, number } = &sent.attempt;
        let before = last.insert((step, *direction), *number).unwrap_or_default();
        assert!(*number >= before, "{} leaves after attempt {before}", sent.attempt);
        assert!(
            *number > before || world.crashes > 0,
            "{} leaves twice although nothing crashed",
            sent.attempt
        );
    }
}

/// Asserts that no action is sent after the first compensation.
fn the_way_back_is_one_way(world: &World) {
    let first_undo = world
        .services
        .sent
        .iter()
        .position(|sent| sent.attempt.direction == Direction::Compensation);
    if let Some(first_undo) = first_undo {
        let later = &world.services.sent[first_undo..];
        assert!(
            later.iter().all(|sent| sent.attempt.direction == Direction::Compensation),
            "{later:?}"
        );
    }
}

fn success_is_written_once(world: &World) {
    let mut seen = std::collections::BTreeSet::new();
    assert!(world.succeeded.iter().all(|it| seen.insert(it)), "{:?}", world.succeeded);
}

/// Asserts that the saga ended or needs a user, after every approval was answered and every pause
/// was resumed.
fn nothing_is_left_waiting(world: &World) {
    let ended = |phase: SagaPhase| {
        phase.is_terminal() || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
    };
    assert!(world.gone || ended(world.phase()), "{:?}", world.status());
    let waits = |step: &StepStatus| step.phase == StepPhase::Waiting;
    assert!(world.gone || !world.status().steps.iter().any(waits), "{:?}", world.status());
}

/// Asserts that a request is answered once, whatever dies meanwhile. If a request is overwritten
/// before any process has seen it, the answer to its successor answers it.
fn requests_are_answered_once(world: &World, asks: usize) {
    let newest =
        world.status().requests.iter().map(|record| record.number).max().unwrap_or_default();
    assert!(
        usize::try_from(newest).unwrap() <= asks,
        "{asks} requests have {newest} answers: {:?}",
        world.status().requests
    );
}

fn at_rest_nothing_is_written(world: &mut World) {
    let (writes, sent) = (world.writes, world.sent().len());
    world.run_for(Duration::from_hours(100));
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.writes, world.sent().len()), (writes, sent));
}

#[test]
fn every_saga_comes_to_rest_in_order() {
    for_all(250, case(), |case| {
        let (mut world, asked) = case.run();
        keys_move_with_definite_answers(&world);
        attempts_leave_in_order(&world);
        the_way_back_is_one_way(&world);
        success_is_written_once(&world);
        nothing_is_left_waiting(&world);
        requests_are_answered_once(&world, asked);
        at_rest_nothing_is_written(&mut world);
        if !world.gone && world.phase() == SagaPhase::Completed {
            let skipped =
                world.status().steps.iter().filter(|step| step.phase == StepPhase::Skipped).count();
            prop_assert_eq!(world.done().len() + skipped, case.steps.len());
        }
        Ok(())
    });
}
