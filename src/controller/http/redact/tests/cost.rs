//! Odd Secrets cost little.

use super::{super::encodings, *};

#[test]
fn an_odd_secret_costs_little() {
    let words = (0..2_000).map(|word| format!("w{word:04}")).collect::<Vec<_>>().join(" ");
    let text = "x".repeat(64 * 1024);
    assert_eq!(hidden(&words, &text), text);
    assert_eq!(hidden(&words, "w0000 w1999 w2000"), "[hidden] [hidden] w2000");
    assert_eq!(hidden("\u{fffd} \u{0} ", "x"), "x");
    assert_eq!(hidden("", ""), "");
    // Nor does it take anything from another one.
    let both = Redactor::new(
        &[words, "s3cret-t0ken".to_owned()].map(|value| SecretValue::from(value.into_bytes())),
    );
    assert_eq!(both.redact(&STANDARD.encode("s3cret-t0ken")), "[hidden]");
    // No marks make it costly, neither in the value nor in the answer.
    for marks in ["=:", "a=", r"\\", "%41", "+", "aaaa "] {
        assert!(
            hidden(&marks.repeat(16 * 1024), &marks.repeat(16 * 1024)).len() <= 64 * 1024,
            "{marks}"
        );
    }
}

/// As many Secrets as a request may have headers, each as long as it may be.
fn many(value: impl Fn(usize) -> String) -> Vec<SecretValue> {
    (0..32)
        .map(|at| SecretValue::from(value(at).bytes().cycle().take(8 * 1024).collect::<Vec<_>>()))
        .collect()
}

/// What makes others slow or large: pieces in one another, pieces that are all alike but for their
/// length, and many pieces.
#[test]
fn many_odd_secrets_cost_little() {
    let nested = |first: String| {
        first + &(1..128).map(|length| "a".repeat(length)).collect::<Vec<_>>().join(" ")
    };
    let odd = [
        many(|at| nested(format!("{at}="))),
        many(|at| format!("{at:02}{}", "a".repeat(8 * 1024))),
        many(|at| {
            (0..1024).map(|piece| format!("{at:02x}{piece:04x}")).collect::<Vec<_>>().join("=")
        }),
        many(|_| "a=b=c=d=".into()),
    ];
    for secrets in odd {
        let redactor = Redactor::new(&secrets);
        assert!(
            redactor.anywhere.size() <= 32 * 8 * 1024 + encodings::MAX_FORMS + 1,
            "{}",
            redactor.anywhere.size()
        );
        for text in ["a", "=b=c"] {
            let text = text.repeat(64 * 1024 / text.len());
            assert!(redactor.redact(&text).len() <= 5 * text.len());
        }
    }
    let nested = Redactor::new(&many(|_| nested(String::new())));
    let answer = json!({"a": "a".repeat(64 * 1024)}).to_string();
    assert_eq!(nested.body(&answer), (json!({"a": "[hidden]"}), r#"{"a":"[hidden]"}"#.to_owned()));
    // All kinds of escapes, so that it is read in all ways.
    let escapes = r"\\\\%61+".repeat(8 * 1024);
    assert!(nested.redact(&escapes).len() <= 5 * escapes.len());
}
