//! Input that nobody would write: a hundred thousand specs, expressions, templates, URLs, durations
//! and termination messages of Pods, made from a seed.
//!
//! Each case runs on a stack as small as that of an operator's worker. A failure prints the seed.
//! `SAGA_SEED=<seed>` makes the same cases again.

use std::{
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use saga_operator::{
    api::{GoDuration, Outcome, StepPhase, StepStatus},
    expression::{
        program::Expression,
        scope::{Scope, ScopedAttempt},
        template::{Template, node::Form},
    },
    model::observation::{ChildState, End},
    objects::pod,
};
use serde_json::{Map, Value, json};

use crate::fuzz_texts::{expression, grown, soup, spoilt, template};

/// The stack of a worker, in bytes.
const STACK: usize = 2 << 20;

/// A simple generator (xorshift). A seed always makes the same cases.
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most.max(1) as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Makes cases on two threads with the stack of a worker, and checks each case. The text of a case
/// that panics or fails is printed.
pub(crate) fn cases(count: usize, make: fn(&mut Dice) -> Value, check: fn(&Value)) {
    let seed = std::env::var("SAGA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| RandomState::new().hash_one(0));
    let run = move |thread: u64| {
        let mut dice = Dice((seed ^ (thread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1));
        for _ in 0..count.div_ceil(2) {
            let case = make(&mut dice);
            let tried = catch_unwind(AssertUnwindSafe(|| check(&case)));
            assert!(tried.is_ok(), "SAGA_SEED={seed}: {case}");
        }
    };
    let threads = [0, 1].map(|thread| {
        std::thread::Builder::new().stack_size(STACK).spawn(move || run(thread)).unwrap()
    });
    for thread in threads {
        assert!(thread.join().is_ok(), "SAGA_SEED={seed}");
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with_scope<T>(look: impl FnOnce(&Scope<'_>) -> T) -> T {
    let lines: Vec<Value> =
        (0..40).map(|nth| json!({"sku": format!("s-{nth}"), "n": nth})).collect();
    let params = object(json!({
        "order": "1042", "big": "xy".repeat(2000), "lines": lines, "tags": ["a", "ü", "\u{1}"],
        "nothing": null, "none": {}, "a": 1,
    }));
    let outputs = object(json!({"id": "r-7", "n": 1.5}));
    let steps = [StepStatus {
        name: "a".into(),
        phase: StepPhase::Completed,
        outputs: Some(outputs.clone()),
        ..StepStatus::default()
    }];
    let response = json!({
        "status": 201, "headers": {"location": "/r/7"},
        "body": {"id": "r-7", "list": [1, "b", null, {"c": 2}]},
    });
    look(&Scope {
        params: &params,
        saga: ["order-1042", "shop", "uid"],
        steps: &steps,
        outputs: Some(&outputs),
        action: Some(("uid/a/action/0", Outcome::Unknown)),
        response: Some(&response),
        attempt: Some(ScopedAttempt { number: 2, uncertain: true }),
        object: Some(&response),
    })
}

/// Returns the bytes of all texts in a value, plus the bytes of the rest as JSON.
pub(crate) fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| bytes(item) + 1).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + bytes(value) + 1).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string().len(),
    }
}

fn one_line(message: &str) {
    assert!(!message.contains(char::is_control) && message.chars().count() <= 600, "{message}");
}

#[test]
fn no_expression_harms_and_none_comes_to_more_than_was_told() {
    cases(
        34_000,
        |dice| json!(expression(dice)),
        |case| {
            let text = case.as_str().unwrap();
            match Expression::parse(text) {
                Err(error) => one_line(&error),
                Ok(parsed) => {
                    with_scope(|scope| match (parsed.most(scope), parsed.evaluate(scope)) {
                        (Ok(most), Ok(value)) => assert!(
                            bytes(&value) as u64 <= most,
                            "{most} bytes were told, and {} came",
                            bytes(&value)
                        ),
                        (Err(told), Err(error)) => assert_eq!(told, error),
                        (Ok(_), Err(error)) => one_line(&error),
                        (Err(error), Ok(_)) => panic!("it was evaluated although {error}"),
                    });
                }
            }
        },
    );
}

#[test]
fn no_template_harms_and_none_is_parsed_twice() {
    cases(
        10_000,
        |dice| {
            json!({
                "leaf": template(dice), "list": ["${params.lines}", 7], "form": dice.below(3),
                "key": {"${x}": null},
            })
        },
        |case| {
            let form = [Form::Any, Form::Text, Form::Url]
                [usize::try_from(case["form"].as_u64().unwrap()).unwrap()];
            let mut faults = Vec::new();
            let parsed = Template::parse(case.as_object().unwrap(), "at", |_| form, &mut faults);
            for fault in &faults {
                one_line(&fault.message);
            }
            let value =
                if faults.is_empty() { with_scope(|scope| parsed.evaluate(scope)) } else { return };
            let Ok(value) = value.map_err(|error| one_line(&error)) else { return };
            assert!(value["key"].get("${x}").is_some(), "keys are left as they are");
            assert!(parsed.literal().is_none_or(|literal| *literal == value));
            assert!(form == Form::Any || value["leaf"].is_string(), "{value}");
        },
    );
}

#[test]
fn a_duration_is_read_as_it_is_written_or_refused() {
    let make = |dice: &mut Dice| {
        let mut text = String::new();
        for _ in 0..dice.below(5) {
            text.push_str(dice.pick(&[
                "1",
                "90",
                "0",
                "1.5",
                ".5",
                "-",
                "+",
                "9999999999999999999",
                "00001",
                "1e3",
                "٣",
            ]));
            text.push_str(dice.pick(&["h", "m", "s", "ms", "us", "µs", "ns", "d", "", " ", "H"]));
        }
        json!(text)
    };
    cases(25_000, make, |case| {
        if let Ok(duration) = GoDuration::from_str(case.as_str().unwrap()) {
            let written = duration.to_string();
            assert!(GoDuration::from_str(&written).is_ok(), "{written}");
        }
    });
}

#[test]
fn no_last_words_of_a_pod_harm() {
    let make = |dice: &mut Dice| {
        let message = match dice.below(4) {
            0 => soup(dice, 60),
            1 => json!({grown(dice, 1): grown(dice, 1), "n": 1e300}).to_string(),
            2 => "[".repeat(dice.below(3000)),
            _ => {
                let text = json!({
                    "id": "r", "list": [1, {"a": null}], "big": "x".repeat(dice.below(6000)),
                })
                .to_string();
                spoilt(dice, &text)
            }
        };
        let code = dice.pick(&["0", "1", "137", "-1", "2147483647"]).parse::<i64>().unwrap();
        let phase = dice.pick(&["Succeeded", "Failed", "Running", "Pending", "Unknown", ""]);
        let ended = json!({
            "terminated": {
                "exitCode": code, "message": message,
                "reason": dice.pick(&["Completed", "Error", "OOMKilled", ""]),
            },
        });
        let container = json!({
            "name": dice.pick(&["step", "main", "other"]), "state": ended, "image": "",
            "imageID": "", "ready": false, "restartCount": 0,
        });
        json!({
            "metadata": {"uid": "u"}, "spec": {"nodeName": "n", "containers": []},
            "status": {"phase": phase, "containerStatuses": [container]},
        })
    };
    cases(25_000, make, |case| {
        let pod: Pod = serde_json::from_value(case.clone()).unwrap();
        for state in [pod::state::state(&pod, Duration::ZERO), pod::state::gone(&pod).into()] {
            match state {
                ChildState::Ended(End::Succeeded(outputs)) => {
                    drop(serde_json::to_string(&outputs).unwrap());
                }
                ChildState::Ended(End::Failed(failure)) => one_line(&failure.message),
                ChildState::Ended(End::Unknown { message, .. })
                | ChildState::Active { detail: message, .. } => one_line(&message),
                other => panic!("{other:?}"),
            }
        }
    });
}
