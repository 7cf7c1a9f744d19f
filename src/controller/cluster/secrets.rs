//! Reads one key of a Secret or a ConfigMap as the account that a saga acts as.
//!
//! # Guarantees
//! - The API server decides with the rights of the account, not with the rights of the operator: a
//!   saga reads nothing that its account may not read.
//! - No value appears in an error, a log line or debug output.
//! - At most [`MAX_OBJECT`] bytes of an object are read. Reading a larger one stops there.
//!
//! # Caveats
//! - The operator needs only the verb `impersonate` on `serviceaccounts` in the namespace of the
//!   saga. The operator sends no groups. The API server therefore adds the groups of the account
//!   automatically, and the operator needs no right to impersonate groups.
//! - An operator whose own kubeconfig impersonates (`as`, `as-groups`) sends those headers too. Do
//!   not run the operator with such a kubeconfig.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{HeaderValue, Request, header::ACCEPT};
use k8s_openapi::ByteString;
use kube::{Client, core::Status};
use serde::{Deserialize, de::DeserializeOwned};

use super::impersonate::Account;
use crate::{
    api::{ConfigMapKey, SecretKey, limits::MAX_OBJECT},
    service::client::body_limit::{MaxBody, is_too_large},
};

/// The most characters of the name of a Kubernetes object.
const MAX_NAME: usize = 253;

/// The kind of object that holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    /// Returns the name of the kind in a message.
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// Returns the name of the resource in the API.
    const fn resource(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of one key. It has no `Display`, and `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// Returns the value, untrimmed. Use it only for the header or the setting that the value is
    /// meant for.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretValue {
    fn from(value: Vec<u8>) -> Self {
        Self(value)
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// The reason why a key cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The object does not exist.
    #[error("the {kind} {name:?} does not exist in namespace {namespace:?}")]
    NoObject {
        /// The kind of the object.
        kind: Kind,
        /// The name of the object.
        name: String,
        /// The namespace of the saga.
        namespace: String,
    },
    /// The object has no such key.
    #[error("the {kind} {name:?} in namespace {namespace:?} has no key {key:?}")]
    NoKey {
        /// The kind of the object.
        kind: Kind,
        /// The name of the object.
        name: String,
        /// The namespace of the saga.
        namespace: String,
        /// The missing key.
        key: String,
    },
    /// The object is larger than what is read of one object.
    #[error(
        "the {kind} {name:?} in namespace {namespace:?} is too large: at most {} bytes are read of \
         one object; keep the key in an object of its own",
        MAX_OBJECT
    )]
    TooLarge {
        /// The kind of the object.
        kind: Kind,
        /// The name of the object.
        name: String,
        /// The namespace of the saga.
        namespace: String,
    },
    /// The account may not read the object.
    #[error("{account} may not get {} {name:?} in namespace {namespace:?}: give the account a \
        Role with that right", .kind.resource())]
    Forbidden {
        /// The kind of the object.
        kind: Kind,
        /// The user name of the account.
        account: String,
        /// The name of the object.
        name: String,
        /// The namespace of the saga.
        namespace: String,
    },
    /// The operator may not impersonate the account.
    #[error(
        "the operator may not impersonate {account}: give the operator the verb impersonate on \
         serviceaccounts in namespace {namespace:?}"
    )]
    NotImpersonated {
        /// The user name of the account.
        account: String,
        /// The namespace of the saga.
        namespace: String,
    },
    /// No object and no account can have such a name.
    #[error(
        "{name:?} cannot be the name of a {kind}: write lower case letters, digits, '-' and '.'"
    )]
    BadName {
        /// What has the name: `secret`, `ConfigMap`, `namespace` or `service account`.
        kind: &'static str,
        /// The invalid name.
        name: String,
    },
    /// The API server cannot answer at the moment, or cannot be reached.
    #[error("the {kind} {name:?} in namespace {namespace:?} cannot be read just now: {reason}")]
    Passing {
        /// The kind of the object.
        kind: Kind,
        /// The name of the object.
        name: String,
        /// The namespace of the saga.
        namespace: String,
        /// The failure in words.
        reason: String,
        /// How long the API server asks the operator to wait.
        retry_after: Option<Duration>,
    },
}

/// The part of a Secret or a ConfigMap that is parsed. All keys but the wanted one are dropped with
/// it.
#[derive(Deserialize)]
struct Data<T> {
    #[serde(default = "Option::default")]
    data: Option<BTreeMap<String, T>>,
}

/// Reads Secrets and ConfigMaps as the accounts of sagas.
#[derive(Clone)]
pub struct SecretReader {
    client: Client,
}

impl SecretReader {
    /// Creates a reader whose calls go through `client`, the operator's own client.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads the value of `wanted` in the namespace of the account, live and as the account.
    ///
    /// # Errors
    /// [`SecretError`]. No error shows a value.
    pub async fn read(
        &self,
        account: Account<'_>,
        wanted: &SecretKey,
    ) -> Result<SecretValue, SecretError> {
        let object = SecretObject { kind: Kind::Secret, account, name: &wanted.name };
        self.key::<ByteString>(object, &wanted.key).await.map(|value| SecretValue(value.0))
    }

    /// Reads the value of `wanted` in the namespace of the account, live and as the account.
    /// `binaryData` of a ConfigMap is not read.
    ///
    /// # Errors
    /// [`SecretError`]. No error shows a value.
    pub async fn read_config_map(
        &self,
        account: Account<'_>,
        wanted: &ConfigMapKey,
    ) -> Result<SecretValue, SecretError> {
        let object = SecretObject { kind: Kind::ConfigMap, account, name: &wanted.name };
        self.key::<String>(object, &wanted.key).await.map(|value| SecretValue(value.into_bytes()))
    }

    async fn key<T: DeserializeOwned>(
        &self,
        object: SecretObject<'_>,
        key: &str,
    ) -> Result<T, SecretError> {
        let answer = self.client.request_text(object.request()?).await;
        let text = answer.map_err(|error| object.refusal(&error))?;
        // The error of the parser would quote the value.
        let Ok(Data { data }) = serde_json::from_str::<Data<T>>(&text) else {
            return Err(
                object.passing(format!("the API server's answer is no {}", object.kind), None)
            );
        };
        data.and_then(|mut data| data.remove(key)).ok_or_else(|| SecretError::NoKey {
            kind: object.kind,
            name: object.name.into(),
            namespace: object.account.namespace.into(),
            key: key.into(),
        })
    }
}

/// The object to read, and the account that reads it.
#[derive(Clone, Copy)]
struct SecretObject<'a> {
    kind: Kind,
    account: Account<'a>,
    name: &'a str,
}

impl SecretObject<'_> {
    /// Returns the `GET` of the object as the account.
    fn request(&self) -> Result<Request<Vec<u8>>, SecretError> {
        let Self { kind, account, name } = self;
        // The names become parts of a path: `../../other/secrets/x` would lead to another
        // namespace.
        for (kind, name) in [
            ("namespace", account.namespace),
            ("service account", account.name),
            (kind.name(), name),
        ] {
            if !is_name(name) {
                return Err(SecretError::BadName {
                    kind,
                    name: name.chars().take(MAX_NAME).collect(),
                });
            }
        }
        Request::get(format!("/api/v1/namespaces/{}/{}/{name}", account.namespace, kind.resource()))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header("Impersonate-User", account.to_string())
            .extension(MaxBody(MAX_OBJECT))
            .body(Vec::new())
            .map_err(|error| self.passing(error.to_string(), None))
    }

    fn passing(&self, reason: String, retry_after: Option<Duration>) -> SecretError {
        SecretError::Passing {
            kind: self.kind,
            name: self.name.into(),
            namespace: self.account.namespace.into(),
            reason,
            retry_after,
        }
    }

    /// Returns the meaning of an error of the client.
    fn refusal(&self, error: &kube::Error) -> SecretError {
        let kube::Error::Api(status) = error else {
            if is_too_large(error) {
                let (name, namespace) = (self.name.into(), self.account.namespace.into());
                return SecretError::TooLarge { kind: self.kind, name, namespace };
            }
            return self.passing("the API server cannot be reached".into(), None);
        };
        let (kind, name, namespace) =
            (self.kind, self.name.to_owned(), self.account.namespace.to_owned());
        match status.code {
            404 => SecretError::NoObject { kind, name, namespace },
            403 if about(kind, status) => {
                SecretError::Forbidden { kind, account: self.account.to_string(), name, namespace }
            }
            403 => SecretError::NotImpersonated { account: self.account.to_string(), namespace },
            code => {
                let seconds =
                    status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                self.passing(format!("the API server answered {code}"), retry_after)
            }
        }
    }
}

/// Returns whether an object may have this name: lower case letters, digits, `-` and `.`, with an
/// alphanumeric first and last character (RFC 1123 subdomain).
fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'.'))
}

/// Returns whether a 403 refuses the read of the object itself. A 403 that refuses the
/// impersonation names `serviceaccounts`, `users` or `groups` instead. From a server with
/// constrained impersonation (KEP-5284), such a 403 names the object and a verb that begins with
/// `impersonate`.
fn about(kind: Kind, status: &Status) -> bool {
    let names_object = status
        .details
        .as_ref()
        .is_none_or(|details| details.kind.is_empty() || details.kind == kind.resource());
    names_object && !status.message.contains("impersonate")
}

#[cfg(test)]
pub(in crate::controller) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use std::sync::{Arc, Mutex};

    use http::Response;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::Layer;

    use super::*;
    use crate::service::client::body_limit::BodyLimits;

    const ACCOUNT: Account<'static> = Account { namespace: "shop", name: "order-saga" };

    /// The calls that a reader sent.
    pub(in crate::controller) type Seen = Arc<Mutex<Vec<Request<Body>>>>;

    /// Returns a reader in front of an API server that gives the same answer to every call.
    pub(in crate::controller) fn reader(code: u16, answer: &Value) -> (SecretReader, Seen) {
        let (seen, answer) = (Seen::default(), answer.to_string());
        let service = tower::service_fn({
            let seen = Arc::clone(&seen);
            move |request: Request<Body>| {
                seen.lock().unwrap().push(request);
                let response =
                    Response::builder().status(code).body(Body::from(answer.clone().into_bytes()));
                async move { response }
            }
        });
        (SecretReader::new(Client::new(BodyLimits.layer(service), "default")), seen)
    }

    /// Returns a reader in front of an API server with one Secret: `payments`, whose `token` is
    /// `Bearer s3cret-t0ken`.
    pub(in crate::controller) fn payments() -> (SecretReader, Seen) {
        reader(
            200,
            &json!({
                "kind": "Secret",
                "data": {"token": "QmVhcmVyIHMzY3JldC10MGtlbg==", "cut": "YQpi", "other": "eA=="},
            }),
        )
    }

    pub(in crate::controller) fn wanted(key: &str) -> SecretKey {
        SecretKey { name: "payments".into(), key: key.into() }
    }

    async fn refused(code: u16, answer: Value) -> SecretError {
        reader(code, &answer).0.read(ACCOUNT, &wanted("token")).await.unwrap_err()
    }

    fn failure(code: u16, details: &Value) -> Value {
        json!({
            "kind": "Status", "status": "Failure", "code": code, "message": "s3cret", "reason": "",
            "details": details,
        })
    }

    #[tokio::test]
    async fn one_key_is_read_as_the_account() {
        let (reader, seen) = payments();
        let value = reader.read(ACCOUNT, &wanted("token")).await.unwrap();
        assert_eq!(value.expose(), b"Bearer s3cret-t0ken");
        let seen = seen.lock().unwrap();
        let [request] = seen.as_slice() else { panic!("one request, not {}", seen.len()) };
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "/api/v1/namespaces/shop/secrets/payments");
        assert_eq!(request.headers()["impersonate-user"], "system:serviceaccount:shop:order-saga");
        assert!(
            !request.headers().contains_key("impersonate-group"),
            "would need the right to impersonate groups"
        );
    }

    #[tokio::test]
    async fn a_value_never_shows() {
        let value = payments().0.read(ACCOUNT, &wanted("token")).await.unwrap();
        assert_eq!(format!("{value:?}"), "SecretValue(..)");
        let malformed = refused(200, json!({"data": {"token": "s3cret!"}})).await;
        assert!(!malformed.to_string().contains("s3cret"), "{malformed}");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let no_key = payments().0.read(ACCOUNT, &wanted("tokn")).await.unwrap_err();
        assert_eq!(
            no_key.to_string(),
            r#"the secret "payments" in namespace "shop" has no key "tokn""#
        );
        let empty = refused(200, json!({"kind": "Secret"})).await;
        assert_eq!(
            empty.to_string(),
            r#"the secret "payments" in namespace "shop" has no key "token""#
        );
        let no_secret =
            refused(404, failure(404, &json!({"kind": "secrets", "name": "payments"}))).await;
        assert_eq!(
            no_secret.to_string(),
            r#"the secret "payments" does not exist in namespace "shop""#
        );
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read_and_is_named() {
        let value = "eHh4".repeat(MAX_OBJECT / 4);
        let large = refused(200, json!({"kind": "Secret", "data": {"token": value}})).await;
        assert_eq!(
            large.to_string(),
            concat!(
                r#"the secret "payments" in namespace "shop" is too large: at most 1048576 bytes "#,
                "are read of one object; keep the key in an object of its own"
            )
        );
    }

    #[tokio::test]
    async fn a_config_map_is_read_as_the_account_too() {
        let wanted = ConfigMapKey { name: "shop-ca".into(), key: "ca.crt".into() };
        let (found, seen) =
            reader(200, &json!({"kind": "ConfigMap", "data": {"ca.crt": "-----BEGIN"}}));
        assert_eq!(found.read_config_map(ACCOUNT, &wanted).await.unwrap().expose(), b"-----BEGIN");
        {
            let seen = seen.lock().unwrap();
            let [request] = seen.as_slice() else { panic!("one request, not {}", seen.len()) };
            assert_eq!(request.uri(), "/api/v1/namespaces/shop/configmaps/shop-ca");
            assert_eq!(
                request.headers()["impersonate-user"],
                "system:serviceaccount:shop:order-saga"
            );
        }
        let says = async |code: u16, answer: &Value| {
            reader(code, answer).0.read_config_map(ACCOUNT, &wanted).await.unwrap_err().to_string()
        };
        let missing = says(404, &failure(404, &json!({"kind": "configmaps"}))).await;
        assert_eq!(missing, r#"the ConfigMap "shop-ca" does not exist in namespace "shop""#);
        let no_key = says(200, &json!({"kind": "ConfigMap", "data": {"tls.crt": "x"}})).await;
        assert_eq!(no_key, r#"the ConfigMap "shop-ca" in namespace "shop" has no key "ca.crt""#);
        let forbidden =
            says(403, &failure(403, &json!({"kind": "configmaps", "name": "shop-ca"}))).await;
        assert!(
            forbidden.starts_with(
                r#"system:serviceaccount:shop:order-saga may not get configmaps "shop-ca""#
            ),
            "{forbidden}"
        );
    }

    #[tokio::test]
    async fn a_missing_right_is_named_and_whose_it_is() {
        let account =
            refused(403, failure(403, &json!({"kind": "secrets", "name": "payments"}))).await;
        let expected = concat!(
            r#"system:serviceaccount:shop:order-saga may not get secrets "payments" in namespace "#,
            r#""shop": give the account a Role with that right"#
        );
        assert_eq!(account.to_string(), expected);
        let operator =
            refused(403, failure(403, &json!({"kind": "serviceaccounts", "name": "order-saga"})))
                .await;
        assert!(
            operator.to_string().starts_with(
                "the operator may not impersonate system:serviceaccount:shop:order-saga"
            ),
            "{operator}"
        );
        let mut constrained = failure(403, &json!({"kind": "secrets", "name": "payments"}));
        constrained["message"] = json!(concat!(
            r#"secrets "payments" is forbidden: "#,
            r#"cannot impersonate-on:serviceaccount:get resource "secrets""#
        ));
        assert_eq!(refused(403, constrained).await.to_string(), operator.to_string());
    }

    #[tokio::test]
    async fn what_passes_is_told_from_what_stays() {
        for code in [401, 408, 429, 500, 503, 504] {
            let error = refused(code, failure(code, &json!({"retryAfterSeconds": 7}))).await;
            let SecretError::Passing { retry_after, .. } = error else {
                panic!("{code} is {error:?}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{code}");
        }
        let html = refused(502, json!("<html>s3cret</html>")).await;
        assert!(matches!(html, SecretError::Passing { retry_after: None, .. }), "{html:?}");
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_namespace() {
        let (reader, seen) = payments();
        for name in [
            "",
            ".",
            "..",
            "../../other/secrets/x",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "a b",
            "A",
            "ä",
            "a\r\nb",
            "-a",
            "a.",
            &"a".repeat(254),
        ] {
            let error = reader
                .read(ACCOUNT, &SecretKey { name: name.into(), key: "k".into() })
                .await
                .unwrap_err();
            assert!(
                matches!(error, SecretError::BadName { kind: "secret", .. }),
                "{name:?}: {error}"
            );
        }
        for account in
            [Account { namespace: "a/b", name: "c" }, Account { namespace: "a", name: "b:c" }]
        {
            let error = reader.read(account, &wanted("token")).await.unwrap_err();
            assert!(matches!(error, SecretError::BadName { .. }), "{error}");
        }
        assert!(seen.lock().unwrap().is_empty());
    }
}
