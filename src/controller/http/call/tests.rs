#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod answers;
mod bodies;
mod connections;
mod hostile;
mod hostile_hosts;
mod hostile_urls;
mod limits;
mod lost;
mod secrets;
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
        http::{outcome::fixture::nothing_reached, tls::tls_config},
    },
    coordination::breaker::CallEnd,
    egress::policy::EgressRules,
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
    let rules =
        EgressRules { allow_cidrs: vec![allowed.parse().unwrap()], ..EgressRules::default() };
    HttpCaller::new(EgressPolicy::new(rules, []), tls_config().unwrap(), secrets)
}

fn caller() -> HttpCaller {
    caller_with("127.0.0.0/8", payments().0)
}

async fn call(
    caller: &HttpCaller,
    request: &HttpRequest,
    time_limit: Duration,
) -> (CallOutcome, Sent) {
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
    let judged = if let CallOutcome::Ended(End::Answered(answer)) = &state {
        CallOutcome::Ended(verdict(answer))
    } else {
        state
    };
    (judged, sent)
}

/// Returns the end of a call that was not refused.
fn end(outcome: &CallOutcome) -> End {
    let CallOutcome::Ended(end) = outcome else { panic!("{outcome:?}") };
    end.clone()
}

/// Calls with longer and longer limits until one was long enough to get the request out on this
/// machine.
async fn call_until_sent(request: &HttpRequest) -> CallOutcome {
    for limit in [50, 500, 5_000, 50_000].map(Duration::from_millis) {
        let (state, sent) = call(&caller(), request, limit).await;
        if sent.may_have_left() {
            return state;
        }
        assert!(matches!(nothing_reached(&state), (false, _)), "{state:?}");
    }
    panic!("nothing was ever sent");
}

fn unknown_message(state: &CallOutcome) -> &str {
    match state {
        CallOutcome::Ended(End::Unknown { message, .. }) => message,
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
    assert_eq!(state, CallOutcome::Ended(End::Succeeded(None)));
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
