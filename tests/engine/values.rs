//! Values before and after they are stored. The API server returns 100.0 as 100, and that
//! difference must have no effect.

use proptest::prelude::*;
use saga_operator::{
    api::{SagaPhase, SagaSpec, StepPhase, json::as_stored},
    expression::{program::Expression, scope::Scope},
    model::saga::Work,
};
use serde_json::{Map, Value, json};

use crate::{
    numbers::{self, READERS, read, value},
    properties::for_all,
    saga::Draft,
    script::{answers, hands_on, times, unknown},
    world::World,
};

pub(crate) fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// Creates a world with a step that reads a value, and a step that sends that value until the
/// service answers.
pub(crate) fn told_on(body: Value) -> World {
    world(json!({
        "params": {"labels": {"d": 1, "b": 2, "c": 3, "a": 4, "f": 5, "e": 6}},
        "steps": [
            {
                "name": "a", "http": {"method": "POST", "url": "http://shop.svc/a"},
                "outputs": {"v": "${response.body.v}"},
            },
            {
                "name": "b", "dependsOn": ["a"], "retry": {"maxAttempts": 5},
                "http": {"method": "POST", "url": "http://shop.svc/b", "body": body},
            },
        ],
    }))
}

/// Returns the bodies of the HTTP requests of a step.
pub(crate) fn bodies(world: &World, step: &str) -> Vec<Value> {
    let of = world.services.sent.iter().filter(|sent| sent.attempt.step == step);
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
            .services
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

/// A hash of another version is not compared. A hash of this version is compared.
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
    let scope = Scope::new(&params, [""; 3]);
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
        // If the result could come in two orders, a hundred evaluations would show both, because
        // each evaluation after the first is as likely to differ.
        for _ in 0..if text == "params.m.map(k, k)" { 1_000 } else { 100 } {
            assert_eq!(expression.evaluate(&scope).as_ref(), Ok(&first), "{text}");
        }
        if text.starts_with("params.m.map(k, k)") && first.is_array() {
            assert_eq!(first, json!(sorted));
        }
    }
    // A list and a map cannot be added, because the order of the keys would be undefined.
    let error = Expression::parse("[1] + params.m").unwrap().evaluate(&scope).unwrap_err();
    assert_eq!(error, "${[1] + params.m}: add does not take list and map");
}
