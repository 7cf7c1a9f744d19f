//! The addresses that an HTTP request may reach.
//!
//! # Guarantees
//! The policy refuses this host (loopback, unspecified, the operator's Pod), the link (link-local),
//! groups (multicast, broadcast), the metadata services of clouds, and the API server. A metadata
//! service gives credentials to every caller. The policy does not refuse what the administrator
//! allows, unless the administrator also denies it. If an IPv6 address carries an IPv4 address, the
//! policy judges the IPv4 address too: a rule that allows the IPv6 address does not allow the IPv4
//! address. [`crate::egress::policy`] gives the order of the rules.
//!
//! # Caveats
//! - Private ranges are allowed, because the services of a cluster use them. A `NetworkPolicy` can
//!   narrow them.
//! - The policy knows the API server and the operator only by the addresses that it is given. It
//!   does not know the nodes behind the API server's Service, nor the Service in front of the
//!   operator: the administrator denies their addresses.
//! - A NAT64 prefix that a network chose itself (RFC 6052, 2.2) looks like any other IPv6 address.
//!   The policy does not search such an address for an IPv4 address: the administrator denies the
//!   prefix.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// The addresses outside `169.254.0.0/16` and `fe80::/10` at which a cloud serves metadata or
/// credentials.
const METADATA: [(IpAddr, &str); 10] = [
    // Azure, "What is IP address 168.63.129.16?"
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), "Azure"),
    // Alibaba Cloud ECS, instance metadata.
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), "Alibaba Cloud"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200)), "Alibaba Cloud"),
    // Oracle Cloud Infrastructure Classic; Oracle Cloud Infrastructure over IPv6, as in Oracle's
    // SDKs.
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), "Oracle Cloud"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)), "Oracle Cloud"),
    // Amazon EC2, "Access instance metadata for an EC2 instance"; Amazon EKS, "Set up the Amazon
    // EKS Pod Identity Agent".
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), "AWS"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)), "AWS"),
    // Compute Engine, metadata server of instances that have only IPv6.
    (IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), "Google Cloud"),
    // cloud-init, data source "Scaleway".
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)), "Scaleway"),
    // Akamai (Linode), Metadata service over IPv6.
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)), "Akamai"),
];

/// The networks that the administrator allows and denies, and the addresses of the API server and
/// of the operator itself.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    api_server: Vec<IpAddr>,
    operator: Vec<IpAddr>,
}

/// The refusal of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The address that the HTTP request would reach. An IPv4-mapped address is given as IPv4.
    pub address: IpAddr,
    /// The refused IPv4 address inside `address`. `None` if `address` itself is refused.
    pub carries: Option<Ipv4Addr>,
    /// Why the address is refused.
    pub reason: Reason,
}

/// The reason why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `127.0.0.0/8`, `::1` (RFC 6890).
    Loopback,
    /// `0.0.0.0/8`, `::` (RFC 6890). Linux connects them to this host.
    Unspecified,
    /// `169.254.0.0/16`, `fe80::/10` (RFC 3927, RFC 4291). Clouds serve metadata there.
    LinkLocal,
    /// A cloud's metadata service outside the link-local ranges, with the name of the cloud.
    Metadata(&'static str),
    /// `224.0.0.0/4`, `ff00::/8` (RFC 5771, RFC 4291).
    Multicast,
    /// `255.255.255.255` (RFC 919).
    Broadcast,
    /// The Kubernetes API server.
    ApiServer,
    /// The operator's own Pod. It tells every caller what the operator does in other namespaces.
    Operator,
    /// A network that the administrator denies.
    Network(IpNet),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("a loopback address"),
            Self::Unspecified => f.write_str("an unspecified address"),
            Self::LinkLocal => f.write_str("a link-local address"),
            Self::Metadata(cloud) => write!(f, "an address of {cloud}'s metadata services"),
            Self::Multicast => f.write_str("a multicast address"),
            Self::Broadcast => f.write_str("the broadcast address"),
            Self::ApiServer => f.write_str("an address of the Kubernetes API server"),
            Self::Operator => f.write_str("an address of the operator itself"),
            Self::Network(network) => write!(f, "in {network}"),
        }
    }
}

impl fmt::Display for Denied {
    /// Writes, for example: `requests may not reach 127.0.0.1: it is a loopback address; the
    /// administrator can allow it by --http-allow-cidrs`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, carries, reason } = self;
        write!(f, "requests may not reach {address}: it ")?;
        match carries {
            Some(inner) => write!(f, "carries {inner}, {reason}")?,
            None => write!(f, "is {reason}")?,
        }
        match (reason, carries) {
            (Reason::Network(_), _) => {
                f.write_str(", which the administrator denies by --http-deny-cidrs")
            }
            (_, Some(inner)) => {
                write!(f, "; the administrator can allow {inner} by --http-allow-cidrs")
            }
            (_, None) => f.write_str("; the administrator can allow it by --http-allow-cidrs"),
        }
    }
}

impl std::error::Error for Denied {}

impl AddressPolicy {
    /// Creates a policy that allows the networks in `allowed`, even if the built-in rules refuse
    /// them. `api_server` holds the addresses of the API server. An IPv4-mapped IPv6 address counts
    /// as IPv4: a network that allows such addresses is written as IPv4.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>, api_server: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            allowed,
            api_server: api_server.into_iter().map(|ip| ip.to_canonical()).collect(),
            ..Self::default()
        }
    }

    /// Returns the same policy with `addresses` as the addresses of the operator itself.
    #[must_use]
    pub fn operator_at(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { operator: addresses.into_iter().map(|ip| ip.to_canonical()).collect(), ..self }
    }

    /// Returns the same policy with `denied` as its denied networks. They are refused even if they
    /// are allowed.
    #[must_use]
    pub fn denying(self, denied: Vec<IpNet>) -> Self {
        Self { denied, ..self }
    }

    /// Decides whether an HTTP request may reach `ip`.
    ///
    /// # Errors
    /// Returns [`Denied`] if the HTTP request may not reach `ip`.
    pub fn check(&self, ip: IpAddr) -> Result<(), Denied> {
        let address = ip.to_canonical();
        let inner = match address {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(outer) => embedded(outer),
        };
        let carried = inner.into_iter().map(|inner| (IpAddr::V4(inner), Some(inner)));
        let refused =
            std::iter::once((address, None)).chain(carried).find_map(|(judged, carries)| {
                self.refusal(judged).map(|reason| Denied { address, carries, reason })
            });
        refused.map_or(Ok(()), Err)
    }

    /// Returns why `ip` itself is refused. The function ignores an IPv4 address inside `ip`.
    fn refusal(&self, ip: IpAddr) -> Option<Reason> {
        let denied =
            self.denied.iter().find(|net| net.contains(&ip)).map(|net| Reason::Network(*net));
        denied.or_else(|| if self.allows(ip) { None } else { self.reason(ip) })
    }

    fn allows(&self, ip: IpAddr) -> bool {
        self.allowed.iter().any(|net| net.contains(&ip))
    }

    fn reason(&self, ip: IpAddr) -> Option<Reason> {
        if self.api_server.contains(&ip) {
            return Some(Reason::ApiServer);
        }
        if self.operator.contains(&ip) {
            return Some(Reason::Operator);
        }
        if let Some((_, cloud)) = METADATA.iter().find(|(address, _)| *address == ip) {
            return Some(Reason::Metadata(cloud));
        }
        let (unspecified, link_local, broadcast) = match ip {
            IpAddr::V4(v4) => {
                (v4.octets().starts_with(&[0]), v4.is_link_local(), v4.is_broadcast())
            }
            IpAddr::V6(v6) => (v6.is_unspecified(), v6.is_unicast_link_local(), false),
        };
        let special = [
            (ip.is_loopback(), Reason::Loopback),
            (unspecified, Reason::Unspecified),
            (link_local, Reason::LinkLocal),
            (ip.is_multicast(), Reason::Multicast),
            (broadcast, Reason::Broadcast),
        ];
        special.into_iter().find_map(|(is, reason)| is.then_some(reason))
    }
}

/// Returns the IPv4 addresses that an IPv6 address may stand for. IPv4-mapped addresses are not
/// handled here: [`IpAddr::to_canonical`] has already turned them into IPv4.
fn embedded(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let segments = ip.segments();
    let mut found = match segments {
        // `::` and `::1` match the next pattern, but carry no IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible (RFC 4291, 2.5.5.1) and IPv4-translated (RFC 2765, 2.1), NAT64 (RFC 6052,
        // 2.1), 6to4 (RFC 3056, 2).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => vec![v4(high, low)],
        [0x64, 0xff9b, 1, ..] => local_nat64(ip),
        // Teredo: its server, and its client with every bit inverted (RFC 4380, 4).
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            vec![v4(server_high, server_low), v4(!high, !low)]
        }
        _ => Vec::new(),
    };
    // ISATAP, under any prefix (RFC 5214, 6.1).
    if let [_, _, _, _, 0 | 0x200, 0x5efe, high, low] = segments {
        found.push(v4(high, low));
    }
    found
}

/// Returns the IPv4 addresses that a NAT64 address for local use may carry, `64:ff9b:1::/48` (RFC
/// 8215). The address does not say how long its prefix is, so the function reads every place that
/// RFC 6052, 2.2 gives. A place that begins with zero is padding of another form.
fn local_nat64(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, _, _, _, _, _, o6, o7, _, o9, o10, o11, o12, o13, o14, o15] = ip.octets();
    let places = [[o6, o7, o9, o10], [o7, o9, o10, o11], [o9, o10, o11, o12], [o12, o13, o14, o15]];
    places.into_iter().filter(|place| !place.starts_with(&[0])).map(Ipv4Addr::from).collect()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
    }

    fn policy(allowed: &[&str]) -> AddressPolicy {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        AddressPolicy::new(allowed, [ip("10.96.0.1"), ip("::ffff:172.18.0.2"), ip("fd00:10:96::1")])
            .operator_at([ip("10.244.1.7"), ip("::ffff:10.244.1.8"), ip("fd00:10:244::7")])
    }

    #[test]
    fn what_is_special_is_refused() {
        let cases = [
            ("127.0.0.1", Reason::Loopback),
            ("127.255.255.254", Reason::Loopback),
            ("::1", Reason::Loopback),
            ("0.0.0.0", Reason::Unspecified),
            ("0.1.2.3", Reason::Unspecified),
            ("::", Reason::Unspecified),
            ("169.254.169.254", Reason::LinkLocal),
            ("169.254.170.23", Reason::LinkLocal),
            ("169.254.0.0", Reason::LinkLocal),
            ("169.254.255.255", Reason::LinkLocal),
            ("fe80::1", Reason::LinkLocal),
            ("fe80::a9fe:a9fe", Reason::LinkLocal),
            ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::LinkLocal),
            ("168.63.129.16", Reason::Metadata("Azure")),
            ("100.100.100.200", Reason::Metadata("Alibaba Cloud")),
            ("fd00:100::100:200", Reason::Metadata("Alibaba Cloud")),
            ("192.0.0.192", Reason::Metadata("Oracle Cloud")),
            ("fd00:c1::a9fe:a9fe", Reason::Metadata("Oracle Cloud")),
            ("fd00:ec2::254", Reason::Metadata("AWS")),
            ("fd00:ec2::23", Reason::Metadata("AWS")),
            ("fd20:ce::254", Reason::Metadata("Google Cloud")),
            ("fd00:42::42", Reason::Metadata("Scaleway")),
            ("fd00:a9fe:a9fe::1", Reason::Metadata("Akamai")),
            ("224.0.0.1", Reason::Multicast),
            ("239.255.255.255", Reason::Multicast),
            ("ff02::1", Reason::Multicast),
            ("255.255.255.255", Reason::Broadcast),
            ("10.96.0.1", Reason::ApiServer),
            ("172.18.0.2", Reason::ApiServer),
            ("fd00:10:96::1", Reason::ApiServer),
            ("10.244.1.7", Reason::Operator),
            ("10.244.1.8", Reason::Operator),
            ("fd00:10:244::7", Reason::Operator),
        ];
        for (text, reason) in cases {
            assert_eq!(
                policy(&[]).check(ip(text)),
                Err(Denied { address: ip(text), carries: None, reason }),
                "{text}"
            );
        }
    }

    #[test]
    fn services_and_the_world_are_reached() {
        let reached = [
            "10.96.0.2",
            "10.244.1.9",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.201",
            "198.18.0.1",
            "240.0.0.1",
            "8.8.8.8",
            "128.0.0.1",
            "126.255.255.255",
            "169.253.255.255",
            "169.255.0.0",
            "1.0.0.0",
            "223.255.255.255",
            "fd00:10:96::2",
            "fc00::1",
            "2606:4700::1111",
            "fec0::1",
            "fe00::1",
            "fd00:ec2::253",
            "2001:db8::7f00:1",
            "::ffff:10.1.2.3",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::10.1.2.3",
            "2002:808:808::1",
            "2001:db8::5efe:10.1.2.3",
        ];
        for text in reached {
            assert_eq!(policy(&[]).check(ip(text)), Ok(()), "{text}");
        }
    }

    /// Tries every way to write an IPv4 address inside an IPv6 address, for every refused IPv4
    /// address.
    #[test]
    fn no_disguise_helps() {
        let refused = [
            "127.0.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "224.0.0.251",
            "255.255.255.255",
            "10.96.0.1",
            "172.18.0.2",
            "10.244.1.7",
        ];
        for text in refused {
            let IpAddr::V4(inner) = ip(text) else { panic!("{text} is IPv4") };
            let [a, b, c, d] = inner.octets();
            let (na, nb, nc, nd) = (!a, !b, !c, !d);
            let disguises = [
                ("IPv4-compatible", format!("::{inner}")),
                ("IPv4-translated", format!("::ffff:0:{inner}")),
                ("NAT64", format!("64:ff9b::{inner}")),
                ("NAT64 /96 for local use", format!("64:ff9b:1::{inner}")),
                ("NAT64 /96 for local use, other subnet", format!("64:ff9b:1:abcd::{inner}")),
                (
                    "NAT64 /64 for local use",
                    format!("64:ff9b:1:abcd:{a:x}:{b:02x}{c:02x}:{d:02x}00:0"),
                ),
                ("NAT64 /56 for local use", format!("64:ff9b:1:ab{a:02x}:{b:x}:{c:02x}{d:02x}::")),
                ("NAT64 /48 for local use", format!("64:ff9b:1:{a:02x}{b:02x}:{c:x}:{d:02x}00::")),
                ("6to4", format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1")),
                (
                    "Teredo client",
                    format!("2001:0:808:808:0:ffff:{na:02x}{nb:02x}:{nc:02x}{nd:02x}"),
                ),
                ("Teredo server", format!("2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}:0:ffff:f7f7:f7f7")),
                ("ISATAP", format!("2001:db8::5efe:{inner}")),
                ("ISATAP, universal", format!("2001:db8::200:5efe:{inner}")),
                ("ISATAP in 6to4", format!("2002:808:808::5efe:{inner}")),
            ];
            for (form, disguise) in disguises {
                let denied = policy(&[]).check(ip(&disguise)).expect_err(form);
                assert_eq!(
                    (denied.address, denied.carries),
                    (ip(&disguise), Some(inner)),
                    "{form} {disguise}"
                );
            }
            let mapped =
                policy(&[]).check(ip(&format!("::ffff:{inner}"))).expect_err("IPv4-mapped");
            assert_eq!(mapped.address, ip(text), "judged and shown as what it is");
        }
    }

    #[test]
    fn what_the_administrator_names_is_reached_and_nothing_beside_it() {
        let policy = policy(&["127.0.0.0/8", "169.254.20.10/32", "fe80::/64", "10.96.0.1/32"]);
        for text in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "169.254.20.10",
            "fe80::1",
            "10.96.0.1",
        ] {
            assert_eq!(policy.check(ip(text)), Ok(()), "{text}");
        }
        for text in
            ["::1", "169.254.169.254", "fe80:0:0:1::1", "172.18.0.2", "64:ff9b::169.254.169.254"]
        {
            assert!(policy.check(ip(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn allowing_all_of_ipv6_does_not_open_ipv4_in_disguise() {
        let policy = policy(&["::/0"]);
        for text in [
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "fd00::5efe:127.0.0.1",
            "::127.0.0.1",
        ] {
            assert!(policy.check(ip(text)).is_err(), "{text}");
        }
        for text in ["::1", "::", "fe80::1", "fd00:ec2::254"] {
            assert_eq!(policy.check(ip(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_denied_is_refused_in_every_disguise_and_whatever_is_allowed() {
        let denied = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        let policy = policy(&["10.0.0.0/8", "fd00::/8"]).denying(denied(&[
            "10.7.0.0/16",
            "fd00:7::/32",
            "203.0.113.0/24",
        ]));
        for text in [
            "10.7.0.1",
            "::ffff:10.7.255.255",
            "64:ff9b::10.7.0.1",
            "2002:a07:1::",
            "fd00:7::1",
            "203.0.113.9",
            "fd00::5efe:203.0.113.9",
        ] {
            let message = policy.check(ip(text)).expect_err(text).to_string();
            assert!(
                message.ends_with(", which the administrator denies by --http-deny-cidrs"),
                "{message}"
            );
        }
        for text in ["10.6.0.1", "fd00:8::1", "203.0.114.1", "10.96.0.1", "64:ff9b::10.6.0.1"] {
            assert_eq!(policy.check(ip(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_refusal_says_what_and_why_and_who_can_help() {
        let says = |text: &str| policy(&[]).check(ip(text)).unwrap_err().to_string();
        let plain = "requests may not reach 127.0.0.1: it is a loopback address; the \
            administrator can allow it by --http-allow-cidrs";
        assert_eq!(says("::ffff:7f00:1"), plain);
        let carried = "requests may not reach 2002:7f00:1::: it carries 127.0.0.1, a loopback \
            address; the administrator can allow 127.0.0.1 by --http-allow-cidrs";
        assert_eq!(says("2002:7f00:1::"), carried);
        let policy = policy(&[]).denying(vec!["10.0.0.0/8".parse().unwrap()]);
        let says = |text: &str| policy.check(ip(text)).unwrap_err().to_string();
        let plain = "requests may not reach 10.1.2.3: it is in 10.0.0.0/8, which the \
            administrator denies by --http-deny-cidrs";
        assert_eq!(says("10.1.2.3"), plain);
        let carried = "requests may not reach 64:ff9b::a01:203: it carries 10.1.2.3, in \
            10.0.0.0/8, which the administrator denies by --http-deny-cidrs";
        assert_eq!(says("64:ff9b::10.1.2.3"), carried);
    }
}
