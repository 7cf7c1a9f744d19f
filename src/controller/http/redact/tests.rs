#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cost;
mod pieces;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde_json::json;

use super::*;

fn redactor(value: impl AsRef<[u8]>) -> Redactor {
    Redactor::new(&[SecretValue::from(value.as_ref().to_vec())])
}

fn hidden(value: &str, text: &str) -> String {
    redactor(value).redact(text).into_owned()
}

#[test]
fn a_value_and_its_words_do_not_show() {
    assert_eq!(
        hidden("Bearer s3cret-t0ken", "bad header Bearer s3cret-t0ken, token s3cret-t0ken"),
        "bad header [hidden], token [hidden]"
    );
    assert_eq!(hidden("s3cret\n", "no s3cret here"), "no [hidden] here");
    assert_eq!(hidden("abc", "abc is too short to be hidden"), "abc is too short to be hidden");
    assert!(matches!(redactor("s3cret").redact("card declined"), Cow::Borrowed("card declined")));
    assert!(matches!(Redactor::new(&[]).redact("card declined"), Cow::Borrowed("card declined")));
}

#[test]
fn no_rest_of_a_longer_word_stays() {
    assert_eq!(hidden("s3cr s3cret-t0ken", "s3cret-t0ken"), "[hidden]");
    let overlapping = "abcdefghijkl, abcdefghabcdefgh";
    assert_eq!(
        hidden("abcdefgh efghijkl", overlapping),
        "[hidden], [hidden]",
        "nor of two that overlap"
    );
}

#[test]
fn escaped_and_percent_encoded_values_do_not_show() {
    let value = "pa/ss \"wörd\"+%&=~!x";
    for echo in [
        r#"pa/ss \"wörd\"+%&=~!x"#,
        r#"pa\/ss \"wörd\"+%&=~!x"#,
        "pa%2Fss%20%22w%C3%B6rd%22%2B%25%26%3D~%21x",
        "pa%2fss%20%22w%c3%b6rd%22%2b%25%26%3d~%21x",
        "pa%2Fss%20%22w%C3%B6rd%22%2B%25%26%3D~!x",
        "pa/ss%20%22w%C3%B6rd%22+%25&=~!x",
        "pa%2Fss+%22w%C3%B6rd%22%2B%25%26%3D%7E%21x",
        "pa%2fss+%22w%c3%b6rd%22%2b%25%26%3d%7e%21x",
    ] {
        assert_eq!(hidden(value, &format!("?q={echo}&r=1")), "?q=[hidden]&r=1", "{echo}");
    }
}

/// What a server makes of the value, as its JSON library writes it, and what expressions and
/// messages may see of that.
#[test]
fn json_does_not_show_a_value_however_it_is_escaped() {
    for (value, echo) in [
        // As Go, Python and PHP write them, and as nobody has to.
        ("Bearer s3cr<t&t0ken", r"s3cr\u003ct\u0026t0ken"),
        ("Bearer s3cr<t&t0ken", r"s3cr\u003Ct\u0026t0ken"),
        ("pässwört-123", r"p\u00e4ssw\u00f6rt-123"),
        ("pässwört-123", r"p\u00E4ssw\u00F6rt-123"),
        ("pa/ss/wört", r"pa\/ss\/w\u00f6rt"),
        ("clef-𝄞-dorée", r"clef-\ud834\udd1e-dor\u00e9e"),
        ("clef-𝄞-dorée", r"clef-\uD834\uDD1E-dor\u00E9e"),
        ("s3cret", r"\u00733cret"),
        ("s3cret", r"\u0073\u0033\u0063\u0072\u0065\u0074"),
        ("a\"b\\c\td", r#"a\"b\\c\td"#),
        // A header that was read byte by byte, as Python does it.
        ("pässwört-123", r"p\u00c3\u00a4ssw\u00c3\u00b6rt-123"),
    ] {
        let raw = format!(
            r#"{{"said": "no {echo}!", "{echo}": [{{"deep": "{echo}"}}], "kept": "\u00e4"}}"#
        );
        let (body, text) = redactor(value).body(&raw);
        assert_eq!(
            body,
            json!({"said": "no [hidden]!", "[hidden]": [{"deep": "[hidden]"}], "kept": "ä"}),
            "{echo}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), body, "{echo}");
        // No JSON: it broke off, or is the line of a log in which JSON stands, or JSON as a text of
        // JSON.
        assert_eq!(
            hidden(value, &format!(r#"{{"said": "no {echo}!", "#)),
            r#"{"said": "no [hidden]!", "#,
            "{echo}"
        );
        let line = json!({"log": raw}).to_string();
        let (body, text) = redactor(value).body(&line);
        let said =
            r#"{"said": "no [hidden]!", "[hidden]": [{"deep": "[hidden]"}], "kept": "\u00e4"}"#;
        assert_eq!(body, json!({"log": said}), "{echo}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), body, "{echo}");
        assert_eq!(
            hidden(value, &line[..line.len() - 1]),
            json!({"log": said}).to_string().trim_end_matches('}'),
            "{echo}"
        );
    }
}

#[test]
fn json_without_a_value_is_passed_on_as_it_came() {
    let raw = r#"{ "b": 1.50, "a": "\u00e4", "c": 12345678901234567890 }"#;
    assert_eq!(
        redactor("s3cret").body(raw),
        (json!({"b": 1.5, "a": "ä", "c": 12_345_678_901_234_567_890_u64}), raw.to_owned())
    );
    assert_eq!(
        redactor("s3cret").body("no s3cret"),
        (json!("no [hidden]"), "no [hidden]".to_owned())
    );
    // The first one of the two is not in what was parsed.
    let twice = r#"{"a": "\u00733cret", "a": 1}"#;
    assert_eq!(
        redactor("s3cret").body(twice),
        (json!({"a": 1}), r#"{"a": "[hidden]", "a": 1}"#.to_owned())
    );
}

#[test]
fn a_number_that_is_a_value_does_not_show() {
    for echo in ["123456", "123456.0", "1.23456e5", "12345600e-2"] {
        let (body, text) = redactor("123456")
            .body(&format!(r#"{{"pin": {echo}, "pins": [{echo}, 123457], "text": "{echo}"}}"#));
        assert_eq!(
            (&body["pin"], &body["pins"]),
            (&json!("[hidden]"), &json!(["[hidden]", 123_457])),
            "{echo}"
        );
        assert!(text.contains(r#""pin":"[hidden]""#), "{text}");
    }
    assert_eq!(redactor("pin=12345678").body("12345678").0, json!("[hidden]"));
    assert_eq!(redactor("PIN 123456").body("123456").0, json!("[hidden]"), "behind a scheme");
    assert_eq!(
        redactor("123456789012345678901234567890").body("123456789012345678901234567890").0,
        json!("[hidden]")
    );
    assert_eq!(redactor("0042").body("42").0, json!(42), "too short to be hidden");
    assert_eq!(redactor("true").body("[true, null]").0, json!([true, null]));
}

#[test]
fn bytes_that_are_no_text_do_not_show() {
    // ISO 8859-1, as it was sent, percent-encoded, and read byte by byte.
    let value = b"p\xe4ssw\xf6rt";
    let sent = String::from_utf8_lossy(value).into_owned();
    for echo in [sent.as_str(), "p%E4ssw%F6rt", "p%e4ssw%f6rt", "pässwört", r"p\u00e4ssw\u00f6rt"]
    {
        assert_eq!(redactor(value).redact(&format!("no {echo}!")), "no [hidden]!", "{echo}");
    }
}

#[test]
fn escapes_that_are_none_are_left_alone() {
    for text in [
        r"\",
        r"\u",
        r"\u12",
        r"\ud834",
        r"\ud834\u0041",
        r"\uzzzz",
        r"\x41 \s3cre",
        "%",
        "%4",
        "%zz s3cre",
        "+",
        "ä%",
        r"ä\",
    ] {
        assert_eq!(hidden("s3cret", text), text);
        assert_eq!(
            hidden("s3cret", &format!("s3cret{text}s3cret")),
            format!("[hidden]{text}[hidden]")
        );
    }
    assert_eq!(hidden("s3cret", r"\ud834s3cret\u"), r"\ud834[hidden]\u");
}

#[test]
fn base64_of_a_value_does_not_show_wherever_it_stands() {
    let value = "s3cret-t0ken?>~\u{fc}";
    for before in ["", "a", "ab", "abc", "header: Bearer "] {
        for after in ["", "z", "zy", "zyx", " and more"] {
            let text = format!("{before}{value}{after}");
            for echo in [
                STANDARD.encode(&text),
                STANDARD_NO_PAD.encode(&text),
                URL_SAFE_NO_PAD.encode(&text),
            ] {
                let shown = hidden(value, &echo);
                assert!(shown.contains("[hidden]"), "{text}: {shown}");
                // What is left around it tells at most the bits that share a letter with a
                // neighbour.
                let left = shown.replace("[hidden]", "").len();
                assert!(left <= (before.len() + after.len()) * 4 / 3 + 5, "{text}: {shown}");
            }
        }
    }
}

#[test]
fn a_token_is_found_in_all_forms_beside_a_long_value() {
    let long = (0..2 * 1024).map(|at| format!("{at:04}")).collect::<Vec<_>>().concat();
    let secrets = [
        format!("Bearer {}", &long[7..]),
        "Bearer s3cret-t0ken".into(),
        "Bearer s3cret-t0ken".into(),
    ];
    let redactor = Redactor::new(&secrets.map(|value| SecretValue::from(value.into_bytes())));
    for echo in [
        "s3cret-t0ken".to_owned(),
        STANDARD.encode("s3cret-t0ken"),
        long[7..].to_owned(),
        STANDARD.encode(&long[7..]),
    ] {
        assert_eq!(redactor.redact(&echo).trim_end_matches('='), "[hidden]");
    }
}

#[test]
fn what_is_found_covers_what_stands_in_it() {
    let texts = ["a", "aa", "aaa", "baa", "aab", "abcd", "bc", "cdef"];
    let found = |text: &str| Finder::new(texts).find(text.as_bytes()).collect::<Vec<_>>();
    assert_eq!(found("aaaa"), [0..1, 0..2, 0..3, 1..4]);
    assert_eq!(found("xbaab"), [2..3, 1..4, 2..5]);
    assert_eq!(found("abcdef"), [0..1, 1..3, 0..4, 2..6]);
    assert!(found("xyz").is_empty());
}
