//! Nothing that may not be reached is reached, however it is written, named or hidden. A listener
//! that counts its visitors is the witness.

use std::{
    io,
    net::IpAddr,
    sync::{Mutex, atomic::Ordering},
};

use futures::FutureExt;

use super::{
    hostile_urls::{HOSTS, SPELLINGS, URLS},
    *,
};
use crate::{
    api::SagaSpec, controller::http::tls::tls_config, model::saga::SagaName,
    validate::saga::validate,
};

/// A name, and its answers one after the other, the last of which it has for ever.
type Name = (String, Vec<Vec<IpAddr>>);

/// A name server, and how often it was asked.
#[derive(Clone, Default)]
struct NameServer {
    answers: Arc<Mutex<Vec<Name>>>,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        self.answers.lock().unwrap().push((name.into(), answers));
        self
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn names(&self) -> Names {
        let server = self.clone();
        Arc::new(move |name, port| {
            server.asked.fetch_add(1, Ordering::SeqCst);
            let mut answers = server.answers.lock().unwrap();
            let known = answers.iter_mut().find(|(known, _)| known == name.trim_end_matches('.'));
            let answer =
                known.map(
                    |(_, answers)| {
                        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
                    },
                );
            let answer =
                answer.map(|ips| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
            async move { answer.ok_or_else(|| io::Error::other("no such name")) }.boxed()
        })
    }
}

/// A name server of bad names.
fn bad_names() -> NameServer {
    NameServer::default()
        .with("localhost", &[&["127.0.0.1", "::1"]])
        .with("app.localhost", &[&["::1"]])
        .with("127.0.0.1.nip.example", &[&["127.0.0.1"]])
        .with("metadata.google.internal", &[&["169.254.169.254"]])
        .with("instance-data", &[&["fd00:ec2::254"]])
        .with("kubernetes.default.svc", &[&["10.96.0.1"]])
        .with("10-244-1-7.saga-system.pod", &[&["10.244.1.7"]])
}

fn caller_of(rules: ReachRules, names: &NameServer) -> HttpCaller {
    let reach = Reach::new(rules, ["10.96.0.1".parse().unwrap()])
        .operator_at(["10.244.1.7".parse().unwrap()]);
    HttpCaller {
        names: names.names(),
        ..HttpCaller::new(reach, tls_config().unwrap(), payments().0)
    }
}

fn allowing(networks: &[&str]) -> ReachRules {
    ReachRules {
        allow_cidrs: networks.iter().map(|net| net.parse().unwrap()).collect(),
        ..ReachRules::default()
    }
}

/// A listener on every address of this host, IPv6 included where there is any.
async fn witness() -> Other {
    Other::listening(
        if TcpListener::bind("[::]:0").await.is_ok() { "[::]:0" } else { "0.0.0.0:0" },
        |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        },
    )
    .await
}

/// One port in front of the witness, in three lists of URLs, and names that are too long.
fn urls(port: u16) -> Vec<String> {
    let hosts =
        SPELLINGS.iter().chain(HOSTS).map(|host| format!("http://{host}:{port}/latest/meta-data/"));
    let whole = URLS.iter().map(|url| url.replace("PORT", &port.to_string()));
    let long = [
        format!("http://{}.localhost:{port}/", "a".repeat(64)),
        format!("http://{}localhost:{port}/", "a.".repeat(123)),
        format!("http://{}:{port}/", "a".repeat(100_000)),
        format!("http://{}localhost:{port}/", "a.".repeat(50_000)),
        format!("http://{}:{port}/", "ü".repeat(10_000)),
        format!("http://{}177.0.0.1:{port}/", "0".repeat(10_000)),
        format!("http://[{}1]:{port}/", "0:".repeat(10_000)),
        format!("http://127.0.0.1:{}{port}/", "0".repeat(10_000)),
        format!("{}http://127.0.0.1:{port}/", " ".repeat(10_000)),
    ];
    hosts.chain(whole).chain(long).collect()
}

/// What the operator does with a URL before it calls it; here only that nothing panics.
fn looked_at(url: &str) {
    let spec = json!({"steps": [{"name": "a", "http": {"method": "GET", "url": url}}]});
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    let name = SagaName { name: "a".into(), namespace: "b".into(), uid: "c".into() };
    for fault in validate(&name, &spec).err().into_iter().flatten() {
        assert_eq!(fault.path, "spec.steps[0].http.url", "{url:?}: {fault}");
    }
    let _ = crate::model::origin::host(url);
    let _ = crate::objects::http::request::request_hash(&post(url.into()));
}

/// Calls a URL that may not be reached. Returns the message of its refusal.
async fn refusal(caller: &HttpCaller, url: &str) -> String {
    let (sent, asked) = (Sent::default(), Arc::new(AtomicUsize::new(0)));
    let permit: Permit = Arc::new({
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::SeqCst);
            async { true }.boxed()
        }
    });
    let state =
        caller.call(&post(url.into()), ACCOUNT, LONG, Timestamp::UNIX_EPOCH, &sent, permit).await;
    let (_, message) = nothing_reached(&state);
    let url = bounded_line(url, 100);
    assert!(
        !sent.may_have_left() && asked.load(Ordering::SeqCst) == 0,
        "{url:?} was connected to: {message}"
    );
    assert!(!message.starts_with("no connection to"), "{url:?} was tried: {message}");
    assert!(message.chars().count() < 700 && !message.contains("s3cret"), "{url:?}: {message}");
    message.to_owned()
}

#[tokio::test]
async fn no_hostile_url_reaches_anything() {
    let witness = witness().await;
    let urls = urls(witness.address.port());
    assert!(urls.len() >= 200, "{}", urls.len());
    let names = bad_names();
    let caller = caller_of(ReachRules::default(), &names);
    for url in &urls {
        looked_at(url);
        refusal(&caller, url).await;
    }
    assert_eq!(witness.connections().await, 0);
}

/// The first lists are refused for where they lead to, not because they are misread.
#[tokio::test]
async fn every_spelling_of_an_address_is_recognised() {
    let caller = caller_of(ReachRules::default(), &bad_names());
    for host in SPELLINGS.iter().chain(HOSTS) {
        let message = refusal(&caller, &format!("http://{host}/")).await;
        assert!(message.contains("by --http-allow-cidrs"), "{host:?}: {message}");
    }
}

/// All ways to write an IPv4 address in one to four parts, each decimal, octal or hexadecimal.
#[tokio::test]
async fn every_notation_of_an_address_is_recognised() {
    let caller = caller_of(ReachRules::default(), &NameServer::default());
    let mut tried = 0;
    for address in [
        "127.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "255.255.255.255",
        "10.96.0.1",
        "10.244.1.7",
    ] {
        let IpAddr::V4(v4) = address.parse().unwrap() else { panic!("{address} is IPv4") };
        let octets = v4.octets();
        for parts in 1..=4_usize {
            let last =
                octets[parts - 1..].iter().fold(0_u64, |all, octet| all << 8 | u64::from(*octet));
            let values: Vec<u64> =
                octets[..parts - 1].iter().map(|octet| u64::from(*octet)).chain([last]).collect();
            for notation in 0..3_usize.pow(u32::try_from(parts).unwrap()) {
                let written = values.iter().enumerate().map(|(place, value)| {
                    match notation / 3_usize.pow(place.try_into().unwrap()) % 3 {
                        0 => format!("{value}"),
                        1 => format!("0{value:o}"),
                        _ => format!("0x{value:x}"),
                    }
                });
                let host = written.collect::<Vec<_>>().join(".");
                let message = refusal(&caller, &format!("http://{host}/")).await;
                assert!(
                    message.contains(&format!("may not reach {address}: ")),
                    "{host}: {message}"
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 8 * (3 + 9 + 27 + 81));
}

/// That the witness sees what comes: the same spellings reach it once the administrator allows the
/// address.
#[tokio::test]
async fn what_is_allowed_is_reached_in_every_spelling() {
    let witness = witness().await;
    let caller = caller_of(allowing(&["127.0.0.1/32"]), &bad_names());
    for host in SPELLINGS {
        let url = format!("http://{host}:{}/", witness.address.port());
        assert_eq!(
            call(&caller, &post(url), LONG).await.0,
            ChildState::Succeeded(None),
            "{host:?}"
        );
    }
    assert_eq!(witness.connections().await, SPELLINGS.len());
}

#[tokio::test]
async fn a_name_with_one_bad_address_is_not_reached_at_its_good_one() {
    let witness = witness().await;
    let mixes: [&[&str]; 6] = [
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &["127.0.0.1", "64:ff9b::169.254.169.254"],
        &["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "10.96.0.1"],
    ];
    for mix in mixes {
        let caller = caller_of(
            allowing(&["127.0.0.1/32"]),
            &NameServer::default().with("mixed.example", &[mix]),
        );
        let message =
            refusal(&caller, &format!("http://mixed.example:{}/", witness.address.port())).await;
        assert!(message.contains("may not reach"), "{mix:?}: {message}");
    }
    assert_eq!(witness.connections().await, 0);
}

/// DNS rebinding: the name leads elsewhere when it is asked for again. It is not asked again.
#[tokio::test]
async fn a_name_is_asked_for_once_and_only_that_answer_is_connected_to() {
    let good = Other::listening("127.0.0.1:0", |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let port = good.address.port();
    let bad = Other::listening(&format!("127.0.0.2:{port}"), |_| async {}).await;
    let names = NameServer::default().with("rebound.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let caller = caller_of(allowing(&["127.0.0.1/32"]), &names);
    let url = format!("http://rebound.example:{port}/");
    assert_eq!(call(&caller, &post(url.clone()), LONG).await.0, ChildState::Succeeded(None));
    assert_eq!(names.asked(), 1);
    let message = refusal(&caller, &url).await;
    assert!(
        message.contains("may not reach 127.0.0.2: it is a loopback address"),
        "the next attempt asks again: {message}"
    );
    assert_eq!((good.connections().await, bad.connections().await), (1, 0));
}

#[tokio::test]
async fn no_answer_sends_the_caller_elsewhere() {
    let bad = Other::listening("127.0.0.2:0", |_| async {}).await;
    let names = NameServer::default()
        .with("first.example", &[&["127.0.0.1"]])
        .with("bad.example", &[&["127.0.0.2"]]);
    let caller = caller_of(allowing(&["127.0.0.1/32"]), &names);
    let port = bad.address.port();
    let mut asked = 0;
    for location in [
        format!("http://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http://bad.example:{port}/"),
        "file:///etc/passwd".into(),
    ] {
        for status in [
            "200 OK",
            "201 Created",
            "300 Multiple Choices",
            "301 Moved",
            "302 Found",
            "303 See Other",
            "305 Use Proxy",
            "307 T",
            "308 P",
        ] {
            let head = format!(
                "location: {location}\r\nrefresh: 0; url={location}\r\nalt-svc: \
                 h2=\"127.0.0.2:{port}\"\r\n"
            );
            let first =
                Other::answering(format!("HTTP/1.1 {status}\r\n{head}content-length: 0\r\n\r\n"))
                    .await;
            let (state, _) = call(
                &caller,
                &post(format!("http://first.example:{}/", first.address.port())),
                LONG,
            )
            .await;
            asked += 1;
            assert_eq!(state == ChildState::Succeeded(None), status.starts_with('2'), "{state:?}");
            assert_eq!(first.connections().await, 1);
        }
    }
    assert_eq!((bad.connections().await, names.asked()), (0, asked));
}

#[tokio::test]
async fn a_host_that_is_denied_is_not_even_looked_up() {
    let witness = witness().await;
    let names = NameServer::default()
        .with("stock.shop.svc", &[&["127.0.0.1"]])
        .with("admin.shop.svc", &[&["127.0.0.1"]]);
    let rules = ReachRules {
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
        ChildState::Succeeded(None)
    );
    assert_eq!(witness.connections().await, 1);
}

#[tokio::test]
async fn a_denied_network_is_not_reached_although_it_is_allowed() {
    let witness = witness().await;
    let rules = ReachRules {
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
