#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use super::*;

fn patterns(all: &[&str]) -> Vec<HostPattern> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

fn networks(all: &[&str]) -> Vec<IpNet> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

/// What the rules say to the host of a URL.
fn says(egress: &EgressPolicy, url: &str) -> Result<(), String> {
    let url = url::Url::parse(url).unwrap();
    egress.check_host(&url.host().unwrap().to_owned()).map_err(|denied| denied.to_string())
}

#[test]
fn a_pattern_means_one_host_or_all_below_a_name() {
    let meant = |pattern: &str, host: &str| {
        let url = url::Url::parse(&format!("http://{host}/")).unwrap();
        pattern.parse::<HostPattern>().unwrap().matches(&url.host().unwrap().to_owned())
    };
    for (pattern, host) in [
        ("payments.shop.svc", "payments.shop.svc"),
        ("payments.shop.svc", "PAYMENTS.shop.svc."),
        ("Payments.Shop.svc.", "payments.shop.svc"),
        ("*.example.com", "a.example.com"),
        ("*.example.com", "a.b.EXAMPLE.com."),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "shop.BÜCHER.example"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "0xa010203"),
        ("10.1.2.3", "[::ffff:a01:203]"),
        ("fd00::7", "[FD00:0::7]"),
    ] {
        assert!(meant(pattern, host), "{pattern} {host}");
    }
    for (pattern, host) in [
        ("payments.shop.svc", "payments.shop"),
        ("payments.shop.svc", "payments.shop.svc.example.com"),
        ("payments.shop.svc", "xpayments.shop.svc"),
        ("*.example.com", "example.com"),
        ("*.example.com", "badexample.com"),
        ("*.example.com", "a.example.com.evil.test"),
        ("10.1.2.3", "10.1.2.4"),
        ("10.1.2.3", "host-10.1.2.3.example.com"),
    ] {
        assert!(!meant(pattern, host), "{pattern} {host}");
    }
}

#[test]
fn what_is_no_host_is_refused_with_an_example() {
    for wrong in [
        "",
        "*",
        "*.",
        ".",
        "a..b",
        "*example.com",
        "a.*.example.com",
        "*.*.example.com",
        "http://a",
        "a:80",
        "a/b",
        "a b",
        "user@a",
        "a%2eb",
        "*.10.0.0.1",
        "127.1",
        "0x7f000001",
        "[::1]",
        "a,b",
        "a?b",
        "$(host)",
        &"a".repeat(64),
        &["abcdefghi"; 26].join("."),
    ] {
        let message = wrong.parse::<HostPattern>().unwrap_err();
        assert!(
            message.starts_with(&format!(
                "`{wrong}` is no host: write a name, such as payments.shop.svc, or *.example.com"
            )),
            "{message}"
        );
    }
}

#[test]
fn deny_wins_over_allow_and_an_allow_leaves_no_other_host() {
    let rules = EgressRules {
        allow_hosts: patterns(&["*.shop.svc", "api.example.com", "10.1.2.3"]),
        deny_hosts: patterns(&["admin.shop.svc", "*.internal.shop.svc"]),
        ..EgressRules::default()
    };
    rules.check().unwrap();
    let egress = EgressPolicy::new(rules, []);
    for reached in [
        "http://stock.shop.svc/",
        "https://api.example.com./",
        "http://10.1.2.3:81/",
        "http://internal.shop.svc/",
    ] {
        assert_eq!(says(&egress, reached), Ok(()), "{reached}");
    }
    let denied = "requests may not reach a.internal.shop.svc: the administrator denies \
        *.internal.shop.svc by --http-deny-hosts";
    assert_eq!(says(&egress, "http://a.internal.shop.svc/"), Err(denied.into()));
    let other = "requests may not reach evil.test: it is none of the hosts that the administrator \
        allows by --http-allow-hosts";
    assert_eq!(says(&egress, "http://evil.test/"), Err(other.into()));
    for refused in
        ["http://ADMIN.shop.svc./", "http://10.1.2.4/", "http://[::1]/", "http://shop.svc/"]
    {
        assert!(says(&egress, refused).is_err(), "{refused}");
    }
}

#[test]
fn without_lists_every_host_may_be_asked_for() {
    for url in ["http://anything.test/", "http://10.0.0.1/", "http://[fd00::1]/"] {
        assert_eq!(says(&EgressPolicy::default(), url), Ok(()));
    }
}

/// Rows 3 to 6 of the table, in that order.
#[test]
fn addresses_are_judged_in_the_order_of_the_table() {
    let rules = EgressRules {
        allow_cidrs: networks(&["169.254.0.0/16", "10.0.0.0/8"]),
        deny_cidrs: networks(&["169.254.169.254/32", "10.9.0.0/16"]),
        ..EgressRules::default()
    };
    rules.check().unwrap();
    let egress = EgressPolicy::new(rules, []);
    let reached = |text: &str| egress.addresses.check(text.parse().unwrap()).is_ok();
    assert!(!reached("169.254.169.254"), "row 3 before row 4");
    assert!(reached("169.254.20.10"), "row 4 before row 5");
    assert!(!reached("127.0.0.1"), "row 5");
    assert!(reached("192.0.2.7"), "row 6");
    assert!(!reached("10.9.1.2") && reached("10.8.1.2"));
}

#[test]
fn a_rule_without_effect_is_refused() {
    let faults = [
        EgressRules {
            allow_cidrs: networks(&["127.0.0.1/32"]),
            deny_cidrs: networks(&["127.0.0.0/8"]),
            ..EgressRules::default()
        },
        EgressRules {
            allow_hosts: patterns(&["a.example.com"]),
            deny_hosts: patterns(&["*.example.com"]),
            ..EgressRules::default()
        },
        EgressRules {
            allow_hosts: patterns(&["*.b.example.com"]),
            deny_hosts: patterns(&["*.example.com"]),
            ..EgressRules::default()
        },
        EgressRules { deny_hosts: patterns(&["10.0.0.1"]), ..EgressRules::default() },
    ]
    .map(|rules| rules.check().unwrap_err());
    assert_eq!(
        faults,
        [
            "127.0.0.1/32 of --http-allow-cidrs lies in 127.0.0.0/8 of --http-deny-cidrs, which \
             wins: take 127.0.0.1/32 out, or deny less",
            "a.example.com of --http-allow-hosts is denied by *.example.com of --http-deny-hosts, \
             which wins: take one of them out",
            "*.b.example.com of --http-allow-hosts is denied by *.example.com of \
             --http-deny-hosts, which wins: take one of them out",
            "10.0.0.1 of --http-deny-hosts is an address, and a name could still resolve to it: \
             write it in --http-deny-cidrs instead",
        ]
    );
    let partly = EgressRules {
        allow_hosts: patterns(&["*.com"]),
        deny_hosts: patterns(&["*.example.com"]),
        ..EgressRules::default()
    };
    partly.check().unwrap();
}
