//! Tests of changes that have the same effect as a request, without being a request.

use saga_operator::api::names::FINALIZER;
use serde_json::{Value, json};

use super::{saga, set, verbs, waits};
use crate::{
    support::Effect,
    town::{Deed, Town},
};

fn owner(uid: &str) -> Value {
    json!({"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "other", "uid": uid})
}

/// Returns the deed that adds another owner: the saga is then deleted with that owner too.
fn is_owned(uid: &str) -> Deed {
    Deed::Change("order", json!({"metadata": {"ownerReferences": [owner(uid)]}}))
}

/// Returns the deed that renames the owner of this UID: the garbage collector then finds no owner.
fn is_owned_under_another_name(uid: &str) -> Deed {
    let mut owner = owner(uid);
    owner["name"] = json!("nobody");
    Deed::Change("order", json!({"metadata": {"ownerReferences": [owner]}}))
}

fn has_finalizers(finalizers: &[&str]) -> Deed {
    Deed::Change("order", json!({"metadata": {"finalizers": finalizers}}))
}

/// A deed that has the same effect as a request: its verb, the field, what a user without the verb
/// is refused, and the deed.
type Same = (&'static str, &'static str, &'static str, Deed);

/// Returns the deeds that have the same effect as a request. `other`: the UID of the owner.
fn deeds(other: &str) -> Vec<Same> {
    [about_the_course(), about_the_pace(), about_the_time(), about_owners_and_ends(other)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the deeds that decide whether a saga continues, and in which direction.
fn about_the_course() -> Vec<Same> {
    vec![
        ("pause", "spec.suspend", "pause sagas", set("order", "suspend", true)),
        ("resume", "spec.suspend", "resume sagas", set("other", "suspend", false)),
        ("resume", "spec.suspend", "resume sagas", set("other", "suspend", Value::Null)),
        (
            "cancel",
            "spec.deletionPolicy",
            "have sagas abandoned",
            set("order", "deletionPolicy", "Abandon"),
        ),
        (
            "compensate",
            "spec.deletionPolicy",
            "have sagas undone",
            set("other", "deletionPolicy", Value::Null),
        ),
        (
            "compensate",
            "spec.onFailure",
            "decide whether sagas are undone",
            set("order", "onFailure", "Compensate"),
        ),
        (
            "compensate",
            "spec.onFailure",
            "decide whether sagas are undone",
            set("other", "onFailure", Value::Null),
        ),
    ]
}

/// Returns the deeds that decide how many steps run at once, and how often steps are retried.
fn about_the_pace() -> Vec<Same> {
    let (fewer, more) =
        ("have fewer steps of sagas run at once", "have more steps of sagas run at once");
    let retries = "decide how often sagas are retried";
    vec![
        ("resume", "spec.maxParallel", more, set("order", "maxParallel", 2)),
        ("resume", "spec.maxParallel", more, set("other", "maxParallel", 64)),
        ("pause", "spec.maxParallel", fewer, set("other", "maxParallel", 3)),
        ("pause", "spec.maxParallel", fewer, set("other", "maxParallel", Value::Null)),
        ("retry", "spec.maxRetryRequests", retries, set("order", "maxRetryRequests", 1000)),
        ("retry", "spec.maxRetryRequests", retries, set("order", "maxRetryRequests", 0)),
        ("retry", "spec.maxRetryRequests", retries, set("other", "maxRetryRequests", Value::Null)),
    ]
}

/// Returns the deeds that decide when a saga fails.
fn about_the_time() -> Vec<Same> {
    vec![
        ("compensate", "spec.timeout", "decide when sagas fail", set("order", "timeout", "1ms")),
        (
            "compensate",
            "spec.timeout",
            "decide when sagas fail",
            set("other", "timeout", Value::Null),
        ),
        (
            "compensate",
            "spec.defaults",
            "decide when sagas fail",
            set("order", "defaults", json!({"timeout": "1ms"})),
        ),
        (
            "compensate",
            "spec.defaults",
            "decide when sagas fail",
            set("other", "defaults", json!({"retry": {"maxAttempts": 99}})),
        ),
        (
            "compensate",
            "spec.defaults",
            "decide when sagas fail",
            set("other", "defaults", Value::Null),
        ),
    ]
}

/// Returns the deeds that decide which account a saga uses, which owner it has, and whether it is
/// deleted.
fn about_owners_and_ends(other: &str) -> Vec<Same> {
    vec![
        (
            "compensate",
            "spec.serviceAccountName",
            "decide as whom sagas act",
            set("other", "serviceAccountName", "default"),
        ),
        (
            "compensate",
            "spec.serviceAccountName",
            "decide as whom sagas act",
            set("other", "serviceAccountName", Value::Null),
        ),
        (
            "compensate",
            "metadata.ownerReferences",
            "have sagas deleted with another object",
            is_owned("somebody-else"),
        ),
        (
            "compensate",
            "metadata.ownerReferences",
            "have sagas deleted with another object",
            is_owned_under_another_name(other),
        ),
        (
            "cancel",
            "metadata.finalizers",
            "have sagas abandoned",
            has_finalizers(&["example.com/other"]),
        ),
        (
            "compensate",
            "metadata.deletionTimestamp",
            "delete unfinished sagas, which undoes them,",
            Deed::Delete("order"),
        ),
        (
            "cancel",
            "metadata.deletionTimestamp",
            "delete unfinished sagas, which abandons them,",
            Deed::Delete("other"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_or_a_deletion_that_does_what_a_request_does_needs_its_verb() {
    let town = Town::with(&["fields"], "").await;
    let abandoned = json!({
        "suspend": true, "deletionPolicy": "Abandon", "onFailure": "Compensate", "timeout": "1h",
        "serviceAccountName": "keeper", "maxParallel": 4, "maxRetryRequests": 5,
        "defaults": {"timeout": "1h"}, "steps": waits("")["spec"]["steps"],
    });
    town.has(&saga("other", &abandoned)).await;
    let other = town.uid("other").await;
    let mut order = waits("order");
    order["metadata"]["finalizers"] = json!([FINALIZER]);
    order["metadata"]["ownerReferences"] = json!([owner(&other)]);
    town.has(&order).await;
    let nobody = town.person("nobody", &verbs([])).await;
    for (nth, (verb, place, what, deed)) in deeds(&other).into_iter().enumerate() {
        let words = format!(
            "{place}: {} may not {what} in namespace {}: ask for a Role with the verb {verb} on \
             sagas.saga.dev there",
            nobody.name,
            town.name()
        );
        assert_eq!(nobody.is_refused(&deed).await, words);
        town.person(&format!("may-{nth}"), &verbs([verb])).await.may(&deed).await;
    }
    let collector = town.person("collector", &["deletecollection"]).await;
    assert!(
        collector.is_refused(&Deed::DeleteAll).await.contains("may not delete unfinished sagas")
    );
    for deed in [
        set("order", "suspend", false),
        set("order", "onFailure", "Hold"),
        // The explicit defaults.
        set("order", "maxParallel", 1),
        set("order", "maxRetryRequests", 10),
        set("other", "maxParallel", 4),
        // The explicit name of the account that the saga already uses.
        set("order", "serviceAccountName", "default"),
        set("other", "defaults", json!({"timeout": "1h"})),
        set("other", "deletionPolicy", "Abandon"),
        Deed::Change("order", json!({"metadata": {"ownerReferences": null}})),
        is_owned(&other),
        has_finalizers(&[FINALIZER, "example.com/other"]),
    ] {
        nobody.may(&deed).await;
    }
    // The operator removes its finalizer at the end of a saga. The policy recognizes the operator
    // by its right to write the status.
    let operator = town.person("operator", &["patch"]).await;
    town.give(&operator.name, "saga.dev", "sagas/status", &["update"]).await;
    operator.may(&has_finalizers(&[])).await;
    // The deletion of an ended saga loses nothing. Deletions of the children of a parent, or with a
    // namespace, are allowed in any state.
    let collector =
        town.stranger("system:serviceaccount:kube-system:generic-garbage-collector").await;
    collector.may(&Deed::Delete("order")).await;
    let completed = json!([{"op": "add", "path": "/status/phase", "value": "Completed"}]);
    town.namespace.patch_status("order", &completed, Effect::Real).await.unwrap();
    nobody.may(&Deed::Delete("order")).await;
    town.lets_go_of("order").await;
}

/// The operator deletes an ended saga with its own right. So a user who sets the time to live needs
/// the verb delete.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_needs_the_verb_delete() {
    let town = Town::with(&["fields"], "").await;
    town.has(&waits("order")).await;
    town.has(&saga(
        "brief",
        &json!({"ttlSecondsAfterFinished": 3600, "steps": waits("")["spec"]["steps"]}),
    ))
    .await;
    let nobody = town.person("nobody", &["get", "patch"]).await;
    let may = town.person("may", &["get", "patch", "delete"]).await;
    for deed in [
        set("order", "ttlSecondsAfterFinished", 0),
        set("order", "ttlSecondsAfterFinished", 86_400),
        set("brief", "ttlSecondsAfterFinished", 60),
        set("brief", "ttlSecondsAfterFinished", 86_400),
    ] {
        let words = format!(
            "spec.ttlSecondsAfterFinished: {} may not have sagas deleted in namespace {}: ask for \
             a Role with the verb delete on sagas.saga.dev there",
            nobody.name,
            town.name()
        );
        assert_eq!(nobody.is_refused(&deed).await, words);
        may.may(&deed).await;
    }
    // The value is unchanged, or the saga is kept permanently.
    for ttl in [json!(3600), Value::Null] {
        nobody.may(&set("brief", "ttlSecondsAfterFinished", ttl)).await;
    }
}
