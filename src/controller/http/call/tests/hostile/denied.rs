//! What the administrator denies.

use super::*;

#[tokio::test]
async fn a_host_that_is_denied_is_not_even_looked_up() {
    let witness = witness().await;
    let names = NameServer::default()
        .with("stock.shop.svc", &[&["127.0.0.1"]])
        .with("admin.shop.svc", &[&["127.0.0.1"]]);
    let rules = EgressRules {
        allow_hosts: vec!["*.shop.svc".parse().unwrap()],
        deny_hosts: vec!["admin.shop.svc".parse().unwrap()],
        ..allowing(&["127.0.0.0/8"])
    };
    let caller = caller_of(rules, &names);
    let port = witness.address.port();
    for (host, argument) in [
        ("admin.shop.svc", "--http-deny-hosts"),
        ("ADMIN.shop.svc.", "--http-deny-hosts"),
        ("admin%2eshop.svc", "--http-deny-hosts"),
        ("ａｄｍｉｎ.shop。svc", "--http-deny-hosts"),
        ("evil.example", "--http-allow-hosts"),
        ("shop.svc", "--http-allow-hosts"),
        ("stock.shop.svc.evil.example", "--http-allow-hosts"),
        ("127.0.0.1", "--http-allow-hosts"),
        ("[::ffff:127.0.0.1]", "--http-allow-hosts"),
    ] {
        let message = refusal(&caller, &format!("http://{host}:{port}/")).await;
        assert!(message.ends_with(argument), "{host}: {message}");
    }
    assert_eq!(names.asked(), 0);
    assert_eq!(
        call(&caller, &post(format!("http://stock.shop.svc:{port}/")), LONG).await.0,
        CallOutcome::Ended(End::Succeeded(None))
    );
    assert_eq!(witness.connections().await, 1);
}

#[tokio::test]
async fn a_denied_network_is_not_reached_although_it_is_allowed() {
    let witness = witness().await;
    let rules = EgressRules {
        deny_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
        ..allowing(&["127.0.0.0/8"])
    };
    let caller = caller_of(rules, &bad_names());
    for host in SPELLINGS.iter().chain(&["localhost", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]"])
    {
        let message = refusal(&caller, &format!("http://{host}:{}/", witness.address.port())).await;
        assert!(
            message
                .ends_with("in 127.0.0.1/32, which the administrator denies by --http-deny-cidrs"),
            "{host:?}: {message}"
        );
    }
    assert_eq!(witness.connections().await, 0);
}
