//! Tests of approvals: the creator of a saga cannot approve it.

use serde_json::{Value, json};

use super::{BASE, annotate, saga, touch, verbs, waits};
use crate::{
    support::Effect,
    town::{Deed, Town},
};

#[tokio::test(flavor = "multi_thread")]
async fn who_created_a_saga_does_not_approve_it() {
    let town = Town::with(&["creator", "four-eyes"], "").await;
    let asks = json!({
        "steps": [{"name": "sign-off", "approval": {}}, {"name": "nap", "wait": {"for": "1h"}}],
    });
    let may = verbs(["approve", "skip", "reject"]);
    let (ann, bob) = (town.person("ann", &may).await, town.person("bob", &may).await);
    let approved = |name: &str| with_annotation(saga(name, &asks), "saga.dev/approve", "sign-off");
    let words = |verb: &str| {
        format!(
            "metadata.annotations[saga.dev/{verb}]: {} created this saga, which has approvals, and \
             therefore may not {verb} its steps: another user has to do it",
            ann.name
        )
    };
    assert_eq!(ann.is_refused(&Deed::Create(approved("new"))).await, words("approve"));
    // The stamp names the true creator, whatever the manifest says.
    let forged =
        Deed::Create(with_annotation(saga("order", &asks), "saga.dev/created-by", &bob.name));
    ann.act(&forged, Effect::Real).await.unwrap();
    for verb in ["approve", "skip"] {
        assert_eq!(ann.is_refused(&annotate("order", verb, "sign-off")).await, words(verb));
        bob.may(&annotate("order", verb, "sign-off")).await;
    }
    ann.may(&annotate("order", "reject", "sign-off")).await;
    let kept = "metadata.annotations[saga.dev/created-by]: names the creator of the saga, and \
        cannot be changed: leave it unchanged";
    for person in [&ann, &bob] {
        for value in [json!(bob.name), json!(null)] {
            assert_eq!(person.is_refused(&annotate("order", "created-by", value)).await, kept);
        }
        person.may(&touch("order")).await;
    }
    // A saga without approvals has nothing that needs an approval.
    ann.act(&Deed::Create(waits("plain")), Effect::Real).await.unwrap();
    ann.may(&annotate("plain", "skip", "nap")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_in_a_child_saga_has_no_four_eyes_and_is_refused() {
    let town = Town::with(&["creator", "four-eyes"], "").await;
    let words = "spec.steps: an approval is not allowed in a child saga, because its creator is \
        always the account: put the approval into the parent";
    let ann = town.person("ann", &BASE).await;
    let keeper = town.account("keeper", &BASE).await;
    let asks = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    let child = json!({"saga": {"spec": asks}});
    for step in [
        json!({"name": "make", "saga": {"spec": asks}}),
        json!({"name": "make", "wait": {"for": "1s"}, "compensation": child}),
    ] {
        assert_eq!(
            ann.is_refused(&Deed::Create(saga("new", &json!({"steps": [step]})))).await,
            words
        );
    }
    // The child of a child was not checked when the outer saga was created.
    let mut deep = saga("new", &asks);
    deep["spec"]["serviceAccountName"] = json!("keeper");
    assert_eq!(keeper.is_refused(&Deed::Create(deep)).await, words);
    ann.may(&Deed::Create(saga("new", &asks))).await;
}

fn with_annotation(mut saga: Value, key: &str, value: &str) -> Value {
    saga["metadata"]["annotations"][key] = json!(value);
    saga
}
