//! One HTTP request: it is sent once, is bounded in time and size, and is judged by its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{Client, Response, header::RETRY_AFTER};
use rustls::ClientConfig;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};
use tower::util::AndThenLayer;

use super::{
    headers::{Headers, of_answer},
    lookups::Lookups,
    outcome::{
        CallOutcome, MAX_CAUSE, broken, cannot_be_sent, cause, failed_permanently, not_looked_up,
        overdue, too_large,
    },
    redact::Redactor,
    resolve::{Destination, Names, Resolver},
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
        turns::Turns,
    },
    coordination::shares::Bounds,
    egress::policy::EgressPolicy,
    model::observation::{Answer, End},
    objects::http::{request::HttpRequest, verdict::wait},
    text::bounded_line,
};

/// The longest time that connecting may take, including TLS.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// The most headers that an answer may have. An answer with more is treated as a broken connection.
const MAX_HEADERS: usize = 100;
/// The most bytes of all headers of an answer. An answer with more is treated as a broken
/// connection. hyper reads up to 408 KiB before the head is complete, and reqwest offers no way to
/// pass hyper a smaller bound: until then this bound does not help.
const MAX_HEAD: usize = 64 * 1024;
/// The most bytes of a body that are read.
const MAX_BODY: usize = 64 * 1024;

/// The most answers that are searched for secret values at once, because each search takes memory.
const HIDING: Bounds = Bounds { all: 2, namespace: 2, contended: 1 };

/// Sends HTTP requests.
#[derive(Clone)]
pub struct HttpCaller {
    egress: Arc<EgressPolicy>,
    names: Names,
    lookups: Arc<Lookups>,
    tls: ClientConfig,
    secrets: SecretReader,
    hiding: Turns,
}

impl HttpCaller {
    /// Creates a caller that connects only to what `egress` allows, with the TLS settings of
    /// [`tls_config`](super::tls::tls_config).
    #[must_use]
    pub fn new(egress: EgressPolicy, tls: ClientConfig, secrets: SecretReader) -> Self {
        Self {
            egress: Arc::new(egress),
            names: resolve::system(),
            lookups: Arc::default(),
            tls,
            secrets,
            hiding: Turns::new(HIDING),
        }
    }

    /// Returns the reader of Secrets.
    pub(in crate::controller) const fn secrets(&self) -> &SecretReader {
        &self.secrets
    }

    /// Returns the limits on name look-ups.
    pub(in crate::controller) const fn lookups(&self) -> &Arc<Lookups> {
        &self.lookups
    }

    /// Sends `request` once and waits for its answer, for at most `time_limit` in all. Headers and
    /// certificates are read as `account`. `now` is the current instant. `sent` is new for each
    /// call. If `permit` is denied, nothing is sent and the outcome is Failed with nothing reached.
    ///
    /// The outcome depends on the event:
    /// - If an answer came, the outcome is Answered. The engine decides what the answer means.
    /// - If the URL, a header, an address, the certificates or a missing right forbid the HTTP
    ///   request, the outcome is a permanent Failed with nothing reached.
    /// - If the host, Secret, ConfigMap or key does not exist, or the connection was too slow, was
    ///   refused or failed in TLS, the outcome is Failed with nothing reached, and a retry follows.
    /// - If the time limit passed while the request waited for its turn to look up a name, the
    ///   outcome is Failed with nothing reached, and costs no attempt.
    /// - If the API server cannot give the Secret at the moment, the outcome is Refused.
    /// - If the connection was made, and then broke or ran out of time, the outcome is Unknown.
    pub async fn call(
        &self,
        request: &HttpRequest,
        account: Account<'_>,
        time_limit: Duration,
        now: Timestamp,
        sent: &Sent,
        permit: Permit,
    ) -> CallOutcome {
        let (begun, waits) = (Instant::now(), AtomicBool::new(false));
        let Ok(answer) =
            timeout(time_limit, self.send(request, account, time_limit, sent, permit, &waits))
                .await
        else {
            let waits = waits.load(Ordering::Acquire);
            return if waits { not_looked_up(time_limit) } else { overdue(time_limit, sent) };
        };
        let (mut response, secrets) = match answer {
            Ok(answer) => answer,
            Err(state) => return state,
        };
        let _first = sent.1.set(response.status().as_u16());
        let answered_at = now.saturating_add(begun.elapsed()).unwrap_or(now);
        let mut body = Vec::new();
        // The status alone decides, whether or not the whole body came, unless the step reads more
        // of the answer.
        let left = time_limit.saturating_sub(begun.elapsed());
        let whole = timeout(left, read(&mut response, &mut body)).await.unwrap_or_default();
        let (status, headers) =
            (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| wait(value, answered_at));
        let hidden = move |redactor: &Redactor| {
            (of_answer(&headers, redactor), redactor.body(&String::from_utf8_lossy(&body)))
        };
        let (headers, (body, text)) = self.redact(account.namespace, secrets, hidden).await;
        CallOutcome::Ended(End::Answered(Arc::new(Answer {
            status,
            headers,
            body,
            text,
            whole,
            retry_after,
        })))
    }

    /// Runs `redact` with a redactor of `secrets`, on a thread where no other task waits for it.
    /// `namespace`: the namespace of the saga.
    async fn redact<T: Send + 'static>(
        &self,
        namespace: &str,
        secrets: Vec<SecretValue>,
        redact: impl FnOnce(&Redactor) -> T + Send + 'static,
    ) -> T {
        if secrets.is_empty() {
            return redact(&Redactor::new(&[]));
        }
        // The work owns the permit, because the work continues after a call is dropped.
        let turn = self.hiding.take(namespace).await;
        let work = spawn_blocking(move || {
            let _turn = turn;
            redact(&Redactor::new(&secrets))
        });
        match work.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(hidden) => hidden,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and nothing waits for the result.
            Err(Err(_cancelled)) => std::future::pending().await,
        }
    }

    /// Returns the text of an error for a message, without `secrets`: see [`cause`].
    async fn shown(
        &self,
        namespace: &str,
        error: &reqwest::Error,
        secrets: Vec<SecretValue>,
    ) -> String {
        let cause = cause(error);
        let redact = move |redactor: &Redactor| redactor.redact(&cause).into_owned();
        let hidden = self.redact(namespace, secrets, redact).await;
        bounded_line(&hidden, MAX_CAUSE)
    }

    /// Sends the HTTP request and waits for the head of the answer. Also returns the secret values
    /// that were sent. `waits` is true while the request waits for its turn to look up a name.
    async fn send(
        &self,
        request: &HttpRequest,
        account: Account<'_>,
        time_limit: Duration,
        sent: &Sent,
        permit: Permit,
        waits: &AtomicBool,
    ) -> Result<(Response, Vec<SecretValue>), CallOutcome> {
        let resolver = Resolver {
            names: &self.names,
            lookups: &self.lookups,
            namespace: account.namespace,
            waits,
        };
        let target = resolve::target(&request.url, &self.egress, &resolver).await?;
        let Headers { map, secrets } = headers::headers(request, account, &self.secrets).await?;
        let tls = tls::settings(&target, request, account, &self.secrets, &self.tls).await?;
        let host = target.host.clone();
        let client = match client(tls, &target, time_limit.min(MAX_CONNECT), sent, permit) {
            Ok(client) => client,
            Err(error) => {
                let shown = self.shown(account.namespace, &error, secrets).await;
                return Err(cannot_be_sent(&shown));
            }
        };
        let method = request
            .method
            .as_str()
            .parse()
            .map_err(|_| failed_permanently("the method cannot be sent".into()))?;
        let mut outgoing = client.request(method, target.url).headers(map);
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        match outgoing.send().await {
            Ok(response) if head_size(&response) > MAX_HEAD => Err(too_large(&host, MAX_HEAD)),
            Ok(response) => Ok((response, secrets)),
            Err(error) => {
                let shown = self.shown(account.namespace, &error, secrets).await;
                Err(broken(&error, &host, sent, &shown))
            }
        }
    }
}

/// Returns the size of the headers of an answer, in bytes.
fn head_size(response: &Response) -> usize {
    let lines = response.headers().iter();
    // Each line has a colon, a space and a line break besides.
    lines.map(|(name, value)| name.as_str().len().saturating_add(value.len() + 4)).sum()
}

/// Creates a client for one attempt at one target.
fn client(
    tls: ClientConfig,
    target: &Destination,
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

/// Reads the body into `into` until it ends, breaks off or exceeds [`MAX_BODY`]. Returns whether
/// the whole body was read.
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
