//! The random choices: the saga, the possible faults and requests, and each move.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use proptest::{prelude::RngExt, test_runner::TestRng};
use saga_operator::{
    api::{
        ApprovalAction, BackoffType, DeletionPolicy, MAX_DEPENDENCIES, OnFailure, RequestAction,
        StepPhase,
    },
    model::saga::{Operation, Retry, ValidSaga, ValidStep, Work},
    world::{self, AttemptEnd, Halt, ReplicaFault, Rules, UserMove, World, WorldMove},
};

use crate::{
    shapes::{self, Extent, Kind, Steps},
    walk::Walk,
};

/// The number of steps of a large saga.
const STEPS: RangeInclusive<usize> = 5..=64;
/// The possible numbers of steps of a small saga. A repeated number is more likely.
const FEW: [usize; 6] = [1, 2, 3, 3, 4, 4];

pub(super) struct Dice(pub(super) TestRng);

impl Dice {
    /// Returns true with a probability of `percent` percent.
    fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    fn seconds(&mut self, most: u64) -> Duration {
        Duration::from_secs(self.0.random_range(1..=most))
    }

    /// Returns a random duration with a probability of `percent` percent, and otherwise `None`.
    fn maybe(&mut self, percent: u32, most: u64) -> Option<Duration> {
        self.percent(percent).then(|| self.seconds(most))
    }

    pub(super) fn saga(&mut self) -> ValidSaga {
        let steps = self.0.random_range(STEPS);
        let pivot = self.percent(30).then(|| self.0.random_range(0..steps));
        // The graph can be anything from a chain to steps with almost no edges.
        let edges = self.one_of(&[0, 1, 2, 4, MAX_DEPENDENCIES]);
        ValidSaga {
            name: "order".into(),
            namespace: "shop".into(),
            uid: "uid".into(),
            key_scope: "uid".into(),
            service_account: "default".into(),
            tokens_unasked: false,
            max_parallel: self.0.random_range(1..=8),
            on_failure: self.one_of(&[OnFailure::Compensate, OnFailure::Hold]),
            suspend: false,
            deletion_policy: self.one_of(&[
                DeletionPolicy::Compensate,
                DeletionPolicy::Compensate,
                DeletionPolicy::Abandon,
            ]),
            max_retry_requests: self.0.random_range(0..4),
            timeout: self.maybe(30, 200),
            ttl: self.maybe(20, 60),
            params: serde_json::Map::new(),
            doubts: Vec::new(),
            raised: Vec::new(),
            outputs: None,
            steps: (0..steps).map(|place| self.step(place, edges, pivot)).collect(),
        }
    }

    /// Returns a saga of the search.
    pub(super) fn small(&mut self) -> ValidSaga {
        let dags = shapes::dags(self.one_of(&FEW));
        let steps = [
            Steps::Pods,
            Steps::Requests,
            Steps::Pods,
            Steps::Requests,
            Steps::Approval,
            Steps::PodsAndApproval,
            Steps::Wait,
        ];
        let dag = &dags[self.0.random_range(0..dags.len())];
        let kind = Kind {
            steps: self.one_of(&steps),
            undo: self.percent(90),
            attempts: self.one_of(&[1, 2]),
            on_failure: self.one_of(&[OnFailure::Compensate, OnFailure::Hold]),
            parallel: self.percent(50),
            pivot: self.percent(20).then(|| self.0.random_range(0..dag.len())),
        };
        shapes::saga(dag, kind)
    }

    /// Returns rules that allow all events of the search at the same time.
    pub(super) fn everything(&mut self) -> Rules {
        let tokens = self.percent(30);
        Extent {
            requests: 1,
            tokens,
            faults: 3,
            operators: 2,
            staleness: 2,
            wide: true,
            ..Extent::default()
        }
        .rules()
    }

    fn step(&mut self, place: usize, edges: usize, pivot: Option<usize>) -> ValidStep {
        let mut depends_on: Vec<_> = (0..self.0.random_range(0..=edges.min(place)))
            .map(|_| self.0.random_range(0..place))
            .collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        let name = format!("s{place}");
        let work = match self.0.random_range(0..80) {
            0 => Work::Approval(ApprovalAction::default()),
            1..8 => Work::Wait(self.seconds(20)),
            8..44 => shapes::pod(),
            _ => shapes::request(&name),
        };
        let only_waits = matches!(work, Work::Approval(_) | Work::Wait(_));
        let undo =
            if self.percent(50) { shapes::pod() } else { shapes::request(&format!("undo-{name}")) };
        let is_pod = matches!(work, Work::Pod(_));
        let mut action = self.operation(work);
        if only_waits {
            action.retry = shapes::operation(action.work.clone(), 1).retry;
            action.timeout = if self.percent(50) { Duration::MAX } else { Duration::from_mins(1) };
        }
        ValidStep {
            depends_on,
            pivot: pivot == Some(place),
            compensate_failed: !only_waits && is_pod != self.percent(20),
            unchecked: false,
            when: None,
            action,
            outputs: None,
            compensation: self.percent(85).then(|| self.operation(undo)),
            name,
        }
    }

    fn operation(&mut self, work: Work) -> Operation {
        let initial_delay = self.seconds(4);
        let retry = Retry {
            max_attempts: self.0.random_range(1..=3),
            deadline: self.maybe(20, 60),
            backoff: self.one_of(&[
                BackoffType::None,
                BackoffType::Linear,
                BackoffType::Exponential,
            ]),
            initial_delay,
            max_delay: initial_delay + self.seconds(10),
            jitter: self.one_of(&[0.0, 0.5]),
        };
        Operation::new(work, self.seconds(60), retry)
    }

    pub(super) fn rules(&mut self) -> Rules {
        Rules {
            operators: self.0.random_range(1..=2),
            requests: self.0.random_range(0..=3),
            tokens: self.percent(30),
            faults: self.0.random_range(0..=4),
            staleness: self.0.random_range(0..=2),
            ..Rules::calm(Instant::now())
        }
    }

    /// Draws a move that may be impossible. `well` is the percentage of attempts that end well.
    pub(super) fn draw(&mut self, walk: &Walk, well: u32) -> Option<WorldMove> {
        let (world, replica) = (&walk.world, self.0.random_range(0..walk.world.rules().operators));
        Some(match self.0.random_range(0..200) {
            0..90 => {
                let halt = self.percent(5).then(|| Halt {
                    how: self.one_of(&ReplicaFault::HALTS),
                    after: self.0.random_range(0..6),
                });
                WorldMove::Reconcile {
                    replica,
                    staleness: self.0.random_range(0..=world.rules().staleness),
                    halt,
                }
            }
            90..170 => {
                let under_way: Vec<_> = world.under_way().collect();
                let attempt = *under_way.get(self.0.random_range(0..under_way.len().max(1)))?;
                WorldMove::End {
                    attempt,
                    ending: if self.percent(well) {
                        AttemptEnd::Done
                    } else {
                        self.one_of(&AttemptEnd::ALL)
                    },
                }
            }
            170..172 => WorldMove::User(self.ask(world)?),
            172 => WorldMove::Strike { replica, fault: self.one_of(&ReplicaFault::USUAL) },
            173..178 => WorldMove::Resume(replica),
            178..183 => WorldMove::Restart(replica),
            _ => WorldMove::Tick(world::due(world)?),
        })
    }

    /// Draws a request that may not be allowed.
    pub(super) fn ask(&mut self, world: &World) -> Option<UserMove> {
        let steps = &world.status().steps;
        let waits: Vec<_> =
            (0..steps.len()).filter(|place| steps[*place].phase == StepPhase::Waiting).collect();
        let step = (!steps.is_empty()).then(|| self.0.random_range(0..steps.len()))?;
        Some(match self.0.random_range(0..16) {
            0 => UserMove::Suspend,
            1 => UserMove::Delete,
            2..5 => UserMove::Unsuspend,
            _ => match self.one_of(&RequestAction::ALL) {
                action @ (RequestAction::Approve | RequestAction::Reject) if waits.is_empty() => {
                    UserMove::Request(action, Some(step))
                }
                action @ (RequestAction::Approve | RequestAction::Reject) => {
                    UserMove::Request(action, Some(self.one_of(&waits)))
                }
                action @ (RequestAction::Settle | RequestAction::Skip) => {
                    UserMove::Request(action, Some(step))
                }
                RequestAction::Retry => {
                    UserMove::Request(RequestAction::Retry, self.percent(50).then_some(step))
                }
                action @ (RequestAction::Cancel
                | RequestAction::Compensate
                | RequestAction::Pause
                | RequestAction::Resume) => UserMove::Request(action, None),
            },
        })
    }
}
