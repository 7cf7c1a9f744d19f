//! What a world allows to happen.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{child::Children, fault::Fault, shared::Later, trial::Ending};

/// What a world allows to happen, and how often.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many operators run, 1 or 2.
    pub operators: usize,
    /// How many requests people may make; being allowed to go on again after a suspension is not
    /// counted.
    pub requests: usize,
    /// Whether requests carry a token, so that their annotations stay in place.
    pub tokens: bool,
    /// How many faults may happen.
    pub faults: usize,
    /// The faults that may happen.
    pub fault_kinds: Vec<Fault>,
    /// Whether each of them happens once at most.
    pub each_fault_once: bool,
    /// By how many versions the copy that an operator decides from may be old, at most 2.
    pub staleness: usize,
    /// How attempts of actions may end.
    pub endings: Vec<Ending>,
    /// How attempts of compensations may end.
    pub undo_endings: Vec<Ending>,
    /// Whether the clock may go on while an attempt is under way, so that time limits pass.
    pub attempts_last: bool,
    /// How often somebody makes the object again that a step deleted.
    pub remakes: u32,
    /// How Pods and Jobs are played.
    pub children: Children,
    /// By how much the wall clock of each operator is ahead of the API server's at first; negative
    /// where it is behind.
    pub clocks: [SignedDuration; 2],
    /// By how much a clock is set ahead or back.
    pub set_by: Duration,
    /// What the operator with the number 1 writes, where it is of a later version.
    pub later: Option<Later>,
    /// What steps hand on, by their names; of one that is not here, the names of its outputs in `<`
    /// and `>`.
    pub outputs: BTreeMap<String, Map<String, Value>>,
    /// Any instant of the monotonic clock: all others are told from it. The world reads no clock
    /// itself.
    pub origin: Instant,
}

impl Rules {
    /// Whether an operator is of a later version at first.
    pub(in crate::world) const fn is_later(&self, number: usize) -> bool {
        self.later.is_some() && number == 1
    }

    /// One operator, no fault and no request; attempts end in every way.
    #[must_use]
    pub fn calm(origin: Instant) -> Self {
        Self {
            operators: 1,
            requests: 0,
            tokens: false,
            faults: 0,
            fault_kinds: Fault::USUAL.to_vec(),
            each_fault_once: false,
            staleness: 0,
            endings: Ending::ALL.to_vec(),
            undo_endings: Ending::ALL.to_vec(),
            attempts_last: true,
            remakes: 0,
            children: Children::ByNumber,
            clocks: [SignedDuration::ZERO; 2],
            set_by: Duration::from_secs(40),
            later: None,
            outputs: BTreeMap::new(),
            origin,
        }
    }
}
