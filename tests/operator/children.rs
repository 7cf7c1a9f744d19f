//! Tests of child sagas on a real cluster: the operator creates them as the account of their
//! parent, runs them, has them compensated, and cancels them with their parent.

mod again;
mod meddled;
mod refused;

use std::time::Duration;

use kube::api::ListParams;
use saga_operator::api::{
    DeletionPolicy, Outcome, RequestAction, RequestResult, Saga, SagaPhase, StepPhase,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    keeper,
    shop::Entry,
    stand::{PATIENCE, Stand, outcomes, post, step, still_in_effect},
};

/// The rights that the account of a parent needs: to create and patch the child, to make requests
/// of it, and to pause and resume it with the parent.
const ALL: [&str; 6] = ["create", "patch", "compensate", "cancel", "pause", "resume"];

async fn stand_with(name: &str, verbs: &[&str]) -> Stand {
    keeper::stand_with(name, ("saga.dev", "sagas"), verbs).await
}

/// Returns the spec of a tenant: a database, then its first user. Both steps can be undone.
fn tenant(user: &Value) -> Value {
    json!({
        "params": {"tenant": "${params.tenant}"},
        "outputs": {"welcome": "${'hello ' + params.tenant}"},
        "steps": [
            {
                "name": "database", "http": post("/stock/reservations"),
                "compensation": {"http": post("/stock/releases")},
            },
            {
                "name": "user", "dependsOn": ["database"], "http": user,
                "compensation": {"http": post("/payments/refunds")},
            },
        ],
    })
}

/// Returns a parent whose first step is a tenant. The second step may fail.
fn parent(child: &Value, second: &Value) -> Value {
    let backoff = json!({"initialDelay": "50ms", "maxDelay": "200ms"});
    let mut tell = json!({"name": "tell", "dependsOn": ["tenant"]});
    tell.as_object_mut().unwrap().extend(second.as_object().unwrap().clone());
    json!({
        "serviceAccountName": "keeper", "params": {"tenant": "acme"}, "onFailure": "Compensate",
        "defaults": {"compensationRetry": {"backoff": backoff}},
        "steps": [{"name": "tenant", "saga": {"spec": child}}, tell],
    })
}

fn wait() -> Value {
    json!({"wait": {"for": "10ms"}})
}

fn mail() -> Value {
    json!({
        "http": {
            "method": "POST", "url": "SHOP/mail/messages",
            "body": {"text": "${steps.tenant.outputs.welcome}"},
        },
    })
}

/// Returns the only child that exists.
async fn child(stand: &Stand) -> Saga {
    let found = async {
        loop {
            let all = stand.sagas().list(&ListParams::default()).await.unwrap().items;
            let mut children: Vec<_> =
                all.into_iter().filter(|saga| saga.metadata.owner_references.is_some()).collect();
            assert!(children.len() <= 1, "{children:?}");
            if let Some(child) = children.pop() {
                return child;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("no child is made")
}

async fn child_name(stand: &Stand) -> String {
    child(stand).await.metadata.name.unwrap()
}

/// Returns what the shop did and undid, as `service/direction`.
fn done(stand: &Stand) -> Vec<String> {
    let told = |entry: &Entry| format!("{}/{:?}", entry.service, entry.direction).to_lowercase();
    stand.shop.entries(None).iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_carried_through_as_its_parents_account_and_hands_its_outputs_on() {
    let stand = stand_with("child", &ALL).await;
    stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &mail())).await;
    let saga = stand.reaches("onboarding", SagaPhase::Completed).await;
    let child = child(&stand).await;
    let (name, owners) =
        (child.metadata.name.clone().unwrap(), child.metadata.owner_references.clone().unwrap());
    assert_eq!(child.spec.service_account_name.as_deref(), Some("keeper"));
    assert_eq!((owners[0].name.as_str(), owners[0].block_owner_deletion), ("onboarding", None));
    assert_eq!(
        json!(step(&saga, "tenant").child),
        json!({"name": name, "uid": child.metadata.uid, "phase": "Completed"})
    );
    assert_eq!(json!(step(&saga, "tenant").outputs), json!({"welcome": "hello acme"}));
    let mails: Vec<_> =
        stand.shop.entries(None).into_iter().filter(|entry| entry.service == "mail").collect();
    assert_eq!(mails.len(), 1);
    // The parent can no longer ask for compensation, so the child has no finalizer.
    stand.is_let_go(&name).await;
    stand.delete("onboarding").await;
    stand.gone("onboarding").await;
    // The garbage collector deletes the child with its parent.
    stand.gone(&name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_undone_as_a_whole_when_its_parent_is() {
    let stand = stand_with("child-undo", &ALL).await;
    stand
        .shop
        .behave(
            &json!([{"match": {"service": "mail"}, "then": [{"answer": 422, "forever": true}]}]),
        )
        .unwrap();
    stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &mail())).await;
    let saga = stand.reaches("onboarding", SagaPhase::Compensated).await;
    let child = child(&stand).await;
    assert_eq!(child.status.as_ref().and_then(|status| status.phase), Some(SagaPhase::Compensated));
    assert_eq!(
        (step(&saga, "tenant").phase, still_in_effect(&saga)),
        (StepPhase::Compensated, Vec::<&str>::new())
    );
    let request = &child.status.as_ref().unwrap().requests[0];
    assert_eq!(
        (request.action, request.result, request.token.as_deref()),
        (RequestAction::Compensate, RequestResult::Accepted, Some("undo-1"))
    );
    assert_eq!(done(&stand)[..2], ["stock/action", "payments/action"]);
    let undone: Vec<_> =
        done(&stand).into_iter().filter(|entry| entry.ends_with("compensation")).collect();
    assert_eq!(undone, ["payments/compensation", "stock/compensation"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_undid_itself_fails_its_step_and_its_parent_is_undone() {
    let stand = stand_with("child-fails", &ALL).await;
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments"}, "then": [{"answer": 422, "forever": true}],
        }]))
        .unwrap();
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["onFailure"] = json!("Compensate");
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let saga = stand.reaches("onboarding", SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "tenant"), still_in_effect(&saga)),
        (vec![Outcome::Failed], Vec::<&str>::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_for_its_held_child_and_goes_on_when_a_person_has_mended_it() {
    let stand = stand_with("child-held", &ALL).await;
    stand
        .shop
        .behave(&json!([{"match": {"service": "payments"}, "then": [{"answer": 422}]}]))
        .unwrap();
    stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &wait())).await;
    let steps = |saga: &Saga| saga.status.clone().unwrap_or_default().steps;
    let waits = |saga: &Saga| {
        steps(saga).iter().any(|step| {
            step.message.as_ref().is_some_and(|said| said.contains("which is Failed: "))
        })
    };
    stand.until("onboarding", "its child is held", waits).await;
    stand.ask(&child_name(&stand).await, "saga.dev/retry=*");
    let saga = stand.reaches("onboarding", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "tenant"), [Outcome::Succeeded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_a_resumption_and_a_cancellation_reach_the_child() {
    let stand = stand_with("child-pause", &ALL).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    stand.step_reaches(&name, "ask", StepPhase::Waiting).await;
    stand.ask("onboarding", "saga.dev/pause=lunch");
    stand.reaches(&name, SagaPhase::Paused).await;
    stand.ask("onboarding", "saga.dev/resume=back");
    stand.reaches(&name, SagaPhase::Running).await;
    stand.patch("onboarding", &json!({"spec": {"deletionPolicy": "Abandon"}})).await.unwrap();
    stand
        .until(&name, "the policy follows", |child| {
            child.spec.deletion_policy == Some(DeletionPolicy::Abandon)
        })
        .await;
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    let saga = stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    assert_eq!(
        (still_in_effect(&saga), still_in_effect(&child)),
        (vec!["tenant"], vec!["database"])
    );
    assert_eq!(done(&stand), ["stock/action"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_a_parent_undoes_its_unfinished_child_first() {
    let stand = stand_with("child-delete", &ALL).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    stand.step_reaches(&name, "ask", StepPhase::Waiting).await;
    stand.delete("onboarding").await;
    stand.gone("onboarding").await;
    stand.gone(&name).await;
    assert_eq!(done(&stand), ["stock/action", "stock/compensation"]);
}
