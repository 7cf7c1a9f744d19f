//! The values of Secrets in requests, and in what is told of their answers.

use super::*;

#[tokio::test]
async fn a_secret_that_is_not_there_stops_the_request() {
    let other = Other::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let caller = caller_with(
        "127.0.0.0/8",
        reader(404, &json!({"kind": "Status", "status": "Failure", "code": 404})).0,
    );
    let (state, _) = call(&caller, &with_secret(post(other.url())), LONG).await;
    let (last, message) = nothing_reached(&state);
    assert_eq!(
        (last, message),
        (false, r#"the secret "payments" does not exist in namespace "shop""#)
    );
    assert_eq!(other.connections().await, 0);
}

#[tokio::test]
async fn an_answer_that_repeats_the_secret_does_not_publish_it() {
    let echo = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nunknown token s3cret-t0ken";
    let (state, _) =
        call(&caller(), &with_secret(post(Other::answering(echo).await.url())), LONG).await;
    let CallOutcome::Ended(End::Failed(failure)) = state else { panic!("{state:?}") };
    assert_eq!(failure.message, "the service answered 400 Bad Request: “unknown token [hidden]”");
}

/// A Secret with such a value as the header of a request to somebody who answers `echo`: what
/// expressions read, and the message.
async fn echoed(value: &str, status: u16, echo: &str) -> (serde_json::Value, String) {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, value);
    let caller = caller_with(
        "127.0.0.0/8",
        reader(200, &json!({"kind": "Secret", "data": {"token": encoded}})).0,
    );
    let other = Other::answering(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-echo: {echo}\r\n\r\n{echo}",
        echo.len()
    ))
    .await;
    let sent = Sent::default();
    let state = caller
        .call(
            &with_secret(post(other.url())),
            ACCOUNT,
            LONG,
            Timestamp::UNIX_EPOCH,
            &sent,
            granted(),
        )
        .await;
    let CallOutcome::Ended(End::Answered(answer)) = state else { panic!("{state:?}") };
    let shown = format!("{answer:?}");
    let End::Failed(failure) = verdict(&answer) else { panic!("{status} failed") };
    assert!(
        !shown.contains("t0ken") && !shown.contains("123456") && !shown.contains("u00e4"),
        "{shown}"
    );
    (answer.response(), failure.message)
}

#[tokio::test]
async fn what_a_step_hands_on_holds_no_value_however_json_escapes_it() {
    for (value, echo, body) in [
        (
            "Bearer <t0ken>&more",
            r#"{"sent": "\u003ct0ken\u003e\u0026more"}"#,
            json!({"sent": "[hidden]"}),
        ),
        (
            "pässw-t0ken",
            r#"{"p\u00e4ssw-t0ken": ["p\u00E4ssw-t0ken"]}"#,
            json!({"[hidden]": ["[hidden]"]}),
        ),
        (
            "session=c00kie-t0ken",
            r#"{"cookies":{"session":"c00kie-t0ken"}}"#,
            json!({"cookies": {"session": "[hidden]"}}),
        ),
        ("123456", r#"{"pin":123456}"#, json!({"pin": "[hidden]"})),
    ] {
        let (response, message) = echoed(value, 409, echo).await;
        assert_eq!(response["body"], body);
        assert!(response["headers"]["x-echo"].as_str().unwrap().contains("[hidden]"), "{response}");
        assert_eq!(message, format!("the service answered 409 Conflict: “{body}”"));
    }
}
