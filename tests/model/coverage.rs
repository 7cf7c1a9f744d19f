//! Counts which request and which fault occurred in which phase of the saga. In the table, every
//! reachable cell must be filled.

use std::collections::{BTreeMap, BTreeSet};

use saga_operator::{
    api::{RequestAction, SagaPhase},
    world::{Interference, ReplicaFault, UserMove, World},
};

/// A phase, a request of a user, and a fault.
type Cell = (Option<SagaPhase>, Option<UserMove>, Option<ReplicaFault>);

/// The number of worlds in each cell, and the interferences with children in any of the worlds.
#[derive(Default)]
pub struct Coverage(BTreeMap<Cell, u64>, BTreeSet<Interference>);

impl Coverage {
    pub fn count(&mut self, world: &World) {
        let ask = world.asked().first().map(|ask| match ask {
            UserMove::Request(action, _) => UserMove::Request(*action, None),
            UserMove::Suspend | UserMove::Unsuspend | UserMove::Delete => *ask,
        });
        *self.0.entry((world.status().phase, ask, world.faults().first().copied())).or_default() +=
            1;
        self.1.extend(world.interferences());
    }

    pub fn add(&mut self, other: Self) {
        for (cell, count) in other.0 {
            *self.0.entry(cell).or_default() += count;
        }
        self.1.extend(other.1);
    }

    /// Returns the reachable cells that were not reached, and the interferences that never
    /// occurred.
    pub fn empty(&self) -> Vec<String> {
        let all = Interference::OF_PODS.iter().chain(&Interference::OF_JOBS);
        let mut empty: Vec<_> =
            all.filter(|kind| !self.1.contains(kind)).map(|kind| format!("{kind:?}")).collect();
        for phase in phases() {
            for ask in asks() {
                for fault in faults() {
                    if may_be(phase, ask, fault) && !self.0.contains_key(&(phase, ask, fault)) {
                        empty.push(format!(
                            "{} x {} x {}",
                            phase_text(phase),
                            ask_text(ask),
                            fault_text(fault)
                        ));
                    }
                }
            }
        }
        empty
    }

    /// Returns the table: a line for each phase and request, a column for each fault.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<20}{:<12}{}",
            "phase",
            "request",
            faults().map(|fault| format!("{:>10}", fault_text(fault))).collect::<Vec<_>>().concat()
        )];
        for phase in phases() {
            for ask in asks() {
                let counts: Vec<_> = faults()
                    .map(|fault| self.0.get(&(phase, ask, fault)).copied().unwrap_or_default())
                    .collect();
                if counts.iter().any(|count| *count > 0) {
                    let counts = counts
                        .iter()
                        .map(|count| format!("{count:>10}"))
                        .collect::<Vec<_>>()
                        .concat();
                    lines.push(format!("{:<20}{:<12}{counts}", phase_text(phase), ask_text(ask)));
                }
            }
        }
        lines.join("\n")
    }
}

fn phases() -> impl Iterator<Item = Option<SagaPhase>> {
    std::iter::once(None).chain(SagaPhase::ALL.map(Some))
}

fn asks() -> impl Iterator<Item = Option<UserMove>> {
    let requests = RequestAction::ALL.map(|action| Some(UserMove::Request(action, None)));
    [None, Some(UserMove::Suspend), Some(UserMove::Delete)].into_iter().chain(requests)
}

fn faults() -> impl Iterator<Item = Option<ReplicaFault>> {
    std::iter::once(None).chain(ReplicaFault::ALL.map(Some))
}

/// Returns whether a saga can be in this phase after this request and this fault. Each saga is
/// valid and gets at most one request.
fn may_be(phase: Option<SagaPhase>, ask: Option<UserMove>, fault: Option<ReplicaFault>) -> bool {
    use RequestAction as A;
    use SagaPhase as P;
    let action = match ask {
        Some(UserMove::Request(action, _)) => Some(action),
        None | Some(UserMove::Suspend | UserMove::Unsuspend | UserMove::Delete) => None,
    };
    match (phase, action) {
        // A create is refused only after the first status write.
        (None, _) if fault == Some(ReplicaFault::Refuse) => false,
        // A rejected step fails, and only another request could complete the saga. A valid saga
        // starts immediately, unless its first request is a pause. A resume is possible only after
        // a pause, so a resume is never the first request.
        (Some(P::Completed), Some(A::Reject)) | (Some(P::Pending), _) | (_, Some(A::Resume)) => {
            false
        }
        (Some(P::Paused), _) => ask == Some(UserMove::Suspend) || action == Some(A::Pause),
        (Some(P::Cancelled), _) => action == Some(A::Cancel),
        // Approve and Reject need a waiting step, and Settle needs a step that was attempted.
        (None, _) => !matches!(action, Some(A::Approve | A::Reject | A::Settle)),
        (Some(_), _) => true,
    }
}

fn phase_text(phase: Option<SagaPhase>) -> &'static str {
    phase.map_or("(new)", SagaPhase::as_str)
}

fn ask_text(ask: Option<UserMove>) -> &'static str {
    match ask {
        None => "-",
        Some(UserMove::Suspend) => "suspend",
        Some(UserMove::Unsuspend) => "unsuspend",
        Some(UserMove::Delete) => "delete",
        Some(UserMove::Request(action, _)) => action.as_str(),
    }
}

fn fault_text(fault: Option<ReplicaFault>) -> &'static str {
    match fault {
        None => "-",
        Some(ReplicaFault::Crash) => "crash",
        Some(ReplicaFault::Freeze) => "freeze",
        Some(ReplicaFault::Stall) => "stall",
        Some(ReplicaFault::Lapse) => "lapse",
        Some(ReplicaFault::Refuse) => "refuse",
        Some(ReplicaFault::SetAhead) => "ahead",
        Some(ReplicaFault::SetBack) => "back",
        Some(ReplicaFault::Deafen) => "deaf",
    }
}
