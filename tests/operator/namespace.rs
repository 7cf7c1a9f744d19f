//! Tests of a terminating namespace that holds what the compensations of its sagas need.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stand::{Stand, condition, message, post, scope};

const TOKEN: &str = "payments";

fn secret() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": TOKEN},
        "stringData": {"token": "Bearer sample"},
    })
}

/// Returns a stand with a saga that waits for an approval. Its compensation needs a Secret that no
/// longer exists. The account of the saga may read Secrets although its namespace is terminating.
async fn without_its_secret(name: &str) -> Stand {
    let mut stand = Stand::new(name).await;
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "order-saga"},
        }))
        .await;
    let account = format!("{}:order-saga", stand.namespace);
    for (what, role, whom) in [
        ("acts", "saga-operator-impersonator", "saga-system:saga-operator"),
        ("reads", "edit", account.as_str()),
    ] {
        let binding = format!("{what}-{}", stand.namespace);
        stand.kubectl(&[
            "create",
            "clusterrolebinding",
            &binding,
            "--clusterrole",
            role,
            "--serviceaccount",
            whom,
        ]);
    }
    stand.put(&secret()).await;
    stand.start();
    let mut release = post("/stock/releases");
    release["headers"] = json!([{
        "name": "Authorization", "valueFrom": {"secretKeyRef": {"name": TOKEN, "key": "token"}},
    }]);
    let spec = json!({"serviceAccountName": "order-saga", "steps": [
        {
            "name": "reserve-stock", "http": post("/stock/reservations"),
            "compensation": {"http": release},
        },
        {"name": "sign-off", "dependsOn": ["reserve-stock"], "approval": {}},
    ]});
    stand.apply("order", &spec).await;
    stand
        .until("order", "waiting for a user", |saga| {
            condition(saga, "Ready").ends_with("/AwaitingApproval")
        })
        .await;
    stand.take_back(&secret()).await;
    stand
}

fn take_rights_back(stand: &Stand) {
    for what in ["acts", "reads"] {
        stand.kubectl(&["delete", "clusterrolebinding", &format!("{what}-{}", stand.namespace)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_whose_secret_went_with_its_namespace_does_not_hold_it_up() {
    let stand = without_its_secret("secret-goes").await;
    let begun = Instant::now();
    stand.kubectl(&["delete", "namespace", &stand.namespace, "--wait=false"]);
    stand.gone("order").await;
    let took = begun.elapsed();
    take_rights_back(&stand);
    assert!(took < Duration::from_secs(30), "it held its namespace up for {took:?}");
    // If no event can be written, the log says what is still in effect.
    stand.logs("still in effect: reserve-stock").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_whose_secret_alone_is_gone_waits_for_it_and_is_undone() {
    let stand = without_its_secret("secret-comes").await;
    let saga = stand.sagas().get("order").await.unwrap();
    stand.delete("order").await;
    stand
        .until("order", "waiting for the Secret", |saga| message(saga).contains("does not exist"))
        .await;
    stand.put(&secret()).await;
    stand.gone("order").await;
    take_rights_back(&stand);
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve-stock"]);
}
