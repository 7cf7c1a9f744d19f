#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod utf8;

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
};

use futures::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use http_body_util::StreamBody;
use hyper::body::Frame;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{
        DeleteParams, ListParams, LogParams, ObjectMeta, Patch, PatchParams, PostParams,
        WatchParams,
    },
};
use tower::{layer::layer_fn, service_fn};

use super::*;

/// The reaction of the network to one call.
#[derive(Clone, Copy)]
enum Fate {
    Answer(u16),
    RetryAfter(&'static str),
    LoseConnection,
    LoseBody,
    HaveNoCredentials,
    Hang,
    HangInBody,
}

type Scripted = Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, BoxError>>>>;

/// A network that reacts to the calls in the given order and records the time of each call.
#[derive(Clone)]
struct Script {
    fates: Arc<Mutex<VecDeque<Fate>>>,
    calls: Arc<Mutex<Vec<Duration>>>,
    begun: Instant,
}

impl Script {
    fn new<const N: usize>(fates: [Fate; N]) -> Self {
        Self {
            fates: Arc::new(Mutex::new(fates.into())),
            calls: Arc::default(),
            begun: Instant::now(),
        }
    }

    /// Creates a real client whose network is this script.
    fn client(&self) -> Client {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let script = self.clone();
        let network = layer_fn(move |_: Network| {
            let script = script.clone();
            service_fn(move |_: Request<Body>| script.clone().serve())
        });
        client_with(Config::new("http://127.0.0.1:9".parse().unwrap()), network).unwrap()
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), "shop")
    }

    async fn serve(self) -> Result<Scripted, BoxError> {
        self.calls.lock().unwrap().push(self.begun.elapsed());
        let fate = self.fates.lock().unwrap().pop_front();
        let object = Ok(Frame::data(Bytes::from(r#"{"metadata": {"name": "a"}, "items": []}"#)));
        let refused = Ok(Frame::data(Bytes::from("refused")));
        let half = Ok(Frame::data(Bytes::from("{")));
        let answer = Response::builder();
        let (answer, body) = match fate.expect("a call that nobody foretold") {
            Fate::Answer(200) => (answer, stream::iter([object]).boxed()),
            Fate::Answer(status) => (answer.status(status), stream::iter([refused]).boxed()),
            Fate::RetryAfter(value) => {
                (answer.status(429).header("Retry-After", value), stream::empty().boxed())
            }
            Fate::LoseConnection => {
                return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
            }
            Fate::LoseBody => {
                (answer, stream::iter([half, Err("connection reset".into())]).boxed())
            }
            Fate::HaveNoCredentials => return Err(kube::Error::TlsRequired.into()),
            Fate::Hang => pending().await,
            Fate::HangInBody => (answer, stream::iter([half]).chain(stream::pending()).boxed()),
        };
        Ok(answer.body(StreamBody::new(body)).unwrap())
    }

    /// Returns the times of the calls, in milliseconds since the start.
    fn calls(&self) -> Vec<u128> {
        self.calls.lock().unwrap().iter().map(Duration::as_millis).collect()
    }
}

fn config_map() -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some("a".into()), ..Default::default() },
        ..Default::default()
    }
}

fn status(error: kube::Error) -> u16 {
    let kube::Error::Api(status) = error else { panic!("no answer of the API server: {error}") };
    status.code
}

#[test]
fn only_reads_that_end_may_be_repeated() {
    let get = |uri: &str| may_repeat(&Method::GET, &uri.parse().unwrap());
    assert!(get("/api/v1/namespaces/shop/pods/a"));
    assert!(get("/api/v1/pods?limit=500&watch=false"));
    assert!(get("/api/v1/pods?watch=0"));
    assert!(
        get("/api/v1/namespaces/shop/configmaps/log"),
        "an object may be named as a session is"
    );
    assert!(get("/api/v1/namespaces/log/pods"));
    for watch in ["watch=true", "watch=1", "limit=1&watch=True", "watch", "watch="] {
        assert!(!get(&format!("/api/v1/pods?{watch}")), "{watch}");
    }
    for session in ["log", "exec", "attach", "portforward"] {
        assert!(
            !get(&format!("/api/v1/namespaces/shop/pods/a/{session}?follow=true")),
            "{session}"
        );
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD] {
        assert!(!may_repeat(&method, &"/api/v1/pods".parse().unwrap()), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_until_it_is_answered() {
    let script =
        Script::new([Fate::Answer(503), Fate::LoseConnection, Fate::LoseBody, Fate::Answer(200)]);
    script.config_maps().get("a").await.unwrap();
    assert_eq!(script.calls(), [0, 100, 300, 700], "the delay doubles");
}

#[tokio::test(start_paused = true)]
async fn a_read_is_tried_four_times_and_the_last_answer_stands() {
    let script =
        Script::new([Fate::Answer(429), Fate::Answer(502), Fate::Answer(503), Fate::Answer(504)]);
    assert_eq!(status(script.config_maps().list(&ListParams::default()).await.unwrap_err()), 504);
    assert_eq!(script.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_repeat_cannot_mend_is_not_repeated() {
    for code in [400, 404, 409, 500] {
        let script = Script::new([Fate::Answer(code)]);
        assert_eq!(status(script.config_maps().get("a").await.unwrap_err()), code);
    }
    let script = Script::new([Fate::HaveNoCredentials]);
    assert!(matches!(script.config_maps().get("a").await, Err(kube::Error::TlsRequired)));
}

#[tokio::test(start_paused = true)]
async fn a_read_with_a_body_leaves_once_since_its_body_is_gone() {
    let script = Script::new([Fate::Answer(503)]);
    let request = Request::get("/api/v1/pods").body(Body::from(vec![1])).unwrap();
    assert_eq!(script.client().send(request).await.unwrap().status(), 503);
    assert_eq!(script.calls(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_leaves_exactly_once() {
    for fate in [Fate::Answer(503), Fate::RetryAfter("1"), Fate::LoseConnection, Fate::LoseBody] {
        let script = Script::new([fate; 4]);
        let api = script.config_maps();
        let create = api.create(&PostParams::default(), &config_map()).await.map(drop);
        let replace = api.replace("a", &PostParams::default(), &config_map()).await.map(drop);
        let patch = api.patch("a", &PatchParams::default(), &Patch::Merge(())).await.map(drop);
        let delete = api.delete("a", &DeleteParams::default()).await.map(drop);
        for result in [create, replace, patch, delete] {
            assert!(!timed_out(&result.unwrap_err()));
        }
        assert_eq!(script.calls(), [0; 4], "each once, and without a pause");
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_s_wish_to_wait_is_respected_or_left_to_the_caller() {
    let script = Script::new([
        Fate::RetryAfter("2"),
        Fate::RetryAfter("0"),
        Fate::RetryAfter("soon"),
        Fate::Answer(200),
    ]);
    script.config_maps().get("a").await.unwrap();
    assert_eq!(script.calls(), [0, 2000, 2200, 2600]);

    let script = Script::new([Fate::RetryAfter("3")]);
    assert_eq!(status(script.config_maps().get("a").await.unwrap_err()), 429);
    assert_eq!(
        script.begun.elapsed(),
        Duration::ZERO,
        "the caller can do something else for three seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_after_15_s_and_is_recognised() {
    for fate in [Fate::Hang, Fate::HangInBody] {
        let script = Script::new([fate; 2]);
        let api = script.config_maps();
        let error = api.replace("a", &PostParams::default(), &config_map()).await.unwrap_err();
        assert!(timed_out(&error) && matches!(error, kube::Error::Service(_)), "{error}");
        assert_eq!(
            error.to_string(),
            "ServiceError: no answer to PUT /api/v1/namespaces/shop/configmaps/a within 15 s"
        );
        assert!(timed_out(&api.get("a").await.unwrap_err()));
        assert_eq!(script.calls(), [0, 15_000], "time ran out: no repeat");
        assert_eq!(script.begun.elapsed(), 2 * LIMIT);
    }
    assert!(!timed_out(&kube::Error::TlsRequired));
}

#[tokio::test(start_paused = true)]
async fn repeats_share_the_limit_of_their_first_try() {
    let script = Script::new([Fate::RetryAfter("2"), Fate::Hang]);
    assert!(timed_out(&script.config_maps().get("a").await.unwrap_err()));
    assert_eq!(script.begun.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn no_repeat_begins_10_s_after_the_first_try() {
    let slow = |delay: Duration| {
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        let service = service_fn(move |_: Request<Body>| {
            *counted.lock().unwrap() += 1;
            sleep(delay).map(|()| {
                Ok::<_, BoxError>(Response::builder().status(503).body(Body::empty()).unwrap())
            })
        });
        (Calls { inner: service }, calls)
    };
    for (delay, expected) in [(Duration::from_millis(9_900), 2), (Duration::from_millis(9_901), 1)]
    {
        let (service, calls) = slow(delay);
        let _answer =
            service.oneshot(Request::get("/api/v1/pods").body(Body::empty()).unwrap()).await;
        assert_eq!(*calls.lock().unwrap(), expected, "{delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_and_a_log_are_not_repeated_and_go_on_without_limit() {
    let script = Script::new([Fate::Answer(503), Fate::Answer(503), Fate::HangInBody]);
    let watch = WatchParams::default();
    let refused = script.config_maps().watch(&watch, "0").await.map(drop);
    assert_eq!(status(refused.unwrap_err()), 503);
    let pods: Api<Pod> = Api::namespaced(script.client(), "shop");
    assert_eq!(status(pods.logs("a", &LogParams::default()).await.unwrap_err()), 503);
    assert_eq!(script.calls(), [0, 0]);

    let api = script.config_maps();
    let mut events = api.watch(&watch, "0").await.unwrap().boxed();
    timeout(100 * LIMIT, events.next()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_begin_ends_after_15_s() {
    let script = Script::new([Fate::Hang, Fate::Hang]);
    let begun = timeout(100 * LIMIT, script.config_maps().watch(&WatchParams::default(), "0"))
        .await
        .unwrap();
    let error = begun.map(drop).unwrap_err();
    assert!(timed_out(&error), "{error}");
    let pods: Api<Pod> = Api::namespaced(script.client(), "shop");
    assert!(timed_out(
        &timeout(100 * LIMIT, pods.log_stream("a", &LogParams::default()))
            .await
            .unwrap()
            .map(drop)
            .unwrap_err()
    ));
    assert_eq!(script.begun.elapsed(), 2 * LIMIT);
}

#[tokio::test]
async fn the_connections_below_repeat_nothing_either() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let refuse = axum::Router::new().fallback(async move || {
        *counted.lock().unwrap() += 1;
        StatusCode::SERVICE_UNAVAILABLE
    });
    let server = tokio::spawn(async move { axum::serve(listener, refuse).await });

    let client = client(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "shop");
    assert_eq!(status(api.create(&PostParams::default(), &config_map()).await.unwrap_err()), 503);
    assert_eq!(*calls.lock().unwrap(), 1);
    assert_eq!(status(api.get("a").await.unwrap_err()), 503);
    assert_eq!(*calls.lock().unwrap(), 5);
    server.abort();
}
