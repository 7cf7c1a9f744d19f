//! Tests of Secrets in HTTP requests: who may read them, and what happens if a Secret is missing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{checkout_with_token, took};
use crate::{
    shop::Kind,
    stand::{PATIENCE, Stand, message, outcomes, scope},
};

fn payments(key: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "payments"},
        "stringData": {key: token},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_not_be_read_fails_the_step_and_the_missing_right_is_named() {
    let mut stand = Stand::new("forbidden").await;
    stand.put(&payments("token", "Bearer sample")).await;
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "order-saga"},
        }))
        .await;
    stand.start();
    stand.apply("not-bound", &checkout_with_token()).await;
    let saga = stand.reaches("not-bound", SagaPhase::Failed).await;
    assert!(
        message(&saga).contains("the operator may not impersonate system:serviceaccount:"),
        "{}",
        message(&saga)
    );
    let names = stand.apply_example("service-account.yaml").await;
    assert!(names.contains(&"order-saga".to_owned()));
    stand
        .take_back(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "order-saga"},
        }))
        .await;
    // The API server's authorizer learns of role changes a moment later. Until then the earlier
    // answer also counts.
    let told = async {
        loop {
            let name = format!("no-role-{}", Timestamp::now().as_millisecond());
            stand.apply(&name, &checkout_with_token()).await;
            let phase = |saga: &Saga| saga.status.as_ref().and_then(|status| status.phase);
            let ended =
                |saga: &Saga| matches!(phase(saga), Some(SagaPhase::Failed | SagaPhase::Completed));
            let saga = stand.until(&name, "ended", ended).await;
            if message(&saga).contains("may not get secrets") {
                return saga;
            }
        }
    };
    let saga = timeout(PATIENCE, told).await.expect("the right that was taken back is still there");
    assert!(
        message(&saga).contains("give the account a Role with that right"),
        "{}",
        message(&saga)
    );
    // Nothing was sent: nothing of the step has to be undone.
    stand
        .patch(
            saga.metadata.name.as_deref().unwrap(),
            &json!({"spec": {"onFailure": "Compensate"}}),
        )
        .await
        .unwrap();
    stand.reaches(saga.metadata.name.as_deref().unwrap(), SagaPhase::Compensated).await;
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!(
        (summary.done, summary.undone),
        (vec!["reserve-stock".to_owned()], vec!["reserve-stock".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_or_a_key_that_is_missing_is_waited_for() {
    let mut stand = Stand::new("missing").await;
    stand.apply_example("service-account.yaml").await;
    stand.start();
    stand.apply("order", &checkout_with_token()).await;
    let says = |text: &'static str| move |saga: &Saga| message(saga).contains(text);
    stand
        .until("order", "waiting for the Secret", says("the secret \"payments\" does not exist"))
        .await;
    stand.put(&payments("password", "Bearer sample")).await;
    stand.until("order", "waiting for the key", says("has no key \"token\"")).await;
    stand.put(&payments("token", "Bearer sample")).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    // An HTTP request that was never sent does not change the key.
    let charge = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .find(|entry| entry.step == "charge-card")
        .unwrap();
    assert_eq!(charge.key, format!("{}/charge-card/action/0", scope(&saga)));
    assert!(outcomes(&saga, "charge-card").len() >= 2 && charge.kind == Kind::Done);
    assert!(took(&saga, "charge-card") < SignedDuration::try_from(Duration::from_mins(2)).unwrap());
}
