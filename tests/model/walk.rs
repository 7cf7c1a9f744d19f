//! A walk through worlds, move by move, until a world rests.

use saga_operator::world::{self, Broken, Happened, Law, Move, Rules, Who, World};

use crate::show;

/// The number of moves, without further faults, after which a run counts as one that never comes to
/// rest. An attempt takes about six moves.
const MOST_FAIR: usize = 20_000;

/// A walk, with the violations that were found.
pub struct Walk {
    first: World,
    pub world: World,
    pub moves: Vec<Move>,
    pub broken: Vec<Broken>,
    /// The attempts that an operator began, each with the last part of its idempotency key.
    pub began: Vec<(Who, i64)>,
}

impl Walk {
    pub fn new(saga: saga_operator::model::saga::ValidSaga, rules: Rules) -> Self {
        let world = World::new(saga, rules);
        Self {
            first: world.clone(),
            world,
            moves: Vec::new(),
            broken: Vec::new(),
            began: Vec::new(),
        }
    }

    /// Makes a move. Returns `false` if the move is not possible.
    pub fn take(&mut self, next: Move) -> bool {
        let Some(step) = world::apply(&self.world, &next) else { return false };
        self.world = step.world;
        self.moves.push(next);
        self.broken.extend(step.broken);
        for happened in &step.happened {
            if let Happened::Began { who, key, .. } = happened {
                self.began.push((*who, *key));
            }
        }
        true
    }

    /// Makes moves without further faults and requests until the world rests or a law is broken.
    /// `instead` may replace the fair move by another move.
    pub fn rest(&mut self, mut instead: impl FnMut(&World, Move) -> Move) {
        for _ in 0..MOST_FAIR {
            if !self.broken.is_empty() {
                return;
            }
            let Some(fair) = world::fair_move(&self.world) else {
                self.broken.extend(world::wrong_at_rest(&self.world));
                return;
            };
            let chosen = instead(&self.world, fair);
            if !self.take(chosen) && !self.take(fair) {
                self.broken.push(Broken {
                    law: Law::ComesToRest,
                    what: format!("the fair move {fair:?} is no move"),
                });
            }
        }
        self.broken.push(Broken {
            law: Law::ComesToRest,
            what: format!("no rest after {MOST_FAIR} fair moves"),
        });
    }

    /// Returns the text of the last `most` moves of the walk, and of the violations at its end.
    pub fn story(&self, most: usize) -> String {
        let left_out = self.moves.len().saturating_sub(most);
        let mut world = self.first.clone();
        let mut lines = Vec::new();
        for (number, next) in self.moves.iter().enumerate() {
            let Some(step) = world::apply(&world, next) else {
                lines.push(format!("  {next:?}: cannot be replayed"));
                break;
            };
            world = step.world;
            if number >= left_out {
                lines.push(show::line(&world, next, &step.happened));
            }
        }
        lines.extend(
            self.broken.iter().map(|broken| format!("  BROKEN {:?}: {}", broken.law, broken.what)),
        );
        lines.join("\n")
    }
}
