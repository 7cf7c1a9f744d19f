//! A walk through worlds, move by move, until a world rests.

use saga_operator::world::{self, AttemptRef, Event, Property, Rules, Violation, World, WorldMove};

use crate::show;

/// The number of moves, without further faults, after which a run counts as one that never comes to
/// rest. An attempt takes about six moves.
const MOST_FAIR: usize = 20_000;

/// A walk, with the violations that were found.
pub struct Walk {
    first: World,
    pub world: World,
    pub moves: Vec<WorldMove>,
    pub violations: Vec<Violation>,
    /// The attempts that an operator began, each with the last part of its idempotency key.
    pub began: Vec<(AttemptRef, i64)>,
}

impl Walk {
    pub fn new(saga: saga_operator::model::saga::ValidSaga, rules: Rules) -> Self {
        let world = World::new(saga, rules);
        Self {
            first: world.clone(),
            world,
            moves: Vec::new(),
            violations: Vec::new(),
            began: Vec::new(),
        }
    }

    /// Makes a move. Returns `false` if the move is not possible.
    pub fn take(&mut self, next: WorldMove) -> bool {
        let Some(step) = world::apply(&self.world, &next) else { return false };
        self.world = step.world;
        self.moves.push(next);
        self.violations.extend(step.violations);
        for event in &step.events {
            if let Event::Began { attempt, key, .. } = event {
                self.began.push((*attempt, *key));
            }
        }
        true
    }

    /// Makes moves without further faults and requests until the world rests or a property is
    /// violated.
    /// `instead` may replace the fair move by another move.
    pub fn rest(&mut self, mut instead: impl FnMut(&World, WorldMove) -> WorldMove) {
        for _ in 0..MOST_FAIR {
            if !self.violations.is_empty() {
                return;
            }
            let Some(fair) = world::fair_move(&self.world) else {
                self.violations.extend(world::wrong_at_rest(&self.world));
                return;
            };
            let chosen = instead(&self.world, fair);
            if !self.take(chosen) && !self.take(fair) {
                self.violations.push(Violation {
                    property: Property::ComesToRest,
                    what: format!("the fair move {fair:?} is no move"),
                });
            }
        }
        self.violations.push(Violation {
            property: Property::ComesToRest,
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
                lines.push(show::line(&world, next, &step.events));
            }
        }
        lines.extend(
            self.violations
                .iter()
                .map(|violation| format!("  BROKEN {:?}: {}", violation.property, violation.what)),
        );
        lines.join("\n")
    }
}
