//! Tests that a value from a Secret never appears in what the operator shows: status, events, logs
//! with all spans and fields, metrics, probes.

use std::net::SocketAddr;

use axum::{Router, http::HeaderMap};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    forward::checkout_with_token,
    keeper::keeper,
    pods::pod,
    stand::{Stand, ask, message, scope, step},
};

/// The text that every value of the Secret contains and that appears nowhere else.
const CANARY: &str = "c4naryB1rd";

/// Returns the Secret of these tests: a token, a value that no header can hold, and a value that is
/// not a certificate.
fn secret() -> Value {
    let certificate =
        format!("-----BEGIN CERTIFICATE-----\n{CANARY}!\n-----END CERTIFICATE-----\n");
    let values = json!({
        "token": format!("Bearer {CANARY}-1"), "cut": format!("{CANARY}-2\nand more"),
        "ca": certificate,
    });
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "payments"},
        "stringData": values,
    })
}

/// Returns a saga with this step alone. The saga acts as the account `keeper` and has one attempt.
fn one(step: &Value) -> Value {
    let mut step = step.clone();
    step["name"] = json!("one");
    step["precheck"] = json!("Skip");
    json!({"serviceAccountName": "keeper", "steps": [step]})
}

fn key(key: &str) -> Value {
    json!({"name": "payments", "key": key})
}

/// Returns the texts that would reveal the canary: the canary as it is, and its base64 form at each
/// of the three offsets within a group of three bytes.
fn forms() -> Vec<String> {
    let within = |before: usize| {
        let text = STANDARD_NO_PAD.encode(format!("{}{CANARY}", "x".repeat(before)));
        // The base64 characters at both ends depend on the neighboring bytes, so they are cut off.
        text[(before * 8).div_ceil(6)..(before + CANARY.len()) * 8 / 6].to_owned()
    };
    [CANARY.to_owned()].into_iter().chain((0..3).map(within)).collect()
}

/// Returns everything that a user can see, with the place where it is shown.
async fn everything(stand: &Stand, [metrics, health]: [SocketAddr; 2]) -> Vec<(String, String)> {
    let log = std::fs::read_to_string(stand.log()).unwrap();
    assert!(log.contains(r#""level":"TRACE""#), "the log says all there is");
    let mut shown = vec![("the log".to_owned(), log)];
    for kind in ["sagas", "events", "pods", "leases"] {
        shown.push((
            kind.into(),
            stand.kubectl(&["get", kind, "-o", "json", "--show-managed-fields"]),
        ));
    }
    for (address, path) in [
        (metrics, "/metrics"),
        (health, "/health/circuits"),
        (health, "/healthz"),
        (health, "/readyz"),
    ] {
        shown.push((path.into(), ask(address, path).await));
    }
    shown
}

fn shows_nothing(shown: &[(String, String)]) {
    for (place, text) in shown {
        for form in forms() {
            let before = text
                .find(&form)
                .map(|at| &text[text.floor_char_boundary(at.saturating_sub(200))..at]);
            assert!(
                before.is_none(),
                "a value of the Secret shows in {place}, after {}",
                before.unwrap_or_default()
            );
        }
    }
}

#[test]
fn the_forms_of_the_canary_are_found_in_the_midst_of_other_text() {
    let within = |text: String| forms().iter().filter(|form| text.contains(form.as_str())).count();
    for before in ["", "a", "ab", "abc"] {
        assert_eq!(
            within(STANDARD_NO_PAD.encode(format!("{before}{CANARY}-1\n"))),
            1,
            "{before:?}"
        );
    }
    assert_eq!(within(format!("x{CANARY}y")), 1);
}

/// Checks HTTP requests: a token that is sent and refused once, a value that no header can hold,
/// and a certificate authority that is not a certificate.
async fn requests(stand: &Stand) {
    stand
        .shop
        .behave(&json!([{"match": {"service": "payments"}, "then": [{"answer": 503}]}]))
        .unwrap();
    let mut checkout = checkout_with_token();
    checkout["serviceAccountName"] = json!("keeper");
    stand.apply("order", &checkout).await;
    let headers = json!([{"name": "Authorization", "valueFrom": {"secretKeyRef": key("cut")}}]);
    stand
        .apply(
            "cut",
            &one(&json!({
                "http": {"method": "POST", "url": "SHOP/mail/messages", "headers": headers},
            })),
        )
        .await;
    let tls = json!({"ca": {"secretKeyRef": key("ca")}});
    stand
        .apply(
            "authority",
            &one(&json!({"http": {"method": "POST", "url": "https://127.0.0.1:1/", "tls": tls}})),
        )
        .await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let charges: Vec<_> = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .filter(|entry| entry.service == "payments")
        .collect();
    assert!(charges.len() == 2 && charges.iter().all(|entry| entry.authorized), "{charges:?}");
    fails(stand, "cut", "cannot be sent as header Authorization").await;
    fails(stand, "authority", "is malformed").await;
}

/// Starts a service that answers with the `Authorization` header that it received, written in JSON
/// escapes. The escapes hide the value from any filter that does not decode JSON.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |headers: HeaderMap| async move {
        let sent: Vec<_> = headers["authorization"]
            .to_str()
            .unwrap()
            .bytes()
            .map(|byte| format!("\\u{byte:04x}"))
            .collect();
        format!("{{\"sent\": \"{}\"}}", sent.concat())
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

/// Checks HTTP requests to a service that repeats what it received: one step passes the value to
/// its outputs, and one step shows the value in its message.
async fn echoes(stand: &Stand) {
    let headers = json!([{"name": "Authorization", "valueFrom": {"secretKeyRef": key("token")}}]);
    let mut request =
        json!({"method": "POST", "url": format!("http://{}/", echo().await), "headers": headers});
    stand
        .apply("repeats", &one(&json!({"http": request, "outputs": {"all": "${response.body}"}})))
        .await;
    request["expect"] = json!("response.status == 201");
    stand.apply("tells", &one(&json!({"http": request}))).await;
    let saga = stand.reaches("repeats", SagaPhase::Completed).await;
    assert_eq!(json!(step(&saga, "one").outputs), json!({"all": {"sent": "[hidden]"}}));
    fails(stand, "tells", "{\"sent\":\"[hidden]\"}").await;
}

/// Checks objects: a Secret that a step waits for, a Secret that a step applies, and expressions
/// over the content of a Secret that fail.
async fn objects(stand: &Stand) {
    let reference = json!({"apiVersion": "v1", "kind": "Secret", "name": "payments"});
    let reads = json!({"token": "${object.data.token}", "all": "${object.data}"});
    let hidden = json!({
        "token": "[hidden]", "all": {"token": "[hidden]", "cut": "[hidden]", "ca": "[hidden]"},
    });
    let waits =
        json!({"wait": {"until": "has(object.data.token)", "object": reference}, "outputs": reads});
    stand.apply("waits", &one(&waits)).await;
    let labels = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "payments", "labels": {"touched": "yes"}},
    });
    stand
        .apply(
            "touches",
            &one(&json!({
                "apply": {"manifest": labels, "until": "has(object.data)"}, "outputs": reads,
            })),
        )
        .await;
    let compares =
        json!({"timeout": "2s", "wait": {"until": "object.data.token > 1", "object": reference}});
    stand.apply("compares", &one(&compares)).await;
    for name in ["waits", "touches"] {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(json!(step(&saga, "one").outputs), hidden, "{name}");
    }
    fails(stand, "compares", "until it holds").await;
}

/// Checks Pods: one fails with the Secret in its environment; one prints its environment, and its
/// message shows nothing of the Secret.
async fn pods(stand: &Stand) {
    let from = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": key("token")}}]);
    let mut quiet = pod("test -n \"$TOKEN\" && echo it is there && exit 3");
    quiet["env"] = from.clone();
    stand.apply("quiet", &one(&json!({"pod": quiet}))).await;
    let mut talks = pod("env; exit 3");
    let container = talks.as_object_mut().unwrap();
    container.extend(
        json!({"name": "step", "env": from, "terminationMessagePolicy": "File"})
            .as_object()
            .unwrap()
            .clone(),
    );
    stand
        .apply("talks", &one(&json!({"pod": {"template": {"spec": {"containers": [talks]}}}})))
        .await;
    fails(stand, "quiet", "exit code 3 (Error): it is there").await;
    fails(stand, "talks", "exit code 3").await;
}

async fn fails(stand: &Stand, name: &str, says: &str) -> Saga {
    let saga = stand.reaches(name, SagaPhase::Failed).await;
    assert!(message(&saga).contains(says), "{name}: {}", message(&saga));
    saga
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_secret_shows_in_anything_that_the_operator_says() {
    let mut stand = Stand::with_pods("canary").await;
    keeper(&stand, ("", "secrets"), &["get", "patch"]).await;
    stand.put(&secret()).await;
    let servers = stand.start_telling_all();
    requests(&stand).await;
    echoes(&stand).await;
    objects(&stand).await;
    pods(&stand).await;
    stand.event("order", "Completed").await;
    shows_nothing(&everything(&stand, servers).await);
}
