//! The graph of steps: which steps a step depends on, and which steps depend on it.

use super::saga::ValidStep;
use crate::api::MAX_STEPS;

/// A set of steps, by their place in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepSet(u128);

const _: () = assert!(MAX_STEPS <= 128, "a step set holds 128 steps");

impl StepSet {
    /// Creates the set of the steps at these places.
    pub fn of(places: impl IntoIterator<Item = usize>) -> Self {
        Self(places.into_iter().fold(0, |set, place| set | bit(place)))
    }

    /// Returns whether the step at this place is in the set.
    #[must_use]
    pub fn contains(self, place: usize) -> bool {
        self.0 & bit(place) != 0
    }

    /// Returns whether every step of this set is in the other.
    #[must_use]
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns the steps in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns whether the set has no step.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns how many steps the set has.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// Returns the bit of a place, or 0 for a place that no valid saga has.
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
    /// Creates the graph of valid steps. A step depends only on earlier steps, so one pass from the
    /// last step to the first finds all dependants.
    #[must_use]
    pub fn new(steps: &[ValidStep]) -> Self {
        let depends_on: Vec<_> =
            steps.iter().map(|step| StepSet::of(step.depends_on.iter().copied())).collect();
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

    /// Returns the steps that the step at this place depends on directly.
    #[must_use]
    pub fn depends_on(&self, place: usize) -> StepSet {
        self.depends_on.get(place).copied().unwrap_or_default()
    }

    /// Returns the steps that depend on the step at this place, directly or through others.
    #[must_use]
    pub fn dependants(&self, place: usize) -> StepSet {
        self.dependants.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::saga::{Operation, Retry, Work};
    use super::*;
    use crate::api::{BackoffType, PodAction};

    fn step(depends_on: Vec<usize>) -> ValidStep {
        let retry = Retry {
            max_attempts: 1,
            deadline: None,
            backoff: BackoffType::None,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(1),
            jitter: 0.0,
        };
        let action = Operation::new(Work::Pod(PodAction::default()), Duration::from_secs(1), retry);
        ValidStep {
            name: String::new(),
            depends_on,
            pivot: false,
            compensate_failed: false,
            unchecked: false,
            when: None,
            action,
            outputs: None,
            compensation: None,
        }
    }

    fn graph(depends_on: &[&[usize]]) -> Graph {
        Graph::new(&depends_on.iter().map(|places| step(places.to_vec())).collect::<Vec<_>>())
    }

    #[test]
    fn dependants_are_direct_and_indirect_ones() {
        let diamond = graph(&[&[], &[0], &[0], &[1, 2], &[]]);
        assert_eq!(diamond.dependants(0), StepSet::of([1, 2, 3]));
        assert_eq!(diamond.dependants(1), StepSet::of([3]));
        assert_eq!(diamond.depends_on(3), StepSet::of([1, 2]));
        assert!(
            diamond.dependants(3).is_empty()
                && diamond.dependants(4).is_empty()
                && diamond.depends_on(4).is_empty()
        );
    }

    #[test]
    fn a_place_that_no_saga_has_is_in_no_set() {
        let all = StepSet::of(0..128);
        assert_eq!((all.len(), StepSet::of([128, 1000, usize::MAX]).len()), (128, 0));
        assert!(!all.contains(128) && all.contains(127));
        assert!(graph(&[&[]]).dependants(7).is_empty());
    }

    #[test]
    fn a_chain_of_128_steps_depends_through_and_through() {
        let chain = Graph::new(
            &(0..128)
                .map(|place: usize| step(place.checked_sub(1).into_iter().collect()))
                .collect::<Vec<_>>(),
        );
        assert_eq!(
            (chain.dependants(0).len(), chain.dependants(126).len(), chain.dependants(127).len()),
            (127, 1, 0)
        );
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_into_it(
            places in prop::collection::btree_set(0..128_usize, 0..20),
            other in prop::collection::btree_set(0..128_usize, 0..20),
        ) {
            let set = StepSet::of(places.iter().copied());
            let others = StepSet::of(other.iter().copied());
            prop_assert_eq!(set.len(), places.len());
            prop_assert!((0..128).all(|place| set.contains(place) == places.contains(&place)));
            prop_assert_eq!(set.is_subset(others), places.is_subset(&other));
            prop_assert_eq!(set.and(others), StepSet::of(places.intersection(&other).copied()));
            prop_assert_eq!(set.is_empty(), places.is_empty());
        }

        #[test]
        fn a_step_has_the_dependants_of_its_dependants(
            edges in prop::collection::vec(any::<u32>(), 1..24),
        ) {
            let direct = |place: usize, mask: u32| {
                (0..place).filter(move |earlier| mask & (1 << earlier) != 0)
            };
            let steps: Vec<_> = edges
                .iter()
                .enumerate()
                .map(|(place, mask)| step(direct(place, *mask).collect()))
                .collect();
            let graph = Graph::new(&steps);
            for earlier in 0..steps.len() {
                for later in 0..steps.len() {
                    let through = (0..steps.len()).any(|between| {
                        graph.depends_on(between).contains(earlier)
                            && graph.dependants(between).contains(later)
                    });
                    let expected = graph.depends_on(later).contains(earlier) || through;
                    prop_assert_eq!(graph.dependants(earlier).contains(later), expected);
                }
                prop_assert!(!graph.dependants(earlier).contains(earlier));
            }
        }
    }
}
