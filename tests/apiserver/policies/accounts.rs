//! Tests of the account that a saga uses, and of who may create a saga as the child of another.

use serde_json::{Value, json};

use super::{BASE, set, touch, verbs, waits, with};
use crate::{
    support::Effect,
    town::{Deed, Town},
};

/// The verb that the policy about fields requires for another account or owner, if the policy is
/// installed in the cluster.
const MAY_CHANGE: [&str; 1] = ["compensate"];

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_acts_only_as_whom_its_author_may_act_or_who_is_open_to_all() {
    let town = Town::with(&["accounts"], "").await;
    town.has(&waits("order")).await;
    let keeper = town.account("keeper", &verbs(MAY_CHANGE)).await;
    town.account("open", &["act"]).await;
    // The wildcard includes the verb `act`. An account with the wildcard does not count as open to
    // all.
    town.account("almighty", &["*"]).await;
    let bob = town.person("bob", &verbs(MAY_CHANGE)).await;
    let ann = town.person("ann", &verbs(MAY_CHANGE)).await;
    town.give(&ann.name, "", "serviceaccounts", &["impersonate"]).await;
    let acts_as = |account: &str| {
        Deed::Create(with(waits_as("new"), "/spec/serviceAccountName", json!(account)))
    };
    let words = |account: &str| {
        format!(
            "spec.serviceAccountName: {} may not let a saga act as account {account} in namespace \
             {}: ask for a Role with the verb impersonate on this serviceaccount, or that the \
             account be given the verb act on sagas.saga.dev there",
            bob.name,
            town.name()
        )
    };
    for deed in [acts_as("keeper"), set("order", "serviceAccountName", "keeper")] {
        assert_eq!(bob.is_refused(&deed).await, words("keeper"));
        ann.may(&deed).await;
        keeper.may(&deed).await;
    }
    assert_eq!(bob.is_refused(&acts_as("almighty")).await, words("almighty"));
    ann.may(&acts_as("almighty")).await;
    // The policy does not check the form of the name. A malformed name must not cause a message
    // that nobody understands.
    assert_eq!(bob.is_refused(&acts_as("a..b")).await, words("a..b"));
    for deed in [
        acts_as("open"),
        acts_as("default"),
        Deed::Create(waits("new")),
        set("order", "serviceAccountName", "open"),
    ] {
        bob.may(&deed).await;
    }
    // A value that is not changed may be anything.
    town.has(&with(waits_as("of-keeper"), "/spec/serviceAccountName", json!("keeper"))).await;
    bob.may(&touch("of-keeper")).await;
    bob.may(&set("of-keeper", "serviceAccountName", Value::Null)).await;
}

fn waits_as(name: &str) -> Value {
    let mut saga = waits(name);
    saga["spec"]["serviceAccountName"] = json!("default");
    saga
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_account_can_be_guarded_as_any_other() {
    let town = Town::with(&["accounts"], ",admission.guardDefaultAccount=true").await;
    let bob = town.person("bob", &verbs([])).await;
    for deed in [Deed::Create(waits("new")), Deed::Create(waits_as("new"))] {
        assert!(
            bob.is_refused(&deed)
                .await
                .contains("may not let a saga act as account default in namespace")
        );
    }
    town.give(&bob.name, "", "serviceaccounts", &["impersonate"]).await;
    bob.may(&Deed::Create(waits("new"))).await;
}

/// Returns a saga that its owner controls.
fn owned(name: &str, account: &str, owner: &Value) -> Value {
    let mut saga = with(waits_as(name), "/spec/serviceAccountName", json!(account));
    saga["metadata"]["labels"] =
        json!({"saga.dev/step": "tenant", "saga.dev/direction": "action", "saga.dev/attempt": "1"});
    saga["metadata"]["ownerReferences"] = json!([owner]);
    saga
}

fn owner(api_version: &str, kind: &str, uid: &str, controller: bool) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "name": "order", "uid": uid,
        "controller": controller,
    })
}

/// A parent trusts the outputs of its child, whoever wrote them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_its_account_makes_a_saga_the_child_of_another() {
    let town = Town::with(&["accounts"], "").await;
    let (keeper, _) = (town.account("keeper", &BASE).await, town.account("open", &["act"]).await);
    let bob = town.person("bob", &verbs(MAY_CHANGE)).await;
    town.give(&bob.name, "", "serviceaccounts", &["impersonate"]).await;
    town.has(&waits("order")).await;
    let uid = town.uid("order").await;
    let parent = owner("saga.dev/v1alpha1", "Saga", &uid, true);
    let words = |account: &str| {
        format!(
            "metadata.ownerReferences: {} may not make a saga the child of another saga: only the \
             account as which it acts may, {account} in namespace {}. Name no saga as its \
             controller",
            bob.name,
            town.name()
        )
    };
    for account in ["keeper", "open", "default"] {
        let forged = owned("forged", account, &parent);
        for deed in [Deed::Create(forged.clone()), Deed::Apply(forged)] {
            assert_eq!(bob.is_refused(&deed).await, words(account));
        }
    }
    let adopted =
        |owner: &Value| Deed::Change("order", json!({"metadata": {"ownerReferences": [owner]}}));
    assert_eq!(bob.is_refused(&adopted(&parent)).await, words("default"));
    keeper.may(&Deed::Create(owned("child", "keeper", &parent))).await;
    // A saga with an owner of another kind is not a child. A saga with an owner reference that is
    // not the controller is not a child either.
    for other in [
        owner("shop.example.com/v1", "Order", "u-2", true),
        owner("saga.dev/v1alpha1", "Saga", &uid, false),
    ] {
        bob.may(&Deed::Create(owned("new", "default", &other))).await;
        bob.may(&adopted(&other)).await;
    }
    // An existing child is changed like any other saga, except that it keeps its account.
    keeper.act(&Deed::Create(owned("child", "keeper", &parent)), Effect::Real).await.unwrap();
    bob.may(&touch("child")).await;
    let kept = "spec.serviceAccountName: a child saga acts as the same account as its parent: do \
        not change the account";
    assert_eq!(bob.is_refused(&set("child", "serviceAccountName", "open")).await, kept);
}
