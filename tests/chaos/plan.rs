//! Plans: a story, and what goes wrong in it. All of them, or a seeded sample.

use std::{fmt, str::FromStr};

use crate::{
    crash::scramble,
    fault::{Counter, Fault, Strike},
};

/// What the saga is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Story {
    /// Two requests and a Pod; all is done.
    Checkout,
    /// The same; the Pod fails, and all is undone.
    Failing,
    /// The checkout with a Pod that lives so long that its UID is noted.
    Slow,
    /// The checkout with a request that takes so long that Leases are renewed meanwhile.
    Patient,
    /// A checkout that is held, is asked to try again, fails again, and is asked the same again.
    Held,
}

impl Story {
    pub const ALL: [Self; 5] = [Self::Checkout, Self::Failing, Self::Slow, Self::Patient, Self::Held];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Failing => "failing",
            Self::Slow => "slow",
            Self::Patient => "patient",
            Self::Held => "held",
        }
    }

    /// Whether it has a step that needs a node.
    pub const fn needs_a_node(self) -> bool {
        matches!(self, Self::Slow)
    }
}

/// A story and what goes wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub story: Story,
    pub strike: Option<Strike>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.strike {
            Some(strike) => write!(f, "{}/{strike}", self.story.as_str()),
            None => f.write_str(self.story.as_str()),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (story, strike) = text.split_once('/').ok_or_else(|| format!("{text:?} is no plan: write checkout/crash-before@call:3"))?;
        let story = Story::ALL.into_iter().find(|known| known.as_str() == story).ok_or_else(|| format!("{story:?} is no story"))?;
        Ok(Self { story, strike: Some(strike.parse()?) })
    }
}

/// All plans of a story whose run without a fault makes these calls.
pub fn plans(story: Story, calls: &[String]) -> Vec<Plan> {
    let plan = |counter, nth| move |fault| Plan { story, strike: Some(Strike { fault, counter, nth }) };
    let all = Fault::ALL.into_iter();
    match story {
        // Only what this story has and the checkout does not.
        Story::Slow => all.map(plan(Counter::Noted, 1)).collect(),
        Story::Patient => {
            let leases = [(Counter::LeaseCreation, 1), (Counter::LeaseRenewal, 1), (Counter::LeaseRenewal, 2)];
            let sensible = |(counter, nth)| Fault::ALL.into_iter().filter(|fault| makes_sense(*fault, "leases")).map(plan(counter, nth));
            leases.into_iter().flat_map(sensible).collect()
        }
        Story::Held => {
            let crashes = |nth| Fault::ALL.into_iter().filter(|fault| fault.crashes()).map(plan(Counter::Call, nth));
            (1..=calls.len()).flat_map(crashes).collect()
        }
        Story::Checkout | Story::Failing => {
            let each = calls.iter().zip(1..).flat_map(|(class, nth)| {
                let sensible = Fault::ALL.into_iter().filter(|fault| makes_sense(*fault, class));
                sensible.map(plan(Counter::Call, nth)).collect::<Vec<_>>()
            });
            let caches = [Counter::SagaList, Counter::SagaWatch, Counter::PodList, Counter::PodWatch];
            let of_caches = caches.into_iter().filter(|_| story == Story::Checkout).flat_map(|counter| {
                let sensible = Fault::ALL.into_iter().filter(|fault| makes_sense_for_a_cache(*fault));
                sensible.map(plan(counter, 1)).collect::<Vec<_>>()
            });
            each.chain(of_caches).collect()
        }
    }
}

fn makes_sense(fault: Fault, class: &str) -> bool {
    // Only a write of the saga makes an older copy of it, and nothing follows an event that could come too late.
    let stale = matches!(fault, Fault::Stale | Fault::StaleList);
    (!stale || class.contains(" sagas")) && (!fault.freezes() || class != "POST events")
}

/// What can happen to a list or a watch: it changes nothing, so that it matters only whether an answer comes. A conflict never does.
fn makes_sense_for_a_cache(fault: Fault) -> bool {
    !matches!(fault, Fault::Conflict | Fault::Stale | Fault::StaleList | Fault::TimeoutAfterCommit) && !fault.freezes()
}

/// So many of the plans, chosen by the seed, in their order.
pub fn sample(plans: Vec<Plan>, count: usize, seed: u64) -> Vec<Plan> {
    let mut drawn: Vec<_> = (0_u64..).zip(plans).map(|(nth, plan)| (scramble(seed, nth), nth, plan)).collect();
    drawn.sort_by_key(|(lot, ..)| *lot);
    drawn.truncate(count);
    drawn.sort_by_key(|(_, nth, _)| *nth);
    drawn.into_iter().map(|(.., plan)| plan).collect()
}
