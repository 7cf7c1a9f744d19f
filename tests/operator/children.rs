//! Child sagas on a real cluster: created as the account of their parent, carried through, undone,
//! and told to follow.

use std::time::Duration;

use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use saga_operator::api::{
    DeletionPolicy, Outcome, RequestAction, RequestResult, Saga, SagaPhase, StepPhase, StoredSaga,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    keeper,
    shop::{Entry, Kind},
    stand::{
        PATIENCE, Stand, condition, message, outcomes, post, post_by_gate, step, still_in_effect,
    },
};

/// What a parent's account needs: the child, and what it is asked for.
const ALL: [&str; 4] = ["create", "patch", "compensate", "cancel"];

async fn stand_with(name: &str, verbs: &[&str]) -> Stand {
    keeper::stand_with(name, ("saga.dev", "sagas"), verbs).await
}

/// A tenant: a database for its name, then its first user. Both can be undone.
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

/// A parent whose first step is a tenant, and whose second one may fail.
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

/// The only child there is.
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

/// What the shop did and undid, as `service/direction`.
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
    // Its parent may have to undo it no more, and told it so.
    stand.is_let_go(&name).await;
    stand.delete("onboarding").await;
    stand.gone("onboarding").await;
    // With its parent, by the garbage collector.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_nothing_is_done_with_the_operators_own() {
    let stand = stand_with("child-rights", &["get"]).await;
    // Before anything runs.
    stand.apply("refused", &parent(&tenant(&post("/payments/charges")), &wait())).await;
    let refused = stand
        .until("refused", "it is refused", |saga| message(saga).contains("may not create Saga"))
        .await;
    assert!(
        message(&refused).contains("spec.steps[0].saga: system:serviceaccount:"),
        "{}",
        message(&refused)
    );
    // And where it is not tried before.
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
async fn a_saga_of_another_owner_under_the_childs_name_is_left_alone() {
    let mut stand = stand_with("child-foreign", &ALL).await;
    stand.kill();
    let nap = json!({"steps": [{"name": "nap", "wait": {"for": "1h"}}]});
    let saga =
        stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &wait())).await;
    let attempt = saga_operator::api::names::AttemptId {
        step: "tenant".into(),
        direction: saga_operator::api::Direction::Action,
        number: 1,
    };
    let name = saga_operator::api::names::child_name(
        "onboarding",
        saga.metadata.uid.as_deref().unwrap(),
        &attempt,
    );
    stand.apply(&name, &nap).await;
    stand.start();
    let saga = stand.reaches("onboarding", SagaPhase::Compensated).await;
    assert!(step(&saga, "tenant").message.as_ref().unwrap().contains("NameConflict"), "{saga:?}");
    let foreign: Api<StoredSaga> = Api::namespaced(stand.client.clone(), &stand.namespace);
    let foreign = foreign.get(&name).await.unwrap();
    assert!(foreign.asked.is_empty() && foreign.spec.unwrap().suspend.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_while_the_child_runs_goes_on_with_the_same_child() {
    let mut stand = stand_with("child-crash", &ALL).await;
    let mut tenant = tenant(&post_by_gate("/payments/charges"));
    // The answer to whatever was under way when it was killed is lost.
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
async fn a_child_whose_labels_and_owner_were_taken_away_is_known_by_its_uid() {
    let stand = stand_with("child-orphan", &ALL).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    let step = |saga: &Saga| {
        saga.status.clone().unwrap_or_default().steps.into_iter().find(|step| step.name == "tenant")
    };
    stand
        .until("onboarding", "the child is written down", |saga| {
            step(saga).is_some_and(|step| step.child.is_some())
        })
        .await;
    stand
        .patch(&name, &json!({"metadata": {"labels": null, "ownerReferences": null}}))
        .await
        .unwrap();
    // Nothing tells the parent of it any more: somebody makes it look, and it asks the child.
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    assert_eq!(still_in_effect(&child), ["database"]);
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

/// Waits until something holds of all sagas there are.
async fn until_all(stand: &Stand, what: &str, holds: impl Fn(&[Saga]) -> bool) {
    let held = async {
        while !holds(&stand.sagas().list(&ListParams::default()).await.unwrap().items) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, held).await.unwrap_or_else(|_| panic!("the sagas are not {what}"));
}

/// Waits until the garbage collector deletes a saga whose owner is not there: it looks for new
/// kinds every half minute, and lets what it does not know go without its dependents.
async fn the_collector_knows_sagas(stand: &Stand) {
    let owner = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "nobody",
        "uid": "00000000-0000-0000-0000-000000000001",
    });
    let spec = json!({"suspend": true, "steps": [{"name": "ask", "approval": {}}]});
    let orphan = json!({"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "spec": spec,
        "metadata": {"name": "orphan", "namespace": stand.namespace, "ownerReferences": [owner]}});
    stand.put(&orphan).await;
    stand.gone("orphan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreground_deletion_takes_first_is_undone_all_the_same() {
    let stand = stand_with("child-front", &ALL).await;
    the_collector_knows_sagas(&stand).await;
    let inner = json!({
        "name": "inner", "saga": {"spec": {"steps": [tenant(&post("/mail/messages"))["steps"][0]]}},
    });
    let mut spec = parent(&json!({"steps": [inner]}), &json!({"http": post("/payments/charges")}));
    spec["steps"][1]["compensation"] = json!({"http": post_by_gate("/payments/refunds")});
    spec["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "ask", "dependsOn": ["tell"], "approval": {}}));
    stand.apply("onboarding", &spec).await;
    stand.step_reaches("onboarding", "ask", StepPhase::Waiting).await;
    stand.sagas().delete("onboarding", &DeleteParams::foreground()).await.unwrap();
    // The garbage collector was there before the turn of the children came.
    let all_go = |all: &[Saga]| {
        assert_eq!(all.len(), 3, "{all:?}");
        all.iter().all(|saga| saga.metadata.deletion_timestamp.is_some())
    };
    until_all(&stand, "being deleted", all_go).await;
    stand.gate.open();
    stand.gone("onboarding").await;
    until_all(&stand, "gone", <[Saga]>::is_empty).await;
    assert_eq!(
        done(&stand),
        ["stock/action", "payments/action", "payments/compensation", "stock/compensation"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_spec_was_changed_is_cancelled_with_its_parent_once_it_is_restored() {
    let stand = stand_with("child-changed", &ALL).await;
    keeper::keeper_may_also(&stand, ("", "pods"), &["create"]).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    let resources = json!({"requests": {"cpu": "1m"}});
    let image = "saga.dev/examples/busybox:1";
    tenant["steps"].as_array_mut().unwrap().push(
        json!({"name": "z", "dependsOn": ["ask"], "pod": {"image": image, "resources": resources}}),
    );
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    stand.step_reaches(&name, "ask", StepPhase::Waiting).await;
    let change = |resources: Value| {
        let stand = &stand;
        let name = name.clone();
        async move {
            let patch = serde_json::from_value(json!([{
                "op": "replace", "path": "/spec/steps/2/pod/resources", "value": resources,
            }]))
            .unwrap();
            stand
                .sagas()
                .patch(&name, &PatchParams::default(), &Patch::<Saga>::Json(patch))
                .await
                .unwrap();
        }
    };
    change(json!({"limits": {"cpu": "1m"}})).await;
    stand
        .until(&name, "it is held", |child| condition(child, "Stalled") == "True/SpecChanged")
        .await;
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    let told =
        |saga: &Saga| {
            saga.status.clone().unwrap_or_default().steps.iter().any(|step| {
                step.message.as_ref().is_some_and(|said| said.contains("restore the spec"))
            })
        };
    stand.until("onboarding", "it says what its child waits for", told).await;
    change(resources).await;
    stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    let requests = child.status.unwrap().requests;
    assert_eq!(
        requests.iter().filter(|record| record.action == RequestAction::Cancel).count(),
        1,
        "{requests:?}"
    );
}

/// A parent that tries its tenant twice. The child's database is refused once, and its last step
/// waits for a person.
fn tries_its_tenant_twice() -> Value {
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    let mut parent = parent(&tenant, &wait());
    parent["onFailure"] = json!("Hold");
    parent["steps"][0]["retry"] =
        json!({"maxAttempts": 2, "backoff": {"initialDelay": "50ms", "maxDelay": "200ms"}});
    parent
}

/// The child of a parent, by the attempt that made it, once it waits for a person. Its database was
/// refused, and then done under another key.
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

/// What the shop saw of the database, by the last part of the key.
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
