//! The events that are possible for a saga of the model.

use std::time::Instant;

use jiff::SignedDuration;
use saga_operator::world::{AttemptEnd, Later, ReplicaFault, Rules};

/// The possible events, one field for each dimension.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    pub requests: usize,
    pub tokens: bool,
    pub faults: usize,
    pub operators: usize,
    pub staleness: usize,
    /// Whether every ending is possible and time limits expire. If false, only the endings that
    /// differ most are possible.
    pub wide: bool,
    /// The possible faults. Each of them occurs at most once. If empty, the usual faults are
    /// possible.
    pub once: &'static [ReplicaFault],
    /// The number of seconds that the clock of each replica is ahead.
    pub clocks: [i64; 2],
    /// The changes that the second replica writes, if the second replica has a later version.
    pub later: Option<Later>,
}

impl Extent {
    pub fn rules(self) -> Rules {
        let mut rules = Rules::calm(Instant::now());
        rules.requests = self.requests;
        rules.tokens = self.tokens;
        rules.faults = self.faults;
        if !self.once.is_empty() {
            (rules.fault_kinds, rules.each_fault_once) = (self.once.to_vec(), true);
        }
        rules.operators = self.operators.max(1);
        rules.clocks = self.clocks.map(SignedDuration::from_secs);
        rules.staleness = self.staleness;
        rules.later = self.later;
        rules.attempts_last = self.wide;
        if !self.wide {
            rules.endings = vec![
                AttemptEnd::Done,
                AttemptEnd::No,
                AttemptEnd::Unknown(true),
                AttemptEnd::Vanished(false),
                AttemptEnd::Conflict,
                AttemptEnd::Crash,
            ];
            rules.undo_endings = vec![
                AttemptEnd::Done,
                AttemptEnd::No,
                AttemptEnd::Unknown(false),
                AttemptEnd::Conflict,
            ];
        }
        rules
    }

    pub(super) fn text(self) -> String {
        let Self { requests, tokens, faults, operators, staleness, wide, once, clocks, later } =
            self;
        let words = [
            (requests > 0, if tokens { "request@token" } else { "request" }.to_owned()),
            (faults > 0, if once.is_empty() { "fault".to_owned() } else { format!("{once:?}") }),
            (operators > 1, "two operators".to_owned()),
            (staleness > 0, "stale".to_owned()),
            (clocks != [0; 2], format!("clocks {clocks:?}")),
            (later.is_some(), later.map(|later| format!("{later:?}")).unwrap_or_default()),
            (wide, "wide".to_owned()),
        ];
        words
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, word)| word)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
