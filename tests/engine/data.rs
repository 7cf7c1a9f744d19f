//! The data that flows between steps: params, outputs, `when`, and what a compensation reads of its
//! action.

use saga_operator::{
    api::{
        Direction::{self, Action, Compensation},
        RequestAction, SagaPhase, SagaSpec, StepPhase,
    },
    model::saga::Work,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{Act, answers, hands_on, says_no, seconds, succeeds, times, unknown_but_done},
    services::Sent,
    world::World,
};

pub(crate) fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

pub(crate) fn http(path: &str, body: Value) -> Value {
    json!({"method": "POST", "url": format!("http://shop.svc/{path}"), "body": body})
}

/// Returns a spec that reserves, charges what was reserved, ships by a Pod, and sends thanks with
/// the outputs of the Pod.
pub(crate) fn order() -> Value {
    json!({
        "params": {"order": "1042", "amount": 49.9},
        "onFailure": "Compensate",
        "outputs": {"tracking": "${steps.ship.outputs.tracking}", "paid": "${params.amount}"},
        "steps": [
            {
                "name": "reserve-stock",
                "http": http("reserve", json!({"order": "${params.order}"})),
                "outputs": {"id": "${response.body.id}", "left": "${response.body.left}"},
                "compensation": {
                    "http": http(
                        "release",
                        json!({
                            "id": "${has(outputs.id) ? outputs.id : ''}",
                            "key": "${action.key}", "how": "${action.outcome}",
                        }),
                    ),
                },
            },
            {
                "name": "charge", "dependsOn": ["reserve-stock"],
                "http": http(
                    "charge/${steps['reserve-stock'].outputs.id}",
                    json!({"amount": "${params.amount}"}),
                ),
            },
            {
                "name": "ship", "dependsOn": ["charge"],
                "pod": {
                    "image": "ship:1", "args": ["--left", "${steps['reserve-stock'].outputs.left}"],
                },
            },
            {
                "name": "thank", "dependsOn": ["ship"], "when": "params.amount > 10.0",
                "pod": {"image": "mail:1", "args": ["${steps.ship.outputs.tracking}"]},
            },
        ],
    })
}

fn reserved() -> Act {
    answers(201, &json!({"id": "r/7", "left": 3}))
}

pub(crate) fn sent(world: &World, step: &str, direction: Direction) -> Vec<Sent> {
    let of = |sent: &&Sent| sent.attempt.step == step && sent.attempt.direction == direction;
    world.services.sent.iter().filter(of).cloned().collect()
}

pub(crate) fn body(world: &World, step: &str, direction: Direction) -> Value {
    match &sent(world, step, direction).last().expect("it was sent").work {
        Work::Http(action) => json!({"url": action.url, "body": action.body}),
        Work::Pod(action) => json!(action.args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_flow_from_params_and_answers_to_later_steps_and_out_of_the_saga() {
    let mut world = world(order())
        .on("reserve-stock", vec![reserved()])
        .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
    assert_eq!(
        body(&world, "reserve-stock", Action),
        json!({"url": "http://shop.svc/reserve", "body": {"order": "1042"}})
    );
    assert_eq!(
        body(&world, "charge", Action),
        json!({"url": "http://shop.svc/charge/r%2F7", "body": {"amount": 49.9}})
    );
    assert_eq!(body(&world, "ship", Action), json!(["--left", "3"]));
    assert_eq!(body(&world, "thank", Action), json!(["T-1"]));
    assert_eq!(
        world.step("reserve-stock").outputs,
        json!({"id": "r/7", "left": 3}).as_object().cloned()
    );
    assert_eq!(
        world.status().outputs,
        json!({"tracking": "T-1", "paid": 49.9}).as_object().cloned()
    );
}

#[test]
fn a_step_that_is_not_wanted_is_skipped_and_counts_as_done() {
    let mut spec = order();
    spec["params"]["amount"] = json!(5);
    spec["steps"][3]["when"] = json!("params.amount > 10");
    let mut world = world(spec)
        .on("reserve-stock", vec![reserved()])
        .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
    world.run_to_rest();
    let thank = world.step("thank");
    assert_eq!(
        (world.phase(), thank.phase, thank.unwanted),
        (SagaPhase::Completed, StepPhase::Skipped, true)
    );
    assert_eq!(thank.message.as_deref(), Some("skipped: its when is false"));
    assert_eq!(
        (sent(&world, "thank", Action).len(), world.status().progress.as_deref()),
        (0, Some("4/4"))
    );
}

#[test]
fn a_pivot_that_is_not_wanted_is_no_point_of_no_return() {
    let mut spec = order();
    spec["steps"][1]["pivot"] = json!(true);
    spec["steps"][1]["when"] = json!("false");
    let mut world = world(spec).on("reserve-stock", vec![reserved()]).on("ship", vec![says_no()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("reserve-stock").phase),
        (SagaPhase::Compensated, StepPhase::Compensated)
    );
}

#[test]
fn a_compensation_knows_key_and_outcome_of_its_action() {
    let undone = |acts: Vec<Act>| {
        let mut spec = order();
        spec["steps"][0]["retry"] = json!({"maxAttempts": 2});
        let mut world =
            world(spec).on("reserve-stock", acts).on("charge", vec![says_no().finally()]);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Compensated, "{}", world.message());
        body(&world, "reserve-stock", Compensation)["body"].clone()
    };
    let key = |k: u32| format!("0d1c5a2e/reserve-stock/action/{k}");
    assert_eq!(undone(vec![reserved()]), json!({"id": "r/7", "key": key(0), "how": "Succeeded"}));
    assert_eq!(
        undone(vec![says_no(), reserved()]),
        json!({"id": "r/7", "key": key(1), "how": "Succeeded"})
    );
    assert_eq!(
        undone(times(2, &unknown_but_done())),
        json!({"id": "", "key": key(0), "how": "Unknown"})
    );
    assert_eq!(
        undone(vec![says_no(), unknown_but_done()]),
        json!({"id": "", "key": key(1), "how": "Unknown"})
    );
}

#[test]
fn an_expression_that_fails_fails_the_step_without_an_attempt_and_a_retry_evaluates_it_again() {
    let mut spec = order();
    spec["onFailure"] = json!("Hold");
    // The Pod passes on no outputs.
    let mut world = world(spec).on("reserve-stock", vec![reserved()]).on("ship", vec![succeeds()]);
    world.run_to_rest();
    let thank = world.step("thank");
    assert_eq!((world.phase(), thank.phase), (SagaPhase::Failed, StepPhase::Failed));
    assert_eq!(
        thank.message.as_deref(),
        Some(
            "spec.steps[3].pod.args[0]: ${steps.ship.outputs.tracking}: there is no field tracking"
        )
    );
    assert_eq!((sent(&world, "thank", Action).len(), thank.action), (0, None));
    world.demand(RequestAction::Retry, "thank");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("thank").phase),
        (SagaPhase::Failed, StepPhase::Failed),
        "it still cannot be evaluated"
    );
    assert_eq!(sent(&world, "thank", Action).len(), 0);
    world.demand(RequestAction::Skip, "thank");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn where_an_expression_of_one_step_fails_the_others_do_not_begin_beside_it() {
    let mut world = world(json!({
        "maxParallel": 3,
        "steps": [
            {"name": "a", "pod": {"image": "a:1"}},
            {"name": "b", "dependsOn": ["a"], "pod": {"image": "b:1"}},
            {
                "name": "c", "dependsOn": ["a"],
                "pod": {"image": "c:1", "args": ["${steps.a.outputs.missing}"]},
            },
        ],
    }));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("b").phase, world.step("c").phase),
        (SagaPhase::Failed, StepPhase::Pending, StepPhase::Failed)
    );
}

#[test]
fn a_compensation_whose_expression_fails_waits_for_a_person() {
    let mut spec = order();
    spec["steps"][0]["compensation"]["http"]["body"] = json!("${outputs.nothing}");
    let mut world =
        world(spec).on("reserve-stock", vec![reserved()]).on("charge", vec![says_no().finally()]);
    world.run_to_rest();
    let step = world.step("reserve-stock");
    assert_eq!(
        (world.phase(), step.phase),
        (SagaPhase::CompensationFailed, StepPhase::CompensationFailed)
    );
    assert_eq!(
        step.message.as_deref(),
        Some("spec.steps[0].compensation.http.body: ${outputs.nothing}: there is no field nothing")
    );
    assert_eq!(sent(&world, "reserve-stock", Compensation).len(), 0);
    world.demand(RequestAction::Skip, "reserve-stock");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.status().still_in_effect),
        (SagaPhase::Compensated, Some(vec!["reserve-stock".into()]))
    );
}

#[test]
fn values_are_the_same_after_a_crash_at_any_move() {
    for fatal in 0..24 {
        let mut world = world(order())
            .on("reserve-stock", vec![reserved()])
            .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
        world = world.crash_at(fatal, seconds(1));
        world.run_to_rest();
        let tracking = world.status().outputs.and_then(|outputs| outputs.get("tracking").cloned());
        // The outcome of an HTTP request whose operator died is Unknown, and this step is not
        // retried.
        let lost = world.phase() == SagaPhase::Compensated;
        assert!(lost || tracking == Some(json!("T-1")), "{fatal}: {}", world.message());
    }
}
