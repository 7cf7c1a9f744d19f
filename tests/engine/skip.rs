//! A step whose outputs other steps read is skipped only if the request gives the outputs.

use saga_operator::api::{
    RequestAction, RequestRecord, RequestResult, SagaPhase, SagaSpec, StepPhase,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{hands_on, says_no},
    world::World,
};

/// Creates a saga that is held because its step `charge` failed.
fn held(later: Value) -> World {
    let mut steps = vec![
        json!({"name": "stock", "pod": {"image": "stock:1"}}),
        json!({
            "name": "charge", "dependsOn": ["stock"],
            "pod": {"image": "charge:1", "finalExitCodes": [3]},
        }),
    ];
    steps.extend(later.as_array().unwrap().clone());
    let spec: SagaSpec =
        serde_json::from_value(json!({"params": {"field": "id"}, "steps": steps})).unwrap();
    let mut world = World::with(Draft(spec))
        .on("stock", vec![hands_on(json!({"id": "s-1"}))])
        .on("charge", vec![says_no().with_exit_code(3)]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed, "{}", world.message());
    world
}

fn pod(name: &str, depends_on: &[&str], argument: &str) -> Value {
    json!({
        "name": name, "dependsOn": depends_on,
        "pod": {"image": format!("{name}:1"), "args": [argument]},
    })
}

fn ask(world: &mut World, value: &str) -> RequestRecord {
    let record = world.ask(RequestAction::Skip, value);
    world.run_to_rest();
    record
}

#[test]
fn a_skip_that_leaves_out_what_others_read_is_refused_and_names_them() {
    let mut undone = pod("pack", &["charge"], "x");
    undone["compensation"] =
        json!({"pod": {"image": "unpack:1", "args": ["${steps['charge'].outputs.slip}"]}});
    let asks = json!({
        "name": "ask", "dependsOn": ["charge"], "when": "steps.charge.outputs.total > 10",
        "approval": {},
    });
    let mut world = held(json!([
        pod("ship", &["charge"], "--charge=${steps.charge.outputs.id}"),
        undone,
        asks
    ]));
    let refused = ask(&mut world, "charge");
    assert_eq!(
        (refused.result, world.step("charge").phase),
        (RequestResult::Refused, StepPhase::Failed)
    );
    assert_eq!(
        refused.message,
        "step ship reads id of step charge, the compensation of step pack reads slip of step \
         charge, step ask reads total of step charge, and the request does not give it: write \
         saga.dev/skip=charge={\"id\":…,\"slip\":…,\"total\":…}"
    );
    let refused = ask(&mut world, r#"charge={"id": 7, "slip": null}"#);
    assert!(
        refused.message.starts_with("step ask reads total of step charge, and the request"),
        "{}",
        refused.message
    );
    let accepted = ask(&mut world, r#"charge={"id": 7, "slip": null, "total": 1.0}"#);
    assert_eq!((accepted.result, world.phase()), (RequestResult::Accepted, SagaPhase::Completed));
}

#[test]
fn what_is_asked_for_first_or_read_as_a_whole_asks_for_nothing() {
    for argument in [
        "${has(steps.charge.outputs.id) ? steps.charge.outputs.id : 'none'}",
        "${'id' in steps.charge.outputs ? string(steps.charge.outputs.id) : ''}",
        "${steps.charge.phase == 'Completed' ? steps.charge.outputs.id : ''}",
        "${steps.charge.outputs}",
        "${size(steps.charge.outputs)}",
        "${steps.charge.outputs.map(name, name)}",
        "${steps.charge.phase}",
        "${steps.stock.outputs.id}",
    ] {
        let mut world = held(json!([pod("ship", &["charge"], argument)]));
        let record = ask(&mut world, "charge");
        assert_eq!(
            (record.result, world.phase()),
            (RequestResult::Accepted, SagaPhase::Completed),
            "{argument}: {}",
            record.message
        );
    }
    // A step whose `when` is false without the outputs reads nothing.
    let mut guarded = pod("ship", &["charge"], "${steps.charge.outputs.id}");
    guarded["when"] = json!("has(steps.charge.outputs.id)");
    let mut world = held(json!([guarded]));
    assert_eq!(
        (ask(&mut world, "charge").result, world.phase()),
        (RequestResult::Accepted, SagaPhase::Completed)
    );
}

#[test]
fn who_is_skipped_too_or_done_already_reads_nothing() {
    let later = json!([
        pod("ship", &["charge"], "${steps.charge.outputs.id}"),
        pod("mail", &["ship"], "${steps.ship.outputs.slip}")
    ]);
    let mut world = held(later.clone());
    let refused = ask(&mut world, "charge,ship");
    assert_eq!(
        refused.message,
        "step mail reads slip of step ship, and the request does not give it: write, one step at \
         a time, saga.dev/skip=ship={\"slip\":…}"
    );
    assert_eq!(
        (world.step("charge").phase, world.step("ship").phase),
        (StepPhase::Failed, StepPhase::Pending),
        "all or nothing"
    );
    let accepted = ask(&mut world, "charge,ship,mail");
    assert_eq!((accepted.result, world.phase()), (RequestResult::Accepted, SagaPhase::Completed));
    // The steps are skipped one after the other, and the step that reads comes first.
    let mut world = held(later);
    for name in ["mail", "ship", "charge"] {
        assert_eq!(ask(&mut world, name).result, RequestResult::Accepted, "{name}");
    }
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn what_the_saga_itself_hands_on_keeps_no_step_from_being_skipped() {
    let mut world = held(json!([]));
    world.edit(|spec| {
        spec.outputs = json!({"id": "${steps.charge.outputs.id}"}).as_object().cloned();
    });
    assert_eq!(
        (ask(&mut world, "charge").result, world.phase()),
        (RequestResult::Accepted, SagaPhase::Completed)
    );
    assert!(world.notices.iter().any(|notice| notice.reason == "NoOutputs"));
}
