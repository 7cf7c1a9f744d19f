//! The child saga of one attempt: how it is built, and how it is recognized.
//!
//! # Guarantees
//! - The same attempt always gives the same child under the same name. A second create therefore
//!   finds the child of the first.
//! - The child runs as its parent's ServiceAccount and has its parent's deletion policy. The child
//!   is deleted with its parent and never blocks the deletion of its parent.
//! - If the outcome of an attempt is unknown, the next attempt creates a child with the same
//!   idempotency keys. These keys continue from where the keys of the earlier child ended.

use kube::Resource;
use serde_json::{Value, json};

use super::attempt::{attempt_of, metadata};
use crate::{
    api::{
        DeletionPolicy, Saga, SagaAction, StoredSaga,
        names::{ANNOTATION_KEYS, AttemptId, child_name, key_scope_of_child},
        status::Keys,
    },
    model::saga::{Identity, ValidSaga},
};

/// The state in which a child begins. By default it is not suspended, and no earlier child exists.
#[derive(Clone, Debug, Default)]
pub struct ChildStart {
    /// Whether the child begins suspended.
    pub suspended: bool,
    /// Where the idempotency keys of the child continue from an earlier child.
    pub keys: Keys,
}

/// Builds the child of an attempt in the form that is sent to the API server.
#[must_use]
pub fn child_saga(
    saga: &ValidSaga,
    identity: &Identity,
    action: &SagaAction,
    start: &ChildStart,
) -> Value {
    let ChildStart { suspended, keys } = start;
    let mut spec = action.spec.clone();
    if saga.tokens_unasked {
        ask_for_tokens(&mut spec);
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.insert("serviceAccountName".into(), json!(saga.service_account));
        // The default deletion policy is left out: the child's spec contains no more than the
        // author wrote and what differs from the defaults.
        if saga.deletion_policy == DeletionPolicy::Abandon {
            fields.insert("deletionPolicy".into(), json!(saga.deletion_policy));
        }
        if *suspended {
            fields.insert("suspend".into(), json!(true));
        }
        fields
            .entry("idempotencyPrefix")
            .or_insert_with(|| json!(key_scope_of_child(&identity.attempt.step, &identity.key)));
    }
    let mut metadata = metadata(saga, &identity.attempt, child_name);
    if !keys.is_empty() {
        metadata
            .annotations
            .get_or_insert_default()
            .insert(ANNOTATION_KEYS.into(), json!(keys).to_string());
    }
    json!({
        "apiVersion": Saga::api_version(&()),
        "kind": Saga::kind(&()),
        "metadata": metadata,
        "spec": spec,
    })
}

/// Sets `mountToken` in the pods of one container that do not set it. This version accepts the
/// child, but an earlier version accepted the spec of the child with the spec of the parent.
fn ask_for_tokens(spec: &mut Value) {
    let steps = spec.get_mut("steps").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten() {
        ask_for_token(step);
        if let Some(undo) = step.get_mut("compensation") {
            ask_for_token(undo);
        }
    }
}

fn ask_for_token(operation: &mut Value) {
    let pod = operation.get_mut("pod").and_then(Value::as_object_mut);
    if let Some(pod) = pod.filter(|pod| pod.contains_key("image")) {
        pod.entry("mountToken").or_insert(json!(true));
    }
    if let Some(spec) = operation.pointer_mut("/saga/spec") {
        ask_for_tokens(spec);
    }
}

/// Returns whether a saga with the name of an attempt's child is that child. The child must have
/// this owner and run as this ServiceAccount.
#[must_use]
pub fn is_ours(child: &StoredSaga, uid: &str, attempt: &AttemptId, account: &str) -> bool {
    child.account() == Some(account)
        && attempt_of(child).is_some_and(|(owner, of)| owner == uid && of == *attempt)
}

/// Returns the name of the parent of a child saga.
#[must_use]
pub fn parent(child: &StoredSaga) -> Option<&str> {
    attempt_of(child)?;
    let owner = child
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))?;
    Some(owner.name.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use super::*;
    use crate::{api::Direction, model::saga::SagaName, validate::saga::validate};

    fn saga(spec: Value) -> ValidSaga {
        let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        validate(&who, &serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn identity(number: i64, failures: i64) -> Identity {
        let attempt = AttemptId { step: "tenant".into(), direction: Direction::Action, number };
        let key = format!("1/tenant/action/{failures}");
        Identity { saga: "order".into(), namespace: "shop".into(), uid: "1".into(), attempt, key }
    }

    fn built(number: i64, failures: i64) -> Value {
        let steps = json!([{"name": "a", "wait": {"for": "1s"}}]);
        let saga = saga(json!({
            "serviceAccountName": "order-saga", "deletionPolicy": "Abandon", "steps": steps,
        }));
        child_saga(
            &saga,
            &identity(number, failures),
            &SagaAction { spec: json!({"steps": steps}) },
            &ChildStart::default(),
        )
    }

    #[test]
    fn a_child_acts_as_its_parents_account_and_is_known_again() {
        let built = built(1, 0);
        assert_eq!(built["spec"]["serviceAccountName"], "order-saga");
        assert_eq!(built["spec"]["deletionPolicy"], "Abandon");
        let mut stored = built.clone();
        stored["metadata"]["uid"] = json!("2");
        let child: StoredSaga = serde_json::from_value(stored).unwrap();
        let is_ours = |child: &StoredSaga, uid: &str, number| {
            super::is_ours(child, uid, &identity(number, 0).attempt, "order-saga")
        };
        assert!(is_ours(&child, "1", 1));
        assert!(!is_ours(&child, "1", 2) && !is_ours(&child, "3", 1));
        assert_eq!(parent(&child), Some("order"));
        assert!(child.spec.is_ok(), "{:?}", child.spec);

        for (account, spec) in [("another one", json!("admin")), ("the default one", Value::Null)] {
            let mut forged = built.clone();
            forged["spec"]["serviceAccountName"] = spec;
            let forged: StoredSaga = serde_json::from_value(forged).unwrap();
            assert!(
                !is_ours(&forged, "1", 1),
                "it has the labels and the owner, and acts as {account}"
            );
        }
    }

    #[test]
    fn the_pods_of_a_child_get_the_tokens_that_those_of_its_parent_get() {
        let parent = saga(json!({"steps": [{"name": "a", "wait": {"for": "1s"}}]}));
        let steps = |asks: bool| {
            let pod = if asks {
                json!({"image": "a", "mountToken": true})
            } else {
                json!({"image": "a"})
            };
            let inner = json!({"steps": [{"name": "a", "pod": pod}]});
            json!([
                {"name": "a", "pod": pod, "compensation": {"pod": pod}},
                {"name": "b", "pod": {"image": "a", "mountToken": false}},
                {"name": "c", "pod": {"template": {"spec": {}}}},
                {"name": "d", "saga": {"spec": inner}},
            ])
        };
        for tokens_unasked in [false, true] {
            let parent = ValidSaga { tokens_unasked, ..parent.clone() };
            let action = SagaAction { spec: json!({"steps": steps(false)}) };
            let child = child_saga(&parent, &identity(1, 0), &action, &ChildStart::default());
            assert_eq!(child["spec"]["steps"], steps(tokens_unasked));
        }
    }

    #[test]
    fn a_repeated_attempt_repeats_the_keys_of_its_child_and_one_after_a_definite_no_does_not() {
        let prefix =
            |number, failures| built(number, failures)["spec"]["idempotencyPrefix"].clone();
        assert_eq!(prefix(1, 0), prefix(2, 0));
        assert_ne!(prefix(1, 0), prefix(2, 1));
    }
}
