//! Expressions that are too much work together, or too many, and the places where expressions may
//! stand.

use serde_json::{Value, json};

use crate::spec::check;

/// Returns a first HTTP request, and one after it for each number: its body holds the expression
/// that many times.
fn asking(expression: &str, often: &[usize]) -> Vec<Value> {
    let first = json!({
        "name": "first", "http": {"method": "GET", "url": "http://a.shop.svc/x"},
        "outputs": {"x": "${response.body.x}"},
    });
    let request = |(place, often): (usize, &usize)| {
        let http = json!({
            "method": "POST", "url": "http://a.shop.svc/x",
            "body": vec![format!("${{{expression}}}"); *often],
        });
        json!({"name": format!("s{place}"), "dependsOn": ["first"], "http": http})
    };
    std::iter::once(first).chain(often.iter().enumerate().map(request)).collect()
}

#[test]
fn expressions_that_are_too_much_work_together_are_refused_where_they_come_to_that() {
    // Each expression is nearly all the work that one expression may be, whatever it reads.
    for heavy in [
        "'x'.matches('[a-z]{80}')",
        "params.x.matches('[a-z]{80}')",
        "steps.first.outputs.x.matches('[a-z]{80}')",
    ] {
        let spec = |often: &[usize]| json!({"params": {"x": "a"}, "steps": asking(heavy, often)});
        assert!(check(&spec(&[16, 16])).is_ok(), "{heavy}");
        for often in [&[3000_usize][..], &[60, 3000]] {
            let found = check(&spec(often)).unwrap_err();
            let [one] = found.as_slice() else { panic!("{heavy}: {found:?}") };
            let body = if often.len() == 1 {
                "spec.steps[1].http.body[6"
            } else {
                "spec.steps[2].http.body["
            };
            assert!(
                one.starts_with(body)
                    && one.contains("the expressions of the saga are too much work together"),
                "{one}"
            );
        }
        // The expressions of a child saga count together with those of its parent.
        let child = json!({
            "name": "child",
            "saga": {"spec": {"params": {"x": "a"}, "steps": asking(heavy, &[40])}},
        });
        let mut both = spec(&[40]);
        both["steps"].as_array_mut().unwrap().push(child);
        let found = check(&both).unwrap_err();
        assert!(
            matches!(
                found.as_slice(),
                [one] if one.starts_with("spec.steps[2].saga.spec.steps[1].http.body[2")
            ),
            "{found:?}"
        );
        // The steps after this step are not checked. The saga is refused whatever they hold.
        let mut more = spec(&[3000]);
        more["steps"].as_array_mut().unwrap().push(json!({"name": "Not a name", "approval": {}}));
        assert_eq!(check(&more).unwrap_err().len(), 1);
    }
}

#[test]
fn as_many_expressions_as_a_large_saga_holds_are_no_matter() {
    let params = json!({"order": "1042", "text": "x".repeat(4000)});
    let asked = "params.order + (has(params.x) ? params.x : '')";
    let spec = json!({"params": params, "steps": asking(asked, &[30; 127])});
    assert!(check(&spec).is_ok(), "{:?}", check(&spec).unwrap_err().first());
}

/// Returns the faults of a spec whose HTTP requests hold the expression these many times.
fn in_all(expression: &str, params: &Value, often: &[usize]) -> Vec<String> {
    check(&json!({"params": params, "steps": asking(expression, often)})).unwrap_err()
}

/// Returns params of this many small fields, each of them `1`.
fn fields(count: usize) -> Value {
    (0..count).map(|nth| (format!("f{nth}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
}

const TOO_MANY_FAULTS: &str =
    "spec: has more faults than these 200: correct them, and the next check reports the others";

#[test]
fn nothing_is_tried_over_params_that_are_too_large_and_that_is_told_once() {
    // If the params were read, each expression would be a fault of its own.
    let found = in_all("params.there.is.none", &fields(78_000), &[300; 2]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.params: has ") && one.ends_with("it may have at most 32768"),
        "{one}"
    );
    // If no expression reads the params, they may be large.
    assert!(
        check(&json!({"params": fields(78_000), "steps": [{"name": "a", "pod": {"image": "a"}}]}))
            .is_ok()
    );
    // The params of a child saga are checked separately.
    let child = json!({"params": fields(78_000), "steps": asking("params.there.is.none", &[10])});
    let found = check(&json!({"steps": [{"name": "a", "saga": {"spec": child}}]})).unwrap_err();
    assert!(
        matches!(
            found.as_slice(),
            [one] if one.starts_with("spec.steps[0].saga.spec.params: has ")
        ),
        "{found:?}"
    );
}

#[test]
fn an_expression_that_is_not_evaluated_counts_with_what_it_reads() {
    // The params are within 32 KiB as they are written, but more than an expression may read as it
    // counts them.
    let found = in_all("steps.first.outputs.x + params.f1", &fields(3000), &[2500]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.steps[1].http.body[2") && one.contains("too much work together"),
        "{one}"
    );
}

#[test]
fn of_very_many_faults_the_first_are_told_and_no_more_are_looked_for() {
    for (expression, often) in [
        (")", &[45_000][..]),
        ("params.none", &[1000]),
        ("steps.none.outputs.x", &[3; 100]),
        ("params.none", &[3; 100]),
    ] {
        let found = in_all(expression, &json!({"x": 1}), often);
        assert_eq!(
            (found.len(), found.last().unwrap().as_str()),
            (201, TOO_MANY_FAULTS),
            "{expression}"
        );
        assert!(found[0].starts_with("spec.steps[1].http.body[0]: "), "{}", found[0]);
    }
    assert_eq!(in_all("params.none", &json!({"x": 1}), &[200]).len(), 200);
}

#[test]
fn more_expressions_than_a_saga_may_have_are_not_even_read() {
    let found = in_all("1", &json!({}), &[20_000]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.steps[1].http.body[16384]: holds more than 16384 expressions"),
        "{one}"
    );
}

#[test]
fn labels_and_annotations_take_what_another_side_answered_whatever_they_are_called() {
    let apply = |version: &str, kind: &str, path: &str, marks: Value| {
        let mut manifest = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}});
        let at = path.split('.').fold(&mut manifest, |at, name| &mut at[name]);
        *at = marks;
        let mut steps = asking("1", &[]);
        steps.push(
            json!({"name": "deploy", "dependsOn": ["first"], "apply": {"manifest": manifest}}),
        );
        check(&json!({"steps": steps})).err()
    };
    let marks = json!({
        "image.example.com/built-by": "${steps.first.outputs.x}",
        "image": "${steps.first.outputs.x}",
    });
    for path in [
        "metadata.annotations",
        "metadata.labels",
        "spec.template.metadata.annotations",
        "spec.template.metadata.labels",
    ] {
        assert_eq!(apply("apps/v1", "Deployment", path, marks.clone()), None, "{path}");
    }
    assert_eq!(
        apply("apps/v1", "Deployment", "spec.template.spec", marks.clone())
            .map(|found| found.len()),
        Some(1)
    );
    assert_eq!(
        apply("saga.dev/v1alpha1", "Saga", "metadata.annotations", marks).map(|found| found.len()),
        Some(2)
    );
}
