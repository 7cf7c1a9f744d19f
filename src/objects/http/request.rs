//! The HTTP request of one attempt of an `http` action.
//!
//! # Guarantees
//! The same action and the same identity give the same HTTP request, byte for byte. If two attempts
//! share an idempotency key, [`request_hash`] shows whether they send the same HTTP request.

use crate::{
    api::{Header, HttpAction, HttpMethod, HttpTls, RESERVED_HEADERS, SecretKey},
    digest::sha256_hex,
    model::{origin::origin, saga::Identity},
};

/// The `User-Agent` of the operator: `saga-operator/<version>`
const USER_AGENT: &str = concat!("saga-operator/", env!("CARGO_PKG_VERSION"));

/// An HTTP request, complete except for the values of its Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The URL as the action writes it.
    pub url: String,
    /// All headers except the `Content-Type` that the operator chooses. The user's headers come
    /// first. A name may repeat as often as the user repeated it.
    pub headers: Vec<HttpHeader>,
    /// The `Content-Type` that follows from the body. `None` without a body, or if `headers`
    /// contains a `Content-Type`.
    pub content_type: Option<&'static str>,
    /// The body: text or JSON, so always UTF-8.
    pub body: Option<String>,
    /// The certificate authorities that the HTTP request trusts, if the action names them.
    pub tls: Option<HttpTls>,
}

/// One header of an [`HttpRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHeader {
    /// The name, in the user's case.
    pub name: String,
    /// The value, or the Secret key from which it is read.
    pub value: HttpHeaderValue,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpHeaderValue {
    /// A value that is sent unchanged.
    Literal(String),
    /// A key of a Secret in the saga's namespace. The key is read as the saga's `ServiceAccount`
    /// when the HTTP request is sent.
    Secret(SecretKey),
}

impl HttpHeader {
    fn literal(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: HttpHeaderValue::Literal(value.into()) }
    }
}

/// Builds the HTTP request of the attempt `identity` of `action`.
///
/// `Idempotency-Key` and `Saga-Attempt` carry the identity. `User-Agent` is the operator's unless
/// the user sets one. A body that is a JSON string is sent as text. Any other body is sent as JSON
/// with sorted keys. `Content-Type` matches the body unless the user sets one. If an unchecked saga
/// names headers that the operator sets, these headers are left out.
#[must_use]
pub fn request(action: &HttpAction, identity: &Identity) -> HttpRequest {
    let mut headers: Vec<HttpHeader> = action
        .headers
        .iter()
        .flatten()
        .filter(|header| !is_reserved(&header.name))
        .map(user_header)
        .collect();
    let gives = |name: &str| headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    let (gives_agent, gives_type) = (gives("user-agent"), gives("content-type"));
    if !gives_agent {
        headers.push(HttpHeader::literal("User-Agent", USER_AGENT));
    }
    headers.push(HttpHeader::literal("Idempotency-Key", identity.key.as_str()));
    headers.push(HttpHeader::literal("Saga-Attempt", identity.attempt.number.to_string()));

    let (body, content_type) = match &action.body {
        None => (None, None),
        Some(serde_json::Value::String(text)) => {
            (Some(text.clone()), Some("text/plain; charset=utf-8"))
        }
        Some(value) => (Some(value.to_string()), Some("application/json")),
    };
    let (method, url, tls) = (action.method, action.url.clone(), action.tls.clone());
    HttpRequest {
        method,
        url,
        headers,
        content_type: content_type.filter(|_| !gives_type),
        body,
        tls,
    }
}

/// Returns whether an HTTP request needs something that is deleted with the saga's namespace: a
/// Secret, a ConfigMap or a Service in that namespace.
#[must_use]
pub fn needs_namespace(request: &HttpRequest, namespace: &str) -> bool {
    let reads =
        request.headers.iter().any(|header| matches!(header.value, HttpHeaderValue::Secret(_)))
            || request.tls.is_some();
    let host = origin(&request.url).map(|origin| origin.host).unwrap_or_default();
    let mut labels = host.split('.').skip(1);
    reads || (labels.next() == Some(namespace) && labels.next() == Some("svc"))
}

/// The prefix that names the way in which this version computes the hash of an HTTP request.
const HASH_PREFIX: &str = "v1:";

/// Returns `v1:` and the SHA-256 of method, URL and body, byte for byte. An empty body and no body
/// give different hashes. Headers and certificates do not count: a Secret may change between two
/// attempts.
#[must_use]
pub fn request_hash(request: &HttpRequest) -> String {
    let mut parts = vec![request.method.as_str(), request.url.as_str()];
    parts.extend(request.body.as_deref());
    format!("{HASH_PREFIX}{}", sha256_hex(&parts))
}

/// Returns whether `request` differs from the HTTP request that gave `hash`. If another version
/// computed `hash` in its own way, the answer is `false`, because the hashes cannot be compared.
#[must_use]
pub fn is_another(request: &HttpRequest, hash: &str) -> bool {
    hash.starts_with(HASH_PREFIX) && request_hash(request) != hash
}

fn is_reserved(name: &str) -> bool {
    RESERVED_HEADERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

fn user_header(header: &Header) -> HttpHeader {
    let value = match &header.value_from {
        Some(source) => HttpHeaderValue::Secret(source.secret_key_ref.clone()),
        None => HttpHeaderValue::Literal(header.value.clone().unwrap_or_default()),
    };
    HttpHeader { name: header.name.clone(), value }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use serde_json::{Value, json};

    use super::*;
    use crate::api::{Direction, names::AttemptId};

    fn identity() -> Identity {
        Identity {
            saga: "order-1042".into(),
            namespace: "shop".into(),
            uid: "0d1c".into(),
            attempt: AttemptId { step: "charge".into(), direction: Direction::Action, number: 3 },
            key: "order-1042/charge/action/1".into(),
        }
    }

    fn action(fields: &Value) -> HttpAction {
        let mut action = json!({"method": "POST", "url": "http://payments.shop.svc/charges"});
        action.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(action).unwrap()
    }

    fn literal<'a>(request: &'a HttpRequest, name: &str) -> Vec<&'a str> {
        let values = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        values
            .map(|header| match &header.value {
                HttpHeaderValue::Literal(value) => value.as_str(),
                HttpHeaderValue::Secret(_) => "from a secret",
            })
            .collect()
    }

    #[test]
    fn a_request_says_which_attempt_it_is() {
        let request = request(&action(&json!({})), &identity());
        assert_eq!(literal(&request, "idempotency-key"), ["order-1042/charge/action/1"]);
        assert_eq!(literal(&request, "saga-attempt"), ["3"]);
        assert_eq!(
            literal(&request, "user-agent"),
            [format!("saga-operator/{}", env!("CARGO_PKG_VERSION"))]
        );
    }

    #[test]
    fn the_body_decides_about_the_content_type_unless_the_user_does() {
        let sent = |fields| {
            let request = request(&action(&fields), &identity());
            (request.body, request.content_type)
        };
        assert_eq!(sent(json!({})), (None, None));
        assert_eq!(
            sent(json!({"body": "grüß"})),
            (Some("grüß".into()), Some("text/plain; charset=utf-8"))
        );
        assert_eq!(
            sent(json!({"body": {"b": 1, "a": [true, 49.9]}})),
            (Some(r#"{"a":[true,49.9],"b":1}"#.into()), Some("application/json"))
        );
        assert_eq!(sent(json!({"body": 7})), (Some("7".into()), Some("application/json")));
        let own = json!({
            "body": "<a/>", "headers": [{"name": "content-TYPE", "value": "application/xml"}],
        });
        assert_eq!(sent(own), (Some("<a/>".into()), None));
    }

    #[test]
    fn headers_of_the_user_are_kept_in_order_and_secrets_stay_references() {
        let headers = json!([
            {"name": "X-Tag", "value": "a"},
            {"name": "Authorization",
             "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}}},
            {"name": "X-Tag", "value": "b"},
            {"name": "user-agent", "value": "shop/1"},
        ]);
        let request = request(&action(&json!({"headers": headers})), &identity());
        assert_eq!(literal(&request, "x-tag"), ["a", "b"]);
        assert_eq!(literal(&request, "authorization"), ["from a secret"]);
        assert_eq!(literal(&request, "user-agent"), ["shop/1"]);
    }

    #[test]
    fn no_unchecked_saga_can_forge_an_identity_or_a_frame() {
        let forged: Vec<Value> = RESERVED_HEADERS
            .iter()
            .map(|name| json!({"name": name.to_uppercase(), "value": "forged"}))
            .collect();
        let request = request(&action(&json!({"headers": forged})), &identity());
        assert!(!format!("{request:?}").contains("forged"), "{request:?}");
    }

    #[test]
    fn the_hash_covers_method_url_and_body_only() {
        let hash = |fields| request_hash(&request(&action(&fields), &identity()));
        let plain = hash(json!({}));
        let others = [
            hash(json!({"method": "PUT"})),
            hash(json!({"url": "http://payments.shop.svc/charges?"})),
            hash(json!({"body": ""})),
            hash(json!({"body": {"a": 1}})),
            hash(json!({"body": {"a": 1.0}})),
        ];
        let all: std::collections::BTreeSet<&String> = others.iter().chain([&plain]).collect();
        assert_eq!(all.len(), 6);
        assert_eq!(hash(json!({"headers": [{"name": "X-Tag", "value": "a"}]})), plain);
        assert_eq!(
            hash(json!({"body": {"b": 1, "a": 2}})),
            hash(json!({"body": {"a": 2, "b": 1}}))
        );
    }

    #[test]
    fn a_hash_that_another_version_made_in_its_own_way_tells_nothing() {
        let (one, other) = (
            request(&action(&json!({})), &identity()),
            request(&action(&json!({"body": "x"})), &identity()),
        );
        let hash = request_hash(&one);
        assert!(!is_another(&one, &hash) && is_another(&other, &hash));
        for strange in
            [hash.replace("v1:", "v2:"), hash.replace("v1:", ""), String::new(), "v10:".into()]
        {
            assert!(!is_another(&one, &strange) && !is_another(&other, &strange), "{strange}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_whatever_is_written() {
        let of = |url: &str| origin(url).map(|origin| origin.to_string());
        for same in [
            "http://stock.shop.svc",
            "HTTP://Stock.Shop.SVC:80/reservations?x=1",
            "http://user@stock.shop.svc:080/",
        ] {
            assert_eq!(of(same).as_deref(), Some("http://stock.shop.svc:80"), "{same}");
        }
        assert_eq!(of("https://stock.shop.svc/").as_deref(), Some("https://stock.shop.svc:443"));
        assert_eq!(of("http://[FD00::1]:8080/a").as_deref(), Some("http://[fd00::1]:8080"));
        assert_eq!((of("stock.shop.svc"), of("")), (None, None));
    }

    #[test]
    fn a_request_needs_the_namespace_of_its_saga_for_what_it_reads_or_reaches_there() {
        let needs = |fields| needs_namespace(&request(&action(&fields), &identity()), "shop");
        let secret = json!({"name": "payments", "key": "token"});
        assert!(needs(json!({
            "url": "https://bank.example",
            "headers": [{"name": "A", "valueFrom": {"secretKeyRef": secret}}],
        })));
        assert!(needs(
            json!({"url": "https://bank.example", "tls": {"ca": {"secretKeyRef": secret}}})
        ));
        for url in [
            "http://payments.shop.svc/refunds",
            "http://payments.shop.svc.cluster.local:8080/refunds",
        ] {
            assert!(needs(json!({"url": url})), "{url}");
        }
        for url in [
            "http://payments.other.svc/",
            "https://bank.example/",
            "http://payments.shop/",
            "http://shop.svc/",
            "http://10.0.0.1/",
        ] {
            assert!(!needs(json!({"url": url, "headers": [{"name": "A", "value": "b"}]})), "{url}");
        }
    }

    /// The hash is stored in the status of sagas that an older operator started. Every version of
    /// the operator must compute the same hash.
    #[test]
    fn the_hash_is_the_same_in_every_version() {
        let request = request(
            &action(&json!({"body": {"order": "1042", "amount": 49.9, "note": "grüß\n"}})),
            &identity(),
        );
        assert_eq!(
            request_hash(&request),
            "v1:4d32a40e16d18f5a472ebda74eceea9b3e77cd8faecd39d83275d27813ec0c68"
        );
    }
}
