//! Runs one saga in the simulated world according to a script.
//!
//! # Guarantees
//! Equal sagas and scripts give equal runs. The operator in the simulation is the engine itself.
//! This file only decides what the rest of the world does, and when. Every run ends: when nothing
//! more happens to the saga, or after [`MOST_MOVES`].
//!
//! # Caveats
//! Operators and the API server take no time. At one instant the operator reconciles first, then
//! attempts end, then users make requests. Jitter follows from the saga's UID: the jitter of a saga
//! that was not created differs from its jitter after creation.

use std::{collections::VecDeque, time::Instant};

use jiff::Timestamp;

use super::{
    args::ScheduledRequest,
    manifest::Manifest,
    script::Script,
    timeline::{self, Line, LineText, USER},
};
use crate::{
    api::{SagaPhase, SagaStatus},
    clock::{between, later},
    model::saga::{ValidSaga, Work},
    world::{self, AttemptEnd, AttemptRef, Event, Rules, Successor, UserAction, World, WorldMove},
};

/// The number of moves of the world after which a run stops. An attempt takes about four moves.
pub(super) const MOST_MOVES: usize = 20_000;
/// The move in which the only operator reconciles the newest copy without a fault.
const RECONCILE: WorldMove = WorldMove::Reconcile { replica: 0, staleness: 0, halt: None };

/// The result of a simulation.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The start of the run, by the virtual clock.
    pub(super) began: Timestamp,
    /// The events in order.
    pub(super) lines: Vec<Line>,
    /// The last status of the saga.
    pub(super) status: SagaStatus,
    /// The number of attempts that began: Pods and other objects created, and HTTP requests sent.
    pub(super) attempts: usize,
    /// Why nothing more happens.
    pub(super) rest: Rest,
}

/// The reason why a run stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The saga ended.
    Ended,
    /// The saga was deleted and no longer exists.
    Gone,
    /// A user has to act.
    Waits,
    /// The run reached [`MOST_MOVES`].
    GivenUp,
}

/// Runs a saga. `origin`: any instant of the monotonic clock.
pub(super) fn run(manifest: &Manifest, script: &Script, origin: Instant) -> Run {
    let world = World::new(
        manifest.saga.clone(),
        Rules { outputs: script.outputs().clone(), ..Rules::calm(origin) },
    );
    let mut simulation = Simulation {
        began: world.now(),
        world,
        saga: &manifest.saga,
        script,
        requests: script.requests().iter().collect(),
        ends: Vec::new(),
        lines: Vec::new(),
        attempts: 0,
    };
    simulation.create(manifest);
    for _ in 0..MOST_MOVES {
        let Some(step) = simulation.next() else {
            let rest = simulation.rest();
            return simulation.into_run(rest);
        };
        simulation.take(step);
    }
    simulation.into_run(Rest::GivenUp)
}

/// An attempt that has not ended.
#[derive(Clone, Copy, Debug)]
struct Due {
    attempt: AttemptRef,
    /// The instant at which the attempt ends.
    at: Timestamp,
    ending: AttemptEnd,
}

struct Simulation<'a> {
    began: Timestamp,
    world: World,
    saga: &'a ValidSaga,
    script: &'a Script,
    /// The requests that the user has not made yet.
    requests: VecDeque<&'a ScheduledRequest>,
    ends: Vec<Due>,
    lines: Vec<Line>,
    attempts: usize,
}

impl Simulation<'_> {
    /// Applies the requests that are on the saga before an operator reads it: the annotations of
    /// the saga itself, and the script's requests for the first instant. A second request for the
    /// same action waits until the first is answered.
    fn create(&mut self, manifest: &Manifest) {
        for asked in &manifest.asked {
            self.tell((
                USER.into(),
                format!("applies the saga with {}={}", asked.action.annotation(), asked.value),
            ));
            let step = world::after(&self.world, &UserAction::Annotate(asked.clone()));
            if let Some(step) = step {
                self.take(step);
            }
        }
        while let Some(request) =
            self.requests.front().copied().filter(|request| request.at.is_zero())
        {
            let asked = &self.world.object().asked;
            let again = matches!(
                &request.action,
                UserAction::Annotate(new) if asked.iter().any(|before| before.action == new.action)
            );
            if again {
                break;
            }
            self.requests.pop_front();
            let step = self.user(&request.action);
            if let Some(step) = step {
                self.take(step);
            }
        }
    }

    /// Returns the next step of the world. Returns `None` if nothing happens any more.
    fn next(&mut self) -> Option<Successor> {
        if let Some(step) = world::apply(&self.world, &RECONCILE) {
            return Some(step);
        }
        let now = self.world.now();
        let under_way: Vec<_> = self.world.under_way().collect();
        self.ends.retain(|due| under_way.contains(&due.attempt));
        let first = self.ends.iter().min_by_key(|due| due.at).copied();
        if let Some(due) = first.filter(|due| due.at <= now) {
            return self.end(due);
        }
        let asked_at = self.requests.front().map(|request| later(self.began, request.at));
        if asked_at.is_some_and(|at| at <= now) {
            let request = self.requests.pop_front()?;
            return self.user(&request.action);
        }
        let next = [first.map(|due| due.at), asked_at, world::due(&self.world)]
            .into_iter()
            .flatten()
            .min()?;
        world::at(&self.world, next)
    }

    /// Ends an attempt as the script says, if the service allows that end. What the service has
    /// done once under a key stays done, so another end may apply.
    fn end(&mut self, due: Due) -> Option<Successor> {
        self.ends.retain(|other| other.attempt != due.attempt);
        let done = due.ending != AttemptEnd::No;
        let ways =
            [due.ending, AttemptEnd::Unknown(done), AttemptEnd::Done, AttemptEnd::Unknown(true)];
        ways.into_iter().find_map(|ending| {
            world::apply(&self.world, &WorldMove::End { attempt: due.attempt, ending })
        })
    }

    fn user(&mut self, action: &UserAction) -> Option<Successor> {
        self.tell((USER.into(), action.to_string()));
        let step = world::after(&self.world, action);
        if step.is_none() {
            self.tell((timeline::SAGA.into(), "is gone: the request has no effect".into()));
        }
        step
    }

    fn take(&mut self, step: Successor) {
        // The model checks the properties.
        let Successor { world, events, violations: _ } = step;
        let before = std::mem::replace(&mut self.world, world);
        for event in &events {
            match event {
                Event::Wrote { .. } => {
                    let changes = timeline::changes(
                        self.saga,
                        before.status(),
                        self.world.status(),
                        self.began,
                    );
                    for told in changes {
                        self.tell(told);
                    }
                }
                Event::Began { attempt, time_limit, .. } => self.begin(*attempt, *time_limit),
                Event::Stopped(attempt) => self.stop(*attempt),
                Event::Passed(_)
                | Event::Asked(_)
                | Event::TooOld(_)
                | Event::Conflict(_)
                | Event::Finalizer(_)
                | Event::Adopted(_)
                | Event::Lost(_)
                | Event::Refused(_)
                | Event::Dropped(_)
                | Event::Swept
                | Event::Ended(_, _)
                | Event::DoneUnawaited(_)
                | Event::Published(_)
                | Event::TookAway
                | Event::Gone => {}
            }
            if let Some(told) = timeline::event_line(event, self.saga) {
                self.tell(told);
            }
        }
    }

    /// Plans when and how an attempt that just began will end.
    fn begin(&mut self, attempt: AttemptRef, time_limit: std::time::Duration) {
        self.attempts = self.attempts.saturating_add(1);
        let Some(step) = self.saga.steps.get(attempt.place) else { return };
        let (mut takes, mut ending) = (
            self.script.takes(&step.name, attempt.direction),
            self.script.ending(&step.name, attempt.direction, attempt.number),
        );
        let is_request = step
            .operation(attempt.direction)
            .is_some_and(|operation| matches!(operation.work, Work::Http(_)));
        // The sender of an HTTP request stops waiting at the time limit. The operator stops a Pod.
        if is_request && takes > time_limit {
            takes = time_limit;
            ending = AttemptEnd::Unknown(ending != AttemptEnd::No);
        }
        self.ends.push(Due { attempt, at: later(self.world.now(), takes), ending });
    }

    /// Ends the Pod of a stopped attempt at once. A stopped HTTP request continues although nobody
    /// waits for its answer.
    fn stop(&mut self, attempt: AttemptRef) {
        let now = self.world.now();
        let is_pod = |attempt: AttemptRef| {
            let operation = self
                .saga
                .steps
                .get(attempt.place)
                .and_then(|step| step.operation(attempt.direction));
            operation.is_some_and(|operation| matches!(operation.work, Work::Pod(_) | Work::Job(_)))
        };
        if is_pod(attempt) {
            self.ends.retain(|due| due.attempt != attempt);
            self.ends.push(Due { attempt, at: now, ending: AttemptEnd::Unknown(false) });
        }
    }

    fn tell(&mut self, (about, what): LineText) {
        self.lines.push(Line { at: between(self.began, self.world.now()), about, what });
    }

    /// Returns why nothing more happens to the saga.
    fn rest(&self) -> Rest {
        let ended = self.world.status().phase.is_some_and(SagaPhase::is_terminal);
        match (self.world.object().gone, ended) {
            (true, _) => Rest::Gone,
            (false, true) => Rest::Ended,
            (false, false) => Rest::Waits,
        }
    }

    fn into_run(self, rest: Rest) -> Run {
        let status = self.world.status().clone();
        let Self { began, lines, attempts, .. } = self;
        Run { began, lines, status, attempts, rest }
    }
}
