//! The way from a URL to the addresses that the operator may connect to.
//!
//! # Guarantees
//! The host is resolved once. If any of its addresses is refused, no address is used: a name with
//! both a service address and a loopback address is refused as a whole. A host that is refused by
//! its name is not resolved at all. A look-up that hangs counts in [`Lookups`] until it ends.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use tokio::task::spawn_blocking;
use url::Host;

use super::{
    lookups::{LookupPermit, Lookups},
    outcome::{CallOutcome, failed, failed_permanently},
};
use crate::{
    egress::{
        address::AddressPolicy,
        policy::{EgressPolicy, is_name},
    },
    text::bounded_line,
};

/// The most characters of a host name or an error that a message shows.
const MAX_SHOWN: usize = 200;

/// Resolves a host name to all its addresses, with the given port. The permit is held until the
/// look-up has ended, even if the future is dropped before.
pub(super) type Names = Arc<
    dyn Fn(String, u16, LookupPermit) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>
        + Send
        + Sync,
>;

/// Returns the resolver of this machine. It follows `/etc/hosts` and `/etc/resolv.conf`.
pub(super) fn system() -> Names {
    blocking(|name, port| (name, port).to_socket_addrs().map(Iterator::collect))
}

/// Returns a resolver that calls `look_up` on a thread where it may block. The thread cannot be
/// interrupted, so the thread itself holds the permit.
fn blocking(
    look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Clone + Send + Sync + 'static,
) -> Names {
    Arc::new(move |name, port, permit| {
        let look_up = look_up.clone();
        let work = spawn_blocking(move || {
            let _permit = permit;
            look_up(&name, port)
        });
        async move { work.await.map_err(io::Error::other)? }.boxed()
    })
}

/// What a look-up for an HTTP request needs.
pub(super) struct Resolver<'a> {
    /// Resolves names.
    pub(super) names: &'a Names,
    /// The limits on look-ups.
    pub(super) lookups: &'a Arc<Lookups>,
    /// The namespace of the saga.
    pub(super) namespace: &'a str,
    /// Is true while the HTTP request waits for a permit.
    pub(super) waits: &'a AtomicBool,
}

/// Resolves a host name as soon as a look-up may begin.
async fn resolved(resolver: &Resolver<'_>, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    resolver.waits.store(true, Ordering::Release);
    let permit = resolver.lookups.acquire(resolver.namespace).await;
    resolver.waits.store(false, Ordering::Release);
    (resolver.names)(name, port, permit).await
}

/// The checked destination of an HTTP request.
#[derive(Debug)]
pub(super) struct Destination {
    /// The URL.
    pub(super) url: Url,
    /// The host and port for messages, such as `stock.shop.svc:80`.
    pub(super) host: String,
    addresses: Vec<SocketAddr>,
}

impl Destination {
    /// Returns a resolver that answers every name with the checked addresses.
    pub(super) fn pinned(&self) -> Pinned {
        Pinned(self.addresses.clone())
    }
}

/// A resolver that knows only the checked addresses. Whatever name the client resolves, the client
/// cannot connect to another address.
#[derive(Debug)]
pub(super) struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(async move { Ok(addresses) })
    }
}

/// Checks the host of `url`, resolves the host and checks each of its addresses.
pub(super) async fn target(
    url: &str,
    egress: &EgressPolicy,
    resolver: &Resolver<'_>,
) -> Result<Destination, CallOutcome> {
    let Parsed { url, host, port } = parse(url)?;
    let shown = bounded_line(&format!("{host}:{port}"), MAX_SHOWN);
    egress
        .check_host(&host)
        .map_err(|denied| failed_permanently(bounded_line(&denied.to_string(), 2 * MAX_SHOWN)))?;
    let addresses = match host {
        // The client connects to a literal address without calling its resolver.
        Host::Ipv4(ip) => vec![SocketAddr::new(IpAddr::V4(ip), port)],
        Host::Ipv6(ip) => vec![SocketAddr::new(IpAddr::V6(ip), port)],
        Host::Domain(name) => resolved(resolver, name, port).await.map_err(|error| {
            let error = bounded_line(&error.to_string(), MAX_SHOWN);
            failed(format!("the host of {shown} cannot be resolved: {error}"))
        })?,
    };
    check(&shown, &addresses, &egress.addresses)?;
    Ok(Destination { url, host: shown, addresses })
}

/// A valid URL with its host and port.
struct Parsed {
    url: Url,
    host: Host<String>,
    port: u16,
}

fn parse(url: &str) -> Result<Parsed, CallOutcome> {
    let wrong = |what: &str| {
        failed_permanently(format!("the url {what}: write http:// or https://, a host and a path"))
    };
    let url = Url::parse(url).map_err(|error| wrong(&format!("is malformed ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds a user name or password, which belong in an Authorization header from a Secret",
        ));
    }
    let (Some(host), Some(port)) =
        (url.host().map(|host| host.to_owned()), url.port_or_known_default())
    else {
        return Err(wrong("has no host"));
    };
    if matches!(&host, Host::Domain(name) if !is_name(name)) {
        return Err(wrong("names a host that no name server can know"));
    }
    if port == 0 {
        return Err(wrong("has the port 0, at which nobody listens"));
    }
    Ok(Parsed { url, host, port })
}

fn check(host: &str, addresses: &[SocketAddr], policy: &AddressPolicy) -> Result<(), CallOutcome> {
    if addresses.is_empty() {
        return Err(failed(format!("the host of {host} has no address")));
    }
    for address in addresses {
        policy
            .check(address.ip())
            .map_err(|denied| failed_permanently(format!("{host}: {denied}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )]

    use futures::future::join_all;

    use super::*;
    use crate::{
        api::limits::MAX_LOOKUPS_PER_NAMESPACE, controller::http::outcome::fixture::nothing_reached,
    };

    /// The message of a permanent failure.
    fn refused(outcome: &CallOutcome) -> String {
        let (permanent, message) = nothing_reached(outcome);
        assert!(permanent, "{message}");
        message.to_owned()
    }

    /// The message of a failure after which a retry may help.
    fn passing(outcome: &CallOutcome) -> String {
        let (permanent, message) = nothing_reached(outcome);
        assert!(!permanent, "{message}");
        message.to_owned()
    }

    /// What a saga of this namespace reaches by the resolver of this machine.
    async fn reached(url: &str) -> Result<Destination, CallOutcome> {
        let resolver = Resolver {
            names: &system(),
            lookups: &Arc::default(),
            namespace: "shop",
            waits: &AtomicBool::new(false),
        };
        target(url, &EgressPolicy::default(), &resolver).await
    }

    #[tokio::test]
    async fn what_is_no_plain_url_is_refused() {
        let wrong = [
            "",
            "stock.shop.svc",
            "//stock.shop.svc/",
            "ftp://stock.shop.svc/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "data:,x",
            "unix:/run/x",
            "http://",
            "http://user@10.0.0.1/",
            "http://user:s3cret@10.0.0.1/",
            "http://:s3cret@10.0.0.1/",
            "http://[fe80::1%25eth0]/",
            "http://10.0.0.1:99999/",
            "http://256.0.0.1/",
            "http://a b/",
            "http://4294967296/",
        ];
        for url in wrong {
            let message = refused(&reached(url).await.unwrap_err());
            assert!(
                message.starts_with("the url ") && !message.contains("s3cret"),
                "{url}: {message}"
            );
        }
    }

    #[tokio::test]
    async fn names_of_this_host_are_refused_by_what_they_resolve_to() {
        for url in ["http://localhost/", "http://LOCALHOST:8080/"] {
            let message = refused(&reached(url).await.unwrap_err());
            assert!(message.contains("a loopback address"), "{url}: {message}");
        }
    }

    #[tokio::test]
    async fn an_unknown_host_may_be_known_later() {
        let message = passing(&reached("http://no-such-host.invalid/").await.unwrap_err());
        assert!(
            message.starts_with("the host of no-such-host.invalid:80 cannot be resolved"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn services_are_reached_at_the_port_of_the_url() {
        for (url, address) in [
            ("http://10.0.0.1/", "10.0.0.1:80"),
            ("https://10.0.0.1/", "10.0.0.1:443"),
            ("https://10.0.0.1:80/", "10.0.0.1:80"),
            ("http://[fd00::7]:8080/", "[fd00::7]:8080"),
        ] {
            assert_eq!(reached(url).await.unwrap().addresses, [address.parse().unwrap()], "{url}");
        }
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let addresses =
            |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let policy = AddressPolicy::default();
        assert_eq!(check("a:80", &addresses(&["10.0.0.1:80", "10.0.0.2:80"]), &policy), Ok(()));
        for mixed in [["10.0.0.1:80", "127.0.0.1:80"], ["[::ffff:a9fe:a9fe]:80", "10.0.0.1:80"]] {
            refused(&check("a:80", &addresses(&mixed), &policy).unwrap_err());
        }
        let none = passing(&check("a:80", &[], &policy).unwrap_err());
        assert_eq!(none, "the host of a:80 has no address");
    }

    #[tokio::test]
    async fn every_name_leads_to_the_checked_addresses() {
        let checked = reached("http://10.0.0.1:81/").await.unwrap();
        let found = checked
            .pinned()
            .resolve("other.example".parse().unwrap())
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.collect::<Vec<_>>(), ["10.0.0.1:81".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_look_up_counts_until_it_ends_although_nobody_waits_for_it() {
        let (answer, answered) = std::sync::mpsc::channel::<()>();
        let answered = Arc::new(std::sync::Mutex::new(answered));
        let names = blocking(move |_, _| {
            // The name server answers when the test says so.
            let _ = answered.lock().unwrap().recv();
            Ok(Vec::new())
        });
        let (lookups, waits) = (Arc::<Lookups>::default(), AtomicBool::new(false));
        let resolver =
            Resolver { names: &names, lookups: &lookups, namespace: "shop", waits: &waits };
        let (egress, url) = (EgressPolicy::default(), "http://stock.example/");
        let calls = (0..MAX_LOOKUPS_PER_NAMESPACE).map(|_| target(url, &egress, &resolver));
        // Every call gives up at once.
        assert!(join_all(calls).now_or_never().is_none());
        assert_eq!(lookups.usage().in_use, MAX_LOOKUPS_PER_NAMESPACE);
        let mut next = Box::pin(target(url, &egress, &resolver));
        assert!((&mut next).now_or_never().is_none());
        assert!(waits.load(Ordering::Acquire), "all look-ups of the namespace hang");
        // One look-up ends, and the next begins.
        answer.send(()).unwrap();
        while lookups.usage().waiting > 0 {
            tokio::task::yield_now().await;
        }
        assert!((&mut next).now_or_never().is_none());
        assert!(!waits.load(Ordering::Acquire));
        assert_eq!(lookups.usage().in_use, MAX_LOOKUPS_PER_NAMESPACE);
        drop(answer);
        let message = passing(&next.await.unwrap_err());
        assert_eq!(message, "the host of stock.example:80 has no address");
    }
}
