//! What holds of every saga: random graphs, random outcomes, people who interfere, and a process
//! that dies at any moment.
//!
//! A failure prints the smallest case and the seed; `SAGA_SEED=<seed>` runs the same cases again,
//! `SAGA_CASES=<n>` more of them.

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
use saga_operator::api::{
    Direction, HANDLED, OnFailure, RequestAction, RetryPolicy, SagaPhase, StepPhase, StepStatus,
    names::AttemptId,
};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{
        Act, disrupted, millis, never_ends, never_starts, not_reached, says_no, seconds, stuck,
        succeeds, turned_away, unknown, unknown_but_done, vanishes,
    },
    world::World,
};

/// What a step of a random saga does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pod,
    Http,
    /// Waits for a person, so many seconds at most where that is limited.
    Approval(Option<u8>),
    /// Waits for so many seconds.
    Wait(u8),
}

/// One step of a random saga.
#[derive(Clone, Debug)]
pub struct Sketch {
    kind: Kind,
    /// One bit for each earlier step.
    after: u16,
    undo: Option<bool>,
    pivot: bool,
    compensate_failed: Option<bool>,
    attempts: i32,
    undo_attempts: i32,
    deadline: Option<u8>,
    acts: Vec<Act>,
    undo_acts: Vec<Act>,
}

/// What people do besides asking.
#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    Delete,
    Suspend,
    Unsuspend,
    Policy(OnFailure),
    Parallel(i32),
    /// The process is told to end, and another one starts a while later.
    Restart,
    /// Params change, and change back a while later.
    Change,
    /// Takes away the number up to which requests are handled.
    Strip,
}

#[derive(Clone, Debug)]
pub struct Case {
    steps: Vec<Sketch>,
    parallel: i32,
    compensate: bool,
    /// The timeout of the saga, in seconds.
    within: Option<u8>,
    crashes: Vec<(usize, u64)>,
    /// What people ask for once the status was written so many times.
    asks: Vec<(usize, RequestAction, String)>,
    meddling: Vec<(usize, Meddling)>,
}

fn act() -> impl Strategy<Value = Act> {
    let end = prop_oneof![
        4 => Just(succeeds()),
        3 => Just(says_no()),
        1 => Just(says_no().finally()),
        1 => Just(turned_away()),
        1 => Just(not_reached()),
        1 => Just(disrupted()),
        1 => Just(unknown()),
        2 => Just(unknown_but_done()),
        1 => Just(unknown().and_wants(seconds(9))),
        1 => Just(vanishes()),
        1 => Just(vanishes().but_done()),
        1 => Just(never_ends()),
        1 => Just(never_ends().but_done()),
        1 => Just(never_starts()),
        1 => Just(stuck()),
    ];
    let takes = prop_oneof![Just(0), Just(300), Just(1000), Just(2500), Just(7000)];
    let delays =
        prop_oneof![8 => Just((0, 0)), 1 => Just((2, 0)), 1 => Just((0, 1)), 1 => Just((0, 40))];
    (end, takes, delays).prop_map(|(act, takes, (refusals, drops))| {
        act.takes(millis(takes)).refused_first(refusals).lost_first(drops)
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Pod),
        4 => Just(Kind::Http),
        1 => prop_oneof![Just(None), (1..60_u8).prop_map(Some)].prop_map(Kind::Approval),
        1 => (1..30_u8).prop_map(Kind::Wait),
    ]
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let shape = (
        kind(),
        any::<u16>(),
        any::<u16>(),
        prop_oneof![1 => Just(None), 3 => any::<bool>().prop_map(Some)],
    );
    let rules = (
        prop::bool::weighted(0.05),
        prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)],
    );
    let limits = (1..4_i32, 1..4_i32, prop_oneof![4 => Just(None), 1 => (1..30_u8).prop_map(Some)]);
    let acts = (
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(act(), 1..6)],
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(act(), 1..4)],
    );
    (shape, rules, limits, acts).prop_map(|(shape, rules, limits, (acts, undo_acts))| {
        let (kind, some, others, undo) = shape;
        let (pivot, compensate_failed) = rules;
        let (attempts, undo_attempts, deadline) = limits;
        Sketch {
            kind,
            after: some & others,
            undo,
            pivot,
            compensate_failed,
            attempts,
            undo_attempts,
            deadline,
            acts,
            undo_acts,
        }
    })
}

fn meddling() -> impl Strategy<Value = Vec<(usize, Meddling)>> {
    let what = prop_oneof![
        2 => Just(Meddling::Delete),
        4 => Just(Meddling::Suspend),
        2 => Just(Meddling::Unsuspend),
        2 => Just(Meddling::Policy(OnFailure::Compensate)),
        2 => Just(Meddling::Policy(OnFailure::Hold)),
        1 => (1..=4_i32).prop_map(Meddling::Parallel),
        1 => Just(Meddling::Restart),
        1 => Just(Meddling::Change),
        1 => Just(Meddling::Strip),
    ];
    prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec((0..40_usize, what), 1..5)]
}

pub fn case() -> impl Strategy<Value = Case> {
    let steps = prop::collection::vec(sketch(), 1..=12);
    let crashes =
        prop::collection::vec((0..80_usize, prop_oneof![Just(0), Just(1), Just(40)]), 0..3);
    let asks = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(ask(), 1..6)];
    let within = prop_oneof![3 => Just(None), 1 => (1..60_u8).prop_map(Some)];
    (steps, (1..=4_i32, any::<bool>(), within), crashes, asks, meddling()).prop_map(
        |(steps, rules, crashes, asks, meddling)| {
            let (parallel, compensate, within) = rules;
            Case { steps, parallel, compensate, within, crashes, asks, meddling }
        },
    )
}

fn ask() -> impl Strategy<Value = (usize, RequestAction, String)> {
    let steps = prop_oneof![
        2 => Just("*".to_owned()),
        4 => prop::collection::vec((0..12_usize).prop_map(name), 1..4)
            .prop_map(|names| names.join(",")),
        1 => Just("nobody".to_owned()),
    ];
    let token = prop_oneof![3 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    let reasons = prop_oneof![
        1 => Just(RequestAction::Cancel),
        1 => Just(RequestAction::Compensate),
        2 => Just(RequestAction::Pause),
        2 => Just(RequestAction::Resume),
    ];
    let action = prop_oneof![
        3 => Just(RequestAction::Retry),
        3 => Just(RequestAction::Skip),
        1 => Just(RequestAction::Approve),
        1 => Just(RequestAction::Reject),
        2 => reasons,
    ];
    (0..40_usize, action, steps, token).prop_map(|(at, action, steps, token)| {
        let value = match (action.takes_reason(), token) {
            (true, Some(token)) => format!("@t{token}: no"),
            (true, None) => "no".to_owned(),
            (false, Some(token)) => format!("{steps}@t{token}"),
            (false, None) => steps,
        };
        (at, action, value)
    })
}

fn name(place: usize) -> String {
    format!("s{place}")
}

impl Case {
    fn draft(&self) -> Draft {
        let mut draft = saga().parallel(self.parallel);
        if self.compensate {
            draft = draft.compensating();
        }
        if let Some(seconds) = self.within {
            draft = draft.within(&format!("{seconds}s"));
        }
        for (place, sketch) in self.steps.iter().enumerate() {
            let after: Vec<_> =
                (0..place).filter(|earlier| sketch.after & (1 << earlier) != 0).map(name).collect();
            let after: Vec<_> = after.iter().map(String::as_str).collect();
            let name = name(place);
            draft = match sketch.kind {
                Kind::Pod => draft.pod(&name).timeout("4s").retry(sketch.policy()),
                Kind::Http => draft.http(&name).timeout("4s").retry(sketch.policy()),
                Kind::Approval(None) => draft.approval(&name),
                Kind::Approval(Some(seconds)) => {
                    draft.approval(&name).timeout(&format!("{seconds}s"))
                }
                Kind::Wait(seconds) => draft.wait(&name, &format!("{seconds}s")),
            };
            draft = draft.after(&after);
            if let Some(by_pod) = sketch.undo {
                draft = if by_pod { draft.undo_by_pod() } else { draft.undo() };
                draft = draft.undo_timeout("4s").undo_retry(sketch.undo_policy());
            }
            if sketch.pivot {
                draft = draft.pivot();
            }
            let only_waits = matches!(sketch.kind, Kind::Approval(_) | Kind::Wait(_));
            if let Some(value) = sketch.compensate_failed.filter(|_| !only_waits) {
                draft = draft.compensate_failed(value);
            }
        }
        draft
    }

    pub fn world(&self) -> World {
        let mut world = World::with(self.draft());
        for (place, sketch) in self.steps.iter().enumerate() {
            world = world
                .on(&name(place), sketch.acts.clone())
                .on_undo(&name(place), sketch.undo_acts.clone());
        }
        for (moves, down) in &self.crashes {
            world = world.crash_at(*moves, Duration::from_secs(*down));
        }
        world
    }

    /// The world when all is over, and how many requests were made in it.
    fn run(&self) -> (World, usize) {
        let (mut world, mut asked) = (self.world(), self.asks.len());
        let asks = self.asks.iter().map(|(at, action, value)| (*at, Err((*action, value))));
        let meddling = self.meddling.iter().map(|(at, what)| (*at, Ok(*what)));
        let mut done: Vec<_> = asks.chain(meddling).collect();
        done.sort_by_key(|(at, _)| *at);
        for (at, what) in done {
            world.run_until(|world| world.writes >= at);
            match what {
                _ if world.gone => {}
                Err((action, value)) => world.annotate(action.annotation(), value),
                Ok(what) => meddle(&mut world, what),
            }
        }
        world.run_to_rest();
        if world.spec.suspend == Some(true) && !world.gone {
            world.run_for(seconds(100));
            world.unsuspend();
            world.run_to_rest();
        }
        if world.status().paused.is_some() && !world.gone {
            world.run_for(seconds(100));
            world
                .annotate(RequestAction::Resume.annotation(), "@the-end: it has to come to an end");
            world.run_to_rest();
            asked += 1;
        }
        asked += self.answer_what_waits(&mut world);
        (world, asked)
    }

    /// Answers approvals, two with yes and the third with no, until none waits any more. Returns
    /// how many were answered.
    fn answer_what_waits(&self, world: &mut World) -> usize {
        for nth in 0..=self.steps.len() {
            let waiting = |step: &&StepStatus| step.phase == StepPhase::Waiting;
            let waits = world
                .status()
                .steps
                .iter()
                .find(waiting)
                .filter(|_| !world.gone)
                .map(|step| step.name.clone());
            let Some(step) = waits else { return nth };
            let answer = if nth % 3 == 2 { RequestAction::Reject } else { RequestAction::Approve };
            world.annotate(answer.annotation(), &format!("{step}@answer-{nth}"));
            world.run_to_rest();
        }
        panic!("more approvals wait than there are steps: {:?}", world.status());
    }
}

fn meddle(world: &mut World, what: Meddling) {
    match what {
        Meddling::Delete => world.delete(),
        Meddling::Suspend => world.suspend(),
        Meddling::Unsuspend => world.unsuspend(),
        Meddling::Policy(policy) => world.edit(|spec| spec.on_failure = Some(policy)),
        Meddling::Parallel(most) => world.edit(|spec| spec.max_parallel = Some(most)),
        Meddling::Restart => {
            world.draining = true;
            world.run_for(seconds(3));
            world.crash(seconds(3));
        }
        Meddling::Change => {
            let before = world.spec.params.clone();
            world.edit(|spec| {
                spec.params =
                    Some(serde_json::from_value(serde_json::json!({"order": "another"})).unwrap());
            });
            world.run_for(seconds(3));
            world.edit(|spec| spec.params = before);
        }
        Meddling::Strip => world.strip(HANDLED),
    }
}

impl Sketch {
    fn policy(&self) -> RetryPolicy {
        self.within(attempts(self.attempts).exponential("1s").at_most("4s").jitter(0.3))
    }

    fn undo_policy(&self) -> RetryPolicy {
        self.within(attempts(self.undo_attempts).linear("1s"))
    }

    fn within(&self, policy: RetryPolicy) -> RetryPolicy {
        match self.deadline {
            Some(seconds) => policy.deadline(&format!("{seconds}s")),
            None => policy,
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs so many cases and prints the seed where one fails.
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

/// Keeps this thread's panics from being printed: a case that fails is run many times while it is
/// made smaller.
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

/// Keys are repeated only after an attempt that the other side did not definitely refuse.
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

/// An attempt leaves once, except where nobody could tell whether it had.
fn attempts_leave_in_order(world: &World) {
    let mut last: std::collections::BTreeMap<(&str, Direction), i64> =
        std::collections::BTreeMap::new();
    for sent in &world.other_side.sent {
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

/// No forward attempt leaves after the first undo.
fn the_way_back_is_one_way(world: &World) {
    let first_undo = world
        .other_side
        .sent
        .iter()
        .position(|sent| sent.attempt.direction == Direction::Compensation);
    if let Some(first_undo) = first_undo {
        let later = &world.other_side.sent[first_undo..];
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

/// Whatever waits for a person was answered, and whatever was paused was resumed: the saga has
/// ended, or a person has to look at it.
fn nothing_is_left_waiting(world: &World) {
    let ended = |phase: SagaPhase| {
        phase.is_terminal() || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
    };
    assert!(world.gone || ended(world.phase()), "{:?}", world.status());
    let waits = |step: &StepStatus| step.phase == StepPhase::Waiting;
    assert!(world.gone || !world.status().steps.iter().any(waits), "{:?}", world.status());
}

/// A request is answered once, whatever dies meanwhile. (One that is overwritten before anybody saw
/// it is answered by its successor.)
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
