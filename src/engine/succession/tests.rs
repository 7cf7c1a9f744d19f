#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{model::saga::SagaName, validate::saga::validate};

/// A child that ended, with these steps.
fn ended(phase: &str, steps: &Value) -> StoredSaga {
    let status = json!({"phase": phase, "specHash": "v1:1", "steps": steps});
    serde_json::from_value(json!({
        "metadata": {"name": "child", "namespace": "shop", "uid": "c"},
        "spec": {"steps": []},
        "status": status,
    }))
    .unwrap()
}

fn record(attempt: i64, failures: i64, uncertain: bool, last: &str) -> Value {
    json!({
        "attempt": attempt, "budgetUsed": 1,
        "failures": failures, "uncertain": uncertain, "lastOutcome": last,
    })
}

fn keys(step: &Value) -> Option<Value> {
    let steps = json!([step]);
    let keys = keys_after("child", Some(&ended("Cancelled", &steps))).unwrap();
    keys.get("charge").map(|keys| json!(keys))
}

fn step(phase: &str, action: &Value) -> Value {
    json!({"name": "charge", "phase": phase, "action": action})
}

#[test]
fn what_was_done_or_may_have_been_is_repeated_under_its_key() {
    let done = keys(&step("Completed", &record(2, 1, false, "Succeeded")));
    assert_eq!(done, Some(json!({"action": 1, "mayHaveActed": true})));
    let may_be = keys(&step("Failed", &record(1, 0, true, "Unknown")));
    assert_eq!(may_be, Some(json!({"mayHaveActed": true})));
    let refused = keys(&step("Failed", &record(3, 3, false, "Failed")));
    assert_eq!(refused, Some(json!({"action": 3})));
    assert_eq!(keys(&json!({"name": "charge", "phase": "Pending"})), None, "it never began");
}

#[test]
fn what_was_undone_is_done_and_undone_under_new_keys() {
    let mut undone = step("Compensated", &record(2, 1, false, "Succeeded"));
    undone["compensation"] = record(3, 2, false, "Succeeded");
    assert_eq!(keys(&undone), Some(json!({"action": 2, "compensation": 3})));
    undone["phase"] = json!("CompensationFailed");
    undone["compensation"] = record(3, 3, false, "Failed");
    assert_eq!(
        keys(&undone),
        Some(json!({"action": 1, "compensation": 3, "mayHaveActed": true})),
        "it was not undone"
    );
}

#[test]
fn what_a_child_was_given_and_did_not_use_it_hands_on() {
    let given =
        json!({"action": 2, "compensation": 1, "mayHaveActed": true, "child": "grandchild"});
    assert_eq!(
        keys(&json!({"name": "charge", "phase": "Pending", "keysFrom": given})),
        Some(given.clone())
    );
    let mut begun = step("Failed", &record(1, 2, true, "Unknown"));
    begun["keysFrom"] = given.clone();
    assert_eq!(keys(&begun), Some(given), "its undo never began");
    let mut never = ended("Cancelled", &json!([]));
    never.status.as_mut().unwrap().spec_hash = None;
    never.keys_from =
        BTreeMap::from([("charge".to_owned(), KeysFrom { action: 2, ..KeysFrom::default() })]);
    assert_eq!(
        keys_after("child", Some(&never)).unwrap(),
        never.keys_from,
        "it was never accepted"
    );
}

#[test]
fn a_child_of_the_child_is_followed_too() {
    let made_by = |number| {
        child_name(
            "child",
            "c",
            &AttemptId { step: "charge".into(), direction: Direction::Action, number },
        )
    };
    let mut done = step("Completed", &record(2, 0, false, "Succeeded"));
    done["child"] = json!({"name": made_by(2), "uid": "g"});
    assert_eq!(keys(&done).unwrap()["child"], json!(made_by(2)));
    // Its keys moved since: the next one has another scope.
    let mut refused = step("Failed", &record(2, 1, false, "Failed"));
    refused["child"] = json!({"name": made_by(2), "uid": "g"});
    assert_eq!(keys(&refused), Some(json!({"action": 1})));
    done["child"] = json!({"name": "of-its-compensation"});
    assert_eq!(keys(&done).unwrap()["child"], Value::Null);
}

#[test]
fn where_nobody_can_tell_a_person_is_asked_and_what_has_not_ended_is_waited_for() {
    let asks = |earlier: Option<&StoredSaga>, why: &str| match keys_after("child", earlier) {
        Err(Hindrance::Person(message)) => {
            assert!(
                message.contains(why)
                    && message.contains("saga.dev/settle")
                    && message.contains("saga.dev/skip"),
                "{message}"
            );
        }
        other => assert!(other.is_err_and(|_| false), "no person is asked: {why}"),
    };
    asks(None, "is gone");
    let mut unreadable = ended("Cancelled", &json!([]));
    unreadable.status = Err("too deep".into());
    asks(Some(&unreadable), "cannot be read");
    let mut undoing = step("CompensationFailed", &record(1, 0, false, "Succeeded"));
    undoing["compensation"] = record(1, 0, true, "Unknown");
    asks(Some(&ended("Cancelled", &json!([undoing]))), "may have undone its step charge, or not");
    let waits = keys_after("child", Some(&ended("CompensationFailed", &json!([]))));
    assert!(
        matches!(&waits, Err(Hindrance::NotEnded(message)) if message.contains("which is \
            CompensationFailed")),
        "{waits:?}"
    );
}

fn parent() -> ValidSaga {
    let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
    let child = json!({"steps": [{"name": "a", "wait": {"for": "1s"}}]});
    validate(
        &who,
        &serde_json::from_value(json!({"steps": [{"name": "tenant", "saga": {"spec": child}}]}))
            .unwrap(),
    )
    .unwrap()
}

fn attempt(number: i64) -> AttemptId {
    AttemptId { step: "tenant".into(), direction: Direction::Action, number }
}

#[test]
fn a_child_follows_that_of_the_newest_attempt_that_nobody_can_tell_of() {
    let saga = parent();
    let ended = |number: i64, outcome: &str| {
        let at = "2026-01-01T00:00:00Z";
        json!({"attempt": number, "outcome": outcome, "startedAt": at, "settledAt": at})
    };
    let status = |uncertain: bool, attempts: &Value, keys_from: &Value| {
        let action =
            json!({"attempt": 4, "budgetUsed": 1, "uncertain": uncertain, "attempts": attempts});
        let step =
            json!({"name": "tenant", "phase": "Running", "action": action, "keysFrom": keys_from});
        serde_json::from_value::<SagaStatus>(json!({"steps": [step]})).unwrap()
    };
    let of = |number| child_name("order", "1", &attempt(number));
    let follows = |status: &SagaStatus, number| earlier_child(&saga, status, &attempt(number));
    let attempts = json!([ended(1, "Failed"), ended(2, "Unknown"), ended(3, "Failed")]);
    assert_eq!(
        follows(&status(true, &attempts, &Value::Null), 4),
        Some(of(2)),
        "attempt 3 was refused and has no child"
    );
    assert_eq!(
        follows(&status(false, &attempts, &Value::Null), 4),
        None,
        "a definite no came since"
    );
    assert_eq!(
        follows(&status(true, &json!([]), &json!({"child": "earlier"})), 1).as_deref(),
        Some("earlier")
    );
    assert_eq!(
        follows(&status(true, &attempts, &json!({"child": "earlier"})), 4),
        Some(of(2)),
        "an own one is later"
    );
    assert_eq!(
        follows(&status(true, &json!([]), &Value::Null), 4),
        Some(of(3)),
        "the status does not tell of it any more"
    );
    assert_eq!(follows(&SagaStatus::default(), 1), None);
}
