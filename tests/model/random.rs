//! Random walks through worlds that are too many for a full search. A seed determines the saga, the
//! faults and requests that are possible, and the moves. Each saga gets one walk.
//!
//! Large sagas have any graph and any policy. Small sagas are those of the search. The search tries
//! two or three kinds of events at a time. The walk allows all kinds at the same time. The product
//! of all kinds has more worlds than fit into the memory of a machine.
//!
//! # Guarantees
//! The same seed creates the same saga and the same moves.

mod dice;

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use proptest::{
    prelude::RngExt,
    test_runner::{RngAlgorithm, TestRng},
};
use saga_operator::{
    api::SagaPhase,
    world::{self, WorldMove},
};

use self::dice::Dice;
use crate::walk::Walk;

/// The maximum number of last moves that are reported for a walk that violates a property.
const TOLD: usize = 30;
/// The maximum number of reported violations.
const MOST: usize = 3;
/// The number of random draws of a move before the walk makes the fair move instead. Most drawn
/// moves are not possible at that time.
const DRAWS: usize = 40;

/// The size of the sagas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 5 to 64 steps.
    Large,
    /// 1 to 4 steps.
    Small,
}

/// Determines a saga and a walk through its worlds. The text form is `7` or `small-7`.
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

/// The results of all sagas.
#[derive(Default)]
pub struct Tried {
    pub sagas: usize,
    pub moves: usize,
    /// The number of sagas that rest in each phase. `None` stands for deleted sagas.
    pub ends: BTreeMap<Option<&'static str>, usize>,
    pub violations: Vec<String>,
}

/// Runs the sagas of the seeds from 0 to `sagas - 1`, on two threads.
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
                    if !walk.violations.is_empty() {
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

/// Returns the phase in which the saga rests; `None` if the saga is deleted.
fn end(walk: &Walk) -> Option<&'static str> {
    walk.world.status().phase.filter(|_| !walk.world.object().gone).map(SagaPhase::as_str)
}

/// Runs one saga again, and prints its spec and all its moves.
pub fn replay(seed: Seed) -> Tried {
    let walk = wander(seed);
    println!("{:#?}\n{}", walk.world.object().saga(), walk.story(usize::MAX));
    let violations = walk.violations.iter().map(|violation| violation.what.clone()).collect();
    Tried { sagas: 1, moves: walk.moves.len(), ends: BTreeMap::from([(end(&walk), 1)]), violations }
}

/// Creates a saga and walks through its worlds.
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
    while walk.moves.len() < most && walk.violations.is_empty() {
        let drawn =
            (0..DRAWS).any(|_| dice.draw(&walk, well).is_some_and(|drawn| walk.take(drawn)));
        let moved = drawn
            || world::fair_move(&walk.world).is_some_and(|fair| walk.take(fair))
            // In a world that rests, only a user can cause a move.
            || (0..DRAWS)
                .any(|_| dice.ask(&walk.world).is_some_and(|ask| walk.take(WorldMove::User(ask))));
        if !moved {
            break;
        }
    }
    walk.rest(|_, fair| fair);
    walk
}
