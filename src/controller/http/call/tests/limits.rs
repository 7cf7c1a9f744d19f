//! The other side cannot take more time or memory than it is given, whatever it sends.

use std::time::Instant as Clock;

use futures::{FutureExt, future::join_all};
use tokio::{net::TcpSocket, time::sleep};

use super::*;
use crate::{
    api::limits::MAX_LOOKUPS_PER_NAMESPACE,
    model::observation::{Failure, Reached},
};

/// How long the calls may take that the other side tries to hold for ever.
const SHORT: Duration = Duration::from_millis(500);
/// Another side that sends `head`, and then `more` again and again for as long as it is let: every
/// `pause`, or as fast as it can.
async fn endless(head: &'static str, more: &'static str, pause: Option<Duration>) -> Other {
    let more = more.repeat(if pause.is_some() { 1 } else { 256 });
    Other::new(move |mut stream| {
        let more = more.clone();
        async move {
            read_request(&mut stream).await;
            let mut alive = stream.write_all(head.as_bytes()).await.is_ok();
            while alive {
                alive = stream.write_all(more.as_bytes()).await.is_ok();
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => tokio::task::yield_now().await,
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_hold_a_call() {
    let drip = Some(Duration::from_millis(20));
    let calls = [
        ("H", "T"),
        ("HTTP/1.1 200 OK\r\nx-slow: ", "x"),
        ("HTTP/1.1 200 OK\r\n", "x-slow: x\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("", "\r\n"),
    ]
    .map(async |(head, more)| {
        unknown_message(&call_until_sent(&post(endless(head, more, drip).await.url())).await);
    });
    join_all(calls).await;
}

#[tokio::test]
async fn a_body_of_a_byte_now_and_then_ends_at_the_limit_and_the_status_counts() {
    let drip = Some(Duration::from_millis(20));
    let calls = [
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "x"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "x: x\r\n"),
    ]
    .map(async |(head, more)| {
        let request = post(endless(head, more, drip).await.url());
        for limit in [1, 10, 50].map(Duration::from_secs) {
            let (state, _) = call(&caller(), &request, limit).await;
            // On a slow machine the status may come after a short limit: a longer one is tried.
            if state == CallOutcome::Ended(End::Succeeded(None)) {
                return;
            }
            assert!(
                !matches!(
                    state,
                    CallOutcome::Ended(End::Failed(Failure { reached: Reached::Answer, .. }))
                ),
                "{head:?}: {state:?}"
            );
        }
        panic!("the status of {head:?} was never read");
    });
    join_all(calls).await;
}

#[tokio::test]
async fn endless_bytes_end_at_a_limit_of_their_own() {
    for (head, more, succeeds) in [
        (
            "HTTP/1.1 200 OK\r\nx: ",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\n",
            "x: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\n",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            true,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "8\r\nxxxxxxxx\r\n", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "x: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
            true,
        ),
    ] {
        let begun = Clock::now();
        let (state, _) = call(&caller(), &post(endless(head, more, None).await.url()), LONG).await;
        assert!(begun.elapsed() < LONG, "{head:?} was only ended by the time limit");
        assert_eq!(
            state == CallOutcome::Ended(End::Succeeded(None)),
            succeeds,
            "{head:?}: {state:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_may_have_a_hundred_headers() {
    let with = |count: usize| {
        let headers =
            (0..count).map(|place| format!("x-{place}: {place}\r\n")).collect::<Vec<_>>().concat();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")
    };
    let (state, _) =
        call(&caller(), &post(Other::answering(with(MAX_HEADERS - 1)).await.url()), LONG).await;
    assert_eq!(state, CallOutcome::Ended(End::Succeeded(None)));
    let (state, _) =
        call(&caller(), &post(Other::answering(with(MAX_HEADERS)).await.url()), LONG).await;
    unknown_message(&state);
}

#[tokio::test]
async fn what_is_kept_of_an_answer_is_short() {
    let body = "𝄞".repeat(100_000);
    for status in
        ["400 Bad Request", "429 Too Many Requests", "500 Internal Server Error", "302 Found"]
    {
        let other = Other::answering(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let (End::Failed(Failure { message, .. }) | End::Unknown { message, .. }) =
            end(&call(&caller(), &post(other.url()), LONG).await.0)
        else {
            panic!("{status} failed")
        };
        assert!(message.contains('𝄞') && message.len() <= 4 * 1024, "{} bytes", message.len());
    }
}

#[tokio::test]
async fn a_packed_answer_is_not_unpacked() {
    // `card declined` in gzip.
    let packed = b"\
        \x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4e\x2c\x4a\x51\x48\x49\x4d\xce\xc9\xcc\x4b\
        \x4d\x01\x00\xcb\xbe\x71\xd6\x0d\x00\x00\x00";
    let other = Other::new(move |mut stream| async move {
        read_request(&mut stream).await;
        let head = format!(
            "HTTP/1.1 409 Conflict\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            packed.len()
        );
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(packed).await;
    })
    .await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let CallOutcome::Ended(End::Failed(Failure { message, .. })) = state else {
        panic!("{state:?}")
    };
    assert!(
        message.starts_with("the service answered 409 Conflict: ") && !message.contains("declined"),
        "{message}"
    );
}

#[tokio::test]
async fn a_name_server_that_never_answers_does_not_hold_a_call() {
    let names: Names = Arc::new(|_, _, _| pending().boxed());
    let caller = HttpCaller { names, ..caller() };
    let (state, sent) = call(&caller, &post("http://stock.example/".into()), SHORT).await;
    assert!(nothing_reached(&state).1.starts_with("no connection within"), "{state:?}");
    assert!(!sent.may_have_left());
}

#[tokio::test]
async fn a_call_that_waits_for_other_look_ups_costs_no_attempt() {
    let hang: Names = Arc::new(|_, _, permit| {
        async move {
            let _permit = permit;
            pending().await
        }
        .boxed()
    });
    let caller = HttpCaller { names: hang, ..caller() };
    let request = post("http://stock.example/".into());
    let first = join_all((0..MAX_LOOKUPS_PER_NAMESPACE).map(|_| call(&caller, &request, LONG)));
    let mut first = Box::pin(first);
    assert!((&mut first).now_or_never().is_none());
    let (state, sent) = call(&caller, &request, SHORT).await;
    let (permanent, message) = nothing_reached(&state);
    assert_eq!(
        (permanent, message),
        (
            false,
            "other name look-ups were in flight for 500ms: the host was not looked up, and nothing \
             was sent"
        )
    );
    let CallOutcome::Ended(End::Failed(Failure { disrupted, .. })) = &state else { panic!() };
    assert!(*disrupted && !sent.may_have_left());
    drop(first);
}

#[tokio::test]
async fn an_answer_may_have_so_many_bytes_of_headers() {
    let with = |size: usize| {
        let headers = (0..16).map(|_| format!("x: {}\r\n", "x".repeat(size - 5)));
        format!("HTTP/1.1 200 OK\r\n{}\r\n", headers.collect::<String>())
    };
    let answer = with(MAX_HEAD / 16);
    let (state, _) = call(&caller(), &post(Other::answering(answer).await.url()), LONG).await;
    assert_eq!(state, CallOutcome::Ended(End::Succeeded(None)));
    let answer = with(MAX_HEAD / 16 + 1);
    let (state, _) = call(&caller(), &post(Other::answering(answer).await.url()), LONG).await;
    let message = unknown_message(&state);
    assert!(message.ends_with("the headers of the answer are larger than 64 KiB"), "{message}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_does_not_hold_a_call() {
    let other = Other::new(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
        pending::<()>().await;
    })
    .await;
    let (state, sent) = call(&caller(), &post(other.url().replace("http:", "https:")), SHORT).await;
    assert!(!nothing_reached(&state).0, "{state:?}");
    assert!(!sent.may_have_left());
}

#[tokio::test]
async fn a_host_that_swallows_connections_does_not_hold_a_call() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    // Nobody accepts: from some connection on, the system answers none any more.
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    let (state, sent) = call(&caller(), &post(format!("http://{address}/")), SHORT).await;
    assert!(!nothing_reached(&state).0, "{state:?}");
    assert!(!sent.may_have_left());
}
