//! What nobody would write: a hundred thousand specs, expressions, templates, URLs, durations and
//! last words of Pods, made up from a seed.
//!
//! Each runs on a stack as small as those of the operator's workers. A failure prints the seed,
//! `SAGA_SEED=<seed>` makes the same cases again.

use std::{
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use saga_operator::{
    api::{GoDuration, MAX_OUTPUTS, Outcome, StepPhase, StepStatus, StoredSaga},
    engine::{invariants, plan},
    expression::{
        check::FUNCTIONS,
        program::Expression,
        scope::Scope,
        template::{Template, node::Form},
    },
    model::{
        observation::{ChildState, Observed},
        saga::SagaName,
    },
    objects::pod,
    validate::saga::validate_stored,
};
use serde_json::{Map, Value, json};

use crate::world::World;

/// The stack of a worker.
const STACK: usize = 2 << 20;

/// A simple generator (xorshift), so that a seed makes the same cases for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Makes up cases on two threads with the stack of a worker, and tries each. The text of a case
/// that panics or fails is printed.
fn cases(count: usize, make: fn(&mut Dice) -> Value, check: fn(&Value)) {
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

const WORDS: [&str; 60] = [
    "params.order",
    "params.big",
    "params.lines",
    "params.tags",
    "params.nothing",
    "params.none",
    "params['order']",
    "params",
    "saga.name",
    "steps.a.outputs.id",
    "steps['a'].phase",
    "steps.a",
    "steps",
    "outputs.id",
    "action.key",
    "response.body.id",
    "response.status",
    "object.metadata.name",
    "x",
    "i",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615u",
    "1e308",
    "5e-324",
    "1.5",
    "0x7fffffffffffffff",
    "''",
    "'a'",
    "'ü→🦀'",
    "r'\\'",
    "\"q\"",
    "'''t'''",
    "'\\n'",
    "'\\u00e9'",
    "'\\q'",
    "'(((((((((((('",
    "b'x'",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1, 2, 3]",
    "{'a': 1}",
    "{1: 2}",
    "{true: 'x'}",
    "{null: 1}",
    "'1h'",
    "'2020-01-01T00:00:00Z'",
    "'1Ki'",
    "'1e100'",
    "'^[a-z]+$'",
    "'(?i)order'",
    "'('",
    "'YQ=='",
    "1u",
];
const SIGNS: [&str; 22] = [
    "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", " in ", "?", ":", ",",
    ".", "!", "//", ".?", "@",
];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];
const SOUP: [&str; 30] = [
    "(", ")", "[", "]", "{", "}", "'", "\"", "'''", "\"\"\"", "\\", "r'", "R\"", "b'", "\n", "\t",
    " ", "\u{0}", "\u{feff}", "🦀", "ü", "${", "$${", "}", "$", "#", "//", "/*", "`", ";",
];

/// An expression by the grammar.
fn grown(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.one_in(4) {
        return dice.pick(&WORDS).to_owned();
    }
    let (less, call) = (depth - 1, FUNCTIONS[dice.below(FUNCTIONS.len())]);
    match dice.below(12) {
        0 | 1 => format!("{} {} {}", grown(dice, less), SIGNS[dice.below(14)], grown(dice, less)),
        2 => format!("({})", grown(dice, less)),
        3 => format!("{} ? {} : {}", grown(dice, less), grown(dice, less), grown(dice, less)),
        4 => format!("{}{}", dice.pick(&["!", "-", "!!", "--", "!-"]), grown(dice, less)),
        5 => format!("[{}, {}]", grown(dice, less), grown(dice, less)),
        6 => format!("{{{}: {}}}", grown(dice, less), grown(dice, less)),
        7 => format!("{}[{}]", grown(dice, less), grown(dice, less)),
        8 => format!("{}.{}(i, {})", grown(dice, less), dice.pick(&MACROS), grown(dice, less)),
        9 => format!("has({}.{})", grown(dice, less), dice.pick(&["a", "order", "id"])),
        _ if call.contains('.') || dice.one_in(3) => {
            let arguments: Vec<String> = (0..dice.below(4)).map(|_| grown(dice, less)).collect();
            format!("{call}({})", arguments.join(", "))
        }
        _ => {
            let arguments: Vec<String> = (0..dice.below(3)).map(|_| grown(dice, less)).collect();
            format!("{}.{call}({})", grown(dice, less), arguments.join(", "))
        }
    }
}

fn soup(dice: &mut Dice, most: usize) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(most) {
        text.push_str(match dice.below(4) {
            0 => dice.pick(&WORDS),
            1 => dice.pick(&SIGNS),
            2 => dice.pick(&SOUP),
            _ => FUNCTIONS[dice.below(FUNCTIONS.len())],
        });
    }
    text
}

/// The same thing many times: what goes down into itself.
fn repeated(dice: &mut Dice) -> String {
    let (open, close) = [
        ("(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("!", ""),
        ("-", ""),
        ("+1", ""),
        ("?1:1", ""),
        ("true?", ":1"),
        ("&&true", ""),
        (".a", ""),
        ("[0]", ""),
        ("size(", ")"),
        (".size()", ""),
        (" in [1]", ""),
        ("[1].map(i,", ")"),
        ("==1", ""),
        (",1", ""),
        ("<1", ""),
        (".map(i,i)", ""),
    ][dice.below(19)];
    let (times, begin) = (
        dice.below(700),
        dice.pick(&[
            "1", "", "'\\q'", "'", "1 // '\n", "r'", "'\n", "xr'\\' '", "\"\"\"", "params",
        ]),
    );
    let end = dice.pick(&["", "1", "'", "\n'", "true"]);
    format!("{begin}{}{end}{}", open.repeat(times), close.repeat(times))
}

/// One or more letters of a text taken out, doubled, or put in.
fn spoilt(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(4) {
        let at = dice.below(letters.len());
        match dice.below(3) {
            0 if !letters.is_empty() => _ = letters.remove(at),
            1 if !letters.is_empty() => letters.insert(at, letters[at]),
            _ => dice.pick(&SOUP).chars().for_each(|letter| letters.insert(at, letter)),
        }
    }
    letters.into_iter().collect()
}

fn expression(dice: &mut Dice) -> String {
    match dice.below(8) {
        0..=3 => grown(dice, 4),
        4 => soup(dice, 40),
        5 => repeated(dice),
        6 => soup(dice, 400),
        _ => {
            let text = grown(dice, 3);
            spoilt(dice, &text)
        }
    }
}

/// A text with expressions in it.
fn template(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(5) {
        match dice.below(6) {
            0 => text.push_str(dice.pick(&[
                "${",
                "$${",
                "$$${",
                "}",
                "{",
                "$",
                "${}",
                "${ }",
                "${'}'}",
                "${{'a': '}'}}",
                "${HOME}",
                "é",
            ])),
            1 => text.push_str(&soup(dice, 6)),
            2 => text.push_str(dice.pick(&[
                "http://shop/",
                "https://",
                "http://${params.order}/",
                "?q=",
                "#",
                "@",
                "..",
                "%2F",
                "\r\n",
            ])),
            _ => text = format!("{text}${{{}}}", grown(dice, 2)),
        }
    }
    text
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
        attempt: Some((2, true)),
        object: Some(&response),
    })
}

/// The bytes of all texts in a value, and of the rest of it as JSON.
fn bytes(value: &Value) -> usize {
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
        for state in [pod::state::state(&pod, Duration::ZERO), pod::state::gone(&pod)] {
            match state {
                ChildState::Succeeded(outputs) => drop(serde_json::to_string(&outputs).unwrap()),
                ChildState::Failed(failure) => one_line(&failure.message),
                ChildState::Unknown { message, .. }
                | ChildState::Active { detail: message, .. } => one_line(&message),
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Sagas with everything in them that may hold an expression.
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
                    "method": "POST", "url": "http://stock/r/${params.order}",
                    "body": {"order": "${params.order}"}, "expect": "response.status == 201",
                    "headers": [{"name": "X", "value": "${params.order}"}],
                },
                "compensation": {
                    "http": {
                        "method": "POST", "url": "http://stock/x",
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

/// One thing in a spec changed.
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
        let (children, executor) = (Observed::default(), world.executor());
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
