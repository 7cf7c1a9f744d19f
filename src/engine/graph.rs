//! The graph of steps: who must be done before whom, and undone after whom.

use super::saga::ValidStep;
use crate::api::MAX_STEPS;

/// A set of steps, by their place in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepSet(u128);

const _: () = assert!(MAX_STEPS <= 128, "a step set holds 128 steps");

impl StepSet {
    /// The set of those whose place the filter takes.
    pub fn of(places: impl IntoIterator<Item = usize>) -> Self {
        Self(places.into_iter().fold(0, |set, place| set | bit(place)))
    }

    /// Whether the step at this place is in the set.
    #[must_use]
    pub fn contains(self, place: usize) -> bool {
        self.0 & bit(place) != 0
    }

    /// Whether every step of this set is in the other.
    #[must_use]
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The steps in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set has no step.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many steps the set has.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// One bit; nothing for a place that no valid saga has.
fn bit(place: usize) -> u128 {
    u32::try_from(place).ok().and_then(|place| 1_u128.checked_shl(place)).unwrap_or(0)
}

/// The graph of one saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    depends_on: Vec<StepSet>,
    dependants: Vec<StepSet>,
}

impl Graph {
    /// Reads the graph off valid steps: each depends only on earlier ones, so that one pass backwards finds all that follows.
    #[must_use]
    pub fn new(steps: &[ValidStep]) -> Self {
        let depends_on: Vec<_> = steps.iter().map(|step| StepSet::of(step.depends_on.iter().copied())).collect();
        let mut dependants = vec![StepSet::default(); steps.len()];
        for (place, direct) in depends_on.iter().enumerate().rev() {
            let after = StepSet(bit(place) | dependants.get(place).copied().unwrap_or_default().0);
            for (earlier, set) in dependants.iter_mut().enumerate() {
                if direct.contains(earlier) {
                    set.0 |= after.0;
                }
            }
        }
        Self { depends_on, dependants }
    }

    /// The steps that the step at this place depends on directly.
    #[must_use]
    pub fn depends_on(&self, place: usize) -> StepSet {
        self.depends_on.get(place).copied().unwrap_or_default()
    }

    /// The steps that depend on the step at this place, directly or through others.
    #[must_use]
    pub fn dependants(&self, place: usize) -> StepSet {
        self.dependants.get(place).copied().unwrap_or_default()
    }
}
