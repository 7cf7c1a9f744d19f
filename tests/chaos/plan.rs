//! Plans: a story and a fault. The plans of a run are all plans, or a seeded sample that contains
//! each pair of story and fault.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    crash::scramble,
    fault::{Counter, Fault, Strike},
    sense::left_out,
    stories::{ALL, Story},
};

/// A story and the fault that strikes in it.
#[derive(Clone, Copy)]
pub struct Plan {
    pub story: &'static Story,
    pub strike: Option<Strike>,
}

/// A story and a fault, by name.
pub type Pair = (&'static str, Fault);

impl Plan {
    pub fn pair(&self) -> Option<Pair> {
        Some((self.story.name, self.strike?.fault))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.strike {
            Some(strike) => write!(f, "{}/{strike}", self.story.name),
            None => f.write_str(self.story.name),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (story, strike) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?} is no plan: write chain/crash-before@call:3"))?;
        let story = ALL
            .into_iter()
            .find(|known| known.name == story)
            .ok_or_else(|| format!("{story:?} is no story"))?;
        Ok(Self { story, strike: Some(strike.parse()?) })
    }
}

/// A call of a run without a fault.
#[derive(Clone, Debug)]
pub struct Place {
    pub counter: Counter,
    pub nth: usize,
    /// The class of the call, such as `PUT sagas/status`.
    pub class: String,
}

/// Returns all plans of a story. `calls` are the calls of the run without a fault.
pub fn plans(story: &'static Story, calls: &[Place]) -> Vec<Plan> {
    let at = |place: &Place| {
        let sensible = |fault: &Fault| left_out(story, *fault, place).is_none();
        let strike = |fault| Strike { fault, counter: place.counter, nth: place.nth };
        let plan = |fault| Plan { story, strike: Some(strike(fault)) };
        Fault::ALL.into_iter().filter(sensible).map(plan).collect::<Vec<_>>()
    };
    calls.iter().filter(|place| is_struck(story, place)).flat_map(at).collect()
}

/// Returns whether faults strike this call of a story. Faults strike all writes for the saga, and
/// the calls that the story names.
pub fn is_struck(story: &Story, place: &Place) -> bool {
    let named =
        |(counter, most): &(Counter, usize)| *counter == place.counter && place.nth <= *most;
    place.counter == Counter::Call || story.strikes.iter().any(named)
}

/// Returns the pairs of a story and a fault that occur in the plans.
pub fn pairs(plans: &[Plan]) -> BTreeSet<Pair> {
    plans.iter().filter_map(Plan::pair).collect()
}

/// Returns `count` of the plans, chosen by the seed, in their original order. The sample first
/// takes one plan of each pair, and then any other plans.
pub fn sample(plans: Vec<Plan>, count: usize, seed: u64) -> Vec<Plan> {
    let mut drawn: Vec<_> =
        (0_u64..).zip(plans).map(|(nth, plan)| (scramble(seed, nth), nth, plan)).collect();
    drawn.sort_by_key(|(lot, ..)| *lot);
    let mut taken = BTreeSet::new();
    let (mut chosen, rest): (Vec<_>, Vec<_>) = drawn
        .into_iter()
        .partition(|(.., plan)| plan.pair().is_some_and(|pair| taken.insert(pair)));
    chosen.extend(rest);
    chosen.truncate(count);
    chosen.sort_by_key(|(_, nth, _)| *nth);
    chosen.into_iter().map(|(.., plan)| plan).collect()
}
