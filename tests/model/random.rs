//! Worlds of which there are too many: one way through each of them, the saga, what may happen to
//! it and the moves all by a seed.
//!
//! Large sagas have any graph and any policy. Small ones are those of the search, with everything
//! at once that is searched there two or three at a time: the product of it has more worlds than a
//! machine holds.
//!
//! # Guarantees
//! A seed makes the same saga and the same moves again.

use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    str::FromStr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::{
    prelude::RngExt,
    test_runner::{RngAlgorithm, TestRng},
};
use saga_operator::{
    api::{
        ApprovalAction, BackoffType, DeletionPolicy, MAX_DEPENDENCIES, OnFailure, RequestAction,
        SagaPhase, StepPhase,
    },
    model::saga::{Operation, Retry, ValidSaga, ValidStep, Work},
    world::{Ask, Ending, Fault, Halt, Move, Rules, World},
};

use crate::{
    shapes::{self, Extent, Kind, Steps},
    walk::Walk,
};

/// How many steps a large saga has.
const STEPS: RangeInclusive<usize> = 5..=64;
/// How many steps a small saga has, one of these.
const FEW: [usize; 6] = [1, 2, 3, 3, 4, 4];
/// How many of the last moves of a way are told where it breaks a law.
const TOLD: usize = 30;
/// How many ways to what must not be are told.
const MOST: usize = 3;
/// How often a move is drawn before the world goes on fairly: most that are drawn cannot happen
/// just now.
const DRAWS: usize = 40;

/// How large the sagas are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 5 to 64 steps.
    Large,
    /// 1 to 4 steps.
    Small,
}

/// What makes a saga and a way through its world: `7`, or `small-7`.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    pub size: Size,
    pub number: u64,
}

impl fmt::Display for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", if self.size == Size::Small { "small-" } else { "" }, self.number)
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let small = text.strip_prefix("small-");
        let size = if small.is_some() { Size::Small } else { Size::Large };
        let number = small
            .unwrap_or(text)
            .parse()
            .map_err(|_| format!("SAGA_SEED is {text}: write 7 or small-7"))?;
        Ok(Self { size, number })
    }
}

/// What came of all the sagas.
#[derive(Default)]
pub struct Tried {
    pub sagas: usize,
    pub moves: usize,
    /// How many sagas rest in each phase; `None`: they are gone.
    pub ends: BTreeMap<Option<&'static str>, usize>,
    pub violations: Vec<String>,
}

/// The sagas of so many seeds from 0, on two threads.
pub fn run(size: Size, sagas: u64) -> Tried {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Tried::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = Seed { size, number: next.fetch_add(1, Ordering::Relaxed) };
                    if seed.number >= sagas || all.lock().unwrap().violations.len() >= MOST {
                        return;
                    }
                    let walk = wander(seed);
                    let mut all = all.lock().unwrap();
                    all.sagas += 1;
                    *all.ends.entry(end(&walk)).or_default() += 1;
                    all.moves += walk.moves.len();
                    if !walk.broken.is_empty() {
                        let story = format!(
                            "seed {seed}: SAGA_SEED={seed} make model-random\n{}",
                            walk.story(TOLD)
                        );
                        println!("{story}");
                        all.violations.push(story);
                    }
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// The phase in which the saga rests; `None` where it is gone.
fn end(walk: &Walk) -> Option<&'static str> {
    walk.world.status().phase.filter(|_| !walk.world.object().gone).map(SagaPhase::as_str)
}

/// One saga again, with its spec and all its moves told.
pub fn replay(seed: Seed) -> Tried {
    let walk = wander(seed);
    println!("{:#?}\n{}", walk.world.object().saga(), walk.story(usize::MAX));
    let violations = walk.broken.iter().map(|broken| broken.what.clone()).collect();
    Tried { sagas: 1, moves: walk.moves.len(), ends: BTreeMap::from([(end(&walk), 1)]), violations }
}

/// A saga and one way through its world.
fn wander(seed: Seed) -> Walk {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.number.to_le_bytes());
    bytes[8] = u8::from(seed.size == Size::Small);
    let mut dice = Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (saga, rules) = match seed.size {
        Size::Large => (dice.saga(), dice.rules()),
        Size::Small => (dice.small(), dice.everything()),
    };
    let steps = saga.steps.len();
    let (well, most) = (dice.one_of(&[60, 95, 99, 100]), dice.0.random_range(0..12 * steps));
    let mut walk = Walk::new(saga, rules);
    while walk.moves.len() < most && walk.broken.is_empty() {
        let drawn =
            (0..DRAWS).any(|_| dice.draw(&walk, well).is_some_and(|drawn| walk.take(drawn)));
        let moved = drawn
            || walk.world.fair_move().is_some_and(|fair| walk.take(fair))
            // Only a person can move a world that rests.
            || (0..DRAWS)
                .any(|_| dice.ask(&walk.world).is_some_and(|ask| walk.take(Move::Ask(ask))));
        if !moved {
            break;
        }
    }
    walk.rest(|_, fair| fair);
    walk
}

struct Dice(TestRng);

impl Dice {
    /// True so many times in a hundred.
    fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    fn seconds(&mut self, most: u64) -> Duration {
        Duration::from_secs(self.0.random_range(1..=most))
    }

    /// Sometimes a duration.
    fn maybe(&mut self, percent: u32, most: u64) -> Option<Duration> {
        self.percent(percent).then(|| self.seconds(most))
    }

    fn saga(&mut self) -> ValidSaga {
        let steps = self.0.random_range(STEPS);
        let pivot = self.percent(30).then(|| self.0.random_range(0..steps));
        // From a chain to hardly an edge.
        let edges = self.one_of(&[0, 1, 2, 4, MAX_DEPENDENCIES]);
        ValidSaga {
            name: "order".into(),
            namespace: "shop".into(),
            uid: "uid".into(),
            key_scope: "uid".into(),
            service_account: "default".into(),
            max_parallel: self.0.random_range(1..=8),
            on_failure: self.one_of(&[OnFailure::Compensate, OnFailure::Hold]),
            suspend: false,
            deletion_policy: self.one_of(&[
                DeletionPolicy::Compensate,
                DeletionPolicy::Compensate,
                DeletionPolicy::Abandon,
            ]),
            max_retry_requests: self.0.random_range(0..4),
            timeout: self.maybe(30, 200),
            ttl: self.maybe(20, 60),
            params: serde_json::Map::new(),
            doubts: Vec::new(),
            outputs: None,
            steps: (0..steps).map(|place| self.step(place, edges, pivot)).collect(),
        }
    }

    /// A saga of the search.
    fn small(&mut self) -> ValidSaga {
        let dags = shapes::dags(self.one_of(&FEW));
        let steps = [
            Steps::Pods,
            Steps::Requests,
            Steps::Pods,
            Steps::Requests,
            Steps::Approval,
            Steps::PodsAndApproval,
            Steps::Wait,
        ];
        let dag = &dags[self.0.random_range(0..dags.len())];
        let kind = Kind {
            steps: self.one_of(&steps),
            undo: self.percent(90),
            attempts: self.one_of(&[1, 2]),
            on_failure: self.one_of(&[OnFailure::Compensate, OnFailure::Hold]),
            parallel: self.percent(50),
            pivot: self.percent(20).then(|| self.0.random_range(0..dag.len())),
        };
        shapes::saga(dag, kind)
    }

    /// All that the search tries, at once.
    fn everything(&mut self) -> Rules {
        let tokens = self.percent(30);
        Extent {
            requests: 1,
            tokens,
            faults: 3,
            operators: 2,
            staleness: 2,
            wide: true,
            ..Extent::default()
        }
        .rules()
    }

    fn step(&mut self, place: usize, edges: usize, pivot: Option<usize>) -> ValidStep {
        let mut depends_on: Vec<_> = (0..self.0.random_range(0..=edges.min(place)))
            .map(|_| self.0.random_range(0..place))
            .collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        let name = format!("s{place}");
        let work = match self.0.random_range(0..80) {
            0 => Work::Approval(ApprovalAction::default()),
            1..8 => Work::Wait(self.seconds(20)),
            8..44 => shapes::pod(),
            _ => shapes::request(&name),
        };
        let only_waits = matches!(work, Work::Approval(_) | Work::Wait(_));
        let undo =
            if self.percent(50) { shapes::pod() } else { shapes::request(&format!("undo-{name}")) };
        let is_pod = matches!(work, Work::Pod(_));
        let mut action = self.operation(work);
        if only_waits {
            action.retry = shapes::operation(action.work.clone(), 1).retry;
            action.timeout = if self.percent(50) { Duration::MAX } else { Duration::from_mins(1) };
        }
        ValidStep {
            depends_on,
            pivot: pivot == Some(place),
            compensate_failed: !only_waits && is_pod != self.percent(20),
            unchecked: false,
            when: None,
            action,
            outputs: None,
            compensation: self.percent(85).then(|| self.operation(undo)),
            name,
        }
    }

    fn operation(&mut self, work: Work) -> Operation {
        let initial_delay = self.seconds(4);
        let retry = Retry {
            max_attempts: self.0.random_range(1..=3),
            deadline: self.maybe(20, 60),
            backoff: self.one_of(&[
                BackoffType::None,
                BackoffType::Linear,
                BackoffType::Exponential,
            ]),
            initial_delay,
            max_delay: initial_delay + self.seconds(10),
            jitter: self.one_of(&[0.0, 0.5]),
        };
        Operation::new(work, self.seconds(60), retry)
    }

    fn rules(&mut self) -> Rules {
        Rules {
            operators: self.0.random_range(1..=2),
            requests: self.0.random_range(0..=3),
            tokens: self.percent(30),
            faults: self.0.random_range(0..=4),
            staleness: self.0.random_range(0..=2),
            ..Rules::calm(Instant::now())
        }
    }

    /// A move that may or may not be possible. `well`: how many attempts in a hundred end well.
    fn draw(&mut self, walk: &Walk, well: u32) -> Option<Move> {
        let (world, process) = (&walk.world, self.0.random_range(0..walk.world.rules().operators));
        Some(match self.0.random_range(0..200) {
            0..90 => {
                let halt = self.percent(5).then(|| Halt {
                    how: self.one_of(&Fault::HALTS),
                    after: self.0.random_range(0..6),
                });
                Move::Look {
                    process,
                    staleness: self.0.random_range(0..=world.rules().staleness),
                    halt,
                }
            }
            90..170 => {
                let under_way: Vec<_> = world.under_way().collect();
                let who = *under_way.get(self.0.random_range(0..under_way.len().max(1)))?;
                Move::End {
                    who,
                    ending: if self.percent(well) {
                        Ending::Done
                    } else {
                        self.one_of(&Ending::ALL)
                    },
                }
            }
            170..172 => Move::Ask(self.ask(world)?),
            172 => Move::Strike { process, fault: self.one_of(&Fault::USUAL) },
            173..178 => Move::Resume(process),
            178..183 => Move::Restart(process),
            _ => Move::Tick(world.due()?),
        })
    }

    /// A request that may or may not be allowed.
    fn ask(&mut self, world: &World) -> Option<Ask> {
        let steps = &world.status().steps;
        let waits: Vec<_> =
            (0..steps.len()).filter(|place| steps[*place].phase == StepPhase::Waiting).collect();
        let step = (!steps.is_empty()).then(|| self.0.random_range(0..steps.len()))?;
        Some(match self.0.random_range(0..16) {
            0 => Ask::Suspend,
            1 => Ask::Delete,
            2..5 => Ask::Unsuspend,
            _ => match self.one_of(&RequestAction::ALL) {
                action @ (RequestAction::Approve | RequestAction::Reject) if waits.is_empty() => {
                    Ask::Request(action, Some(step))
                }
                action @ (RequestAction::Approve | RequestAction::Reject) => {
                    Ask::Request(action, Some(self.one_of(&waits)))
                }
                action @ (RequestAction::Settle | RequestAction::Skip) => {
                    Ask::Request(action, Some(step))
                }
                RequestAction::Retry => {
                    Ask::Request(RequestAction::Retry, self.percent(50).then_some(step))
                }
                action @ (RequestAction::Cancel
                | RequestAction::Compensate
                | RequestAction::Pause
                | RequestAction::Resume) => Ask::Request(action, None),
            },
        })
    }
}
