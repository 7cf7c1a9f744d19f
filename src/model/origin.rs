//! Whom a request goes to.

use std::fmt;

/// The host and port of a URL: `stock.shop.svc:80`. The text as it is where it is no URL.
#[must_use]
pub fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|parsed| {
        Some(format!("{}:{}", parsed.host_str()?, parsed.port_or_known_default()?))
    });
    host.unwrap_or_else(|| url.to_owned())
}

/// Where a URL leads, whatever its path: what one circuit breaker is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// The host in lower case; an IPv6 address in brackets.
    pub host: String,
    /// The port, also where the URL leaves it out.
    pub port: u16,
}

impl fmt::Display for Origin {
    /// `http://stock.shop.svc:80`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// The origin of a URL; `None` where it is no URL with a host.
#[must_use]
pub fn origin(url: &str) -> Option<Origin> {
    let parsed = url::Url::parse(url).ok()?;
    Some(Origin {
        scheme: parsed.scheme().to_owned(),
        host: parsed.host_str()?.to_owned(),
        port: parsed.port_or_known_default()?,
    })
}
