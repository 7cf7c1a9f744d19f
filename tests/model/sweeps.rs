//! Sweeps over the examples and over every graph of four steps. Every step fails, and every answer
//! is lost, once and permanently.
//!
//! The simulated users do what is necessary. They approve. They request a retry if the saga has to
//! go forward, and a compensation if the saga has to go back.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use saga_operator::{
    api::{Direction, OnFailure, RequestAction, Saga, SagaPhase, StoredSaga},
    model::saga::{SagaName, ValidSaga, Work},
    validate::saga::validate_stored,
    world::{AttemptEnd, Rules, World, WorldMove},
};
use serde_json::json;

use crate::{
    shapes::{self, Kind, Steps},
    trouble::{Trouble, user, with_trouble},
    walk::Walk,
};

/// The maximum number of last moves that are reported for a run.
const TOLD: usize = 60;
/// The maximum number of reported violations.
const MOST: usize = 3;
/// The limit of requests in a run. It is higher than any run needs.
const REQUESTS: usize = 40;

#[derive(Default)]
pub struct Swept {
    pub sagas: usize,
    pub runs: usize,
    pub violations: Vec<String>,
}

/// A finished run.
struct Run {
    walk: Walk,
    /// The world when the saga first rested in `CompensationFailed`.
    stuck: Option<World>,
}

pub fn run() -> Swept {
    let (sagas, next, all) = (sagas(), AtomicUsize::new(0), Mutex::new(Swept::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, saga)) = sagas.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut sweep = Sweep { name, saga, swept: Swept::default() };
                    sweep.all();
                    let mut all = all.lock().unwrap();
                    all.sagas += 1;
                    all.runs += sweep.swept.runs;
                    all.violations.extend(sweep.swept.violations);
                    if all.violations.len() >= MOST {
                        return;
                    }
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    all.violations.iter().for_each(|violation| println!("{violation}"));
    all
}

fn sagas() -> Vec<(String, ValidSaga)> {
    let mut sagas = examples();
    assert!(!sagas.is_empty(), "there are examples");
    let kinds = [
        (Steps::Pods, 2, OnFailure::Compensate),
        (Steps::Requests, 2, OnFailure::Compensate),
        (Steps::Requests, 1, OnFailure::Hold),
    ];
    for dag in shapes::dags(4) {
        for (steps, attempts, on_failure) in kinds {
            for parallel in [false, true] {
                let kind = Kind { steps, undo: true, attempts, on_failure, parallel, pivot: None };
                sagas.push((format!("{dag:?} {kind:?}"), shapes::saga(&dag, kind)));
            }
        }
    }
    for (_, saga) in &mut sagas {
        saga.max_retry_requests = 10;
    }
    sagas
}

/// Returns the sagas of the examples.
fn examples() -> Vec<(String, ValidSaga)> {
    let mut sagas = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in documents
            .iter()
            .filter(|document| document["kind"] == <Saga as kube::Resource>::kind(&()).as_ref())
        {
            let stored: StoredSaga = serde_json::from_str(&document.to_string()).unwrap();
            let name = stored.metadata.name.clone().unwrap_or_default();
            let who = SagaName { name, namespace: "shop".into(), uid: "uid".into() };
            sagas.push((path.display().to_string(), validate_stored(&who, &stored.spec).unwrap()));
        }
    }
    sagas.sort_by(|one, other| one.0.cmp(&other.0));
    sagas
}

struct Sweep<'a> {
    name: &'a str,
    saga: &'a ValidSaga,
    swept: Swept,
}

impl Sweep<'_> {
    fn all(&mut self) {
        self.swept.runs += 1;
        let calm = self.play(&[], RequestAction::Retry);
        self.ends(&calm, &[], SagaPhase::Completed);
        for place in 0..self.saga.steps.len() {
            if matches!(self.saga.steps[place].action.work, Work::Wait(_)) {
                continue;
            }
            let budget = self.budget(place, Direction::Action, AttemptEnd::No);
            let trouble =
                |ending, up_to| Trouble { place, direction: Direction::Action, ending, up_to };
            self.forward(trouble(AttemptEnd::No, 1));
            if !self.saga.steps[place].action.only_waits() {
                self.forward(trouble(AttemptEnd::Unknown(true), 1));
            }
            self.backward(trouble(AttemptEnd::No, budget));
        }
    }

    /// Checks runs in which an action has trouble once.
    fn forward(&mut self, trouble: Trouble) {
        let run = self.play(&[trouble], RequestAction::Retry);
        let goes_on = self.budget(trouble.place, Direction::Action, trouble.ending) > 1
            || self.saga.on_failure == OnFailure::Hold;
        let lost = trouble.ending == AttemptEnd::Unknown(true);
        // If the pivot is in effect, or may be in effect, the saga holds. A user then requests a
        // retry.
        let held = (0..self.saga.steps.len())
            .any(|place| self.saga.steps[place].pivot && (lost || place != trouble.place));
        let undone = !(goes_on || held && phase(&run) == Some(SagaPhase::Completed));
        self.ends(
            &run,
            &[trouble],
            if undone { SagaPhase::Compensated } else { SagaPhase::Completed },
        );
        if lost {
            self.one_key(&run, &[trouble], if undone { 1 } else { 2 });
        }
    }

    /// Checks runs in which an action fails permanently. Then checks runs in which, in addition,
    /// one of the resulting compensations fails once, fails permanently, or has a lost answer.
    fn backward(&mut self, trouble: Trouble) {
        let calm = self.play(&[trouble], RequestAction::Compensate);
        // After the pivot, a compensation is refused, and a retry continues the saga.
        let held = (0..self.saga.steps.len())
            .any(|place| self.saga.steps[place].pivot && place != trouble.place);
        let undone = !(held && phase(&calm) == Some(SagaPhase::Completed));
        self.ends(
            &calm,
            &[trouble],
            if undone { SagaPhase::Compensated } else { SagaPhase::Completed },
        );
        let undo: Vec<_> = calm
            .walk
            .began
            .iter()
            .filter(|(attempt, _)| attempt.direction == Direction::Compensation)
            .map(|(attempt, _)| attempt.place)
            .collect();
        for place in &undo {
            let budget = self.budget(*place, Direction::Compensation, AttemptEnd::No);
            let back = |ending, up_to| {
                [
                    trouble,
                    Trouble { place: *place, direction: Direction::Compensation, ending, up_to },
                ]
            };
            for troubles in [
                back(AttemptEnd::No, 1),
                back(AttemptEnd::Unknown(true), 1),
                back(AttemptEnd::No, budget),
            ] {
                let run = self.play(&troubles, RequestAction::Compensate);
                self.ends(&run, &troubles, SagaPhase::Compensated);
                if troubles[1].ending == AttemptEnd::Unknown(true) {
                    self.one_key(&run, &troubles[1..], 2);
                }
                let stuck = run.stuck.is_some();
                let lasts = troubles[1].up_to
                    >= self.budget(*place, Direction::Compensation, troubles[1].ending);
                self.check(stuck == lasts, &run, &troubles, || {
                    format!("CompensationFailed: {stuck}")
                });
                self.rest_is_undone(&run, &troubles, &undo);
            }
        }
    }

    /// Checks that a failed compensation blocks only the compensations that must wait for it. All
    /// other steps of the undo set are undone.
    fn rest_is_undone(&mut self, run: &Run, troubles: &[Trouble], undo: &[usize]) {
        let Some(stuck) = &run.stuck else { return };
        let failed = troubles[1].place;
        let free: Vec<_> = undo
            .iter()
            .filter(|place| **place != failed && !self.depends(failed, **place))
            .collect();
        for place in free {
            self.check(stuck.truth()[*place].undone, run, troubles, || {
                format!("step {place} waits for an undo that it does not need")
            });
        }
    }

    /// Returns whether a step depends on an earlier step, directly or through other steps.
    fn depends(&self, later: usize, earlier: usize) -> bool {
        let depends_on = &self.saga.steps[later].depends_on;
        depends_on.contains(&earlier)
            || depends_on.iter().any(|between| self.depends(*between, earlier))
    }

    /// Returns the number of attempts with this ending before a user must send a request. A
    /// definite failure of an HTTP request is permanent.
    fn budget(&self, place: usize, direction: Direction, ending: AttemptEnd) -> i64 {
        let Some(operation) = self.saga.steps[place].operation(direction) else { return 0 };
        if ending == AttemptEnd::No && matches!(operation.work, Work::Http(_)) {
            1
        } else {
            operation.retry.max_attempts.into()
        }
    }

    /// Plays a run with these troubles. If the saga is Failed, the users request `wanted`.
    fn play(&mut self, troubles: &[Trouble], wanted: RequestAction) -> Run {
        self.swept.runs += usize::from(!troubles.is_empty());
        // The outputs of the container of an example. No spec of another step contains these
        // outputs.
        let outputs = [(
            "ship".to_owned(),
            json!({"tracking": "T-1"}).as_object().cloned().unwrap_or_default(),
        )]
        .into();
        let rules = Rules { requests: REQUESTS, outputs, ..Rules::calm(Instant::now()) };
        let mut run = Run { walk: Walk::new(self.saga.clone(), rules), stuck: None };
        loop {
            run.walk.rest(|world, fair| with_trouble(world, troubles, fair));
            if phase(&run) == Some(SagaPhase::CompensationFailed) {
                run.stuck.get_or_insert_with(|| run.walk.world.clone());
            }
            match user(&run.walk.world, troubles, wanted) {
                Some(ask)
                    if run.walk.violations.is_empty() && run.walk.take(WorldMove::User(ask)) => {}
                Some(_) | None => return run,
            }
        }
    }

    /// Checks that a run ends in the expected phase, with everything done or everything undone.
    fn ends(&mut self, run: &Run, troubles: &[Trouble], expected: SagaPhase) {
        let broken =
            run.walk.violations.first().map(|violation| format!("{:?}", violation.property));
        self.check(broken.is_none(), run, troubles, || broken.clone().unwrap_or_default());
        let steps = self.saga.steps.iter().zip(run.walk.world.truth());
        let wrong = steps.filter(|(step, truth)| {
            let missing = !step.leaves_nothing() && !truth.in_effect;
            let left = step.compensation.is_some() && truth.in_effect;
            if expected == SagaPhase::Completed { missing } else { left }
        });
        let names: Vec<_> = wrong.map(|(step, _)| step.name.as_str()).collect();
        let ended = phase(run);
        self.check(ended == Some(expected) && names.is_empty(), run, troubles, || {
            format!("it ends {ended:?}, not {expected:?}; not as it should be: {names:?}")
        });
    }

    /// Checks that the operation with the trouble began `times` times, each time with the key
    /// number 0.
    fn one_key(&mut self, run: &Run, troubles: &[Trouble], times: usize) {
        let Trouble { place, direction, .. } = troubles[0];
        let began = run
            .walk
            .began
            .iter()
            .filter(|(attempt, _)| attempt.place == place && attempt.direction == direction);
        let keys: Vec<_> = began.map(|(_, key)| *key).collect();
        self.check(keys == vec![0; times], run, troubles, || {
            format!(
                "step {place} {direction} began under the keys {keys:?}, not {times} times under 0"
            )
        });
    }

    fn check(
        &mut self,
        holds: bool,
        run: &Run,
        troubles: &[Trouble],
        what: impl FnOnce() -> String,
    ) {
        if !holds && self.swept.violations.len() < MOST {
            self.swept.violations.push(format!(
                "{}\n  {troubles:?}\n  {}\n{}",
                self.name,
                what(),
                run.walk.story(TOLD)
            ));
        }
    }
}

fn phase(run: &Run) -> Option<SagaPhase> {
    run.walk.world.status().phase
}
