//! Worlds of which there are too many: one way through each of them, the saga, what may happen to
//! it and the moves all by a seed.
//!
//! Large sagas have any graph and any policy. Small ones are those of the search, with everything
//! at once that is searched there two or three at a time: the product of it has more worlds than a
//! machine holds.
//!
//! # Guarantees
//! A seed makes the same saga and the same moves again.

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
    world::{self, Move},
};

use self::dice::Dice;
use crate::walk::Walk;

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
            || world::fair_move(&walk.world).is_some_and(|fair| walk.take(fair))
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
