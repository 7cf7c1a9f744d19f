//! What an answer counts for.

use super::*;

#[tokio::test]
async fn a_definite_no_is_told_with_its_reason() {
    let other =
        Other::answering("HTTP/1.1 409 Conflict\r\ncontent-length: 13\r\n\r\ncard declined").await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let CallOutcome::Ended(End::Failed(failure)) = state else { panic!("{state:?}") };
    assert_eq!((failure.reached, failure.permanent), (Reached::Answer, true));
    assert_eq!(failure.message, "the service answered 409 Conflict: “card declined”");
}

#[tokio::test]
async fn a_service_that_is_down_asks_for_patience() {
    let other = Other::answering(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let message = "the service answered 503 Service Unavailable".into();
    assert_eq!(
        state,
        CallOutcome::Ended(End::Unknown { message, retry_after: Some(Duration::from_mins(2)) })
    );
    assert_eq!(other.connections().await, 1, "nobody tries again by himself");
}

#[tokio::test]
async fn a_date_to_wait_for_counts_from_the_answer() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: Sun, 01 Mar 2026 12:00:30 \
        GMT\r\ncontent-length: 0\r\n\r\n";
    let (state, _) = call(&caller(), &post(Other::answering(answer).await.url()), LONG).await;
    let CallOutcome::Ended(End::Failed(Failure {
        reached: Reached::Rejected,
        permanent: false,
        retry_after: Some(wait),
        ..
    })) = state
    else {
        panic!("{state:?}")
    };
    assert!(
        wait < Duration::from_secs(30) && wait > Duration::ZERO,
        "the call took some of the 30 s: {wait:?}"
    );
}

#[tokio::test]
async fn to_a_circuit_any_4xx_is_an_answer_and_what_was_never_sent_is_nothing() {
    for (status, expected) in [
        ("408 Request Timeout", CallEnd::Answered),
        ("404 Not Found", CallEnd::Answered),
        ("504 Late", CallEnd::Unknown),
    ] {
        let other =
            Other::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let (state, sent) = call(&caller(), &post(other.url()), LONG).await;
        assert_eq!(CallEnd::of(&end(&state), sent.progress()), expected, "{state:?}");
    }
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (state, sent) = call(&caller(), &post(format!("http://{address}/")), LONG).await;
    assert_eq!(CallEnd::of(&end(&state), sent.progress()), CallEnd::NotSent, "{state:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let second = Other::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let first = Other::answering(format!(
            "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            second.url()
        ))
        .await;
        let (state, _) = call(&caller(), &post(first.url()), LONG).await;
        let CallOutcome::Ended(End::Failed(failure)) = state else { panic!("{state:?}") };
        assert_eq!((failure.reached, failure.permanent), (Reached::Answer, true));
        assert!(failure.message.contains("redirects are not followed"), "{}", failure.message);
    }
    assert_eq!(second.connections().await, 0);
}

#[tokio::test]
async fn hints_before_the_answer_are_passed_over() {
    let other = Other::answering(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    )
    .await;
    assert_eq!(
        call(&caller(), &post(other.url()), LONG).await.0,
        CallOutcome::Ended(End::Succeeded(None))
    );
}
