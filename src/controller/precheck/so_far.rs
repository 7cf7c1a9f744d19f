//! What the trials of one saga have shown so far, and whether more is tried.
//!
//! # Guarantees
//! Once the saga is refused, its trial ends at the first [`MAX_REFUSED_TRIALS`] operations that the
//! API server does not find fine. So what a hopeless saga costs is bounded. The faults that need no
//! call are all found, and do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    api::limits::MAX_REFUSED_TRIALS,
    controller::memory::prechecks::{FixedBy, PrecheckVerdict},
    engine::precheck::Probe,
    fault::Fault,
    model::{input::Precheck, saga::Work},
    objects::{job, pod},
};

/// The time limit of the trial of one operation.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// What is known so far of the operations of one saga.
#[derive(Debug, Default)]
pub(in crate::controller) struct SoFar {
    /// The verdicts, by the content of the operations.
    pub(super) verdicts: BTreeMap<String, PrecheckVerdict>,
    /// How many operations the API server did not find fine.
    pub(super) troubles: usize,
    /// Whether a verdict refuses the saga.
    pub(super) refuses: bool,
}

impl SoFar {
    /// Judges the operations that need no call. Returns the others that have no verdict yet. Equal
    /// operations are tried once.
    pub(super) fn left<'a>(&mut self, probes: &'a [(String, Probe)]) -> Vec<&'a (String, Probe)> {
        let mut left = Vec::new();
        let mut met = BTreeSet::new();
        for one in probes {
            let (hash, probe) = one;
            if self.verdicts.contains_key(hash) || !met.insert(hash) {
                continue;
            }
            match fault_without_call(probe) {
                Some(message) => {
                    let verdict = PrecheckVerdict::Refused(FixedBy::Nothing, message);
                    self.verdicts.insert(hash.clone(), verdict);
                    self.refuses = true;
                }
                None => left.push(one),
            }
        }
        left
    }

    /// Notes what the API server answered about all operations of this content.
    pub(super) fn note(
        &mut self,
        probes: &[(String, Probe)],
        hash: &str,
        verdict: PrecheckVerdict,
    ) {
        if verdict != PrecheckVerdict::Fine {
            self.troubles = self.troubles.saturating_add(1);
        }
        self.refuses |= probes.iter().filter(|(of, _)| of == hash).any(|(_, probe)| {
            matches!(verdict.after(probe.may_provide), PrecheckVerdict::Refused(..))
        });
        self.verdicts.insert(hash.to_owned(), verdict);
    }

    /// Returns whether another operation is tried while the trials of so many are under way. All of
    /// those may be refused.
    pub(super) const fn goes_on(&self, under_way: usize) -> bool {
        // A saga that nothing refuses yet has to be tried to its end.
        self.troubles.saturating_add(under_way) < MAX_REFUSED_TRIALS
            || (self.troubles >= MAX_REFUSED_TRIALS && !self.refuses)
    }

    /// Combines the verdicts of all operations, each with its path in the spec. `unchecked`: the
    /// operations that could not be tried.
    pub(super) fn judged(&self, probes: &[(String, Probe)], unchecked: Vec<String>) -> Precheck {
        let mut precheck = Precheck { unchecked, ..Precheck::default() };
        for (hash, probe) in probes {
            match self.verdicts.get(hash).map(|verdict| verdict.after(probe.may_provide)) {
                Some(PrecheckVerdict::Refused(_, message)) => {
                    precheck.refused.push(Fault::new(&probe.path, message));
                }
                Some(PrecheckVerdict::Unchecked(message)) => {
                    precheck.unchecked.push(format!("{} ({message})", probe.path));
                }
                Some(PrecheckVerdict::Fine) => {}
                None => precheck.untried = precheck.untried.saturating_add(1),
            }
        }
        precheck
    }
}

/// Returns what is wrong with an operation whatever the API server says.
fn fault_without_call(probe: &Probe) -> Option<String> {
    let Probe { saga, work, .. } = probe;
    match work {
        Work::Pod(action) => pod::build::pod(saga, &probe.identity(), action, LONGEST).err(),
        Work::Job(action) => job::build::job(saga, &probe.identity(), action, LONGEST).err(),
        Work::Apply(_)
        | Work::Http(_)
        | Work::Saga(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::UndoSaga
        | Work::Approval(_)
        | Work::Wait(_) => None,
    }
}
