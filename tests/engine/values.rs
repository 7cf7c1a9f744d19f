//! Values before they are stored and after: the API server gives 100.0 back as 100, and nobody may
//! notice.

use std::sync::Arc;

use proptest::prelude::*;
use saga_operator::{
    api::{
        Direction::Action,
        Outcome, RequestAction, RequestResult, SagaPhase, SagaSpec, StepPhase, StepStatus,
        StoredSaga,
        json::{MAX_OUTPUT_DEPTH, as_stored, depth_of_fields},
        status::active_attempts,
    },
    engine::plan,
    expression::{program::Expression, scope::Scope},
    model::{
        observation::{ChildSaga, ChildState, Observed},
        plan::StatusWrite,
        saga::Work,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    numbers::{self, READERS, read, value},
    properties::for_all,
    saga::Draft,
    script::{Act, answers, hands_on, times, unknown},
    world::World,
};

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// A step that asks, and one that sends what it was told until it is answered.
fn told_on(body: Value) -> World {
    world(json!({
        "params": {"labels": {"d": 1, "b": 2, "c": 3, "a": 4, "f": 5, "e": 6}},
        "steps": [
            {
                "name": "a", "http": {"method": "POST", "url": "http://shop/a"},
                "outputs": {"v": "${response.body.v}"},
            },
            {
                "name": "b", "dependsOn": ["a"], "retry": {"maxAttempts": 5},
                "http": {"method": "POST", "url": "http://shop/b", "body": body},
            },
        ],
    }))
}

/// The bodies that a step's requests had.
fn bodies(world: &World, step: &str) -> Vec<Value> {
    let of = world.other_side.sent.iter().filter(|sent| sent.attempt.step == step);
    let body = |work: &Work| {
        if let Work::Http(action) = work {
            action.body.clone().unwrap_or_default()
        } else {
            Value::Null
        }
    };
    of.map(|sent| body(&sent.work)).collect()
}

#[test]
fn a_retry_sends_what_was_sent_first_whatever_number_was_answered() {
    for (answered, sent) in [
        ("100.0", json!(100)),
        ("100.5", json!(100.5)),
        ("-0.0", json!(0)),
        ("1e3", json!(1000)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615.0)),
        ("9223372036854774784.0", json!(9_223_372_036_854_775_000_i64)),
        ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
        ("36.600000000000001421", json!(36.6)),
        ("1e300", json!(1e300)),
    ] {
        let answer = answers(200, &json!({"v": serde_json::from_str::<Value>(answered).unwrap()}));
        let acts = [times(2, &unknown()), vec![answers(200, &json!({}))]].concat();
        let mut world =
            told_on(json!({"v": "${steps.a.outputs.v}"})).on("a", vec![answer]).on("b", acts);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Completed, "{answered}: {}", world.message());
        assert_eq!(bodies(&world, "b"), vec![json!({"v": sent}); 3], "{answered}");
    }
}

#[test]
fn a_name_made_of_a_number_is_the_same_name_at_each_attempt() {
    for (answered, name) in [(json!(2.0), "web-2"), (json!(2.5), "web-2.5")] {
        let mut world = world(json!({"steps": [
            {"name": "a", "pod": {"image": "a:1"}},
            {
                "name": "b", "dependsOn": ["a"], "retry": {"maxAttempts": 3},
                "pod": {"image": "b:1", "args": ["web-${steps.a.outputs.v}"]},
            },
        ]}))
        .on("a", vec![hands_on(json!({"v": answered}))])
        .on("b", vec![unknown()]);
        world.run_to_rest();
        let args = |work: &Work| {
            if let Work::Pod(action) = work { json!(action.args) } else { Value::Null }
        };
        let of_b: Vec<_> = world
            .other_side
            .sent
            .iter()
            .filter(|sent| sent.attempt.step == "b")
            .map(|sent| args(&sent.work))
            .collect();
        assert_eq!((world.phase(), of_b), (SagaPhase::Completed, vec![json!([name]); 2]));
    }
}

#[test]
fn a_retry_sends_what_was_sent_first_where_it_goes_through_a_map() {
    for body in [
        "${params.labels.map(k, k)}",
        "${params.labels.filter(k, params.labels[k] > 1)}",
        "${params.labels.map(k, k + '=' + string(params.labels[k])).join(',')}",
        "${steps.a.outputs.v.map(k, k)}",
        "${{'z': 1, 'y': 2, 'x': 3, 'w': 4}.map(k, k)}",
    ] {
        let acts = [times(4, &unknown()), vec![answers(200, &json!({}))]].concat();
        let answer = answers(200, &json!({"v": {"q": {}, "p": {}, "r": {}, "o": {}}}));
        let mut world = told_on(json!(body)).on("a", vec![answer]).on("b", acts);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Completed, "{body}: {}", world.message());
        let sent = bodies(&world, "b");
        assert!(sent.len() == 5 && sent.iter().all(|other| *other == sent[0]), "{sent:?}");
    }
}

/// What another version calls a hash is nothing to compare with; one of ours still is.
#[test]
fn a_request_is_compared_with_a_hash_of_our_own_making_alone() {
    for (prefix, phase) in [("v1:", SagaPhase::Failed), ("v2:", SagaPhase::Completed)] {
        let mut world = told_on(json!({}))
            .on("a", vec![answers(200, &json!({"v": 1}))])
            .on("b", vec![unknown(), answers(200, &json!({}))]);
        world.run_until(|world| world.is("b", StepPhase::Retrying));
        let mut status = world.raw.clone();
        status["steps"][1]["action"]["requestHash"] = json!(format!("{prefix}{}", "0".repeat(64)));
        world.restore(status);
        world.run_to_rest();
        assert_eq!(world.phase(), phase, "{prefix}: {}", world.message());
    }
}

/// A value nested so deep.
fn nested(depth: usize) -> Value {
    (1..depth).fold(
        json!(1),
        |inner, nth| if nth % 2 == 0 { json!({"a": inner}) } else { json!([inner]) },
    )
}

/// Where the step is that was handed a value of this depth in an answer, by a Pod, or by a child
/// saga.
fn handed(depth: usize, origin: &str) -> (SagaPhase, StepStatus) {
    let value = nested(depth - 1);
    let a = match origin {
        "http" => {
            json!({
                "name": "a", "http": {"method": "POST", "url": "http://shop/a"},
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
        let children: Observed = active_attempts(&status)
            .map(|(id, _)| (id, ChildState::Saga(Arc::new(child.clone()))))
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
    (world.phase(), world.step("a"))
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
            let says = "it was done, but what it hands on cannot be taken: the outputs of a step \
                may be nested at most 32 deep";
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

#[test]
fn any_value_reads_the_same_before_it_is_stored_and_after() {
    for_all(256, value(), |value| {
        let stored = numbers::stored(&value);
        prop_assert_eq!(&as_stored(value.clone()), &stored, "{}", value);
        prop_assert_eq!(
            &numbers::stored(&stored),
            &stored,
            "{}: what is stored stays as it is",
            value
        );
        let (before, after) = (read(&value), read(&stored));
        prop_assert_eq!(before[0].as_ref(), Ok(&stored), "{}", value);
        for ((before, after), text) in before.into_iter().zip(after).zip(READERS) {
            prop_assert_eq!(before, after, "{}: {}", text, value);
        }
        Ok(())
    });
}

#[test]
fn a_thousand_evaluations_over_a_map_are_equal() {
    let map: Map<String, Value> = (0..12)
        .map(|nth| (format!("k{}", nth * 7919 % 1000), json!({"n": {"x": nth, "w": 1, "z": 2}})))
        .collect();
    let sorted: Vec<_> = map.keys().cloned().collect();
    let params = json!({"m": map}).as_object().cloned().unwrap();
    let scope = Scope {
        params: &params,
        saga: [""; 3],
        steps: &[],
        outputs: None,
        action: None,
        response: None,
        object: None,
        attempt: None,
    };
    for text in [
        "params.m.map(k, k)",
        "params.m.filter(k, k != '')",
        "params.m.map(k, params.m[k].n.size())",
        "params.m.map(k, k).join(',')",
        "params.m['k0'].n.map(k, k)",
        "{'b': 1, 'c': 2, 'a': 3, 'e': 4, 'd': 5}.map(k, k)",
        "{2: 'b', 1: 'a', 3: 'c', 0: 'z'}.map(k, k)",
        "[params.m, {'y': 1, 'x': 2}].map(m, m)[1].map(k, k)",
        "(size(params.m) > 1 ? params.m : {}).map(k, k)",
        "params.m.exists_one(k, k == 'k0')",
    ] {
        let expression = Expression::parse(text).unwrap();
        let first = expression.evaluate(&scope).unwrap();
        // Each after the first is no more likely to differ than the first: two orders in a hundred
        // looks would be seen.
        for _ in 0..if text == "params.m.map(k, k)" { 1_000 } else { 100 } {
            assert_eq!(expression.evaluate(&scope).as_ref(), Ok(&first), "{text}");
        }
        if text.starts_with("params.m.map(k, k)") && first.is_array() {
            assert_eq!(first, json!(sorted));
        }
    }
    // A list takes no map: which of its keys would come first, nobody says.
    let error = Expression::parse("[1] + params.m").unwrap().evaluate(&scope).unwrap_err();
    assert_eq!(error, "${[1] + params.m}: add does not take list and map");
}

/// What anybody may answer, hand on or give: any value, of any depth, and what is no JSON object.
fn any_outputs() -> impl Strategy<Value = Value> {
    let deep = (1..126_usize).prop_map(nested);
    prop_oneof![3 => value(), 1 => deep].prop_map(|value| json!({"v": value}))
}

/// Whatever is handed on from wherever, and given by whomever, the status that is written of it can
/// be read again, and comes to the same.
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
                        "name": "a", "http": {"method": "POST", "url": "http://shop/a"},
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
            // The world refuses a status that does not read back as it was written.
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
