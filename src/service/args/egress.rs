//! The arguments that say what HTTP steps may reach. What they mean together stands in
//! [`crate::egress::policy`].

use std::net::IpAddr;

use clap::{ArgAction, Args};
use ipnet::{IpNet, Ipv4Net};

use super::value::{List, list};
use crate::egress::policy::{EgressRules, HostPattern};

/// The arguments as written. [`EgressArgs::validate`] makes [`EgressRules`] of them.
#[derive(Debug, Args)]
pub(super) struct EgressArgs {
    /// Networks that HTTP steps may reach although they are refused by default (link-local,
    /// loopback, metadata, the operator itself, the API server): comma-separated, such as
    /// `169.254.20.10,fd00:7::/64`
    #[arg(
        long = "http-allow-cidrs",
        env = "SAGA_HTTP_ALLOW_CIDRS",
        value_name = "CIDRS",
        value_parser = networks,
        action = ArgAction::Append
    )]
    allow_cidrs: Vec<List<IpNet>>,

    /// Networks that HTTP steps may never reach, whatever is allowed: comma-separated, such as
    /// `10.0.0.0/8,192.0.2.7`
    #[arg(
        long = "http-deny-cidrs",
        env = "SAGA_HTTP_DENY_CIDRS",
        value_name = "CIDRS",
        value_parser = networks,
        action = ArgAction::Append
    )]
    deny_cidrs: Vec<List<IpNet>>,

    /// The only hosts that HTTP steps may reach, as written in their URLs: comma-separated, such as
    /// `payments.shop.svc,*.example.com`; all hosts when not given
    #[arg(
        long = "http-allow-hosts",
        env = "SAGA_HTTP_ALLOW_HOSTS",
        value_name = "HOSTS",
        value_parser = hosts,
        action = ArgAction::Append
    )]
    allow_hosts: Vec<List<HostPattern>>,

    /// Hosts that HTTP steps may never reach, as written in their URLs: comma-separated, such as
    /// `*.internal.example.com`
    #[arg(
        long = "http-deny-hosts",
        env = "SAGA_HTTP_DENY_HOSTS",
        value_name = "HOSTS",
        value_parser = hosts,
        action = ArgAction::Append
    )]
    deny_hosts: Vec<List<HostPattern>>,
}

impl EgressArgs {
    /// Checks the arguments against each other.
    ///
    /// # Errors
    /// A sentence that names the arguments and says what to write.
    pub(super) fn validate(self) -> Result<EgressRules, String> {
        let Self { allow_cidrs, deny_cidrs, allow_hosts, deny_hosts } = self;
        let rules = EgressRules {
            allow_cidrs: all(allow_cidrs),
            deny_cidrs: all(deny_cidrs),
            allow_hosts: all(allow_hosts),
            deny_hosts: all(deny_hosts),
        };
        rules.check().map(|()| rules)
    }
}

fn all<T>(lists: Vec<List<T>>) -> Vec<T> {
    lists.into_iter().flat_map(|List(items)| items).collect()
}

fn networks(text: &str) -> Result<List<IpNet>, String> {
    list(text, network)
}

fn hosts(text: &str) -> Result<List<HostPattern>, String> {
    list(text, str::parse)
}

/// Parses one network, or one address as the network of only that address.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| {
        format!(
            "`{text}` is no network: write an address and a prefix, such as 10.0.0.0/8 or \
            fd00::/8, or one address, such as 10.1.2.3"
        )
    })?;
    if network.addr() != network.network() {
        return Err(format!(
            "`{text}` has bits set beyond its prefix: write {} for the network, or {} for the one \
             address",
            network.trunc(),
            network.addr()
        ));
    }
    Ok(canonical(network))
}

/// Returns an IPv4 network that is written as IPv6 (`::ffff:10.0.0.0/104`) in its IPv4 form, in
/// which addresses are compared.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let inner = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    inner
        .and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
        .map_or(network, IpNet::V4)
}
