//! Tests of children after the operator was killed or a child was deleted: which child continues,
//! and under which keys.

use kube::api::ListParams;
use saga_operator::api::{Outcome, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use super::{ALL, child_name, mail, parent, stand_with, tenant, wait};
use crate::{
    shop::Kind,
    stand::{Stand, outcomes, post, post_by_gate, step},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_while_the_child_runs_goes_on_with_the_same_child() {
    let mut stand = stand_with("child-crash", &ALL).await;
    let mut tenant = tenant(&post_by_gate("/payments/charges"));
    // The answer to any HTTP request in flight is lost when the operator is killed.
    tenant["defaults"] = json!({
        "retry": {"maxAttempts": 3, "backoff": {"initialDelay": "50ms", "maxDelay": "200ms"}},
    });
    stand.apply("onboarding", &parent(&tenant, &mail())).await;
    let name = child_name(&stand).await;
    stand
        .shop_sees("the request of the child", |entries| {
            entries.iter().any(|entry| entry.service == "payments")
        })
        .await;
    stand.kill();
    stand.gate.open();
    stand.start();
    stand.reaches(&name, SagaPhase::Completed).await;
    let saga = stand.reaches("onboarding", SagaPhase::Completed).await;
    assert_eq!(
        (child_name(&stand).await, step(&saga, "tenant").action.as_ref().unwrap().attempt),
        (name, 1)
    );
}

/// Returns a parent whose tenant step has two attempts. The last step of the child waits for an
/// approval.
fn tries_its_tenant_twice() -> Value {
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    let mut parent = parent(&tenant, &wait());
    parent["onFailure"] = json!("Hold");
    parent["steps"][0]["retry"] =
        json!({"maxAttempts": 2, "backoff": {"initialDelay": "50ms", "maxDelay": "200ms"}});
    parent
}

/// Waits until the first child waits for an approval, and returns its name. The shop refused the
/// child's database once and then accepted it under another key.
async fn first_child_that_waits(stand: &Stand) -> String {
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "stock", "direction": "action"}, "then": [{"answer": 422}],
        }]))
        .unwrap();
    stand.apply("onboarding", &tries_its_tenant_twice()).await;
    let name = child_name(stand).await;
    stand.reaches(&name, SagaPhase::Failed).await;
    stand.ask(&name, "saga.dev/retry=database");
    stand.step_reaches(&name, "ask", StepPhase::Waiting).await;
    let named = |saga: &Saga| {
        saga.status.as_ref().and_then(|status| status.steps.first()?.child.as_ref()).is_some()
    };
    stand.until("onboarding", "its child is written down", named).await;
    name
}

/// Returns the last part of the key and the kind of each call for the database.
fn database(stand: &Stand) -> Vec<(String, Kind)> {
    let entries = stand.shop.entries(None).into_iter().filter(|entry| entry.service == "stock");
    entries.map(|entry| (entry.key.rsplit('/').next().unwrap().to_owned(), entry.kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_made_again_goes_on_with_the_keys_of_the_one_that_was_cancelled() {
    let stand = stand_with("child-again", &ALL).await;
    let first = first_child_that_waits(&stand).await;
    stand.ask(&first, "saga.dev/cancel=by mistake");
    stand.reaches(&first, SagaPhase::Cancelled).await;
    let again = |saga: &Saga| {
        let step = saga.status.as_ref().and_then(|status| status.steps.first());
        step.and_then(|step| step.child.as_ref()).is_some_and(|child| child.name != first)
    };
    let saga = stand.until("onboarding", "another child is made", again).await;
    let second = step(&saga, "tenant").child.clone().unwrap().name;
    let child = stand.step_reaches(&second, "ask", StepPhase::Waiting).await;
    let keys = step(&child, "database").keys_from.clone();
    assert_eq!(json!(keys), json!({"action": 1, "mayHaveActed": true}));
    let (refused, done) = (("0".to_owned(), Kind::Refused), ("1".to_owned(), Kind::Done));
    assert_eq!(database(&stand), [refused, done, ("1".to_owned(), Kind::Repeat)]);
    stand.ask(&second, "saga.dev/approve=ask");
    let saga = stand.reaches("onboarding", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "tenant"), [Outcome::Unknown, Outcome::Succeeded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_earlier_child_is_gone_no_other_one_is_made_and_a_person_is_asked() {
    let mut stand = stand_with("child-gone", &ALL).await;
    let first = first_child_that_waits(&stand).await;
    stand.kill();
    stand.patch(&first, &json!({"metadata": {"finalizers": null}})).await.unwrap();
    stand.delete(&first).await;
    stand.gone(&first).await;
    stand.start();
    let saga = stand.reaches("onboarding", SagaPhase::Failed).await;
    assert_eq!(outcomes(&saga, "tenant"), [Outcome::Unknown, Outcome::Failed]);
    let said = step(&saga, "tenant").message.clone().unwrap();
    assert!(
        said.contains(&first) && said.contains("saga.dev/settle") && said.contains("saga.dev/skip"),
        "{said}"
    );
    assert_eq!(
        (
            stand.sagas().list(&ListParams::default()).await.unwrap().items.len(),
            database(&stand).len()
        ),
        (1, 2)
    );
    stand.ask("onboarding", "saga.dev/skip=tenant");
    stand.reaches("onboarding", SagaPhase::Completed).await;
}
