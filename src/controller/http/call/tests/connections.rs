//! Which connections there are, and what ends them.

use super::*;

#[tokio::test]
async fn every_attempt_has_its_own_connection() {
    let other = Other::new(|mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            if stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
                )
                .await
                .is_err()
            {
                return;
            }
        }
    })
    .await;
    let caller = caller();
    for _ in 0..3 {
        assert_eq!(
            call(&caller, &post(other.url()), LONG).await.0,
            CallOutcome::Ended(End::Succeeded(None))
        );
    }
    assert_eq!(other.connections().await, 3);
}

#[tokio::test]
async fn a_dropped_call_ends_its_connection() {
    let (told, mut tells) = mpsc::unbounded_channel();
    let other = Other::new(move |mut stream| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            told.send("arrived").unwrap();
            let rest = stream.read_to_end(&mut Vec::new()).await;
            told.send(if matches!(rest, Ok(0) | Err(_)) { "closed" } else { "went on" }).unwrap();
        }
    })
    .await;
    let sent = Sent::default();
    let running = tokio::spawn({
        let (caller, request, sent) = (caller(), post(other.url()), sent.clone());
        async move {
            caller.call(&request, ACCOUNT, LONG, Timestamp::UNIX_EPOCH, &sent, granted()).await
        }
    });
    assert_eq!(tells.recv().await, Some("arrived"));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(tells.recv().await, Some("closed"));
    assert!(sent.may_have_left(), "who drops the call knows that the outcome is unknown");
}

#[tokio::test]
async fn a_request_that_is_not_wanted_any_more_sends_no_byte() {
    let (told, mut tells) = mpsc::unbounded_channel();
    let other = Other::new(move |mut stream| {
        let told = told.clone();
        async move {
            let mut sent = Vec::new();
            let _ = stream.read_to_end(&mut sent).await;
            told.send(sent.len()).unwrap();
        }
    })
    .await;
    let (sent, refused): (Sent, Permit) = (Sent::default(), Arc::new(|| async { false }.boxed()));
    let state = caller()
        .call(&post(other.url()), ACCOUNT, LONG, Timestamp::UNIX_EPOCH, &sent, refused)
        .await;
    assert!(!nothing_reached(&state).0, "{state:?}");
    assert!(!sent.may_have_left());
    assert_eq!(tells.recv().await, Some(0));
}
