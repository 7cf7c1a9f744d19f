//! Sagas as GitOps tools read them: one golden object for every row of the table of states, written
//! by the engine itself.
//!
//! `tests/gitops` gives these objects to kstatus and to Argo CD's scripts. `make generate` writes
//! them anew; here they are compared. The other way round, what Argo CD's actions write is given to
//! the engine, in the very situation in which somebody clicks.

use std::{collections::BTreeMap, path::PathBuf};

use saga_operator::{
    api::{Asked, RequestAction, RequestResult, names::FINALIZER},
    fault::Fault,
    model::input::Precheck,
};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    scenes::{rested, rested_with, until},
    script::{answers, seconds, succeeds},
    world::{DAWN, World},
};

use RequestAction::{Cancel, Pause, Retry, Skip};

/// Set to anything, the golden files are written instead of compared.
const WRITE: &str = "SAGA_WRITE_GOLDEN";
/// What Argo CD puts on a hook, so that it does not go before its end was seen.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
const FIRST_LINE: &str = "# Written by the engine's tests: do not edit, run `make generate`.\n";

/// A state's name, and a saga in it.
type State = (&'static str, fn() -> World);

/// Every state that the page about GitOps names, in its order.
const STATES: [State; 34] = [
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
        // To try it again is no attempt, and counts for none.
        draft.0.max_retry_requests = Some(0);
        let mut world = World::with(draft);
        let fault = Fault::new(
            "spec.steps[1].http",
            "the secret \"payments\" does not exist in namespace \"shop\"",
        );
        world.precheck = Precheck { refused: vec![fault], unchecked: Vec::new() };
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

/// An order with values of every kind, which have to come through a script unchanged.
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

/// A saga of which somebody changed the status by hand.
fn forged(pointer: &str, value: &Value) -> World {
    let mut world = running();
    let mut status = world.raw.clone();
    *status.pointer_mut(pointer).unwrap() = value.clone();
    world.forge(status);
    rested_with(world)
}

fn state(name: &str) -> World {
    STATES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no state {name}"))
        .1()
}

/// The object as the API server hands it out.
fn object(name: &str, world: &World) -> Value {
    let dawn = jiff::Timestamp::from_second(DAWN).unwrap();
    let hook = world.deleting && !world.finalizer;
    let finalizers: Vec<_> = world
        .finalizer
        .then_some(FINALIZER)
        .into_iter()
        .chain(hook.then_some(HOOK_FINALIZER))
        .collect();
    let mut metadata = json!({
        "name": "order-1042", "namespace": "shop", "uid": "0d1c5a2e",
        "generation": world.generation,
        "resourceVersion": (1000 + world.writes).to_string(), "creationTimestamp": dawn.to_string(),
    });
    for (field, value, there) in [
        ("annotations", json!(world.annotations), !world.annotations.is_empty()),
        ("finalizers", json!(finalizers), !finalizers.is_empty()),
        (
            "deletionTimestamp",
            json!(jiff::Timestamp::from_second(world.now.as_second()).unwrap().to_string()),
            world.deleting,
        ),
        ("deletionGracePeriodSeconds", json!(0), world.deleting),
    ] {
        if there {
            metadata[field] = value;
        }
    }
    // What the definition gives a saga that no operator has seen.
    let status =
        if world.raw.is_null() { json!({"observedGeneration": -1}) } else { world.raw.clone() };
    assert_eq!(name == "not-seen", world.raw.is_null());
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": metadata, "spec": world.spec,
        "status": status,
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gitops")
}

/// Compares a file with what it should hold, or writes it.
fn golden(file: &str, wanted: &Value) {
    let (path, text) =
        (folder().join(file), format!("{FIRST_LINE}{}", serde_saphyr::to_string(wanted).unwrap()));
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is stale: run `make generate`, look at the difference, and commit",
        path.display()
    );
}

#[test]
fn the_golden_sagas_are_what_the_engine_writes() {
    for (name, make) in STATES {
        golden(&format!("golden/{name}.yaml"), &object(name, &make()));
    }
    let known = |file: &str| STATES.iter().any(|(name, _)| format!("{name}.yaml") == file);
    for file in std::fs::read_dir(folder().join("golden")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        assert!(known(&file), "golden/{file} belongs to no state: delete it");
    }
}

/// What somebody could ask for of this saga, without a token.
fn wishes(world: &World, action: RequestAction) -> Vec<String> {
    if action.takes_reason() {
        return vec!["a reason".into()];
    }
    if action == RequestAction::Settle {
        let words = |step: &saga_operator::api::Step| {
            ["Failed", "Succeeded"].map(|word| format!("{}={word}", step.name))
        };
        return world.spec.steps.iter().flat_map(words).collect();
    }
    let all = (action == RequestAction::Retry).then(|| "*".to_owned());
    all.into_iter().chain(world.spec.steps.iter().map(|step| step.name.clone())).collect()
}

/// The same with a token.
fn with_token(action: RequestAction, wish: &str) -> String {
    if action.takes_reason() { format!("@t1: {wish}") } else { format!("{wish}@t1") }
}

#[test]
fn what_the_engine_takes_in_each_state_is_written_down_for_the_buttons() {
    let mut taken = BTreeMap::new();
    for (name, make) in STATES {
        let mut of_state = BTreeMap::new();
        for action in RequestAction::ALL {
            let accepted = |wish: &String| {
                make().ask_together(&[(action, &with_token(action, wish))]) == [(action, true)]
            };
            let wishes: Vec<_> = wishes(&make(), action).into_iter().filter(accepted).collect();
            of_state.insert(action.as_str(), wishes);
        }
        taken.insert(name, of_state);
    }
    golden("accepted.yaml", &json!(taken));
}

/// The table of what Argo CD's actions write, which the Go tests hold against the scripts.
fn clicks() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("clicks.yaml")).unwrap();
    serde_saphyr::from_str(&text.replace("TOKEN", "20260101T002000Z.1003")).unwrap()
}

#[test]
fn what_the_buttons_of_argo_cd_write_is_understood_and_done() {
    let mut clicked = Vec::new();
    for click in clicks().iter().filter(|click| click.get("writes").is_some()) {
        let text =
            |field: &str| click[field].as_str().unwrap_or_else(|| panic!("{field} of {click}"));
        let action = RequestAction::ALL
            .into_iter()
            .find(|action| action.as_str() == text("action"))
            .unwrap();
        let asked = Asked { action, value: text("writes").into(), held_in_git: false };
        assert!(asked.wish().is_ok() && asked.token().is_some(), "{click}: {:?}", asked.wish());
        let mut world = state(text("state"));
        let record = world.ask(action, text("writes"));
        assert_eq!(record.result, RequestResult::Accepted, "{click}: {}", record.message);
        // It stays where it is, and is not done again.
        let requests = world.status().requests.len();
        world.run_for(seconds(1));
        assert_eq!(
            (world.status().requests.len(), world.annotations.get(action.annotation())),
            (requests, Some(&asked.value)),
            "{click}"
        );
        clicked.push(action);
    }
    assert!(
        RequestAction::ALL.iter().all(|action| clicked.contains(action)),
        "every action is clicked: {clicked:?}"
    );
}
