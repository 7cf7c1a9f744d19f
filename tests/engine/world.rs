//! A small world around the real engine: one saga in an API server, its children, a clock that goes
//! only where the engine asked it to.
//!
//! The world keeps the rules of the shell: a plan is recorded before its effects are performed, and
//! a saga is looked at only when its object changed, when a child ended, or when its plan asked for
//! it. A saga that rests although it is not done is a lost wake-up.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use saga_operator::{
    api::{
        Direction, HANDLED, Outcome, SagaSpec, SagaStatus, StepStatus, StoredSaga, shape::Shape,
        status::active_attempts,
    },
    clock::later,
    engine::plan,
    fault::Fault,
    model::{
        input::{Gate, Precheck, Seen},
        observation::Observed,
        origin::Origin,
        plan::{Effect, Finalizer, Notice, Plan, StatusWrite},
        saga::{SagaName, ValidSaga, Work},
        skew::Skew,
        versions::{Served, Versions},
    },
    validate::saga::{validate, validate_accepted},
};
use serde_json::{Value, json};

use crate::{
    numbers,
    other_side::{Call, OtherSide, Performed},
    saga::Draft,
    script::{Act, says_no},
    watch,
};

/// When every world begins: 2026-01-01T00:00:00Z.
pub const DAWN: i64 = 1_767_225_600;
const UID: &str = "0d1c5a2e";

pub struct World {
    pub spec: SagaSpec,
    pub saga: Result<ValidSaga, Vec<Fault>>,
    pub generation: i64,
    pub deleting: bool,
    /// The namespace goes, too.
    pub terminating: bool,
    pub finalizer: bool,
    /// The saga is the child of one that has the finalizer.
    pub parent_holds: bool,
    /// How many requests may begin to a host, where that is limited.
    pub room: BTreeMap<String, usize>,
    /// The circuits that are not closed.
    pub circuits: BTreeMap<Origin, Gate>,
    /// What came of trying the saga.
    pub precheck: Precheck,
    /// Whether no policy guards requests.
    pub patch_alone: bool,
    /// The schema of the status that is served, where it is not the present one.
    pub served: Option<(Shape, Option<Served>)>,
    /// Fields and words of the spec that this version does not know.
    pub strange: Vec<String>,
    /// How far this process's clock may be from the API server's.
    pub skew: Skew,
    /// The process is about to end.
    pub draining: bool,
    /// The object is no more.
    pub gone: bool,
    pub stored: StoredSaga,
    /// The status as stored.
    pub raw: Value,
    /// What people wrote on the saga, and what the operator did.
    pub annotations: BTreeMap<String, String>,
    /// Whether the annotations stand in a manifest that was applied.
    pub held_in_git: bool,
    pub now: Timestamp,
    pub other_side: OtherSide,
    /// How many times the process died.
    pub crashes: usize,
    /// How many times the status was written.
    pub writes: usize,
    pub notices: Vec<Notice>,
    pub sweeps: usize,
    /// The steps and directions that succeeded, in the order in which that was written.
    pub succeeded: Vec<(String, Direction)>,
    /// What the stored status must keep to.
    pub trusted: bool,
    wake: Option<Timestamp>,
    again: Option<Timestamp>,
    /// Moves after which the process dies, and for how long it is down.
    fatal: BTreeMap<usize, Duration>,
    moves: usize,
}

/// The process died.
#[derive(Debug)]
pub struct Died;

impl World {
    pub fn with(draft: Draft) -> Self {
        let spec = draft.0;
        Self {
            saga: check(&spec),
            stored: object(&spec, &Value::Null, &BTreeMap::new(), false),
            spec,
            raw: Value::Null,
            annotations: BTreeMap::new(),
            held_in_git: false,
            generation: 1,
            deleting: false,
            terminating: false,
            finalizer: false,
            parent_holds: false,
            room: BTreeMap::new(),
            circuits: BTreeMap::new(),
            precheck: Precheck::default(),
            patch_alone: false,
            served: None,
            strange: Vec::new(),
            skew: Skew::default(),
            draining: false,
            gone: false,
            now: Timestamp::from_second(DAWN).unwrap(),
            other_side: OtherSide::default(),
            crashes: 0,
            writes: 0,
            notices: Vec::new(),
            sweeps: 0,
            succeeded: Vec::new(),
            trusted: true,
            wake: None,
            again: None,
            fatal: BTreeMap::new(),
            moves: 0,
        }
    }

    // What the other side does.

    pub fn on(mut self, step: &str, acts: Vec<Act>) -> Self {
        self.other_side.script(step, Direction::Action, acts);
        self
    }

    pub fn on_undo(mut self, step: &str, acts: Vec<Act>) -> Self {
        self.other_side.script(step, Direction::Compensation, acts);
        self
    }

    /// The action answers with a definite no, so many times.
    pub fn fails(self, step: &str, times: usize) -> Self {
        self.on(step, vec![says_no(); times])
    }

    /// The compensation answers with a definite no, so many times.
    pub fn undo_fails(self, step: &str, times: usize) -> Self {
        self.on_undo(step, vec![says_no(); times])
    }

    /// The process dies after so many moves, and comes back after a while.
    pub fn crash_at(mut self, moves: usize, down: Duration) -> Self {
        self.fatal.insert(moves, down);
        self
    }

    /// The same, counted from now on.
    pub fn crash_later(self, moves: usize, down: Duration) -> Self {
        let moves = self.moves + moves;
        self.crash_at(moves, down)
    }

    // What people do.

    pub fn edit(&mut self, change: impl FnOnce(&mut SagaSpec)) {
        change(&mut self.spec);
        self.generation += 1;
        self.saga = check(&self.spec);
        self.reload();
    }

    /// Someone writes an annotation.
    pub fn annotate(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.into(), value.into());
        self.reload();
    }

    /// Someone takes an annotation away.
    pub fn strip(&mut self, key: &str) {
        self.annotations.remove(key);
        self.reload();
    }

    fn reload(&mut self) {
        self.stored = object(&self.spec, &self.raw, &self.annotations, self.held_in_git);
    }

    pub fn suspend(&mut self) {
        self.edit(|spec| spec.suspend = Some(true));
    }

    pub fn unsuspend(&mut self) {
        self.edit(|spec| spec.suspend = None);
    }

    pub fn delete(&mut self) {
        self.deleting = true;
        self.generation += 1;
        self.gone = !self.finalizer;
    }

    /// The API server serves a definition with this schema of the status.
    pub fn serve(&mut self, schema: &Value) {
        self.served = Some((Shape::of("status", schema), Served::new(schema)));
    }

    /// The saga is one that another version accepted, with rules of its own.
    pub fn was_accepted_with(&mut self, change: impl FnOnce(&mut SagaSpec)) {
        self.edit(change);
        self.saga = validate_accepted(&name(), &Ok(self.spec.clone()));
        self.raw["specHash"] = json!(self.stored.spec_hash);
        self.reload();
    }

    /// Someone writes a status by hand that contradicts nothing.
    pub fn restore(&mut self, status: Value) {
        self.raw = status;
        self.reload();
    }

    /// Someone writes the status by hand.
    pub fn forge(&mut self, status: Value) {
        self.restore(status);
        self.trusted = false;
    }

    // Time.

    /// Lets everything happen until nothing more would.
    pub fn run_to_rest(&mut self) -> &mut Self {
        self.run_until(|_| false);
        watch::rest(self);
        self
    }

    /// Lets things happen until something holds, or until nothing more would.
    pub fn run_until(&mut self, holds: impl Fn(&Self) -> bool) -> &mut Self {
        for _ in 0..3000 {
            self.passes();
            if holds(self) {
                return self;
            }
            let Some(next) = self.next() else { return self };
            self.now = next;
            // Where the process dies in between, the next one looks again.
            let _ = self.step_forward();
        }
        panic!("never comes to rest: {:?}", self.status());
    }

    /// Lets things happen for so long.
    pub fn run_for(&mut self, duration: Duration) -> &mut Self {
        let until = later(self.now, duration);
        loop {
            self.passes();
            match self.next().filter(|next| *next <= until) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = until;
        // A look that nothing asked for: a resync changes nothing that a wake-up would not.
        self.passes();
        self
    }

    /// When the saga is looked at next.
    fn next(&self) -> Option<Timestamp> {
        if self.gone {
            return None;
        }
        [self.wake, self.again, self.other_side.next_event(self.now)].into_iter().flatten().min()
    }

    /// Looks until nothing changes any more.
    fn passes(&mut self) {
        for _ in 0..12 {
            if self.gone {
                return;
            }
            if let Ok(false) = self.look() {
                let again = self.wake.is_some_and(|wake| wake <= self.now);
                assert!(
                    !again,
                    "asks to be looked at again at once, for ever: {:?}",
                    self.status()
                );
                return;
            }
        }
        panic!("changes something every time it is looked at: {:?}", self.status());
    }

    fn step_forward(&mut self) -> Result<(), Died> {
        self.moves += 1;
        let Some(down) = self.fatal.remove(&self.moves) else { return Ok(()) };
        self.crash(down);
        Err(Died)
    }

    /// The process dies, with all it knows; another one starts.
    pub fn crash(&mut self, down: Duration) {
        self.crashes += 1;
        self.draining = false;
        self.now = later(self.now, down);
        self.other_side.forget();
        (self.wake, self.again) = (None, None);
    }

    pub fn executor(&self) -> String {
        format!("process-{}", self.crashes)
    }

    /// One look at the saga. Returns whether anything changed.
    pub fn look(&mut self) -> Result<bool, Died> {
        let (status, now, executor) = (self.status(), self.now, self.executor());
        let mut children = Observed::new();
        if let Ok(saga) = &self.saga {
            for (id, active) in active_attempts(&status) {
                if !saga.steps.iter().any(|step| step.name == id.step) {
                    continue;
                }
                let state = self.other_side.look(now, &id, active, &executor);
                children.insert(id, state);
            }
        }
        let plan = {
            let seen = self.seen(&children, &executor);
            let plan = plan(&self.saga, &seen);
            assert_eq!(
                plan,
                saga_operator::engine::plan(&self.saga, &seen),
                "equal inputs give equal plans"
            );
            watch::plan(self, &seen, &plan);
            plan
        };
        self.again = None;
        self.wake = plan.wake;
        self.record(plan)
    }

    /// What the engine is shown.
    pub fn seen<'a>(&'a self, children: &'a Observed, executor: &'a str) -> Seen<'a> {
        Seen {
            generation: self.generation,
            deleting: self.deleting,
            terminating: self.terminating,
            finalizer: self.finalizer,
            parent_holds: self.parent_holds,
            spec_hash: &self.stored.spec_hash,
            deletion_policy: self.stored.deletion_policy,
            status: &self.stored.status,
            remains: &self.stored.remains,
            asked: &self.stored.asked,
            handled: self.stored.handled,
            keys_from: &self.stored.keys_from,
            children,
            leftovers: self.other_side.leftovers(self.now),
            precheck: &self.precheck,
            patch_alone: self.patch_alone,
            executor,
            skew: self.skew,
            room: &self.room,
            circuits: &self.circuits,
            versions: Versions {
                spec: &self.strange,
                ..Versions::of(
                    self.stored.strangers.as_deref(),
                    self.served.as_ref().and_then(|(_, served)| served.as_ref()),
                )
            },
            draining: self.draining,
            now: self.now,
        }
    }

    fn record(&mut self, plan: Plan) -> Result<bool, Died> {
        let mut changed = false;
        let before = self.status();
        let finalizer = plan.finalizer;
        if finalizer == Finalizer::Add {
            assert!(
                !self.deleting,
                "the API server refuses a finalizer on a saga that is being deleted"
            );
            self.finalizer = true;
            self.step_forward()?;
        }
        if let Some(write) = &plan.status {
            changed = true;
            self.writes += 1;
            self.write(write);
            self.note_successes(&before);
            watch::write(self, &before);
            self.step_forward()?;
        }
        let effects = plan.recorded().into_effects();
        if finalizer == Finalizer::Remove {
            changed |= self.finalizer;
            self.finalizer = false;
            self.gone = self.deleting;
            self.step_forward()?;
        }
        for effect in effects {
            changed |= self.perform(effect);
            self.step_forward()?;
        }
        Ok(changed)
    }

    fn write(&mut self, write: &StatusWrite) {
        match write {
            StatusWrite::Whole(status) => {
                let written = StoredSaga { status: Ok((**status).clone()), ..self.stored.clone() };
                self.raw = numbers::stored(&json!(written)["status"]);
                if let Some((served, _)) = &self.served {
                    served.prune(&mut self.raw);
                }
                self.reload();
                let same = self.stored.status.as_ref() == Ok(&**status)
                    || !self.trusted
                    || self.served.is_some();
                assert!(same, "what is read back is not what was written: {status:?}");
            }
            StatusWrite::Verdict(status) => {
                assert!(
                    self.stored.status.is_err(),
                    "a status that can be read is written as a whole"
                );
                self.raw["observedGeneration"] = json!(status.observed_generation);
                self.raw["message"] = json!(status.message);
                self.raw["conditions"] = json!(status.conditions);
                self.reload();
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> bool {
        let executor = self.executor();
        let performed = match effect {
            Effect::Begin { identity, place, work, intended: _, time_limit, uid: _ } => {
                watch::begin(self, &identity, place);
                let step =
                    &self.saga.as_ref().expect("only a valid saga begins anything").steps[place];
                let operation = step
                    .operation(identity.attempt.direction)
                    .expect("only what is written begins");
                let call = Call {
                    identity: &identity,
                    in_process: matches!(operation.work, Work::Http(_)),
                    limit: time_limit,
                    leaves_half: step.compensate_failed,
                    executor: &executor,
                    work: work.as_deref().unwrap_or(&operation.work),
                };
                self.other_side.read(self.now, &identity.attempt);
                self.other_side.begin(self.now, &call)
            }
            // Played as a Pod: it has no ears.
            Effect::Ask { .. } => Performed::Nothing,
            Effect::Stop(id) => self.other_side.stop(self.now, &id),
            Effect::Sweep => {
                self.sweeps += 1;
                self.other_side.sweep(self.now);
                Performed::Nothing
            }
            Effect::Delete => {
                assert!(!self.finalizer, "a saga that is deleted by its time keeps nothing back");
                self.gone = true;
                Performed::Something
            }
            Effect::Publish(notice) => {
                self.notices.push(notice);
                Performed::Nothing
            }
            Effect::TakeAway { annotations, handled } => {
                for action in annotations {
                    self.annotations.remove(action.annotation());
                }
                self.annotations.insert(HANDLED.into(), handled.to_string());
                self.reload();
                Performed::Something
            }
        };
        if performed == Performed::Lost {
            self.again = Some(later(self.now, Duration::from_secs(1)));
        }
        performed == Performed::Something
    }

    fn note_successes(&mut self, before: &SagaStatus) {
        let mut news = Vec::new();
        for step in &self.status().steps {
            let old = before.steps.iter().find(|old| old.name == step.name);
            for direction in [Direction::Action, Direction::Compensation] {
                let done = |step: &StepStatus| {
                    step.direction(direction)
                        .is_some_and(|it| it.last_outcome == Some(Outcome::Succeeded))
                };
                if done(step) && !old.is_some_and(done) {
                    let sequence = step.direction(direction).and_then(|it| it.sequence);
                    news.push((sequence, step.name.clone(), direction));
                }
            }
        }
        news.sort_unstable_by_key(|(sequence, ..)| *sequence);
        self.succeeded.extend(news.into_iter().map(|(_, name, direction)| (name, direction)));
    }
}

fn check(spec: &SagaSpec) -> Result<ValidSaga, Vec<Fault>> {
    validate(&name(), spec)
}

fn name() -> SagaName {
    SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: UID.into() }
}

/// The object as the API server would hand it out.
fn object(
    spec: &SagaSpec,
    status: &Value,
    annotations: &BTreeMap<String, String>,
    held_in_git: bool,
) -> StoredSaga {
    let mut annotations = annotations.clone();
    if held_in_git {
        let applied = json!({"metadata": {"annotations": annotations}}).to_string();
        annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), applied);
    }
    let metadata =
        json!({"name": "order-1042", "namespace": "shop", "uid": UID, "annotations": annotations});
    let object = json!({"metadata": metadata, "spec": spec, "status": status}).to_string();
    serde_json::from_str(&object).expect("reading a saga never fails")
}
