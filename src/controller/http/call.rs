//! One request: sent once, bounded in time and size, and judged by what came back.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use reqwest::{Client, Response, header::RETRY_AFTER};
use rustls::ClientConfig;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};
use tower::util::AndThenLayer;

use super::{
    headers::{Headers, of_answer},
    outcome::{MAX_CAUSE, broken, cannot_be_sent, cause, failed, overdue},
    redact::Hider,
    resolve::{Names, Target},
    sent::{Permit, Sent},
    tls,
};
use crate::{
    controller::{
        cluster::{
            impersonate::Account,
            secrets::{SecretReader, SecretValue},
        },
        http::{headers, resolve},
    },
    egress::policy::Reach,
    model::observation::{Answer, ChildState},
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

/// In how many answers values of Secrets are looked for at once: each takes memory.
const HIDING: usize = 2;

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
    /// A caller that reaches what `reach` lets it reach, with the TLS settings of
    /// [`tls_config`](super::tls::tls_config).
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
    pub(crate) const fn secrets(&self) -> &SecretReader {
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
        let tls = tls::settings(&target, request, account, &self.secrets, &self.tls).await?;
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

#[cfg(test)]
mod tests;
