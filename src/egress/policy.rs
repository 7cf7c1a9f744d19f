//! What an HTTP request may reach: the built-in refusals, and what the administrator allows and
//! denies.
//!
//! The first row whose condition holds decides:
//!
//! | row | condition | result |
//! |---|---|---|
//! | 1 | the host of the URL is one of `--http-deny-hosts` | refused |
//! | 2 | `--http-allow-hosts` names hosts, and the host is none of them | refused |
//! | 3 | an address of the host lies in one of `--http-deny-cidrs` | refused |
//! | 4 | the address lies in one of `--http-allow-cidrs` | allowed |
//! | 5 | the address is refused by default ([`crate::egress::address`]) | refused |
//! | 6 | none of the above | allowed |
//!
//! Row 5 refuses loopback, unspecified, link-local, multicast and broadcast addresses, the operator
//! itself, a cloud's metadata service and the API server.
//!
//! Rows 3 to 6 apply to every address that the host resolves to, and to every IPv4 address inside
//! an IPv6 address. If one address is refused, none is reached. So a deny wins over an allow, and
//! `--http-allow-hosts` lifts no refusal of an address.
//!
//! # Caveats
//! A host is judged by the name in the URL, and a service has many names: `stock.shop`,
//! `stock.shop.svc` and an alias elsewhere lead to the same addresses. `--http-deny-hosts` stops
//! only users who do not try to evade it. To make a host unreachable, deny its addresses.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::Host;

use super::address::AddressPolicy;

/// The most characters of a host name (RFC 1035, 2.3.4), without a dot at its end.
const MAX_NAME: usize = 253;
/// The most characters of a part of a name between two dots.
const MAX_LABEL: usize = 63;

/// A host, or all hosts below a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// A host name such as `payments.shop.svc`: lower case, punycode, no dot at the end.
    Name(String),
    /// Every name that ends in `.example.com`, at any depth, written `*.example.com`. `example.com`
    /// itself does not match.
    Below(String),
    /// An address that stands in a URL instead of a name. It is never an IPv4-mapped address.
    Address(IpAddr),
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        // A name with escapes is refused, although a URL would decode them: users read the pattern.
        let host = if name.contains('%') { None } else { Host::parse(name).ok() };
        match host {
            Some(Host::Domain(name)) if is_name(&name) => {
                let name = without_dot(&name).to_owned();
                Ok(if below { Self::Below(name) } else { Self::Name(name) })
            }
            Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => Err(format!(
                "`{text}` is no host: write a name, such as payments.shop.svc, or *.example.com \
                 for every name below example.com; without scheme, port and path"
            )),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl HostPattern {
    /// Returns whether the pattern matches the host of a URL. A dot at the end of the host is
    /// ignored.
    #[must_use]
    pub fn matches(&self, host: &Host<String>) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Domain(host)) => without_dot(host) == name,
            (Self::Below(name), Host::Domain(host)) => is_below(without_dot(host), name),
            (Self::Address(address), Host::Ipv4(host)) => *address == IpAddr::V4(*host),
            (Self::Address(address), Host::Ipv6(host)) => {
                *address == IpAddr::V6(*host).to_canonical()
            }
            (Self::Name(_) | Self::Below(_), Host::Ipv4(_) | Host::Ipv6(_))
            | (Self::Address(_), Host::Domain(_)) => false,
        }
    }

    /// Returns whether this pattern matches every host that `other` matches.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(name), Self::Name(inner)) => is_below(inner, name),
            (Self::Below(name), Self::Below(inner)) => name == inner || is_below(inner, name),
            (Self::Name(_) | Self::Address(_), _) | (Self::Below(_), Self::Address(_)) => {
                self == other
            }
        }
    }
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name)
        .and_then(|front| front.strip_suffix('.'))
        .is_some_and(|front| !front.is_empty())
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Returns whether a DNS server can know the host name of a URL: letters, digits, `-` and `_`, and
/// no longer than DNS allows. The URL parser accepts more names.
#[must_use]
pub fn is_name(host: &str) -> bool {
    let name = without_dot(host);
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}

/// What the administrator allows and denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRules {
    /// `--http-allow-cidrs`: networks whose addresses are allowed although they are refused by
    /// default. No bits are set beyond a prefix, and no IPv4 network is written as IPv6.
    pub allow_cidrs: Vec<IpNet>,
    /// `--http-deny-cidrs`: networks whose addresses are always refused. They have the same form as
    /// `allow_cidrs`.
    pub deny_cidrs: Vec<IpNet>,
    /// `--http-allow-hosts`: the only hosts that may be reached. If the list is empty, every host
    /// may be reached.
    pub allow_hosts: Vec<HostPattern>,
    /// `--http-deny-hosts`: hosts that are always refused. The list may hold no address.
    pub deny_hosts: Vec<HostPattern>,
}

impl EgressRules {
    /// Checks that each rule can have an effect.
    ///
    /// # Errors
    /// Returns a sentence that names the rule without effect, and says what to write.
    pub fn check(&self) -> Result<(), String> {
        for allowed in &self.allow_cidrs {
            if let Some(denied) = self.deny_cidrs.iter().find(|denied| denied.contains(allowed)) {
                return Err(format!(
                    "{allowed} of --http-allow-cidrs lies in {denied} of --http-deny-cidrs, which \
                     wins: take {allowed} out, or deny less"
                ));
            }
        }
        for allowed in &self.allow_hosts {
            if let Some(denied) = self.deny_hosts.iter().find(|denied| denied.covers(allowed)) {
                return Err(format!(
                    "{allowed} of --http-allow-hosts is denied by {denied} of --http-deny-hosts, \
                     which wins: take one of them out"
                ));
            }
        }
        let address = |pattern: &&HostPattern| matches!(pattern, HostPattern::Address(_));
        match self.deny_hosts.iter().find(address) {
            Some(address) => Err(format!(
                "{address} of --http-deny-hosts is an address, and a name could still resolve to \
                 it: write it in --http-deny-cidrs instead"
            )),
            None => Ok(()),
        }
    }
}

/// The refusal of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedHost {
    /// The host, as the URL parser gives it.
    pub host: String,
    /// The pattern that denies the host. `None` if no pattern allows the host.
    pub by: Option<HostPattern>,
}

impl fmt::Display for DeniedHost {
    /// Writes, for example: `requests may not reach pay.example.com: the administrator denies
    /// *.example.com by --http-deny-hosts`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests may not reach {}: ", self.host)?;
        match &self.by {
            Some(pattern) => write!(f, "the administrator denies {pattern} by --http-deny-hosts"),
            None => f.write_str(
                "it is none of the hosts that the administrator allows by --http-allow-hosts",
            ),
        }
    }
}

impl std::error::Error for DeniedHost {}

/// The hosts and addresses that an HTTP request may reach.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    allow_hosts: Vec<HostPattern>,
    deny_hosts: Vec<HostPattern>,
    /// The rules for addresses: rows 3 to 6 of the table above.
    pub addresses: AddressPolicy,
}

impl EgressPolicy {
    /// Creates the policy that `rules` describe. `api_server` holds the addresses of the API
    /// server.
    #[must_use]
    pub fn new(rules: EgressRules, api_server: impl IntoIterator<Item = IpAddr>) -> Self {
        let EgressRules { allow_cidrs, deny_cidrs, allow_hosts, deny_hosts } = rules;
        Self {
            allow_hosts,
            deny_hosts,
            addresses: AddressPolicy::new(allow_cidrs, api_server).denying(deny_cidrs),
        }
    }

    /// Returns the same policy with `addresses` as the addresses of the operator itself.
    #[must_use]
    pub fn operator_at(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { addresses: self.addresses.operator_at(addresses), ..self }
    }

    /// Decides whether the host of a URL may be reached, before its addresses are resolved: rows 1
    /// and 2.
    ///
    /// # Errors
    /// Returns [`DeniedHost`] if the host is refused.
    pub fn check_host(&self, host: &Host<String>) -> Result<(), DeniedHost> {
        let denied = |by| Err(DeniedHost { host: host.to_string(), by });
        if let Some(pattern) = self.deny_hosts.iter().find(|pattern| pattern.matches(host)) {
            return denied(Some(pattern.clone()));
        }
        if !self.allow_hosts.is_empty()
            && !self.allow_hosts.iter().any(|pattern| pattern.matches(host))
        {
            return denied(None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
