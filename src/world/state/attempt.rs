//! The name of an attempt in a world.

use std::fmt;

use crate::api::Direction;

/// The identity of an attempt. The step is given by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptRef {
    /// The place of the step, from 0.
    pub place: usize,
    /// Whether the attempt is of the action or of the compensation.
    pub direction: Direction,
    /// The number of the attempt, from 1.
    pub number: i64,
}

impl fmt::Display for AttemptRef {
    /// Writes the attempt in words, such as `step 0 action 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} {} {}", self.place, self.direction, self.number)
    }
}
