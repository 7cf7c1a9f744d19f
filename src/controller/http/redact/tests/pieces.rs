//! Parts of a value: behind separators, of credentials, and short ones.

use super::*;

#[test]
fn parts_behind_separators_do_not_show() {
    for (value, echo, shown) in [
        (
            "session=s3cr3t-c00kie",
            r#"{"cookies":{"session":"s3cr3t-c00kie"}}"#,
            json!({"cookies": {"session": "[hidden]"}}),
        ),
        (
            "session=s3cr3t; id=\"c00kie\",x=more",
            r#"["s3cr3t", "c00kie", "more", "session"]"#,
            json!(["[hidden]", "[hidden]", "[hidden]", "session"]),
        ),
        (
            "shop:s3cr3t:w0rd",
            r#"["shop", "s3cr3t:w0rd", "s3cr3t", "w0rd"]"#,
            json!(["shop", "[hidden]", "[hidden]", "[hidden]"]),
        ),
        (
            "Token token=\"s3cr3t=w0rd\"",
            r#"["token", "s3cr3t=w0rd", "w0rd"]"#,
            json!(["token", "[hidden]", "[hidden]"]),
        ),
        (
            "key=czNjcmV0LXQwa2VuMQ==",
            r#"["czNjcmV0LXQwa2VuMQ==", "czNjcmV0LXQwa2VuMQ"]"#,
            json!(["[hidden]==", "[hidden]"]),
        ),
        ("key=abc", r#"["abc", "key=abc"]"#, json!(["abc", "[hidden]"])),
    ] {
        assert_eq!(redactor(value).body(echo).0, shown, "{value}");
    }
}

#[test]
fn basic_credentials_do_not_show_decoded() {
    let value = format!("Basic {}", STANDARD.encode("shop:s3cret-t0ken"));
    assert_eq!(
        hidden(&value, "wrong password s3cret-t0ken of shop:s3cret-t0ken"),
        "wrong password [hidden] of [hidden]"
    );
    let (body, _) = redactor(&value)
        .body(r#"{"user": "shop", "password": "s3cret-t0ken", "again": "czNjcmV0LXQwa2Vu"}"#);
    assert_eq!(body, json!({"user": "shop", "password": "[hidden]", "again": "[hidden]"}));
    let value = format!("Basic {}", STANDARD.encode("bob:pass<wört"));
    assert_eq!(
        redactor(&value).body(r#"["bob", "pass\u003cw\u00f6rt"]"#).0,
        json!(["bob", "[hidden]"])
    );
}

#[test]
fn the_user_of_basic_credentials_shows() {
    for user in ["orders", "order-service", "orders of shop,orders"] {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:pw-t0ken")));
        let answer =
            json!({"orders": [{"id": 1}], "order-service": "orders of shop", "user": user});
        assert_eq!(
            redactor(&basic).body(&answer.to_string()),
            (answer.clone(), answer.to_string()),
            "{user}"
        );
        assert_eq!(redactor(&basic).body(r#"{"pw-t0ken": 1}"#).0, json!({"[hidden]": 1}));
    }
}

#[test]
fn a_short_piece_is_hidden_only_as_a_word_of_a_text() {
    let answer = concat!(
        r#"{"product_id": "product", "prod": 7, "tenant": "prod", "#,
        r#""said": "of prod, reprod, prods, prod2, \u00e4prod, prod_id", "code": "a 4711"}"#
    );
    let shown = json!({
        "product_id": "product", "prod": 7, "tenant": "[hidden]", "said": "of [hidden], reprod, \
         prods, prod2, äprod, [hidden]_id", "code": "a 4711"
    });
    let (body, text) = redactor("tenant=prod; key=s3cret-t0ken").body(answer);
    assert_eq!(body, shown);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), shown);
    // Also where nothing but a key or a number is such a piece, and where it is escaped or in
    // base64.
    let kept = r#"{ "prod": 7 }"#;
    assert_eq!(
        serde_json::from_str::<Value>(&redactor("tenant=prod; key=s3cret-t0ken").body(kept).1)
            .unwrap(),
        json!({"prod": 7})
    );
    for echo in ["prod", "a%20prod", r"a\nprod", r"\u0070rod.", "cHJvZA==", "“prod”"] {
        assert!(hidden("tenant=prod; key=s3cret-t0ken", echo).contains("[hidden]"), "{echo}");
    }
    // What is not parsed may hold it twice.
    let twice = r#"{"a": "prod", "a": "b"}"#;
    let (body, text) = redactor("tenant=prod; key=s3cret-t0ken").body(twice);
    assert_eq!((body, text.as_str()), (json!({"a": "b"}), r#"{"a":"b"}"#));
}

#[test]
fn a_short_piece_is_no_number() {
    let answer = r#"{"amount": 1000, "1000": 1000.0, "of": "acct 1000"}"#;
    let shown = json!({"amount": 1000, "1000": 1000.0, "of": "acct [hidden]"});
    let (body, text) = redactor("acct:1000:s3cret-t0ken").body(answer);
    assert_eq!((body, serde_json::from_str(&text).unwrap()), (shown.clone(), shown));
}

#[test]
fn a_short_token_or_password_is_hidden_everywhere() {
    let basic = format!("Basic {}", STANDARD.encode("shop:1234"));
    for value in ["Bearer 1234", basic.as_str(), "1234"] {
        let answer = r#"{"x1234y": "x1234y", "pin": 1234, "again": "eDEyMzR5"}"#;
        let (body, text) = redactor(value).body(answer);
        assert_eq!(
            (&body["x[hidden]y"], &body["pin"]),
            (&json!("x[hidden]y"), &json!("[hidden]")),
            "{value}"
        );
        assert!(
            body["again"].as_str().unwrap().contains("[hidden]") && !text.contains("1234"),
            "{value}: {text}"
        );
    }
}
