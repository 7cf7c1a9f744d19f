//! The headers of one attempt, including those from Secrets.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::{
    outcome::{CallOutcome, failed, failed_permanently},
    redact::Redactor,
};
use crate::{
    api::SecretKey,
    controller::cluster::{
        impersonate::Account,
        secrets::{SecretError, SecretReader, SecretValue},
    },
    objects::http::request::{HttpHeaderValue, HttpRequest},
};

/// How long an attempt waits if the API server does not say how long.
const RETRY_IN: Duration = Duration::from_secs(5);
/// The longest wait that the API server may ask for.
const MAX_RETRY_IN: Duration = Duration::from_mins(1);

/// The headers of one attempt, and the secret values in them. An answer may repeat the headers, so
/// the values are needed to hide them there.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) map: HeaderMap,
    pub(super) secrets: Vec<SecretValue>,
}

/// The most bytes of a Secret that are sent as the value of a header. The number equals the most
/// characters of a literal value.
const MAX_SECRET: usize = 8 * 1024;
/// The most headers of an answer that expressions may read, and the most bytes of their names and
/// values together.
const MAX_READ: usize = 64;
const MAX_READ_BYTES: usize = 8 * 1024;

/// Returns the headers of an answer that are text, without the values of the Secrets. Names are in
/// lower case. The values of a repeated header are joined with `, ` (RFC 9110, 5.2). The service
/// may repeat a secret in a name too, so names are searched as well.
pub(super) fn of_answer(answer: &HeaderMap, redactor: &Redactor) -> BTreeMap<String, String> {
    let (mut read, mut bytes) = (BTreeMap::<String, String>::new(), 0_usize);
    for (name, value) in answer.iter().take(MAX_READ) {
        let Ok(value) = value.to_str() else { continue };
        bytes = bytes.saturating_add(name.as_str().len()).saturating_add(value.len());
        if bytes > MAX_READ_BYTES {
            break;
        }
        let value = redactor.redact(value);
        read.entry(redactor.redact_in_name(name.as_str()).into_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    read
}

/// Reads the Secrets live and builds the headers.
pub(super) async fn headers(
    request: &HttpRequest,
    account: Account<'_>,
    reader: &SecretReader,
) -> Result<Headers, CallOutcome> {
    let (mut map, mut secrets) = (HeaderMap::new(), Vec::new());
    if let Some(content_type) = request.content_type {
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for header in &request.headers {
        let value = match &header.value {
            HttpHeaderValue::Literal(value) => literal(&header.name, value)?,
            HttpHeaderValue::Secret(key) => {
                let secret = reader.read(account, key).await.map_err(|error| unreadable(&error))?;
                let value = from_secret(&header.name, key, &secret)?;
                secrets.push(secret);
                value
            }
        };
        let name = HeaderName::try_from(&header.name).map_err(|_| {
            failed_permanently(format!(
                "{:?} cannot be the name of a header: write letters, digits and dashes",
                header.name
            ))
        })?;
        map.append(name, value);
    }
    Ok(Headers { map, secrets })
}

fn literal(name: &str, value: &str) -> Result<HeaderValue, CallOutcome> {
    HeaderValue::try_from(value).map_err(|_| {
        failed_permanently(format!(
            "the value of header {name} holds a line break or another control character"
        ))
    })
}

/// Returns the header value that the Secret holds, untrimmed. The message of a failure shows
/// nothing of the value.
fn from_secret(
    header: &str,
    key: &SecretKey,
    secret: &SecretValue,
) -> Result<HeaderValue, CallOutcome> {
    let refused = |why: &str| {
        let SecretKey { name, key } = key;
        failed_permanently(format!(
            "key {key:?} of the secret {name:?} cannot be sent as header {header}: {why}"
        ))
    };
    if secret.expose().len() > MAX_SECRET {
        let why = format!(
            "it holds more than {MAX_SECRET} bytes; name a key that holds nothing but the token \
             or password"
        );
        return Err(refused(&why));
    }
    let mut value = HeaderValue::from_bytes(secret.expose()).map_err(|_| {
        refused(
            "it holds a line break or another control character; store the value \
            without a line break at its end",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn unreadable(error: &SecretError) -> CallOutcome {
    let message = error.to_string();
    match error {
        SecretError::NoObject { .. } | SecretError::NoKey { .. } => failed(message),
        SecretError::Forbidden { .. }
        | SecretError::NotImpersonated { .. }
        | SecretError::TooLarge { .. }
        | SecretError::BadName { .. } => failed_permanently(message),
        SecretError::Passing { retry_after, .. } => {
            let retry_in = retry_after.unwrap_or(RETRY_IN).min(MAX_RETRY_IN);
            CallOutcome::Refused { message, retry_in }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use serde_json::json;

    use super::*;
    use crate::{
        api::HttpMethod,
        controller::{
            cluster::secrets::tests::{payments, reader, wanted},
            http::outcome::fixture::nothing_reached,
        },
        objects::http::request::HttpHeader,
    };

    const ACCOUNT: Account<'static> = Account { namespace: "shop", name: "order-saga" };

    fn request(headers: Vec<(&str, HttpHeaderValue)>) -> HttpRequest {
        let headers = headers
            .into_iter()
            .map(|(name, value)| HttpHeader { name: name.into(), value })
            .collect();
        HttpRequest {
            method: HttpMethod::Post,
            url: "http://payments/".into(),
            headers,
            content_type: None,
            body: None,
            tls: None,
        }
    }

    fn secret(key: &str) -> HttpHeaderValue {
        HttpHeaderValue::Secret(wanted(key))
    }

    #[tokio::test]
    async fn a_value_from_a_secret_is_sent_and_never_shown() {
        let headers =
            headers(&request(vec![("Authorization", secret("token"))]), ACCOUNT, &payments().0)
                .await
                .unwrap();
        assert_eq!(headers.map["authorization"], "Bearer s3cret-t0ken");
        assert!(!format!("{headers:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn an_answer_that_echoes_a_secret_is_not_passed_on() {
        let headers = headers(
            &request(vec![("Authorization", secret("token")), ("X", secret("other"))]),
            ACCOUNT,
            &payments().0,
        )
        .await
        .unwrap();
        let redactor = Redactor::new(&headers.secrets);
        let shown = redactor.redact("bad header Bearer s3cret-t0ken, token s3cret-t0ken, x");
        assert_eq!(shown, "bad header [hidden], token [hidden], x");
        let mut echo = HeaderMap::new();
        for (name, value) in [
            ("x-session", "a, s3cret-t0ken"),
            ("x-s3cret-t0ken", "b"),
            ("x-session", "s3cret%2Dt0ken"),
        ] {
            echo.append(name, HeaderValue::from_static(value));
        }
        let shown = [("x-session", "a, [hidden], [hidden]"), ("x-[hidden]", "b")];
        assert_eq!(
            of_answer(&echo, &redactor),
            shown.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_a_header_is_refused_unseen() {
        for (request, hint) in [
            (request(vec![("X-Key", secret("cut"))]), "key \"cut\" of the secret \"payments\""),
            (
                request(vec![("X-Key", HttpHeaderValue::Literal("a\r\nHost: b".into()))]),
                "header X-Key",
            ),
            (
                request(vec![("X Key", HttpHeaderValue::Literal("a".into()))]),
                "\"X Key\" cannot be the name",
            ),
        ] {
            let state = headers(&request, ACCOUNT, &payments().0).await.unwrap_err();
            let (permanent, message) = nothing_reached(&state);
            assert!(permanent, "{message}");
            assert!(
                message.contains(hint) && !message.contains('\n') && !message.contains("Host"),
                "{message}"
            );
        }
    }

    /// Returns the outcome of building the headers with a Secret of this length.
    async fn of_length(bytes: usize) -> Result<Headers, CallOutcome> {
        let value =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "s".repeat(bytes));
        let (reader, _) = reader(200, &json!({"kind": "Secret", "data": {"token": value}}));
        headers(&request(vec![("X-Key", secret("token"))]), ACCOUNT, &reader).await
    }

    #[tokio::test]
    async fn a_secret_that_is_too_long_is_refused_unseen() {
        assert_eq!(of_length(8 * 1024).await.unwrap().map["x-key"].len(), 8 * 1024);
        let state = of_length(8 * 1024 + 1).await.unwrap_err();
        let (permanent, message) = nothing_reached(&state);
        assert!(permanent, "{message}");
        let said = "key \"token\" of the secret \"payments\" cannot be sent as header X-Key: it \
            holds more than 8192 bytes; name a key that holds nothing but the token or password";
        assert_eq!(message, said);
    }

    #[tokio::test]
    async fn what_the_api_server_says_decides_whether_it_is_tried_again() {
        let answer = |code: u16| {
            json!({
                "kind": "Status", "status": "Failure", "code": code,
                "details": {"kind": "secrets", "retryAfterSeconds": 600},
            })
        };
        let states = [404, 403, 500].map(async |code| {
            let (reader, _) = reader(code, &answer(code));
            headers(&request(vec![("Authorization", secret("token"))]), ACCOUNT, &reader)
                .await
                .unwrap_err()
        });
        let states = futures::future::join_all(states).await;
        let [missing, forbidden, passing] = states.as_slice() else { panic!("{states:?}") };
        assert!(!nothing_reached(missing).0, "{missing:?}");
        assert!(nothing_reached(forbidden).0, "{forbidden:?}");
        assert!(
            matches!(
                passing,
                CallOutcome::Refused { retry_in, .. } if *retry_in == Duration::from_mins(1)
            ),
            "{passing:?}"
        );
    }
}
