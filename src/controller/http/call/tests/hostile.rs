//! Nothing that may not be reached is reached, however it is written, named or hidden. A listener
//! that counts its visitors is the witness.

mod denied;
mod names;

use std::{
    io,
    net::IpAddr,
    sync::{Mutex, atomic::Ordering},
};

use futures::FutureExt;

use super::{
    hostile_hosts::{HOSTS, SPELLINGS},
    hostile_urls::URLS,
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
        Arc::new(move |name, port, _permit| {
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

fn caller_of(rules: EgressRules, names: &NameServer) -> HttpCaller {
    let egress = EgressPolicy::new(rules, ["10.96.0.1".parse().unwrap()])
        .operator_at(["10.244.1.7".parse().unwrap()]);
    HttpCaller {
        names: names.names(),
        ..HttpCaller::new(egress, tls_config().unwrap(), payments().0)
    }
}

fn allowing(networks: &[&str]) -> EgressRules {
    EgressRules {
        allow_cidrs: networks.iter().map(|net| net.parse().unwrap()).collect(),
        ..EgressRules::default()
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
    let caller = caller_of(EgressRules::default(), &names);
    for url in &urls {
        looked_at(url);
        refusal(&caller, url).await;
    }
    assert_eq!(witness.connections().await, 0);
}

/// The first lists are refused for where they lead to, not because they are misread.
#[tokio::test]
async fn every_spelling_of_an_address_is_recognised() {
    let caller = caller_of(EgressRules::default(), &bad_names());
    for host in SPELLINGS.iter().chain(HOSTS) {
        let message = refusal(&caller, &format!("http://{host}/")).await;
        assert!(message.contains("by --http-allow-cidrs"), "{host:?}: {message}");
    }
}

/// All ways to write an IPv4 address in one to four parts, each decimal, octal or hexadecimal.
#[tokio::test]
async fn every_notation_of_an_address_is_recognised() {
    let caller = caller_of(EgressRules::default(), &NameServer::default());
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
            CallOutcome::Ended(End::Succeeded(None)),
            "{host:?}"
        );
    }
    assert_eq!(witness.connections().await, SPELLINGS.len());
}
