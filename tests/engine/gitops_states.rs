//! Every state in which a GitOps tool may find a saga, and a saga in that state.

use saga_operator::{api::RequestAction, fault::Fault, model::input::Precheck};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    scenes::{rested, rested_with, until},
    script::{answers, seconds, succeeds},
    world::World,
};

use RequestAction::{Cancel, Pause, Retry, Skip};

/// The name of a state, and a function that creates a saga in that state.
type State = (&'static str, fn() -> World);

/// Every state that the page about GitOps names, in the order of the page.
pub(crate) const STATES: [State; 34] = [
    ("not-seen", || World::with(order())),
    ("edited", || {
        let mut world = running();
        world.edit(|spec| spec.max_parallel = Some(2));
        world
    }),
    ("running", running),
    ("retrying", || until(retried(), |world| world.message().contains("attempt 2"))),
    ("cancelling", || {
        let mut world =
            until(World::with(order()).on("ship", vec![succeeds().takes(seconds(600))]), |world| {
                world.sent().len() == 3
            });
        world.demand(Cancel, "the shop is closed");
        world
    }),
    ("waiting-for-approval", || rested(approved())),
    ("waiting-for-two-approvals", || {
        let two = saga()
            .http("build")
            .approval("security")
            .after(&["build"])
            .approval("legal")
            .after(&["build"])
            .parallel(2);
        rested(two)
    }),
    ("paused", || paused(running())),
    ("paused-while-an-approval-waits", || paused(rested(approved()))),
    ("suspended", || rested(order().suspended())),
    ("paused-while-compensating", || paused(undoing())),
    ("compensating", undoing),
    ("completed", || rested(order())),
    ("completed-then-edited", || {
        let mut world = rested(order());
        world.edit(|spec| spec.ttl_seconds_after_finished = Some(86_400));
        world.run_for(seconds(1));
        world
    }),
    ("completed-past-its-pivot", || rested(past_pivot())),
    ("failed", failed),
    ("failed-past-its-pivot", || rested_with(World::with(past_pivot()).fails("thank", 1))),
    ("failed-past-its-skipped-pivot", || {
        let mut world = rested_with(World::with(past_pivot()).fails("ship", 1).fails("thank", 1));
        world.demand(Skip, "ship");
        rested_with(world)
    }),
    ("failed-past-a-pivot-that-was-not-wanted", || {
        let mut draft = past_pivot();
        draft.0.steps[1].when = Some("false".into());
        rested_with(World::with(draft).fails("thank", 1))
    }),
    ("failed-with-no-retries-left", || {
        let mut draft = order();
        draft.0.max_retry_requests = Some(1);
        let mut world =
            rested_with(World::with(draft).on("charge-card", vec![declined(), declined()]));
        world.demand(Retry, "charge-card");
        rested_with(world)
    }),
    ("paused-while-failed", || paused(failed())),
    ("timed-out", || {
        rested_with(
            World::with(order().within("10s"))
                .on("reserve-stock", vec![succeeds().takes(seconds(10))]),
        )
    }),
    ("compensated", || {
        rested_with(World::with(order().compensating()).on("charge-card", vec![declined()]))
    }),
    ("compensated-except", || {
        let draft = saga().http("notify").then_http("charge-card").undo().compensating();
        rested_with(World::with(draft).on("charge-card", vec![declined()]))
    }),
    ("compensation-failed", compensation_failed),
    ("paused-while-compensation-failed", || paused(compensation_failed())),
    ("cancelled", || {
        let mut world = running();
        world.demand(Cancel, "the shop is closed");
        rested_with(world)
    }),
    ("refused", || {
        let mut draft = order();
        // A requested recheck is no attempt, and does not count as a requested retry.
        draft.0.max_retry_requests = Some(0);
        let mut world = World::with(draft);
        let fault = Fault::new(
            "spec.steps[1].http",
            "the secret \"payments\" does not exist in namespace \"shop\"",
        );
        world.precheck = Precheck { refused: vec![fault], ..Precheck::default() };
        world.run_for(seconds(1));
        world
    }),
    ("invalid-spec", || rested(order().parallel(0))),
    ("spec-changed", || {
        let mut world = running();
        world.edit(|spec| spec.steps[0].timeout = Some(crate::saga::duration("7s")));
        rested_with(world)
    }),
    ("unreadable-status", || forged("/steps/1/phase", &json!(7))),
    ("contradictory-status", || forged("/steps/0/phase", &json!("Failed"))),
    ("deleted-and-being-undone", || {
        let mut world = running();
        world.delete();
        until(world, |world| world.phase() == saga_operator::api::SagaPhase::Compensating)
    }),
    ("completed-hook-being-deleted", || {
        let mut world = rested(order());
        (world.deleting, world.generation) = (true, world.generation + 1);
        world
    }),
];

/// Returns an order with params of every type, which a script must pass through unchanged.
fn order() -> Draft {
    let mut draft =
        saga().http("reserve-stock").undo().then_http("charge-card").undo().then_pod("ship");
    draft.0.params = json!({
        "order": "1042", "amount": 49.9, "cents": 4990, "gift": false, "notes": {}, "codes": [],
    })
    .as_object()
    .cloned();
    draft.0.steps[0].http.as_mut().unwrap().body = Some(
        json!({"order": "${params.order}", "options": {}, "tags": [], "of": [{"empty": {}}, [[]]]}),
    );
    draft
}

fn approved() -> Draft {
    saga().http("build").undo().approval("release").after(&["build"]).then_http("announce")
}

fn past_pivot() -> Draft {
    saga().http("reserve-stock").undo().then_pod("ship").pivot().then_http("thank")
}

fn declined() -> crate::script::Act {
    answers(402, &json!({"error": "card declined"}))
}

fn running() -> World {
    until(World::with(order()).on("charge-card", vec![succeeds().takes(seconds(15))]), |world| {
        world.sent().len() == 2
    })
}

fn retried() -> World {
    let mut draft = order();
    draft.0.steps[1].retry = Some(attempts(3).always("1h"));
    World::with(draft).on("charge-card", vec![answers(503, &json!({})), succeeds()])
}

fn paused(mut world: World) -> World {
    world.demand(Pause, "stocktaking");
    rested_with(world)
}

fn failed() -> World {
    rested_with(World::with(order()).on("charge-card", vec![declined()]))
}

fn undoing() -> World {
    let world = World::with(order().compensating())
        .fails("ship", 1)
        .on_undo("charge-card", vec![succeeds().takes(seconds(20))]);
    until(world, |world| world.sent().len() == 4)
}

fn compensation_failed() -> World {
    let mut draft = order().compensating();
    draft.0.steps[0].compensation.as_mut().unwrap().retry = Some(attempts(1));
    rested_with(
        World::with(draft).on("charge-card", vec![declined()]).undo_fails("reserve-stock", 1),
    )
}

/// Creates a saga whose status a user changed by hand.
fn forged(pointer: &str, value: &Value) -> World {
    let mut world = running();
    let mut status = world.raw.clone();
    *status.pointer_mut(pointer).unwrap() = value.clone();
    world.forge(status);
    rested_with(world)
}

pub(crate) fn state(name: &str) -> World {
    STATES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no state {name}"))
        .1()
}
