//! The rules of a world: what may happen.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{
    child::Children, circumstances::Circumstances, execution::AttemptEnd, fault::ReplicaFault,
    object::Later,
};

/// What may happen in a world, and how often.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The number of replicas, 1 or 2.
    pub operators: usize,
    /// How many requests and changes users may make. The end of a suspension does not count.
    pub requests: usize,
    /// Whether requests carry a token. The annotations of such requests are not removed.
    pub tokens: bool,
    /// How many faults may happen.
    pub faults: usize,
    /// The kinds of faults that may happen.
    pub fault_kinds: Vec<ReplicaFault>,
    /// Whether each kind of fault happens at most once.
    pub each_fault_once: bool,
    /// How many versions old the copy may be from which a replica decides, at most 2.
    pub staleness: usize,
    /// How attempts of actions may end.
    pub endings: Vec<AttemptEnd>,
    /// How attempts of compensations may end.
    pub undo_endings: Vec<AttemptEnd>,
    /// Whether the clock may advance while an attempt is under way, so that time limits pass.
    pub attempts_last: bool,
    /// How often a third party creates the object again that a step deleted.
    pub remakes: u32,
    /// How Pods and Jobs are simulated.
    pub children: Children,
    /// How far the wall clock of each replica is ahead of the API server's at first. The value is
    /// negative if the clock is behind.
    pub clocks: [SignedDuration; 2],
    /// How far a fault sets a clock forward or back.
    pub set_by: Duration,
    /// What the replica with the number 1 writes, if it is of a later version.
    pub later: Option<Later>,
    /// The outputs of steps, by the names of the steps. The outputs of a step that is not in the
    /// map are placeholders of the form `<step.name>`.
    pub outputs: BTreeMap<String, Map<String, Value>>,
    /// What surrounds the saga.
    pub circumstances: Circumstances,
    /// Any instant of the monotonic clock. All other instants are computed from `origin`: the world
    /// reads no clock.
    pub origin: Instant,
}

impl Rules {
    /// Returns whether a replica is of a later version at first.
    pub(in crate::world) const fn is_later(&self, number: usize) -> bool {
        self.later.is_some() && number == 1
    }

    /// Returns rules with one replica, no faults and no requests. Attempts end in every way.
    #[must_use]
    pub fn calm(origin: Instant) -> Self {
        Self {
            operators: 1,
            requests: 0,
            tokens: false,
            faults: 0,
            fault_kinds: ReplicaFault::USUAL.to_vec(),
            each_fault_once: false,
            staleness: 0,
            endings: AttemptEnd::ALL.to_vec(),
            undo_endings: AttemptEnd::ALL.to_vec(),
            attempts_last: true,
            remakes: 0,
            children: Children::ByNumber,
            clocks: [SignedDuration::ZERO; 2],
            set_by: Duration::from_secs(40),
            later: None,
            outputs: BTreeMap::new(),
            circumstances: Circumstances::default(),
            origin,
        }
    }
}
