//! Tests of requests: each needs its own verb.

use futures::{StreamExt, stream};
use saga_operator::api::RequestAction;
use serde_json::{Value, json};

use super::{annotate, touch, verbs, waits, with, with_all_requests};
use crate::town::{Deed, Town};

fn annotated(name: &str, request: &str, value: &str) -> Value {
    let mut saga = waits(name);
    saga["metadata"]["annotations"] = json!({format!("saga.dev/{request}"): value});
    saga
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_needs_its_own_verb_and_no_other() {
    let town = Town::with(&["requests"], "").await;
    town.has(&waits("order")).await;
    town.has(&with_all_requests("asked")).await;
    let judged = stream::iter(RequestAction::ALL.map(RequestAction::as_str))
        .map(|verb| judge_request(&town, verb))
        .buffer_unordered(8);
    assert_eq!(judged.count().await, RequestAction::ALL.len());
}

async fn judge_request(town: &Town, verb: &'static str) {
    let others =
        RequestAction::ALL.map(RequestAction::as_str).into_iter().filter(|other| *other != verb);
    let lacks = town.person(&format!("lacks-{verb}"), &verbs(others)).await;
    let has = town.person(&format!("has-{verb}"), &verbs([verb])).await;
    let words = format!(
        "metadata.annotations[saga.dev/{verb}]: {} may not {verb} sagas in namespace {}: ask for \
         a Role with the verb {verb} on sagas.saga.dev there",
        lacks.name,
        town.name()
    );
    for deed in [
        annotate("order", verb, "nap"),
        annotate("order", verb, "@token: nap"),
        annotate("asked", verb, "another"),
        Deed::Create(annotated("new", verb, "nap")),
        Deed::Apply(annotated("new", verb, "nap")),
        Deed::Apply(annotated("order", verb, "nap")),
        Deed::Create(with(annotated("new", verb, "nap"), "/metadata/name", json!("new-2"))),
    ] {
        assert_eq!(lacks.is_refused(&deed).await, words, "{deed:?}");
        has.may(&deed).await;
    }
    // These changes ask for nothing: a blank value, a value that is unchanged, and a request that
    // is removed.
    for deed in [
        annotate("order", verb, " "),
        annotate("asked", verb, "nap"),
        annotate("asked", verb, Value::Null),
        touch("asked"),
    ] {
        lacks.may(&deed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_api_server_makes_up_is_asked_about_as_any() {
    let town = Town::with(&["requests"], "").await;
    let named = |request: &str| {
        let mut saga = annotated("", request, "nap");
        saga["metadata"]["generateName"] = json!("order-");
        saga["metadata"].as_object_mut().unwrap().remove("name");
        Deed::Create(saga)
    };
    let bob = town.person("bob", &verbs(["retry"])).await;
    assert!(bob.is_refused(&named("skip")).await.contains("may not skip sagas"));
    assert!(bob.is_refused(&named("settle")).await.contains("may not settle sagas"));
    bob.may(&named("retry")).await;
}

/// The count distinguishes an old command from a new one. A smaller count hides the next command,
/// and a larger one repeats a command that was handled.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_changes_the_count_of_what_was_handled() {
    let town = Town::with(&["requests"], "").await;
    town.has(&waits("order")).await;
    town.has(&annotated("asked", "handled", "7")).await;
    let bob = town.person("bob", &verbs(RequestAction::ALL.map(RequestAction::as_str))).await;
    let operator = town.person("operator", &["patch"]).await;
    town.give(&operator.name, "saga.dev", "sagas/status", &["update"]).await;
    let words = format!(
        "metadata.annotations[saga.dev/handled]: {} may not change the count of handled requests \
         of sagas in namespace {}: only the operator does. Leave the annotation unchanged",
        bob.name,
        town.name()
    );
    for deed in [
        annotate("order", "handled", "1"),
        annotate("asked", "handled", "6"),
        annotate("asked", "handled", "99"),
        annotate("asked", "handled", ""),
        annotate("asked", "handled", Value::Null),
        Deed::Change("asked", json!({"metadata": {"annotations": null}})),
    ] {
        assert_eq!(bob.is_refused(&deed).await, words, "{deed:?}");
        operator.may(&deed).await;
    }
    for deed in [
        annotate("asked", "handled", "7"),
        annotate("asked", "retry", "nap"),
        touch("asked"),
        touch("order"),
        // A saga that is restored or copied has the count with which it was saved.
        Deed::Create(annotated("new", "handled", "7")),
    ] {
        bob.may(&deed).await;
    }
    // Where the keys of a child continue decides whether it repeats what its predecessor did.
    let keys = annotate("asked", "keys-from", "{}");
    assert!(bob.is_refused(&keys).await.contains("may not change where the keys continue"));
    operator.may(&keys).await;
}
