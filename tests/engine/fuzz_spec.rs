//! Specs that nobody would write: one spec with every field, and random changes to it.

use saga_operator::{
    api::{MAX_OUTPUTS, StoredSaga},
    engine::{invariants, plan},
    model::{observation::Observations, saga::SagaName},
    validate::saga::validate_stored,
};
use serde_json::{Value, json};

use crate::{
    fuzz::{Dice, bytes, cases},
    fuzz_texts::{expression, grown, spoilt, template},
    world::World,
};

/// Returns a spec with every field that may hold an expression.
fn whole() -> Value {
    json!({
        "params": {"order": "1042", "amount": 49.9, "tags": ["gift"]},
        "onFailure": "Compensate", "maxParallel": 2, "timeout": "2h",
        "defaults": {
            "timeout": "5m",
            "retry": {
                "maxAttempts": 3,
                "backoff": {"type": "Exponential", "initialDelay": "1s", "maxDelay": "1m"},
            },
        },
        "outputs": {"tracking": "${steps.ship.outputs.tracking}"},
        "steps": [
            {
                "name": "reserve", "when": "params.amount > 1.0",
                "outputs": {"id": "${response.body.id}"},
                "http": {
                    "method": "POST", "url": "http://stock.svc/r/${params.order}",
                    "body": {"order": "${params.order}"}, "expect": "response.status == 201",
                    "headers": [{"name": "X", "value": "${params.order}"}],
                },
                "compensation": {
                    "http": {
                        "method": "POST", "url": "http://stock.svc/x",
                        "body": {"key": "${action.key}", "id": "${outputs.id}"},
                    },
                },
            },
            {
                "name": "ship", "dependsOn": ["reserve"], "pivot": true,
                "retry": {"maxAttempts": 5, "deadline": "10m"},
                "pod": {
                    "image": "ship:1", "args": ["${params.order}", "$${HOME}"],
                    "env": [{"name": "TAG", "value": "${params.tags[0]}"}],
                },
            },
            {
                "name": "config",
                "apply": {
                    "manifest": {
                        "apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {"name": "c-${params.order}"}, "data": {"a": "${saga.name}"},
                    },
                    "until": "has(object.data)",
                },
                "outputs": {"uid": "${object.metadata.uid}"},
                "compensation": {"delete": {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}},
            },
            {
                "name": "look",
                "wait": {
                    "until": "object.status.phase == 'Running'",
                    "object": {"apiVersion": "v1", "kind": "Pod", "name": "p"},
                },
            },
            {
                "name": "gone",
                "delete": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old"},
            },
            {
                "name": "count",
                "job": {
                    "finalExitCodes": [3], "metadata": {"labels": {"queue": "${params.order}"}},
                    "spec": {
                        "completions": "${size(params.tags)}",
                        "template": {
                            "spec": {
                                "containers": [{
                                    "name": "step", "image": "count:1", "args": ["${params.order}"],
                                }],
                            },
                        },
                    },
                },
            },
            {
                "name": "ask", "dependsOn": ["config"],
                "approval": {"message": "ship ${params.order}?"},
            },
            {
                "name": "tenant", "dependsOn": ["reserve"],
                "saga": {
                    "spec": {
                        "params": {"order": "${params.order}", "id": "${steps.reserve.outputs.id}"},
                        "outputs": {"id": "${params.id}"},
                        "steps": [
                            {
                                "name": "user",
                                "pod": {"image": "user:1", "args": ["${params.order}"]},
                            },
                            {
                                "name": "deeper",
                                "saga": {
                                    "spec": {
                                        "params": {"order": "${params.order}"},
                                        "steps": [{"name": "a", "wait": {"for": "1s"}}],
                                    },
                                },
                            },
                        ],
                    },
                },
            },
            {"name": "rest", "wait": {"for": "10s"}},
        ],
    })
}

/// Changes one value in a spec.
fn changed(dice: &mut Dice, spec: &mut Value) {
    let mut places = Vec::new();
    let mut open = vec![(String::new(), &*spec)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, field)| (format!("{at}/{name}"), field)));
            }
            Value::Array(items) => open.extend(
                items.iter().enumerate().map(|(place, item)| (format!("{at}/{place}"), item)),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        places.push(at);
    }
    let (at, from) =
        (places[dice.below(places.len())].clone(), places[dice.below(places.len())].clone());
    let copy = spec.pointer(&from).cloned().unwrap_or_default();
    if copy.to_string().len() > 20_000 {
        return;
    }
    let Some(value) = spec.pointer_mut(&at) else { return };
    *value = match (dice.below(7), &*value) {
        (0, Value::String(text)) => json!(spoilt(dice, text)),
        (1, _) => json!(expression(dice)),
        (2, _) => json!(format!("${{{}}}", grown(dice, 3))),
        (3, _) => [
            json!(null),
            json!(0),
            json!(-1),
            json!(i64::MAX),
            json!(1e308),
            json!([]),
            json!({}),
            json!(true),
            json!(""),
        ][dice.below(9)]
        .clone(),
        (4, _) => copy,
        (5, Value::Object(fields)) => {
            let mut fields = fields.clone();
            if let Some(name) = fields.keys().nth(dice.below(fields.len())).cloned() {
                fields.remove(&name);
            }
            Value::Object(fields)
        }
        (5, Value::Array(items)) => Value::Array([items.clone(), items.clone()].concat()),
        (_, _) => json!(template(dice)),
    };
}

#[test]
fn no_spec_harms_and_what_is_valid_begins() {
    let make = |dice: &mut Dice| {
        let mut spec = whole();
        for _ in 0..=dice.below(3) {
            changed(dice, &mut spec);
        }
        spec
    };
    cases(6_000, make, |case| {
        let raw = json!({
            "metadata": {"name": "order", "namespace": "shop", "uid": "0d1c5a2e", "generation": 1},
            "spec": case,
        });
        let Ok(stored) = serde_json::from_value::<StoredSaga>(raw) else { return };
        let who =
            SagaName { name: "order".into(), namespace: "shop".into(), uid: "0d1c5a2e".into() };
        let saga = validate_stored(&who, &stored.spec);
        if let Err(faults) = &saga {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(!fault.message.is_empty() && !fault.path.is_empty(), "{fault}");
            }
        }
        let mut world = World::with(crate::saga::saga());
        (world.saga, world.stored, world.finalizer) = (saga, stored, true);
        let (children, executor) = (Observations::default(), world.executor());
        let seen = world.seen(&children, &executor);
        let planned = plan(&world.saga, &seen);
        let Ok(saga) = &world.saga else { return };
        if let Some(saga_operator::model::plan::StatusWrite::Whole(status)) = &planned.status {
            let text = serde_json::to_string(status).unwrap();
            assert!(text.len() <= 256 << 10, "{}", text.len());
            let again: saga_operator::api::SagaStatus = serde_json::from_str(&text).unwrap();
            assert_eq!(invariants::check(saga, &again), Vec::<String>::new());
            assert_eq!(invariants::check_plan(saga, &seen, &planned), Vec::<String>::new());
            let mut outputs = again.steps.iter().filter_map(|step| step.outputs.as_ref());
            assert!(outputs.all(|outputs| bytes(&json!(outputs)) <= MAX_OUTPUTS));
        }
    });
}
