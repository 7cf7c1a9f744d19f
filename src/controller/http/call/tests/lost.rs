//! What is known where no answer comes.

use super::*;

#[tokio::test]
async fn a_connection_lost_after_sending_leaves_the_outcome_unknown() {
    let (state, sent) = call(&caller(), &post(Other::answering("").await.url()), LONG).await;
    assert!(unknown_message(&state).contains("broke before an answer came"), "{state:?}");
    assert_eq!(CallEnd::of(&end(&state), sent.progress()), CallEnd::Unknown);
}

#[tokio::test]
async fn a_connection_closed_at_once_leaves_the_outcome_unknown_too() {
    let other = Other::new(|stream| async move { drop(stream) }).await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    unknown_message(&state);
    assert_eq!(other.connections().await, 1, "nobody tries again by himself");
}

#[tokio::test]
async fn an_answer_that_is_no_http_leaves_the_outcome_unknown() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\u{0}: x\r\n\r\n",
    ] {
        let (state, _) = call(&caller(), &post(Other::answering(answer).await.url()), LONG).await;
        unknown_message(&state);
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (state, sent) = call(&caller(), &post(url), LONG).await;
    let (last, message) = nothing_reached(&state);
    assert!(!last && message.contains("refused"), "{message}");
    assert!(!sent.may_have_left());
}

#[tokio::test]
async fn where_tls_fails_nothing_was_sent() {
    let other = Other::new(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (state, sent) = call(&caller(), &post(other.url().replace("http:", "https:")), LONG).await;
    assert!(matches!(nothing_reached(&state), (false, _)));
    assert!(!sent.may_have_left());
}

#[tokio::test]
async fn silence_leaves_the_outcome_unknown() {
    let other = Other::new(|mut stream| async move {
        read_request(&mut stream).await;
        pending::<()>().await;
    })
    .await;
    let state = call_until_sent(&post(other.url())).await;
    assert!(unknown_message(&state).starts_with("no answer within "), "{state:?}");
}

#[tokio::test]
async fn headers_that_never_end_leave_the_outcome_unknown() {
    let other = Other::new(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    unknown_message(&call_until_sent(&post(other.url())).await);
}
