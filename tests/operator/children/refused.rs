//! Tests of children that may not be created, that may not be patched, or whose spec is not a valid
//! saga: the message, and where it appears.

use kube::api::ListParams;
use saga_operator::api::{Outcome, SagaPhase};
use serde_json::json;

use super::{ALL, child_name, done, mail, parent, stand_with, tenant, wait};
use crate::{
    keeper,
    stand::{condition, message, outcomes, post, step, still_in_effect},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_nothing_is_done_with_the_operators_own() {
    let stand = stand_with("child-rights", &["get"]).await;
    // The precheck finds the missing right before any step runs.
    stand.apply("refused", &parent(&tenant(&post("/payments/charges")), &wait())).await;
    let refused = stand
        .until("refused", "it is refused", |saga| message(saga).contains("may not create Saga"))
        .await;
    assert!(
        message(&refused).contains("spec.steps[0].saga: system:serviceaccount:"),
        "{}",
        message(&refused)
    );
    // Without the precheck, the step fails when it runs.
    let mut late = parent(&tenant(&post("/payments/charges")), &wait());
    late["steps"][0]["precheck"] = json!("Skip");
    stand.apply("late", &late).await;
    let late = stand.reaches("late", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&late, "tenant"), [Outcome::Failed]);
    assert!(
        step(&late, "tenant").message.as_ref().unwrap().contains("may not create Saga"),
        "{late:?}"
    );
    assert_eq!(
        (stand.sagas().list(&ListParams::default()).await.unwrap().items.len(), done(&stand).len()),
        (2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_tell_a_child_to_undo_itself_is_named_and_a_retry_tries_again() {
    let stand = stand_with("child-mute", &["create"]).await;
    stand
        .shop
        .behave(
            &json!([{"match": {"service": "mail"}, "then": [{"answer": 422, "forever": true}]}]),
        )
        .unwrap();
    stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &mail())).await;
    let saga = stand.reaches("onboarding", SagaPhase::CompensationFailed).await;
    assert!(
        step(&saga, "tenant").message.as_ref().unwrap().contains("may not patch Saga"),
        "{saga:?}"
    );
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "keeper", "namespace": stand.namespace},
        "rules": [{"apiGroups": ["saga.dev"], "resources": ["sagas"], "verbs": ALL}],
    });
    let roles = stand.api_of(&role);
    roles
        .patch("keeper", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(role))
        .await
        .unwrap();
    keeper::may(&stand, "keeper", "compensate", "sagas.saga.dev").await;
    stand.ask("onboarding", "saga.dev/retry=*");
    stand.reaches("onboarding", SagaPhase::Compensated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_refused_before_its_first_step_is_cancelled_with_its_parent() {
    let stand = stand_with("child-refused", &ALL).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let child = json!({"steps": [{"name": "database", "apply": {"manifest": map}}]});
    let mut parent = parent(&child, &wait());
    parent["steps"][0]["precheck"] = json!("Skip");
    stand.apply("onboarding", &parent).await;
    let name = child_name(&stand).await;
    stand
        .until(&name, "it is refused", |child| message(child).contains("may not patch ConfigMap"))
        .await;
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    assert_eq!(still_in_effect(&child), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_child_is_found_before_its_parent_runs() {
    let stand = stand_with("child-tried", &ALL).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] =
        json!({"name": "user", "dependsOn": ["database"], "pod": {"image": " oddly named"}});
    let late = json!({
        "name": "late",
        "saga": {
            "spec": {
                "params": {"tenant": "${params.tenant}"},
                "steps": [{"name": "inner", "saga": {"spec": tenant}}],
            },
        },
    });
    let mut spec = parent(&tenant, &wait());
    spec["steps"] = json!([{"name": "first", "http": post("/stock/reservations")}, late]);
    stand.apply("onboarding", &spec).await;
    let refused = stand
        .until("onboarding", "it is refused", |saga| condition(saga, "Accepted") == "False/Refused")
        .await;
    let says = "spec.steps[1].saga.spec.steps[0].saga.spec.steps[1].pod: Pod \"";
    assert!(message(&refused).contains(says), "{}", message(&refused));
    assert_eq!(
        (stand.sagas().list(&ListParams::default()).await.unwrap().items.len(), done(&stand).len()),
        (1, 0)
    );
}
