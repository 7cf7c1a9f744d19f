//! Sends the request of one attempt and says what came of it.
//!
//! # Guarantees
//! - One call sends at most one request, over a connection of its own: no pool, no proxy, no
//!   redirect, no retry, no second name look-up.
//! - Every address the host resolves to is checked before anything else happens, and only checked
//!   addresses are connected to.
//! - `Failed` with [`Reached::Nothing`] is only said where no connection was made. From then on,
//!   whatever breaks without an answer is `Unknown`.
//! - Time and memory are bounded whatever the other side does: the time limit covers everything,
//!   name look-up and connecting included; of an answer at most 100 headers and 408 KiB of them,
//!   and 64 KiB of its body, are read. Nothing is unpacked. A message holds at most 256 characters
//!   of the body.
//! - What looks for the values of Secrets holds up no other task, and takes no more than some tens
//!   of megabytes at once.
//! - No value of a Secret shows in a message or in what expressions read, even where the other side
//!   repeats it ([`hide`]).
//! - Dropping the future of a call closes its connection.
//!
//! # Caveats
//! - Whether a body that breaks off, outlasts the time limit or is too long matters is for the
//!   engine to say: it is marked as not whole.
//! - Host names resolve as they do for the operator's own pod: a name without a namespace is one of
//!   the operator's namespace.

mod headers;
mod hide;
mod resolve;
mod trust;

use std::{
    error::Error,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use reqwest::{Client, Response, header::RETRY_AFTER};
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};
use tower::{BoxError, util::AndThenLayer};

use self::{
    headers::{Headers, of_answer},
    hide::Hider,
    resolve::{Names, Target},
};
use super::secrets::{Account, SecretReader, SecretValue};
use crate::{
    egress::policy::Reach,
    model::observation::{Answer, ChildState, Failure, Reached},
    objects::http::{request::HttpRequest, verdict::wait},
    text::bounded_line,
};

/// The longest time that connecting may take, TLS included.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// The most headers that an answer may have: beyond it, it is no answer. hyper bounds their bytes,
/// at some 408 KiB; reqwest hands no smaller number on to it.
const MAX_HEADERS: usize = 100;
/// The most bytes of a body that are read.
const MAX_BODY: usize = 64 * 1024;
/// The most characters of an error that a message shows.
const MAX_CAUSE: usize = 200;

/// In how many answers values of Secrets are looked for at once: each takes memory.
const HIDING: usize = 2;

/// Whether anything of a request may have left the process. For the one who drops a call: where
/// nothing left, nothing was done. Besides, the status of the answer.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU8>, Arc<OnceLock<u16>>);

/// Nothing left.
const KEPT: u8 = 0;
/// Something may have left.
const LEFT: u8 = 1;
/// Nothing left, and nothing will.
const FORBIDDEN: u8 = 2;

impl Sent {
    /// Whether a connection was made, so that the request may be under way.
    #[must_use]
    pub fn may_have_left(&self) -> bool {
        self.0.load(Ordering::Acquire) == LEFT
    }

    /// The status of the answer; `None` where none came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.1.get().copied()
    }

    /// Notes that something may have left.
    #[cfg(test)]
    pub(super) fn has_left(&self) {
        self.0.store(LEFT, Ordering::Release);
    }

    /// Lets nothing leave any more. Returns whether nothing did.
    #[must_use]
    pub fn forbid(&self) -> bool {
        self.0.compare_exchange(KEPT, FORBIDDEN, Ordering::AcqRel, Ordering::Acquire) != Err(LEFT)
    }

    /// Asks once more at the moment at which a connection stands, before the first byte of the
    /// request is written to it.
    fn on_connection<T: Send + 'static>(
        &self,
        permit: Permit,
    ) -> impl FnOnce(T) -> BoxFuture<'static, Result<T, BoxError>> + Clone + Send + Sync + 'static
    {
        let sent = Arc::clone(&self.0);
        move |connection| {
            async move {
                if !permit().await {
                    return Err("the request is not wanted any more".into());
                }
                if sent.compare_exchange(KEPT, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    return Err("the request was called off".into());
                }
                Ok(connection)
            }
            .boxed()
        }
    }
}

/// The TLS settings of all calls: ring, and the system's root certificates or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reads files: call it once, at the start.
///
/// Where no root certificate is found the operator runs on, and only calls to `https://` fail, with
/// a message that says so.
///
/// # Errors
/// Never with ring's cipher suites, unless rustls changes what it needs.
pub fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "no root certificates found: calls to https:// will fail; set SSL_CERT_FILE"
        );
    }
    configured(roots)
}

/// The TLS settings that trust `roots`.
fn configured(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether a request may still leave: asked when the connection stands, so that no slow name server
/// or handshake makes it leave late.
pub type Permit = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Sends requests.
#[derive(Clone)]
pub struct HttpCaller {
    reach: Arc<Reach>,
    names: Names,
    tls: ClientConfig,
    secrets: SecretReader,
    hiding: Arc<Semaphore>,
}

impl HttpCaller {
    /// A caller that reaches what `reach` lets it reach, with the TLS settings of [`tls_config`].
    #[must_use]
    pub fn new(reach: Reach, tls: ClientConfig, secrets: SecretReader) -> Self {
        Self {
            reach: Arc::new(reach),
            names: resolve::system(),
            tls,
            secrets,
            hiding: Arc::new(Semaphore::new(HIDING)),
        }
    }

    /// By whom Secrets are read.
    pub(in crate::controller) const fn secrets(&self) -> &SecretReader {
        &self.secrets
    }

    /// Sends `request` once and waits for its answer, at most `time_limit` in all. Headers and
    /// certificates are read as `account`. `now` is the present instant; `sent` is new for each
    /// call. Without `permit` nothing leaves: Failed, nothing reached.
    ///
    /// What happens gives the outcome:
    /// - an answer came: Answered; what it means is for the engine to say
    /// - the URL, a header, an address, certificates or a missing right forbid it: Failed for good,
    ///   nothing reached
    /// - no such host, Secret, ConfigMap or key; no connection in time, refused, or TLS failed:
    ///   Failed, tried again, nothing reached
    /// - the API server cannot give the Secret just now: Refused
    /// - the connection broke or the time ran out once it stood: Unknown
    pub async fn call(
        &self,
        request: &HttpRequest,
        account: Account<'_>,
        time_limit: Duration,
        now: Timestamp,
        sent: &Sent,
        permit: Permit,
    ) -> ChildState {
        let begun = Instant::now();
        let Ok(answer) =
            timeout(time_limit, self.send(request, account, time_limit, sent, permit)).await
        else {
            return overdue(time_limit, sent);
        };
        let (mut response, secrets) = match answer {
            Ok(answer) => answer,
            Err(state) => return state,
        };
        let _first = sent.1.set(response.status().as_u16());
        let answered_at = now.saturating_add(begun.elapsed()).unwrap_or(now);
        let mut body = Vec::new();
        // Whether the body came whole or not, the status has decided, unless the step asks more of
        // the answer.
        let left = time_limit.saturating_sub(begun.elapsed());
        let whole = timeout(left, read(&mut response, &mut body)).await.unwrap_or_default();
        let (status, headers) =
            (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| wait(value, answered_at));
        let hidden = move |hider: &Hider| {
            (of_answer(&headers, hider), hider.body(&String::from_utf8_lossy(&body)))
        };
        let (headers, (body, text)) = self.hide(secrets, hidden).await;
        ChildState::Answered(Arc::new(Answer { status, headers, body, text, whole, retry_after }))
    }

    /// Hides `secrets` in something, where no other task waits for it.
    async fn hide<T: Send + 'static>(
        &self,
        secrets: Vec<SecretValue>,
        hide: impl FnOnce(&Hider) -> T + Send + 'static,
    ) -> T {
        if secrets.is_empty() {
            return hide(&Hider::new(&[]));
        }
        // Never closed. It stays with the work, which ends later than a call that is dropped.
        let permit = Arc::clone(&self.hiding).acquire_owned().await;
        let work = spawn_blocking(move || {
            let _permit = permit;
            hide(&Hider::new(&secrets))
        });
        match work.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(hidden) => hidden,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and nobody waits.
            Err(Err(_cancelled)) => std::future::pending().await,
        }
    }

    /// What a message says of an error: see [`cause`].
    async fn shown(&self, error: &reqwest::Error, secrets: Vec<SecretValue>) -> String {
        let cause = cause(error);
        let hidden = self.hide(secrets, move |hider| hider.hide(&cause).into_owned()).await;
        bounded_line(&hidden, MAX_CAUSE)
    }

    /// Everything up to the answer's head. Besides, the values that were sent.
    async fn send(
        &self,
        request: &HttpRequest,
        account: Account<'_>,
        time_limit: Duration,
        sent: &Sent,
        permit: Permit,
    ) -> Result<(Response, Vec<SecretValue>), ChildState> {
        let target = resolve::target(&request.url, &self.reach, &self.names).await?;
        let Headers { map, secrets } = headers::headers(request, account, &self.secrets).await?;
        let tls = trust::settings(&target, request, account, &self.secrets, &self.tls).await?;
        let host = target.host.clone();
        let client = match client(tls, &target, time_limit.min(MAX_CONNECT), sent, permit) {
            Ok(client) => client,
            Err(error) => return Err(cannot_be_sent(&self.shown(&error, secrets).await)),
        };
        let method = request
            .method
            .as_str()
            .parse()
            .map_err(|_| failed(true, "the method cannot be sent".into()))?;
        let mut outgoing = client.request(method, target.url).headers(map);
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        match outgoing.send().await {
            Ok(response) => Ok((response, secrets)),
            Err(error) => Err(broken(&error, &host, sent, &self.shown(&error, secrets).await)),
        }
    }
}

/// A client for one attempt at one target.
fn client(
    tls: ClientConfig,
    target: &Target,
    connect: Duration,
    sent: &Sent,
    permit: Permit,
) -> reqwest::Result<Client> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(target.pinned())
        .connector_layer(AndThenLayer::new(sent.on_connection(permit)))
        .connect_timeout(connect)
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .build()
}

/// Reads the body into `into` until it ends, breaks or passes [`MAX_BODY`]. Returns whether it came
/// whole.
async fn read(response: &mut Response, into: &mut Vec<u8>) -> bool {
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let left = MAX_BODY.saturating_sub(into.len());
        into.extend(chunk.iter().take(left));
        if chunk.len() > left {
            return false;
        }
    }
}

/// Nothing was sent.
fn failed(last: bool, message: String) -> ChildState {
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    })
}

fn unknown(message: String) -> ChildState {
    ChildState::Unknown { message, retry_after: None }
}

fn overdue(time_limit: Duration, sent: &Sent) -> ChildState {
    if sent.may_have_left() {
        unknown(format!("no answer within {time_limit:?}"))
    } else {
        failed(false, format!("no connection within {time_limit:?}: nothing was sent"))
    }
}

fn cannot_be_sent(cause: &str) -> ChildState {
    failed(true, format!("the request cannot be sent: {cause}"))
}

/// No answer came.
fn broken(error: &reqwest::Error, host: &str, sent: &Sent, cause: &str) -> ChildState {
    if sent.may_have_left() {
        unknown(format!("the connection to {host} broke before an answer came: {cause}"))
    } else if error.is_builder() {
        cannot_be_sent(cause)
    } else {
        failed(false, format!("no connection to {host}: {cause}"))
    }
}

/// The innermost error: the ones around it say only that something failed, and one of them holds
/// the URL. It may quote the other side, such as the names in its certificate.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<reqwest::Error>() {
        "the request is malformed".into()
    } else {
        innermost.to_string()
    }
}

#[cfg(test)]
mod tests;
