//! Calls over TLS to a server on this host, whose certificate was made for the test.

use std::{net::Ipv4Addr, sync::atomic::Ordering};

use futures::FutureExt;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    api::{CaSource, ConfigMapKey, HttpTls},
    controller::{cluster::secrets::tests::Seen, http::tls::configured},
};

/// The name that the servers' certificates are made for.
const NAME: &str = "payments.example";

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server with a certificate of this authority.
    async fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        change(&mut params);
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Server::new(TlsAcceptor::from(Arc::new(config))).await
    }
}

/// A server that speaks TLS, and how many requests reached it.
struct Server {
    other: Other,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn new(acceptor: TlsAcceptor) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let other = Other::new(move |stream| {
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = Vec::new();
                while !String::from_utf8_lossy(&request).ends_with(r#""1042"}"#) {
                    if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                        return;
                    }
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        Self { other, requests }
    }

    /// A request to this server by its name, which trusts `ca`.
    fn request(&self, ca: Option<CaSource>) -> HttpRequest {
        let url = format!("https://{NAME}:{}/charges", self.other.address.port());
        HttpRequest { tls: ca.map(|ca| HttpTls { ca }), ..post(url) }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn config_map() -> CaSource {
    let key = ConfigMapKey { name: "shop-ca".into(), key: "ca.crt".into() };
    CaSource { config_map_key_ref: Some(key), ..CaSource::default() }
}

/// A caller for whom every name is one of this host, and the API server gives `answer`.
fn caller_with_answer(answer: &Value) -> (HttpCaller, Seen) {
    let (secrets, seen) = reader(200, answer);
    let names: Names = Arc::new(|_, port, _permit| {
        async move { Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]) }.boxed()
    });
    (HttpCaller { names, ..caller_with("127.0.0.0/8", secrets) }, seen)
}

/// The same, with a `ConfigMap` that holds `pem`.
fn caller_with_pem(pem: &str) -> HttpCaller {
    caller_with_answer(&json!({"kind": "ConfigMap", "data": {"ca.crt": pem}})).0
}

#[tokio::test]
async fn the_authority_of_a_config_map_is_trusted() {
    let (shop, other) = (Authority::new("shop"), Authority::new("other"));
    let server = shop.server(|_| {}).await;
    let (caller, seen) = caller_with_answer(
        &json!({"data": {"ca.crt": format!("# two of them\n{}\n{}", other.pem, shop.pem)}}),
    );
    for attempt in 1..=2 {
        assert_eq!(
            call(&caller, &server.request(Some(config_map())), LONG).await.0,
            CallOutcome::Ended(End::Succeeded(None))
        );
        assert_eq!(
            (server.requests(), seen.lock().unwrap().len()),
            (attempt, attempt),
            "read anew at each attempt"
        );
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].uri(), "/api/v1/namespaces/shop/configmaps/shop-ca");
    assert_eq!(seen[0].headers()["impersonate-user"], "system:serviceaccount:shop:order-saga");
}

#[tokio::test]
async fn the_authority_of_a_secret_is_trusted() {
    let shop = Authority::new("shop");
    let server = shop.server(|_| {}).await;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &shop.pem);
    let (caller, seen) = caller_with_answer(&json!({"kind": "Secret", "data": {"token": encoded}}));
    let ca = CaSource { secret_key_ref: Some(wanted("token")), ..CaSource::default() };
    assert_eq!(
        call(&caller, &server.request(Some(ca)), LONG).await.0,
        CallOutcome::Ended(End::Succeeded(None))
    );
    assert_eq!(seen.lock().unwrap()[0].uri(), "/api/v1/namespaces/shop/secrets/payments");
}

/// Each fails before anything is sent, and is tried again with the same key: certificates are
/// renewed.
#[tokio::test]
async fn who_cannot_prove_who_he_is_gets_nothing() {
    let (shop, other) = (Authority::new("shop"), Authority::new("other"));
    let servers = [
        ("another authority", other.server(|_| {}).await, "UnknownIssuer"),
        (
            "another authority of that name",
            Authority::new("shop").server(|_| {}).await,
            "BadSignature",
        ),
        (
            "expired",
            shop.server(|params| params.not_after = date_time_ymd(2021, 1, 1)).await,
            "expired",
        ),
        (
            "not valid yet",
            shop.server(|params| params.not_before = date_time_ymd(4000, 1, 1)).await,
            "not valid yet",
        ),
        (
            "another name",
            shop.server(|params| params.subject_alt_names.clear()).await,
            "not valid for",
        ),
    ];
    for (what, server, hint) in servers {
        let (state, sent) =
            call(&caller_with_pem(&shop.pem), &server.request(Some(config_map())), LONG).await;
        let (last, message) = nothing_reached(&state);
        assert!(
            !last && message.starts_with("no connection to payments.example:"),
            "{what}: {message}"
        );
        assert!(message.contains(hint), "{what}: {message}");
        assert!(!sent.may_have_left());
        assert_eq!(server.requests(), 0, "{what}");
    }
}

/// Who was sent the Secret once may write it into the next certificate.
#[tokio::test]
async fn a_certificate_that_repeats_the_secret_does_not_publish_it() {
    let shop = Authority::new("shop");
    let server = shop
        .server(|params| {
            params.subject_alt_names = vec![SanType::DnsName("s3cret-t0ken".try_into().unwrap())];
        })
        .await;
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &shop.pem);
    let (caller, _) =
        caller_with_answer(&json!({"data": {"ca": pem, "token": "QmVhcmVyIHMzY3JldC10MGtlbg=="}}));
    let ca = CaSource { secret_key_ref: Some(wanted("ca")), ..CaSource::default() };
    let (state, _) = call(&caller, &with_secret(server.request(Some(ca))), LONG).await;
    let (_, message) = nothing_reached(&state);
    assert!(message.contains("[hidden]") && !message.contains("s3cret"), "{message}");
}

#[tokio::test]
async fn only_the_named_authority_is_trusted_and_only_where_it_is_named() {
    let (system, named) = (Authority::new("system"), Authority::new("named"));
    let (of_system, of_named) = (system.server(|_| {}).await, named.server(|_| {}).await);
    let mut roots = RootCertStore::empty();
    roots
        .add(rustls::pki_types::pem::PemObject::from_pem_slice(system.pem.as_bytes()).unwrap())
        .unwrap();
    let caller = HttpCaller { tls: configured(roots).unwrap(), ..caller_with_pem(&named.pem) };
    for (server, ca, trusted) in [
        (&of_system, None, true),
        (&of_system, Some(config_map()), false),
        (&of_named, Some(config_map()), true),
        (&of_named, None, false),
        // No session of an earlier call is resumed under other authorities.
        (&of_system, Some(config_map()), false),
    ] {
        let before = server.requests();
        let (state, _) = call(&caller, &server.request(ca), LONG).await;
        assert_eq!(state == CallOutcome::Ended(End::Succeeded(None)), trusted, "{state:?}");
        assert_eq!(server.requests() - before, usize::from(trusted));
    }
}

#[tokio::test]
async fn what_holds_no_certificate_is_named_and_nothing_is_connected_to() {
    let shop = Authority::new("shop");
    let server = shop.server(|_| {}).await;
    let cut = shop.pem.replace("-----END CERTIFICATE-----", "");
    let garbled = "-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n";
    let half = format!("{}{garbled}", shop.pem);
    let no_base64 = "-----BEGIN CERTIFICATE-----\ns3cret!\n-----END CERTIFICATE-----\n";
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (pem, what) in [
        ("", "holds no certificate"),
        ("s3cret", "holds no certificate"),
        (&key, "holds no certificate"),
        (&cut, "is malformed"),
        (no_base64, "is malformed"),
        (garbled, "holds a certificate that cannot be read"),
        (&half, "holds a certificate that cannot be read"),
    ] {
        let (state, _) =
            call(&caller_with_pem(pem), &server.request(Some(config_map())), LONG).await;
        let (last, message) = nothing_reached(&state);
        let expected = format!(
            "key \"ca.crt\" of the ConfigMap \"shop-ca\", whose certificates this request is to \
             trust, {what}: store"
        );
        assert!(
            last && message.starts_with(&expected) && !message.contains("s3cret"),
            "{pem}: {message}"
        );
    }
    let (caller, _) = caller_with_answer(&json!({"data": {"tls.crt": shop.pem}}));
    let (state, _) = call(&caller, &server.request(Some(config_map())), LONG).await;
    assert_eq!(
        nothing_reached(&state),
        (false, r#"the ConfigMap "shop-ca" in namespace "shop" has no key "ca.crt""#)
    );
    assert_eq!(server.other.connections().await, 0);
}

#[tokio::test]
async fn an_action_that_the_schema_would_have_refused_trusts_nobody() {
    let shop = Authority::new("shop");
    let server = shop.server(|_| {}).await;
    let both = CaSource { secret_key_ref: Some(wanted("token")), ..config_map() };
    let plain = HttpRequest { tls: Some(HttpTls { ca: config_map() }), ..post(server.other.url()) };
    for (request, hint) in [
        (
            server.request(Some(CaSource::default())),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (server.request(Some(both)), "set exactly one of secretKeyRef and configMapKeyRef"),
        (plain, "tls is for https:// alone: write https:// in url"),
    ] {
        let (state, _) = call(&caller_with_pem(&shop.pem), &request, LONG).await;
        let (last, message) = nothing_reached(&state);
        assert!(last && message.contains(hint), "{message}");
    }
    assert_eq!(server.other.connections().await, 0);
}
