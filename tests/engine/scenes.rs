//! A saga in every situation in which a user may make a request, and methods that make requests.

use std::time::Duration;

use saga_operator::api::{RequestAction, RequestRecord, RequestResult, SagaPhase, StepPhase};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{seconds, succeeds, unknown},
    world::World,
};

/// A request: its action and its value.
pub type Wanted<'a> = (RequestAction, &'a str);

impl World {
    /// Makes a request. Returns its answer, which is written before time advances.
    pub fn ask(&mut self, action: RequestAction, value: &str) -> RequestRecord {
        assert_eq!(
            self.ask_together(&[(action, value)]).len(),
            1,
            "{action}={value} is not answered"
        );
        self.status().requests.last().cloned().expect("an answer")
    }

    /// Makes several requests in one reconcile. Returns each action and whether it was accepted, in
    /// the order of the answers.
    pub fn ask_together(&mut self, wanted: &[Wanted<'_>]) -> Vec<(RequestAction, bool)> {
        let before = self.newest_request();
        for (action, value) in wanted {
            self.annotate(action.annotation(), value);
        }
        self.run_for(Duration::ZERO);
        let answers = self.status().requests.into_iter().filter(|record| record.number > before);
        answers.map(|record| (record.action, record.result == RequestResult::Accepted)).collect()
    }

    fn newest_request(&self) -> i64 {
        self.status().requests.iter().map(|record| record.number).max().unwrap_or_default()
    }

    /// Makes a request that must be accepted. Returns the message of the answer.
    pub fn demand(&mut self, action: RequestAction, value: &str) -> String {
        let record = self.ask(action, value);
        assert_eq!(record.result, RequestResult::Accepted, "{record:?}");
        record.message
    }

    /// Makes a request that must be refused and must not change the phase, the progress or the
    /// steps. Returns the message of the answer.
    pub fn refused(&mut self, action: RequestAction, value: &str) -> String {
        let before = self.status();
        let record = self.ask(action, value);
        assert_eq!(record.result, RequestResult::Refused, "{record:?}");
        let after = self.status();
        let told = |status: &saga_operator::api::SagaStatus| {
            (status.phase, status.progress.clone(), status.steps.clone())
        };
        assert_eq!(told(&before), told(&after), "{record:?}");
        record.message
    }
}

/// A situation: its name, and a function that creates it.
pub type Scene = (&'static str, fn() -> World);

/// Every situation: at least one for each phase of a saga, on the way forward and during an undo.
pub const SCENES: [Scene; 33] = [
    ("new", || World::with(order())),
    ("not accepted", || rested(saga().http("a").parallel(0))),
    ("a request is under way", || running(order(), "b")),
    ("a Pod runs", || running(saga().http("a").undo().then_pod("b").undo().then_http("c"), "b")),
    ("a Pod is refused", || {
        let draft = saga().http("a").undo().then_pod("b").undo().then_http("c");
        until(World::with(draft).on("b", vec![succeeds().refused_first(3)]), |world| {
            world.step("b").message.is_some()
        })
    }),
    ("the process is lost", || {
        let mut world = running(order(), "b");
        world.crash(seconds(1));
        world
    }),
    ("a step waits for its next attempt", || {
        let draft = saga()
            .http("a")
            .undo()
            .then_http("b")
            .undo()
            .retry(attempts(2).always("1h"))
            .then_http("c");
        until(World::with(draft).on("b", vec![unknown()]), |world| {
            world.is("b", StepPhase::Retrying)
        })
    }),
    ("an approval waits", || {
        rested(saga().http("a").undo().approval("b").after(&["a"]).then_http("c"))
    }),
    ("a wait waits", || {
        waiting(saga().http("a").undo().wait("b", "10m").after(&["a"]).then_http("c"))
    }),
    ("suspended from the beginning", || rested(order().suspended())),
    ("paused between two steps", || paused(running(order(), "b"))),
    ("paused while a request is under way", || {
        let mut world = running(order(), "b");
        world.demand(RequestAction::Pause, "lunch");
        world
    }),
    ("paused while an approval waits", || {
        paused(rested(saga().http("a").undo().approval("b").after(&["a"])))
    }),
    ("failed", failed),
    ("failed beside an approval", || failed_beside("b")),
    ("failed and paused", || paused(failed())),
    ("failed past its pivot", || {
        let draft = saga().http("a").undo().then_http("b").pivot().then_http("c");
        rested_with(World::with(draft).fails("c", 1))
    }),
    ("an approval was rejected", || {
        let mut world = rested(saga().http("a").undo().approval("b").after(&["a"]).then_http("c"));
        world.demand(RequestAction::Reject, "b");
        world
    }),
    ("timed out between two steps", timed_out),
    ("to be undone, and a request is under way", || {
        let mut world = running(order(), "b");
        world.demand(RequestAction::Compensate, "no");
        world
    }),
    ("a compensation is under way", || undoing()),
    ("a compensation waits for its next attempt", || {
        let draft = saga()
            .http("a")
            .undo()
            .undo_retry(attempts(3).always("1h"))
            .then_http("b")
            .compensating();
        let world = World::with(draft).fails("b", 1).undo_fails("a", 1);
        until(world, |world| {
            world.step("a").compensation.is_some_and(|record| record.sequence.is_some())
        })
    }),
    ("paused while it is undone", || paused(undoing())),
    ("a compensation failed", compensation_failed),
    ("a compensation failed, and paused", || paused(compensation_failed())),
    ("completed", || rested(order())),
    ("compensated", || rested_with(World::with(order().compensating()).fails("b", 1))),
    ("cancelled", || {
        let mut world = running(order(), "b");
        world.demand(RequestAction::Cancel, "no");
        rested_with(world)
    }),
    ("a Pod is being stopped", || {
        let mut world = running(saga().http("a").undo().then_pod("b").undo().then_http("c"), "b");
        world.demand(RequestAction::Cancel, "no");
        world
    }),
    ("the Pod of a compensation is being stopped", || {
        let draft = saga().http("a").undo_by_pod().then_http("b").compensating();
        let world =
            World::with(draft).fails("b", 1).on_undo("a", vec![succeeds().takes(seconds(60))]);
        let mut world = until(world, |world| world.is("a", StepPhase::Compensating));
        world.demand(RequestAction::Cancel, "no");
        world
    }),
    ("deleted, and a request is under way", || {
        let mut world = running(order(), "b");
        world.delete();
        world.run_for(Duration::ZERO);
        world
    }),
    ("deleted, and a compensation is under way", || {
        let mut world = undoing();
        world.delete();
        world.run_for(Duration::ZERO);
        world
    }),
    ("deleted, and a compensation failed", || {
        let mut world = compensation_failed();
        world.delete();
        world.run_for(Duration::ZERO);
        world
    }),
];

/// Returns a value for a request in any of the scenes, in which the step concerned is named b.
pub const fn value_for(action: RequestAction) -> &'static str {
    match action {
        RequestAction::Settle => "b=Failed",
        action if action.takes_reason() => "no",
        _ => "b",
    }
}

/// Returns a saga of three HTTP requests, of which two can be undone.
pub fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().then_http("c")
}

pub fn until(mut world: World, holds: impl Fn(&World) -> bool) -> World {
    world.run_until(&holds);
    assert!(holds(&world), "never comes to it: {:?}", world.status());
    world
}

pub fn rested(draft: Draft) -> World {
    rested_with(World::with(draft))
}

pub fn rested_with(mut world: World) -> World {
    world.run_to_rest();
    world
}

/// Creates a world in which a step is under way that takes fifteen seconds.
fn running(draft: Draft, step: &str) -> World {
    until(World::with(draft).on(step, vec![succeeds().takes(seconds(15))]), |world| {
        world.is(step, StepPhase::Running)
    })
}

fn waiting(draft: Draft) -> World {
    until(World::with(draft), |world| world.is("b", StepPhase::Waiting))
}

fn paused(mut world: World) -> World {
    world.demand(RequestAction::Pause, "lunch");
    rested_with(world)
}

/// Creates a world in which the second of three steps failed and the saga waits.
pub fn failed() -> World {
    rested_with(World::with(order()).fails("b", 1))
}

/// Creates a world in which a step failed while an approval waits.
pub fn failed_beside(approval: &str) -> World {
    let draft = saga()
        .http("a")
        .undo()
        .approval(approval)
        .http("bad")
        .http("c")
        .after(&[approval])
        .parallel(3);
    let world = rested_with(World::with(draft).fails("bad", 1));
    assert!(world.phase() == SagaPhase::Failed && world.is(approval, StepPhase::Waiting));
    world
}

/// Creates a world in which the saga timed out and no step failed.
pub fn timed_out() -> World {
    let draft = saga().http("a").undo().then_http("b").undo().then_http("c").within("10s");
    let world = rested_with(World::with(draft).on("a", vec![succeeds().takes(seconds(10))]));
    assert_eq!((world.phase(), world.done()), (SagaPhase::Failed, vec!["a"]));
    world
}

/// Creates a world in which a compensation of twenty seconds is under way.
pub fn undoing() -> World {
    let draft = saga().http("a").undo().then_http("b").undo().then_http("c").compensating();
    until(
        World::with(draft).fails("c", 1).on_undo("b", vec![succeeds().takes(seconds(20))]),
        |world| world.is("b", StepPhase::Compensating),
    )
}

/// Creates a world in which the only step to undo could not be undone.
pub fn compensation_failed() -> World {
    let draft = saga()
        .http("a")
        .undo()
        .then_http("b")
        .undo()
        .undo_retry(attempts(1))
        .then_http("c")
        .compensating();
    let world = rested_with(World::with(draft).fails("c", 1).undo_fails("b", 1));
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
    world
}
