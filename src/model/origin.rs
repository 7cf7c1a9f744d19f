//! The destination of an HTTP request.

use std::fmt;

/// Returns the host of a URL without its port, for example `stock.shop.svc`, or the text unchanged
/// if it is not a URL.
#[must_use]
pub fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    parsed.as_ref().and_then(url::Url::host_str).unwrap_or(url).to_owned()
}

/// Returns whether the host of a URL is a name, so that a connection needs a look-up of the name.
#[must_use]
pub fn has_name(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.host(), Some(url::Host::Domain(_))))
}

/// The destination of a URL without its path. Each origin has one breaker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// The host in lower case. An IPv6 address is in brackets.
    pub host: String,
    /// The port. If the URL has none, the default port of the scheme.
    pub port: u16,
}

impl fmt::Display for Origin {
    /// Writes the origin as `http://stock.shop.svc:80`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Returns the origin of a URL; `None` if the text is not a URL with a host.
#[must_use]
pub fn origin(url: &str) -> Option<Origin> {
    let parsed = url::Url::parse(url).ok()?;
    Some(Origin {
        scheme: parsed.scheme().to_owned(),
        host: parsed.host_str()?.to_owned(),
        port: parsed.port_or_known_default()?,
    })
}
