//! Random sagas, and how they run: with the outcomes, users and crashes that belong to them.

use std::time::Duration;

use saga_operator::api::{HANDLED, OnFailure, RequestAction, RetryPolicy, StepPhase, StepStatus};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{Act, seconds},
    world::World,
};

/// The work of a step in a random saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pod,
    Http,
    /// Waits for a user, for at most this many seconds if a limit is given.
    Approval(Option<u8>),
    /// Waits for this many seconds.
    Wait(u8),
}

/// One step of a random saga.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub(crate) kind: Kind,
    /// One bit for each earlier step: whether this step depends on the earlier step.
    pub(crate) after: u16,
    pub(crate) undo: Option<bool>,
    pub(crate) pivot: bool,
    pub(crate) compensate_failed: Option<bool>,
    pub(crate) attempts: i32,
    pub(crate) undo_attempts: i32,
    pub(crate) deadline: Option<u8>,
    pub(crate) acts: Vec<Act>,
    pub(crate) undo_acts: Vec<Act>,
}

/// What users do apart from requests.
#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    Delete,
    Suspend,
    Unsuspend,
    Policy(OnFailure),
    Parallel(i32),
    /// The process is told to end, and another process starts a while later.
    Restart,
    /// The params change, and change back a while later.
    Change,
    /// Removes the annotation with the number up to which requests are handled.
    Strip,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) steps: Vec<Sketch>,
    pub(crate) parallel: i32,
    pub(crate) compensate: bool,
    /// The timeout of the saga, in seconds.
    pub(crate) within: Option<u8>,
    pub(crate) crashes: Vec<(usize, u64)>,
    /// The requests of users, each with the number of status writes after which the request is
    /// made.
    pub(crate) asks: Vec<(usize, RequestAction, String)>,
    pub(crate) meddling: Vec<(usize, Meddling)>,
}

pub(crate) fn name(place: usize) -> String {
    format!("s{place}")
}

impl Case {
    fn draft(&self) -> Draft {
        let mut draft = saga().parallel(self.parallel);
        if self.compensate {
            draft = draft.compensating();
        }
        if let Some(seconds) = self.within {
            draft = draft.within(&format!("{seconds}s"));
        }
        for (place, sketch) in self.steps.iter().enumerate() {
            let after: Vec<_> =
                (0..place).filter(|earlier| sketch.after & (1 << earlier) != 0).map(name).collect();
            let after: Vec<_> = after.iter().map(String::as_str).collect();
            let name = name(place);
            draft = match sketch.kind {
                Kind::Pod => draft.pod(&name).timeout("4s").retry(sketch.policy()),
                Kind::Http => draft.http(&name).timeout("4s").retry(sketch.policy()),
                Kind::Approval(None) => draft.approval(&name),
                Kind::Approval(Some(seconds)) => {
                    draft.approval(&name).timeout(&format!("{seconds}s"))
                }
                Kind::Wait(seconds) => draft.wait(&name, &format!("{seconds}s")),
            };
            draft = draft.after(&after);
            if let Some(by_pod) = sketch.undo {
                draft = if by_pod { draft.undo_by_pod() } else { draft.undo() };
                draft = draft.undo_timeout("4s").undo_retry(sketch.undo_policy());
            }
            if sketch.pivot {
                draft = draft.pivot();
            }
            let only_waits = matches!(sketch.kind, Kind::Approval(_) | Kind::Wait(_));
            if let Some(value) = sketch.compensate_failed.filter(|_| !only_waits) {
                draft = draft.compensate_failed(value);
            }
        }
        draft
    }

    pub fn world(&self) -> World {
        let mut world = World::with(self.draft());
        for (place, sketch) in self.steps.iter().enumerate() {
            world = world
                .on(&name(place), sketch.acts.clone())
                .on_undo(&name(place), sketch.undo_acts.clone());
        }
        for (moves, down) in &self.crashes {
            world = world.crash_at(*moves, Duration::from_secs(*down));
        }
        world
    }

    /// Runs the saga to its end. Returns the world and how many requests were made.
    pub(crate) fn run(&self) -> (World, usize) {
        let (mut world, mut asked) = (self.world(), self.asks.len());
        let asks = self.asks.iter().map(|(at, action, value)| (*at, Err((*action, value))));
        let meddling = self.meddling.iter().map(|(at, what)| (*at, Ok(*what)));
        let mut done: Vec<_> = asks.chain(meddling).collect();
        done.sort_by_key(|(at, _)| *at);
        for (at, what) in done {
            world.run_until(|world| world.writes >= at);
            match what {
                _ if world.gone => {}
                Err((action, value)) => world.annotate(action.annotation(), value),
                Ok(what) => meddle(&mut world, what),
            }
        }
        world.run_to_rest();
        if world.spec.suspend == Some(true) && !world.gone {
            world.run_for(seconds(100));
            world.unsuspend();
            world.run_to_rest();
        }
        if world.status().paused.is_some() && !world.gone {
            world.run_for(seconds(100));
            world
                .annotate(RequestAction::Resume.annotation(), "@the-end: it has to come to an end");
            world.run_to_rest();
            asked += 1;
        }
        asked += self.answer_what_waits(&mut world);
        (world, asked)
    }

    /// Answers the approvals that wait, until none is left: approves two, rejects the third, and so
    /// on. Returns how many were answered.
    fn answer_what_waits(&self, world: &mut World) -> usize {
        for nth in 0..=self.steps.len() {
            let waiting = |step: &&StepStatus| step.phase == StepPhase::Waiting;
            let waits = world
                .status()
                .steps
                .iter()
                .find(waiting)
                .filter(|_| !world.gone)
                .map(|step| step.name.clone());
            let Some(step) = waits else { return nth };
            let answer = if nth % 3 == 2 { RequestAction::Reject } else { RequestAction::Approve };
            world.annotate(answer.annotation(), &format!("{step}@answer-{nth}"));
            world.run_to_rest();
        }
        panic!("more approvals wait than there are steps: {:?}", world.status());
    }
}

fn meddle(world: &mut World, what: Meddling) {
    match what {
        Meddling::Delete => world.delete(),
        Meddling::Suspend => world.suspend(),
        Meddling::Unsuspend => world.unsuspend(),
        Meddling::Policy(policy) => world.edit(|spec| spec.on_failure = Some(policy)),
        Meddling::Parallel(most) => world.edit(|spec| spec.max_parallel = Some(most)),
        Meddling::Restart => {
            world.draining = true;
            world.run_for(seconds(3));
            world.crash(seconds(3));
        }
        Meddling::Change => {
            let before = world.spec.params.clone();
            world.edit(|spec| {
                spec.params =
                    Some(serde_json::from_value(serde_json::json!({"order": "another"})).unwrap());
            });
            world.run_for(seconds(3));
            world.edit(|spec| spec.params = before);
        }
        Meddling::Strip => world.strip(HANDLED),
    }
}

impl Sketch {
    fn policy(&self) -> RetryPolicy {
        self.within(attempts(self.attempts).exponential("1s").at_most("4s").jitter(0.3))
    }

    fn undo_policy(&self) -> RetryPolicy {
        self.within(attempts(self.undo_attempts).linear("1s"))
    }

    fn within(&self, policy: RetryPolicy) -> RetryPolicy {
        match self.deadline {
            Some(seconds) => policy.deadline(&format!("{seconds}s")),
            None => policy,
        }
    }
}
