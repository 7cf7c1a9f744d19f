//! The destination of an HTTP request.

use std::fmt;

/// Returns the host and port of a URL, for example `stock.shop.svc:80`, or the text unchanged if it
/// is not a URL.
#[must_use]
pub fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|parsed| {
        Some(format!("{}:{}", parsed.host_str()?, parsed.port_or_known_default()?))
    });
    host.unwrap_or_else(|| url.to_owned())
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
