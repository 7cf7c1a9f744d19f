#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod hostile;
mod hostile_urls;
mod limits;
mod trust;

use std::{
    future::{Future, pending},
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::FutureExt;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    api::HttpMethod,
    controller::{
        cluster::secrets::tests::{payments, reader, wanted},
        http::tls::tls_config,
    },
    coordination::breaker::CallEnd,
    egress::policy::ReachRules,
    model::observation::{Failure, Reached},
    objects::http::{
        request::{HttpHeader, HttpHeaderValue},
        verdict::verdict,
    },
};

const ACCOUNT: Account<'static> = Account { namespace: "shop", name: "order-saga" };
/// Long enough never to pass in a test that does not wait for it.
const LONG: Duration = Duration::from_mins(1);

fn granted() -> Permit {
    Arc::new(|| async { true }.boxed())
}

/// Another side on this host that treats each connection as the test says.
struct Other {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Other {
    async fn new<F>(treat: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::listening("127.0.0.1:0", treat).await
    }

    async fn listening<F>(address: &str, treat: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(treat(stream));
            }
        });
        Self { address, accepted }
    }

    /// Reads the request, answers and closes.
    async fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/charges", self.address)
    }

    /// How many connections were made up to now. Connections are accepted in their order, so one
    /// more is made and waited for.
    async fn connections(&self) -> usize {
        let mut last = TcpStream::connect(self.address).await.unwrap();
        last.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        last.shutdown().await.unwrap();
        let _ = last.read_to_end(&mut Vec::new()).await;
        self.accepted.load(Ordering::SeqCst) - 1
    }
}

/// Reads a request with its body.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return text;
        }
    }
}

fn post(url: String) -> HttpRequest {
    let key = HttpHeader {
        name: "Idempotency-Key".into(),
        value: HttpHeaderValue::Literal("k/1".into()),
    };
    HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![key],
        content_type: Some("application/json"),
        body: Some(r#"{"order":"1042"}"#.into()),
        tls: None,
    }
}

fn with_secret(mut request: HttpRequest) -> HttpRequest {
    request.headers.push(HttpHeader {
        name: "Authorization".into(),
        value: HttpHeaderValue::Secret(wanted("token")),
    });
    request
}

fn caller_with(allowed: &str, secrets: SecretReader) -> HttpCaller {
    let rules = ReachRules { allow_cidrs: vec![allowed.parse().unwrap()], ..ReachRules::default() };
    HttpCaller::new(Reach::new(rules, []), tls_config().unwrap(), secrets)
}

fn caller() -> HttpCaller {
    caller_with("127.0.0.0/8", payments().0)
}

async fn call(
    caller: &HttpCaller,
    request: &HttpRequest,
    time_limit: Duration,
) -> (ChildState, Sent) {
    let sent = Sent::default();
    let state = caller
        .call(
            request,
            ACCOUNT,
            time_limit,
            "2026-03-01T12:00:00Z".parse().unwrap(),
            &sent,
            granted(),
        )
        .await;
    // As the engine judges an answer where the step asks for nothing else.
    let judged = if let ChildState::Answered(answer) = &state { verdict(answer) } else { state };
    (judged, sent)
}

/// Calls with longer and longer limits until one was long enough to get the request out on this
/// machine.
async fn call_until_sent(request: &HttpRequest) -> ChildState {
    for limit in [50, 500, 5_000, 50_000].map(Duration::from_millis) {
        let (state, sent) = call(&caller(), request, limit).await;
        if sent.may_have_left() {
            return state;
        }
        assert!(matches!(nothing_reached(&state), (false, _)), "{state:?}");
    }
    panic!("nothing was ever sent");
}

/// `last` and the message of a failure before anything was sent.
fn nothing_reached(state: &ChildState) -> (bool, &str) {
    match state {
        ChildState::Failed(Failure { reached: Reached::Nothing, last, message, .. }) => {
            (*last, message)
        }
        other => panic!("{other:?}"),
    }
}

fn unknown_message(state: &ChildState) -> &str {
    match state {
        ChildState::Unknown { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built_and_its_answer_counts() {
    let (inbox, mut requests) = mpsc::unbounded_channel();
    let other = Other::new(move |mut stream| {
        let inbox = inbox.clone();
        async move {
            inbox.send(read_request(&mut stream).await).unwrap();
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    })
    .await;
    let (state, sent) = call(&caller(), &with_secret(post(other.url())), LONG).await;
    assert_eq!(state, ChildState::Succeeded(None));
    assert!(sent.may_have_left());
    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"order":"1042"}"#);
    assert!(head.starts_with("POST /charges HTTP/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json",
        "idempotency-key: k/1",
        "authorization: Bearer s3cret-t0ken",
        "content-length: 16",
    ] {
        assert_eq!(
            head.lines().filter(|l| l.eq_ignore_ascii_case(line)).count(),
            1,
            "{line} in {head}"
        );
    }
    assert!(!head.contains("accept-encoding"), "a packed answer could not be read: {head}");
}

#[tokio::test]
async fn a_definite_no_is_told_with_its_reason() {
    let other =
        Other::answering("HTTP/1.1 409 Conflict\r\ncontent-length: 13\r\n\r\ncard declined").await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let ChildState::Failed(failure) = state else { panic!("{state:?}") };
    assert_eq!((failure.reached, failure.last), (Reached::Answer, true));
    assert_eq!(failure.message, "the other side answered 409 Conflict: card declined");
}

#[tokio::test]
async fn a_service_that_is_down_asks_for_patience() {
    let other = Other::answering(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let (state, _) = call(&caller(), &post(other.url()), LONG).await;
    let message = "the other side answered 503 Service Unavailable".into();
    assert_eq!(state, ChildState::Unknown { message, retry_after: Some(Duration::from_mins(2)) });
    assert_eq!(other.connections().await, 1, "nobody tries again by himself");
}

#[tokio::test]
async fn a_date_to_wait_for_counts_from_the_answer() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: Sun, 01 Mar 2026 12:00:30 \
        GMT\r\ncontent-length: 0\r\n\r\n";
    let (state, _) = call(&caller(), &post(Other::answering(answer).await.url()), LONG).await;
    let ChildState::Failed(Failure {
        reached: Reached::Door,
        last: false,
        retry_after: Some(wait),
        ..
    }) = state
    else {
        panic!("{state:?}")
    };
    assert!(
        wait < Duration::from_secs(30) && wait > Duration::ZERO,
        "the call took some of the 30 s: {wait:?}"
    );
}

#[tokio::test]
async fn a_connection_lost_after_sending_leaves_the_outcome_unknown() {
    let (state, sent) = call(&caller(), &post(Other::answering("").await.url()), LONG).await;
    assert!(unknown_message(&state).contains("broke before an answer came"), "{state:?}");
    assert_eq!(CallEnd::of(&state, sent.may_have_left(), sent.status()), CallEnd::Unknown);
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
        assert_eq!(CallEnd::of(&state, sent.may_have_left(), sent.status()), expected, "{state:?}");
    }
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (state, sent) = call(&caller(), &post(format!("http://{address}/")), LONG).await;
    assert_eq!(
        CallEnd::of(&state, sent.may_have_left(), sent.status()),
        CallEnd::NotSent,
        "{state:?}"
    );
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
        let ChildState::Failed(failure) = state else { panic!("{state:?}") };
        assert_eq!((failure.reached, failure.last), (Reached::Answer, true));
        assert!(failure.message.contains("redirects are not followed"), "{}", failure.message);
    }
    assert_eq!(second.connections().await, 0);
}

#[tokio::test]
async fn without_the_administrators_leave_this_host_is_not_even_connected_to() {
    let other = Other::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let port = other.address.port();
    let (secrets, seen) = payments();
    let caller = caller_with("10.0.0.0/8", secrets);
    for host in
        ["127.0.0.1", "127.1", "2130706433", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"]
    {
        let (state, sent) =
            call(&caller, &with_secret(post(format!("http://{host}:{port}/"))), LONG).await;
        let (last, message) = nothing_reached(&state);
        assert!(last && message.contains("--http-allow-cidrs"), "{host}: {message}");
        assert!(!sent.may_have_left());
    }
    assert_eq!(other.connections().await, 0);
    assert!(seen.lock().unwrap().is_empty(), "no Secret is read for a request that is not sent");
}

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
    let ChildState::Failed(failure) = state else { panic!("{state:?}") };
    assert_eq!(failure.message, "the other side answered 400 Bad Request: unknown token [hidden]");
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
    let ChildState::Answered(answer) = state else { panic!("{state:?}") };
    let shown = format!("{answer:?}");
    let ChildState::Failed(failure) = verdict(&answer) else { panic!("{status} failed") };
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
        assert_eq!(message, format!("the other side answered 409 Conflict: {body}"));
    }
}

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
    let ChildState::Failed(failure) = state else { panic!("{state:?}") };
    assert_eq!(
        failure.message,
        format!("the other side answered 409 Conflict: {}…", "x".repeat(255))
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
    assert_eq!(call(&caller(), &post(done.url()), LONG).await.0, ChildState::Succeeded(None));
    let declined =
        Other::answering("HTTP/1.1 409 Conflict\r\ncontent-length: 100\r\n\r\nhalf").await;
    let (state, _) = call(&caller(), &post(declined.url()), LONG).await;
    let ChildState::Failed(failure) = state else { panic!("{state:?}") };
    assert_eq!(failure.message, "the other side answered 409 Conflict: half");
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
        if state == ChildState::Succeeded(None) {
            return assert!(tells.try_recv().is_ok());
        }
        assert!(
            matches!(
                state,
                ChildState::Unknown { .. }
                    | ChildState::Failed(Failure { reached: Reached::Nothing, .. })
            ),
            "{state:?}"
        );
    }
    panic!("the status was never read");
}

#[tokio::test]
async fn hints_before_the_answer_are_passed_over() {
    let other = Other::answering(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    )
    .await;
    assert_eq!(call(&caller(), &post(other.url()), LONG).await.0, ChildState::Succeeded(None));
}

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
        assert_eq!(call(&caller, &post(other.url()), LONG).await.0, ChildState::Succeeded(None));
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
