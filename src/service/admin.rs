//! The servers for scrapers and probes. One address serves `/metrics`. Another address serves
//! `/healthz`, `/readyz` and, where an argument asks for it, `/health/circuits`.
//!
//! # Guarantees
//! No HTTP request changes anything. Limits apply to everything that a client can make large or
//! slow: the number of simultaneous connections, the size of the head of a request, the time to
//! send the head, and the lifetime of a connection. The bodies of requests are never read.
//!
//! # Caveats
//! There is no TLS and no authentication. A network policy decides which clients reach the servers.
//! `/health/circuits` names namespaces and hosts of all sagas; nothing else that is served does.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use futures::{FutureExt, future::join_all};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    circuits::CircuitSource,
    metrics::{CONTENT_TYPE, Metrics},
};

/// The maximum number of simultaneous connections per address. More connections wait until another
/// connection ends.
const MAX_CONNECTIONS: usize = 64;
/// The maximum size of the head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The time limit for sending the head of a request. It is also the longest time that a connection
/// may be idle.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The lifetime of a connection. At its end, the connection finishes the current answer and closes.
const LIFETIME: Duration = Duration::from_mins(2);
/// The time limit for the current answer after a connection begins to close.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// The readiness of the process. The readiness only changes to a later variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Readiness {
    Starting,
    Ready,
    Draining,
}

/// The state that the probes report. Clones share one state.
#[derive(Clone, Debug)]
pub struct Probes {
    readiness: Arc<watch::Sender<Readiness>>,
    fatal: Arc<OnceLock<String>>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { readiness: Arc::new(watch::Sender::new(Readiness::Starting)), fatal: Arc::default() }
    }
}

impl Probes {
    /// Reports that the caches are filled and that the process can work. From now on, `/readyz`
    /// answers 200, unless the process is draining.
    pub fn ready(&self) {
        self.advance(Readiness::Ready);
    }

    /// Reports that the process stops. From now on, `/readyz` always answers 503.
    pub fn draining(&self) {
        self.advance(Readiness::Draining);
    }

    /// Reports that the process can never work again. From now on, `/healthz` always answers 503
    /// with `sentence`, so that the kubelet restarts the process. The first sentence stays.
    pub fn fatal(&self, sentence: impl Into<String>) {
        let _first = self.fatal.set(sentence.into());
    }

    fn advance(&self, to: Readiness) {
        self.readiness.send_modify(|now| *now = to.max(*now));
    }

    fn healthz(&self) -> Response {
        match self.fatal.get() {
            None => (StatusCode::OK, "ok\n").into_response(),
            Some(sentence) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("{sentence}\n")).into_response()
            }
        }
    }

    fn readyz(&self) -> Response {
        match *self.readiness.borrow() {
            Readiness::Starting => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready yet: the caches are being filled, or the operator has no Lease\n",
            )
                .into_response(),
            Readiness::Ready => (StatusCode::OK, "ok\n").into_response(),
            Readiness::Draining => {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready any more: the process is stopping\n")
                    .into_response()
            }
        }
    }
}

/// The servers. They are bound to their addresses but do not serve yet.
#[derive(Debug)]
pub struct Admin {
    servers: Vec<(TcpListener, Router)>,
}

impl Admin {
    /// Binds the given addresses. The circuits are listed at `/health/circuits` if there are any to
    /// list; otherwise that path is not found.
    ///
    /// # Errors
    /// If an address cannot be bound, returns a sentence that names the address and the argument.
    pub async fn bind(
        metrics_addr: Option<SocketAddr>,
        health_addr: Option<SocketAddr>,
        metrics: Arc<Metrics>,
        probes: Probes,
        circuits: Option<CircuitSource>,
    ) -> Result<Self, String> {
        let mut servers = Vec::new();
        if let Some(address) = metrics_addr {
            servers.push((bind("--metrics-addr", address).await?, metrics_router(metrics)));
        }
        if let Some(address) = health_addr {
            servers.push((bind("--health-addr", address).await?, health_router(probes, circuits)));
        }
        Ok(Self { servers })
    }

    /// Returns the bound addresses, metrics first. For port 0, the address holds the port that the
    /// system chose.
    ///
    /// # Errors
    /// Fails if the system does not report an address.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.servers.iter().map(|(listener, _)| listener.local_addr()).collect()
    }

    /// Serves until `stop` resolves. Then waits up to 5 s for the current answers, and returns.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let stop = stop.shared();
        join_all(
            self.servers
                .into_iter()
                .map(|(listener, router)| serve(listener, router, stop.clone())),
        )
        .await;
    }
}

async fn bind(argument: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!(
            "cannot listen on {address} ({argument}): {error}; choose \
            another address or port, or 0 to switch it off"
        )
    })
}

fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let answer = async move || match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot encode the metrics: {error}\n"))
                .into_response()
        }
    };
    Router::new().route("/metrics", get(answer))
}

fn health_router(probes: Probes, circuits: Option<CircuitSource>) -> Router {
    let other = probes.clone();
    let router = Router::new()
        .route("/healthz", get(async move || probes.healthz()))
        .route("/readyz", get(async move || other.readyz()));
    match circuits {
        None => router,
        Some(circuits) => {
            router.route("/health/circuits", get(async move || Json(circuits.read())))
        }
    }
}

async fn serve(mut listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let (closing, closed) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            // `accept` of axum never fails. If the process has no free file descriptor, `accept`
            // waits.
            (stream, _) = Listener::accept(&mut listener),
                if connections.len() < MAX_CONNECTIONS =>
            {
                connections.spawn(connection(stream, router.clone(), closed.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, closing));
    let _ended = timeout(LAST_ANSWER, connections.join_all()).await;
}

/// Serves one connection until the connection ends, its lifetime ends, or the sender of `closed` is
/// dropped.
async fn connection<C>(stream: C, router: Router, mut closed: watch::Receiver<()>)
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MAX_HEAD);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        result = connection.as_mut() => return ended(result),
        _ = closed.changed() => {}
        () = sleep(LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(result) = timeout(LAST_ANSWER, connection).await {
        ended(result);
    }
}

fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection of a probe or scraper broke");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        net::TcpStream,
        sync::oneshot,
        task::JoinHandle,
        time::Instant,
    };

    use super::{
        super::circuits::{CircuitReport, CircuitState},
        *,
    };

    const ANY: Option<SocketAddr> =
        Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0));

    /// Returns the whole answer to a request for `path`, sent on a new connection.
    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Serves the probes on one connection.
    fn serve(server: DuplexStream, closed: watch::Receiver<()>) -> JoinHandle<()> {
        let router = health_router(Probes::default(), None);
        tokio::spawn(connection(server, router, closed))
    }

    #[tokio::test]
    async fn probes_follow_the_life_of_the_process() {
        let probes = Probes::default();
        let metrics = Metrics::new("1.2.3");
        metrics.circuits().set(|| vec![circuit()]);
        let admin = Admin::bind(ANY, ANY, metrics, probes.clone(), None).await.unwrap();
        let addresses = admin.addresses().unwrap();
        let (metrics, target) = (addresses[0], addresses[1]);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(admin.serve(stopped.map(|_| ())));

        assert!(ask(target, "/healthz").await.starts_with("HTTP/1.1 200"));
        let starting = ask(target, "/readyz").await;
        assert!(
            starting.starts_with("HTTP/1.1 503")
                && starting.ends_with(
                    "not ready yet: the caches are being filled, or the operator has no Lease\n"
                ),
            "{starting}"
        );
        let circuits = ask(target, "/health/circuits").await;
        assert!(circuits.starts_with("HTTP/1.1 404") && !circuits.contains("shop"), "{circuits}");
        probes.ready();
        assert!(ask(target, "/readyz").await.starts_with("HTTP/1.1 200"));
        probes.draining();
        probes.ready();
        let draining = ask(target, "/readyz").await;
        assert!(
            draining.starts_with("HTTP/1.1 503") && draining.ends_with("the process is stopping\n"),
            "{draining}"
        );
        assert!(ask(target, "/healthz").await.starts_with("HTTP/1.1 200"), "draining is healthy");
        probes.fatal("the watch of sagas ended");
        probes.fatal("later");
        let fatal = ask(target, "/healthz").await;
        assert!(
            fatal.starts_with("HTTP/1.1 503")
                && fatal.ends_with("\r\n\r\nthe watch of sagas ended\n"),
            "{fatal}"
        );

        let scraped = ask(metrics, "/metrics").await;
        assert!(scraped.starts_with("HTTP/1.1 200") && scraped.ends_with("# EOF\n"), "{scraped}");
        assert!(
            scraped.contains(
                "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"
            ),
            "{scraped}"
        );
        assert!(
            ask(metrics, "/healthz").await.starts_with("HTTP/1.1 404"),
            "each address serves its own paths only"
        );

        let mut idle = TcpStream::connect(target).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        assert_ne!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
        stop.send(()).unwrap();
        timeout(LAST_ANSWER / 2, server)
            .await
            .expect("idle connections are not waited for")
            .unwrap();
        TcpStream::connect(target).await.unwrap_err();
    }

    fn circuit() -> CircuitReport {
        CircuitReport {
            namespace: "shop".into(),
            scheme: "https".into(),
            host: "stock.shop.svc".into(),
            port: 443,
            state: CircuitState::Open,
            calls: 20,
            unknown: 10,
            until: Some("2026-03-01T12:00:30Z".parse().unwrap()),
        }
    }

    #[tokio::test]
    async fn the_list_of_circuits_is_what_their_source_tells_where_it_is_asked_for() {
        let metrics = Metrics::new("1.2.3");
        metrics.circuits().set(|| vec![circuit()]);
        let circuits = Some(metrics.circuits().clone());
        let admin = Admin::bind(None, ANY, metrics, Probes::default(), circuits).await.unwrap();
        let address = admin.addresses().unwrap()[0];
        let server = tokio::spawn(admin.serve(std::future::pending()));
        let told = ask(address, "/health/circuits").await;
        assert!(told.contains("content-type: application/json"), "{told}");
        let body: serde_json::Value =
            serde_json::from_str(told.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(
            body,
            serde_json::json!([{
                "namespace": "shop", "scheme": "https", "host": "stock.shop.svc", "port": 443,
                "state": "open", "calls": 20, "unknown": 10, "until": "2026-03-01T12:00:30Z",
            }])
        );
        server.abort();
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_its_argument() {
        let holder = TcpListener::bind(ANY.unwrap()).await.unwrap();
        let address = holder.local_addr().unwrap();
        let metrics = Metrics::new("1.2.3");
        let error =
            Admin::bind(None, Some(address), metrics, Probes::default(), None).await.unwrap_err();
        assert!(
            error.starts_with(&format!("cannot listen on {address} (--health-addr): ")),
            "{error}"
        );
        assert!(
            error.ends_with("choose another address or port, or 0 to switch it off"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn switched_off_both_serve_nothing_and_still_end() {
        let admin =
            Admin::bind(None, None, Metrics::new("1.2.3"), Probes::default(), None).await.unwrap();
        assert_eq!(admin.addresses().unwrap(), []);
        admin.serve(std::future::ready(())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_slowly_is_cut_off() {
        for head in ["", "GET /healthz HTTP/1.1\r\n"] {
            let (mut client, server) = duplex(1024);
            let (_closing, closed) = watch::channel(());
            let begun = Instant::now();
            let serving = serve(server, closed);
            client.write_all(head.as_bytes()).await.unwrap();
            timeout(LIFETIME, serving).await.unwrap().unwrap();
            assert!(
                begun.elapsed() <= HEAD_TIME + Duration::from_millis(10),
                "{head:?} was waited for for {:?}",
                begun.elapsed()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_is_cut_off() {
        let (mut client, server) = duplex(16);
        let (_closing, closed) = watch::channel(());
        let begun = Instant::now();
        let serving = serve(server, closed);
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        timeout(2 * LIFETIME, serving).await.unwrap().unwrap();
        assert!(
            begun.elapsed() <= LIFETIME + LAST_ANSWER + Duration::from_millis(10),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn a_head_too_large_is_refused() {
        let (mut client, server) = duplex(64 * 1024);
        let (_closing, closed) = watch::channel(());
        let serving = serve(server, closed);
        let head = format!(
            "GET /healthz HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
            "x".repeat(2 * MAX_HEAD)
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        serving.await.unwrap();
    }
}
