//! What is too much for the interpreter is refused, and harms nobody.

use super::*;

#[test]
fn what_would_be_too_much_work_is_refused_before_it_begins() {
    let large = "x".repeat(30_000);
    let params =
        object(json!({"big": large, "many": vec![1; 300], "list": vec!["y".repeat(100); 250]}));
    let scope = Scope::new(&params, [""; 3]);
    let evaluate =
        |text: &str| Expression::parse(text).and_then(|expression| expression.evaluate(&scope));
    let adds = format!("params.list.map(i, {})", vec!["params.big"; 60].join("+"));
    for text in [
        adds.as_str(),
        "params.big.replace('x', params.big)",
        "params.list.map(i, params.big)",
        "params.list.map(i, params.list)",
        "params.many.map(i, i)",
        "(params.list + params.list).map(i, i)",
        "params.big.split('').map(i, i)",
        "params.list.filter(i, i.matches('(a{1,100}){1,100}'))",
        "replace(params.big, 'x', params.big)",
        "params.big.indexOf(params.big + 'y') + params.big.indexOf(params.big)",
        "params.big.matches('[xy]*x([xy]{100}){40}z')",
        "'x'.matches('[^x]{1000}{10}')",
        "matches('x', '[^x]{1000}{10}')",
        "params.list[0].matches('(\\\\w{50})+$')",
        "params.list.map(i, string(1e308)).map(i, i + i + i + i + i + i + i + i + i + i + i + i + \
         i + i + i + i + i)",
    ] {
        let error = evaluate(text).unwrap_err();
        assert!(
            error.contains("too much work") || error.contains("at most 256"),
            "{text}: {error}"
        );
    }
    assert_eq!(evaluate("params.list.map(i, i + '!').size()"), Ok(json!(250)));
    assert_eq!(evaluate("params.list.filter(i, i.matches('^y+$')).size()"), Ok(json!(250)));
    // A pattern is made once, however many elements it is held against.
    assert_eq!(evaluate("params.list.filter(i, i.matches('^[x-z]+$')).size()"), Ok(json!(250)));
    assert_eq!(evaluate("['a', 'y', 'Y'].filter(i, i.matches('^(?i)Y+$'))"), Ok(json!(['y', 'Y'])));
    let error = evaluate("params.list.filter(i, i.matches('('))").unwrap_err();
    assert!(error.contains("matches: '(' not a valid regex"), "{error}");
    let folded = format!("'x'.matches('(?i){}')", "a".repeat(400));
    assert!(
        evaluate(&folded).unwrap_err().contains("too much work")
            && evaluate(&folded.replace("(?i)", "")).is_ok()
    );
    assert_eq!(evaluate("params.big + params.big"), Ok(json!("x".repeat(60_000))));
}

#[test]
fn what_is_too_large_to_be_read_is_no_less_work_for_that() {
    let huge = object(json!({"big": "x".repeat(100_000)}));
    with(|scope| {
        let scope = Scope { params: &huge, ..*scope };
        let expression = Expression::parse("size(params.big)").unwrap();
        let error = expression.evaluate(&scope).unwrap_err();
        assert!(error.contains("expressions read at most"), "{error}");
        assert!(expression.work(&scope) > 100_000);
    });
}

#[test]
fn what_is_evaluated_together_is_bounded_together() {
    let outputs = Some(object(json!({"list": vec!["y".repeat(100); 40]})));
    let steps = [StepStatus { name: "a".into(), outputs, ..StepStatus::default() }];
    let params = Map::new();
    let scope = Scope { steps: &steps, ..Scope::new(&params, [""; 3]) };
    let evaluated = |times: usize| {
        let leaf = "${steps.a.outputs.list.map(i, i + i + i + steps.a.outputs.list[0]).size()}";
        let template = Template::parse(
            &object(json!({"leaf": vec![leaf; times]})),
            "at",
            |_| Form::Any,
            &mut Vec::new(),
        );
        template.evaluate(&scope)
    };
    assert_eq!(evaluated(8), Ok(json!({"leaf": vec![40; 8]})));
    let error = evaluated(3000).unwrap_err();
    assert!(
        error.starts_with("at.leaf[") && error.contains("are too much work together"),
        "{error}"
    );
}

#[test]
fn what_the_interpreter_cannot_count_is_an_error() {
    for text in [
        "-(-9223372036854775807 - 1)",
        "quantity('1e100').isGreaterThan(quantity('1'))",
        "quantity('1.5e-2147483648').asInteger()",
        "string(timestamp('2020-01-01T00:00:00Z') - timestamp('9999-01-01T00:00:00Z'))",
    ] {
        assert_eq!(evaluate(text), Err(format!("${{{text}}}: gives a number that is too large")));
    }
    assert_eq!(
        evaluate("int({'secret': 1, 'b': 2})"),
        Err("${int({'secret': 1, 'b': 2})}: int: cannot convert a value of this type".into())
    );
    let sum = "[9223372036854775807, 1].sum()";
    assert_eq!(evaluate(sum), Err(format!("${{{sum}}}: add gives a number that is too large")));
}

#[test]
fn deep_and_long_expressions_are_refused_and_harm_nobody() {
    for text in [
        // No string to the parser, and one to whoever counts its operators.
        r"'\q".to_owned() + &"+1".repeat(480) + "'",
        r"'\q".to_owned() + &"?1:1".repeat(240) + "'",
        "'\n".to_owned() + &"+1".repeat(480) + "'",
        "'".to_owned() + &"+1".repeat(480),
        "params".to_owned() + &".s".repeat(480),
        "1".to_owned() + &" in 1".repeat(200),
        "(".repeat(500) + &")".repeat(500),
        "(".repeat(12) + "1" + &")".repeat(12),
        "[{'a':".repeat(6) + "1" + &"}]".repeat(6),
        "size(".repeat(12) + "[]" + &")".repeat(12),
        "1".to_owned() + &"+1".repeat(64),
        "true".to_owned() + &"?true:true".repeat(64),
        "true ? ".repeat(64) + "1" + &": 1".repeat(64),
        "!".repeat(64) + "true",
        "(1+".repeat(12) + "1" + &"+1".repeat(40) + &")".repeat(12),
        "[".repeat(1000),
        "!".repeat(1000) + "true",
        "-".repeat(1000) + "1",
        "a.".repeat(500) + "a",
        "1".to_owned() + &"+1".repeat(500),
        "true".to_owned() + &"?true:true".repeat(100),
        "x".repeat(5000),
        "'".repeat(999),
        "\u{0}".into(),
        "params.order.".into(),
        "params['order'".into(),
        "${params.order}".into(),
    ] {
        let _ = Expression::parse(&text)
            .and_then(|expression| with(|scope| expression.evaluate(scope)));
    }
}
