//! Values that are nested too deep. They are refused, so that every status can be read again.

use std::sync::Arc;

use proptest::prelude::*;
use saga_operator::{
    api::{
        Direction::Action,
        MAX_OUTPUTS, Outcome, RequestAction, RequestResult, SagaPhase, StepPhase, StepStatus,
        StoredSaga,
        json::{MAX_OUTPUT_DEPTH, depth_of_fields, fields_as_stored},
        names::AttemptId,
        status::active_attempts,
    },
    engine::{attempt::object::judged, plan},
    model::{
        observation::{ChildSaga, ChildState, Observations, Present},
        plan::StatusWrite,
        values::Values,
    },
};
use serde_json::{Value, json};

use crate::{
    numbers::{self, value},
    properties::for_all,
    script::{Act, answers, hands_on, unknown},
    values::{bodies, told_on, world},
    world::World,
};

/// Returns a value nested this deep.
fn nested(depth: usize) -> Value {
    (1..depth).fold(
        json!(1),
        |inner, nth| if nth % 2 == 0 { json!({"a": inner}) } else { json!([inner]) },
    )
}

/// Returns the phases of the saga and of a step that received a value of this depth from an answer,
/// a Pod, or a child saga.
fn handed(depth: usize, origin: &str) -> (SagaPhase, StepStatus) {
    let world = handing_on(&nested(depth - 1), origin);
    (world.phase(), world.step("a"))
}

/// Returns a world in which a step received this value from an answer, a Pod, or a child saga.
fn handing_on(value: &Value, origin: &str) -> World {
    let a = match origin {
        "http" => {
            json!({
                "name": "a", "http": {"method": "POST", "url": "http://shop.svc/a"},
                "outputs": {"v": "${response.body.v}"},
            })
        }
        "pod" => json!({"name": "a", "pod": {"image": "a:1"}}),
        _ => {
            json!({
                "name": "a", "saga": {"spec": {"steps": [{"name": "x", "wait": {"for": "1s"}}]}},
            })
        }
    };
    let mut world = world(json!({"steps": [a]}));
    if origin == "child" {
        let child = |outputs| ChildSaga {
            name: "c".into(),
            uid: "c".into(),
            phase: Some(SagaPhase::Completed),
            outputs,
            ..ChildSaga::default()
        };
        world.look().unwrap();
        let child = child(json!({"v": value}).as_object().cloned());
        let status = world.status();
        let children: Observations = active_attempts(&status)
            .map(|(id, _)| (id, ChildState::Present(Present::Saga(Arc::new(child.clone())))))
            .collect();
        let Some(StatusWrite::Whole(status)) =
            plan(&world.saga, &world.seen(&children, "process-0")).status
        else {
            panic!("no write")
        };
        world.restore(numbers::stored(&json!(status)));
    } else {
        let act = if origin == "http" {
            answers(200, &json!({"v": value}))
        } else {
            hands_on(json!({"v": value}))
        };
        world = world.on("a", vec![act]);
        world.run_to_rest();
    }
    world
}

#[test]
fn what_is_nested_too_deep_is_not_taken_and_the_saga_can_be_read_on() {
    for origin in ["http", "pod", "child"] {
        let (phase, step) = handed(MAX_OUTPUT_DEPTH, origin);
        assert_eq!(
            (phase, step.phase),
            (SagaPhase::Completed, StepPhase::Completed),
            "{origin}: {step:?}"
        );
        assert_eq!(depth_of_fields(&step.outputs.unwrap()), MAX_OUTPUT_DEPTH);
        for depth in [MAX_OUTPUT_DEPTH + 1, 120, 126] {
            let (phase, step) = handed(depth, origin);
            let action = step.action.unwrap();
            assert_eq!(
                (phase, step.phase, step.outputs),
                (SagaPhase::Failed, StepPhase::Failed, None),
                "{origin}, {depth}"
            );
            assert_eq!(
                (action.last_outcome, action.uncertain, action.attempt),
                (Some(Outcome::Unknown), true, 1),
                "{origin}, {depth}"
            );
            let says = "the action succeeded, but its outputs cannot be stored: the outputs of a \
                step may be nested at most 32 deep";
            assert!(
                step.message.as_deref().unwrap_or_default().contains(says),
                "{origin}: {:?}",
                step.message
            );
        }
    }
}

#[test]
fn outputs_of_the_saga_that_are_nested_too_deep_are_left_out_and_that_is_told() {
    for (depth, outputs, notices) in [(MAX_OUTPUT_DEPTH - 1, true, 0), (MAX_OUTPUT_DEPTH, false, 1)]
    {
        let mut world = world(json!({
            "outputs": {"of": {"a": "${steps.a.outputs.v}"}},
            "steps": [{"name": "a", "pod": {"image": "a:1"}}],
        }))
        .on("a", vec![hands_on(json!({"v": nested(depth - 1)}))]);
        world.run_to_rest();
        let told: Vec<_> =
            world.notices.iter().filter(|notice| notice.reason == "NoOutputs").collect();
        assert_eq!(
            (world.phase(), world.status().outputs.is_some(), told.len()),
            (SagaPhase::Completed, outputs, notices)
        );
        assert!(
            told.iter().all(|notice| notice
                .message
                .contains("spec.outputs may be nested at most 32 deep")),
            "{told:?}"
        );
    }
}

#[test]
fn a_skip_takes_numbers_as_they_are_stored_and_nothing_that_is_too_deep() {
    let skipped = |outputs: &Value| {
        let mut world =
            told_on(json!({"v": "${steps.a.outputs.v}"})).on("a", vec![answers(500, &json!({}))]);
        world.run_to_rest();
        let record = world.ask(RequestAction::Skip, &format!("a={outputs}"));
        world.run_to_rest();
        (world, record)
    };
    let (world, _) = skipped(&json!({"v": 4990.0, "w": [100.5]}));
    assert_eq!(world.step("a").outputs, json!({"v": 4990, "w": [100.5]}).as_object().cloned());
    assert_eq!(
        (world.phase(), bodies(&world, "b")),
        (SagaPhase::Completed, vec![json!({"v": 4990})])
    );
    assert_eq!(
        skipped(&json!({"v": nested(MAX_OUTPUT_DEPTH - 1)})).0.phase(),
        SagaPhase::Completed
    );
    let (world, refused) = skipped(&json!({"v": nested(MAX_OUTPUT_DEPTH)}));
    assert_eq!((world.phase(), refused.result), (SagaPhase::Failed, RequestResult::Refused));
    assert!(refused.message.contains("nested deeper than 32 times"), "{}", refused.message);
}

/// Generates what an answer, a container or a user may give: an object with any value, of any
/// depth.
fn any_outputs() -> impl Strategy<Value = Value> {
    let deep = (1..126_usize).prop_map(nested);
    prop_oneof![3 => value(), 1 => deep].prop_map(|value| json!({"v": value}))
}

/// Whatever outputs are passed on or given, the status that records them can be read again and is
/// unchanged.
#[test]
fn every_status_that_is_written_can_be_read_again() {
    for_all(
        64,
        (any_outputs(), any_outputs(), any_outputs(), any::<bool>()),
        |(answer, handed, given, fails)| {
            let spec = json!({
                "outputs": {
                    "all": ["${steps.a.outputs}", "${steps.b.outputs}"],
                    "v": "${steps.c.outputs.v}",
                },
                "steps": [
                    {
                        "name": "a", "http": {"method": "POST", "url": "http://shop.svc/a"},
                        "outputs": {"v": "${response.body.v}", "of": ["${response.body}"]},
                    },
                    {"name": "b", "pod": {"image": "b:1"}},
                    {"name": "c", "pod": {"image": "c:1"}},
                ],
            });
            let last: Act = if fails { unknown() } else { hands_on(given.clone()) };
            let mut world = world(spec)
                .on("a", vec![answers(200, &answer)])
                .on("b", vec![hands_on(handed)])
                .on("c", vec![last]);
            // The world panics if a status does not read back as it was written.
            world.run_to_rest();
            for name in ["a", "b", "c"] {
                if world.is(name, StepPhase::Failed) {
                    world.ask(RequestAction::Skip, &format!("{name}={given}"));
                    world.run_to_rest();
                }
                if world.is(name, StepPhase::Failed) {
                    world.demand(RequestAction::Skip, &format!(r#"{name}={{"v":1}}"#));
                    world.run_to_rest();
                }
            }
            prop_assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
            let object = json!({"metadata": {"name": "a"}, "status": world.raw}).to_string();
            let read: StoredSaga = serde_json::from_str(&object).unwrap();
            let status = read.status.map_err(TestCaseError::fail)?;
            let outputs =
                status.steps.iter().filter_map(|step| step.outputs.as_ref()).chain(&status.outputs);
            for outputs in outputs {
                prop_assert!(depth_of_fields(outputs) <= MAX_OUTPUT_DEPTH);
            }
            prop_assert_eq!(
                world.step("a").direction(Action).map(|record| record.attempt),
                Some(1)
            );
            Ok(())
        },
    );
}

/// Whatever a child saga hands on, the status that records it can be read again.
#[test]
fn every_status_that_a_child_saga_led_to_can_be_read_again() {
    for_all(64, any_outputs(), |outputs| {
        let world = handing_on(&outputs["v"], "child");
        let object = json!({"metadata": {"name": "a"}, "status": world.raw}).to_string();
        let read: StoredSaga = serde_json::from_str(&object).unwrap();
        let status = read.status.map_err(TestCaseError::fail)?;
        let taken = status.steps.iter().filter_map(|step| step.outputs.as_ref());
        for outputs in taken {
            prop_assert!(depth_of_fields(outputs) <= MAX_OUTPUT_DEPTH);
        }
        Ok(())
    });
}

/// Whatever an object holds, what is taken of it is small, and is what the API server gives back.
#[test]
fn what_is_taken_of_an_object_is_bounded_before_the_object_is_dropped() {
    let step = json!({
        "name": "a", "outputs": {"v": "${object.data.v}", "all": "${object}"},
        "wait": {
            "until": "has(object.data)",
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"},
        },
    });
    let world = world(json!({"steps": [step]}));
    let saga = world.saga.as_ref().unwrap();
    let (values, id) =
        (Values { saga, steps: &[] }, AttemptId { step: "a".into(), direction: Action, number: 1 });
    let judge = |data: &Value| {
        let metadata = json!({"name": "c", "uid": "u"});
        judged(
            &values,
            &id,
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
        )
    };
    for_all(64, any_outputs(), |data| {
        let judged = judge(&data);
        prop_assert_eq!((judged.uid.as_deref(), &judged.missing), (Some("u"), &None));
        if let Some(Ok(outputs)) = judged.outputs {
            prop_assert!(depth_of_fields(&outputs) <= MAX_OUTPUT_DEPTH);
            prop_assert!(json!(outputs).to_string().len() <= MAX_OUTPUTS);
            prop_assert_eq!(fields_as_stored(outputs.clone()), outputs);
        }
        Ok(())
    });
    let refused = |data: &Value| judge(data).outputs.unwrap().unwrap_err();
    assert!(refused(&json!({"v": "x".repeat(MAX_OUTPUTS)})).contains("at most 4096 bytes"));
    assert!(refused(&json!({"v": nested(MAX_OUTPUT_DEPTH)})).contains("at most 32 deep"));
    assert!(judge(&json!({"v": 1})).outputs.unwrap().is_ok());
}
