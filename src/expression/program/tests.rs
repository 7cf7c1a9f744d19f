#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]

mod bounds;

use serde_json::{Map, json};

use super::{
    super::template::{Template, node::Form},
    *,
};
use crate::{
    api::{Outcome, StepPhase, StepStatus},
    expression::scope::ScopedAttempt,
    fault::Fault,
};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn steps() -> Vec<StepStatus> {
    let outputs = Some(object(json!({"reservation": "r-7", "parts": 3})));
    vec![StepStatus {
        name: "reserve-stock".into(),
        phase: StepPhase::Completed,
        outputs,
        ..StepStatus::default()
    }]
}

fn with<T>(look: impl FnOnce(&Scope<'_>) -> T) -> T {
    let params = object(json!({
        "order": "1042", "amount": 49.9, "count": 3, "vip": true, "nothing": null,
        "tags": ["a", "b"], "lines": [{"sku": "x", "n": 2}, {"sku": "y", "n": 1}],
    }));
    let (steps, own) = (steps(), object(json!({"charge": "c-1"})));
    let response =
        json!({"status": 201, "headers": {"location": "/r/7"}, "body": {"id": "r-7", "ok": true}});
    look(&Scope {
        params: &params,
        saga: ["order-1042", "shop", "uid"],
        steps: &steps,
        outputs: Some(&own),
        action: Some(("uid/charge/action/0", Outcome::Unknown)),
        response: Some(&response),
        attempt: Some(ScopedAttempt { number: 2, uncertain: true }),
        object: None,
    })
}

fn evaluate(text: &str) -> Result<Value, String> {
    with(|scope| Expression::parse(text)?.evaluate(scope))
}

fn template(value: Value, form: Form) -> Result<Value, String> {
    let mut faults = Vec::new();
    let template = Template::parse(&object(json!({"leaf": value})), "at", |_| form, &mut faults);
    match faults.first() {
        Some(Fault { path, message, .. }) => Err(format!("{path}: {message}")),
        None => with(|scope| template.evaluate(scope)).map(|value| value["leaf"].clone()),
    }
}

#[test]
fn expressions_read_what_the_design_names() {
    let cases = [
        ("params.order", json!("1042")),
        ("params.amount > 10.0", json!(true)),
        ("params.count + 1", json!(4)),
        ("saga.name + '/' + saga.namespace + '/' + saga.uid", json!("order-1042/shop/uid")),
        ("steps['reserve-stock'].outputs.reservation", json!("r-7")),
        ("steps['reserve-stock'].phase == 'Completed'", json!(true)),
        ("outputs.charge", json!("c-1")),
        ("action.key + ' ' + action.outcome", json!("uid/charge/action/0 Unknown")),
        ("response.status == 201 && response.body.ok", json!(true)),
        ("response.headers['location']", json!("/r/7")),
        ("has(params.coupon) ? params.coupon : 'none'", json!("none")),
        ("params.lines.filter(l, l.n > 1).map(l, l.sku)", json!(["x"])),
        ("params.tags.exists(t, t == 'b') && size(params.tags) == 2", json!(true)),
        ("{'id': params.order, 'n': [1, 2.5, null]}", json!({"id": "1042", "n": [1, 2.5, null]})),
        ("params.order.startsWith('10') && params.order.matches('^[0-9]+$')", json!(true)),
        ("string(params.count) + 'x'", json!("3x")),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("['a', 'b'].join('-').upperAscii()", json!("A-B")),
        ("9007199254740993", json!(9_007_199_254_740_993_i64)),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn errors_name_the_expression_and_what_is_wrong() {
    insta::assert_snapshot!(
        [
            "params.amuont",
            "params.order.length",
            "params.nothing.x",
            "params.order + 1",
            "amount > 1",
            "steps.reserve-stock.outputs.x",
            "steps['other'].outputs.x",
            "steps",
            "steps[params.order]",
            "foo(1)",
            "1 +",
            "",
            "params.tags[7]",
            "1 / 0",
            "params.lines.map(l, params.lines.map(m, m.n))",
            "b'abc'",
            "Thing{a: 1}",
            "duration('1h')",
            "params.order.matches(params.order)",
            "!params.order",
            "{1: 2}",
            "lists.range(1000000000)",
            "'x'.format([1])",
        ]
        .map(|text| format!("{text}\n    {}", evaluate(text).unwrap_err()))
        .join("\n")
    );
}

#[test]
fn a_leaf_that_is_one_expression_keeps_its_type_and_any_other_is_text() {
    let cases = [
        (json!("${params.count}"), json!(3)),
        (json!("n=${params.count}"), json!("n=3")),
        (json!("${params.order}-${params.vip}"), json!("1042-true")),
        (
            json!("${params.tags} and ${params.lines[0]}"),
            json!(r#"["a","b"] and {"n":2,"sku":"x"}"#),
        ),
        (json!({"a": ["${params.tags}", 7, null]}), json!({"a": [["a", "b"], 7, null]})),
        (
            json!("$${HOME} $HOME 100$ $$${params.count}"),
            json!("${HOME} $HOME 100$ $${params.count}"),
        ),
        (json!("${{'a': '}'}}"), json!({"a": "}"})),
        (json!("${\"\\\"}\"}"), json!("\"}")),
        (json!(""), json!("")),
    ];
    for (leaf, expected) in cases {
        assert_eq!(template(leaf.clone(), Form::Any), Ok(expected), "{leaf}");
    }
    assert_eq!(template(json!("${params.count}"), Form::Text), Ok(json!("3")));
    assert_eq!(
        template(json!("${params.nothing}"), Form::Text),
        Err("at.leaf: ${params.nothing}: is null where text is wanted".into())
    );
}

#[test]
fn what_an_expression_gives_stays_one_part_of_a_url() {
    let url = "http://stock/orders/${'../admin?x=1#y&z ü'}/${params.order}?q=${params.count}";
    assert_eq!(
        template(json!(url), Form::Url),
        Ok(json!("http://stock/orders/..%2Fadmin%3Fx%3D1%23y%26z%20%C3%BC/1042?q=3"))
    );
}

#[test]
fn a_shell_variable_is_refused_with_a_hint() {
    let error = template(json!("echo ${HOME}"), Form::Text).unwrap_err();
    assert!(
        error.starts_with("at.leaf: ${HOME}: there is no variable HOME")
            && error.ends_with("in a shell $HOME"),
        "{error}"
    );
    let error = template(json!("echo ${x"), Form::Text).unwrap_err();
    assert_eq!(error, "at.leaf: holds ${ without its }: close it, or write $${ for a literal ${");
}

#[test]
fn what_an_expression_gives_is_not_parsed_again() {
    assert_eq!(
        template(json!("${'$' + '{params.order}'}"), Form::Any),
        Ok(json!("${params.order}"))
    );
}

#[test]
fn functions_are_those_of_kubernetes() {
    let cases = [
        ("'für'.size()", json!(3)),
        ("'für'.substring(1, size('für'))", json!("ür")),
        ("params.tags.first().value() + params.tags.last().orValue('z')", json!("ab")),
        ("[].first().hasValue()", json!(false)),
        ("base64.encode(bytes('user:word'))", json!("dXNlcjp3b3Jk")),
        ("string(base64.decode('dXNlcjp3b3Jk'))", json!("user:word")),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
    assert_eq!(
        evaluate("[1, 2].join(',')"),
        Err("${[1, 2].join(',')}: join: takes strings, not int".into())
    );
}

#[test]
fn a_quote_in_a_comment_hides_nothing() {
    let error = Expression::parse(&("1 // '\n".to_owned() + &"+1".repeat(480))).unwrap_err();
    assert!(error.ends_with("holds a comment (//): leave it out"), "{error}");
    assert_eq!(evaluate("'http://' + params.order"), Ok(json!("http://1042")));
    // What is no string to the parser hides nothing either.
    for begin in ["'", "'\n", r"'\q", r"'\x4", r"xr'\' '", "\"\"\"", "r'"] {
        let error = Expression::parse(&(begin.to_owned() + &"[".repeat(300))).unwrap_err();
        assert!(
            error.ends_with("nests more than 12 brackets in each other: make it flatter"),
            "{begin}: {error}"
        );
    }
    for text in [
        r"'[[[[[[[[[[[[[[\'' + r'\[[[[[[[[[[[[[[' + '\x5b\u005b\133[[[[[[[[[[[[['",
        "'''\n[[[[[[[[[[[[[[[[\n'''",
    ] {
        assert!(Expression::parse(text).is_ok(), "{text}");
    }
}
