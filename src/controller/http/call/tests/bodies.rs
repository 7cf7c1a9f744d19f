//! How much of a body is read, and that it decides nothing.

use super::*;

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let (written, mut writes) = mpsc::unbounded_channel();
    let other = Other::new(move |mut stream| {
        let written = written.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 409 Conflict\r\n\r\n").await.unwrap();
            let mut bytes = 0_usize;
            while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {
                bytes += 16 * 1024;
            }
            written.send(bytes).unwrap();
        }
    })
    .await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let CallOutcome::Ended(End::Failed(failure)) = state else { panic!("{state:?}") };
    assert_eq!(
        failure.message,
        format!("the service answered 409 Conflict: “{}…”", "x".repeat(255))
    );
    // What the kernel's buffers on both sides take is written, though never read.
    let bytes = writes.recv().await.unwrap();
    assert!(bytes < 64 * 1024 * 1024, "{bytes}");
}

#[tokio::test]
async fn reading_stops_at_the_limit_within_a_chunk() {
    let body = "x".repeat(MAX_BODY + 1);
    let other = Other::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let mut response = Client::builder()
        .tls_backend_preconfigured(tls_config().unwrap())
        .no_proxy()
        .build()
        .unwrap()
        .get(other.url())
        .send()
        .await
        .unwrap();
    let mut read_body = Vec::new();
    read(&mut response, &mut read_body).await;
    assert_eq!(read_body.len(), MAX_BODY);
}

#[tokio::test]
async fn once_the_status_came_a_broken_body_changes_nothing() {
    let done = Other::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    assert_eq!(
        call(&caller(), &post(done.url()), LONG).await.0,
        CallOutcome::Ended(End::Succeeded(None))
    );
    let declined =
        Other::answering("HTTP/1.1 409 Conflict\r\ncontent-length: 100\r\n\r\nhalf").await;
    let (state, _) = call(&caller(), &post(declined.url()), LONG).await;
    let CallOutcome::Ended(End::Failed(failure)) = state else { panic!("{state:?}") };
    assert_eq!(failure.message, "the service answered 409 Conflict: “half”");
}

#[tokio::test]
async fn a_body_that_outlasts_the_limit_changes_nothing() {
    let (told, mut tells) = mpsc::unbounded_channel();
    let other = Other::new(move |mut stream| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.is_ok()
            {
                told.send(()).unwrap();
            }
            pending::<()>().await;
        }
    })
    .await;
    for limit in [100, 1_000, 10_000].map(Duration::from_millis) {
        let (state, _) = call(&caller(), &post(other.url()), limit).await;
        // On a slow machine the status may come after a short limit: a longer one is tried.
        if state == CallOutcome::Ended(End::Succeeded(None)) {
            return assert!(tells.try_recv().is_ok());
        }
        assert!(
            matches!(
                state,
                CallOutcome::Ended(
                    End::Unknown { .. } | End::Failed(Failure { reached: Reached::Nothing, .. })
                )
            ),
            "{state:?}"
        );
    }
    panic!("the status was never read");
}
