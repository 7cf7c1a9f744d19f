//! Acts that compare the rights of the operator with what it does and with the chart's README.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use saga_operator::api::Outcome;
use serde_json::{Value, json};

use crate::{
    audit::{Right, calls},
    stand::{Stand, outcomes},
    tools::{ACCOUNT, NAMESPACE, RELEASE, helm, kubectl, repository},
};

/// Returns the lines of `kubectl auth can-i --list`, with single spaces, in alphabetical order.
fn listed(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

fn can_i(account: &str) -> BTreeSet<String> {
    listed(&kubectl(&["auth", "can-i", "--list", "--namespace", NAMESPACE, "--as", account]))
}

/// The README shows the rights of the operator without the rights that every account has.
pub fn the_readme_of_the_chart_prints_the_rights_that_there_are() {
    let everybody = can_i("system:serviceaccount:saga-system:default");
    let heading = "Resources Non-Resource URLs Resource Names Verbs".to_owned();
    let its: BTreeSet<_> =
        can_i(ACCOUNT).difference(&everybody).cloned().chain([heading]).collect();
    let readme = std::fs::read_to_string(repository("charts/saga-operator/README.md")).unwrap();
    let block = readme
        .lines()
        .skip_while(|line| !line.starts_with("    Resources "))
        .take_while(|line| line.starts_with("    "));
    let printed = listed(&block.collect::<Vec<_>>().join("\n"));
    assert_eq!(printed, its, "the README of the chart prints what is on the left");
    assert!(its.iter().all(|line| !line.contains('*')), "{its:?}");
}

/// Runs sagas that make the operator use the rights that normal operation does not need: attempts
/// that exceed their time limit, and a deletion by the time to live. (The operator also needs
/// `patch` to write into a status that it cannot read: see the upgrade.)
pub async fn each_is_needed_for_something() {
    let stand = Stand::with_pods("rights").await;
    let sleeps = json!({"command": ["sh", "-c", "trap 'exit 1' TERM; sleep 60 & \
        wait"], "image": "saga.dev/examples/busybox:1"});
    let mut container = sleeps.clone();
    container["name"] = json!("step");
    let job = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    for (kind, work) in [("pod", sleeps), ("job", job)] {
        let step =
            json!({"name": "sleeps", "timeout": "3s", "retry": {"maxAttempts": 1}, kind: work});
        stand.apply(kind, &json!({"onFailure": "Compensate", "steps": [step]})).await;
    }
    let short =
        json!({"ttlSecondsAfterFinished": 10, "steps": [{"name": "nap", "wait": {"for": "1s"}}]});
    stand.apply("short", &short).await;
    for kind in ["pod", "job"] {
        let saga = stand
            .until(kind, "at its end", |saga| {
                saga.status.as_ref().is_some_and(|status| status.completed_at.is_some())
            })
            .await;
        let ended = outcomes(&saga, "sleeps");
        assert!(
            ended.len() == 1 && ended != [Outcome::Succeeded],
            "{}: {ended:?}",
            saga.name_any()
        );
    }
    stand.gone("short").await;
}

/// Returns the rules of the roles that are bound to the operator's account, each as single rights,
/// with the name of its role.
fn granted() -> BTreeMap<Right, String> {
    let manifest = helm(&["get", "manifest", RELEASE]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&manifest).unwrap();
    let named = |kind: &'static str| {
        objects
            .iter()
            .filter(move |object| object["kind"].as_str().unwrap_or_default().ends_with(kind))
    };
    let its = |binding: &&Value| {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        subjects
            .into_iter()
            .any(|subject| subject["name"] == "saga-operator" && subject["namespace"] == NAMESPACE)
    };
    let bound: BTreeSet<_> = named("RoleBinding")
        .filter(its)
        .map(|binding| binding["roleRef"]["name"].to_string())
        .collect();
    let mut rights = BTreeMap::new();
    for role in named("Role").filter(|role| bound.contains(&role["metadata"]["name"].to_string())) {
        for rule in role["rules"].as_array().unwrap() {
            for right in single(rule) {
                rights.insert(right, role["metadata"]["name"].as_str().unwrap().to_owned());
            }
        }
    }
    // The owner of a namespace grants this right. The examples do so.
    rights.insert(
        (String::new(), "serviceaccounts".into(), "impersonate".into()),
        "saga-operator-impersonator".into(),
    );
    rights
}

fn single(rule: &Value) -> Vec<Right> {
    let words = |field: &str| {
        rule[field]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (groups, resources, verbs) = (words("apiGroups"), words("resources"), words("verbs"));
    let mut rights = Vec::new();
    for group in &groups {
        for resource in &resources {
            rights.extend(verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
        }
    }
    rights
}

/// Asserts that the rendered rules are exactly the rights that the operator has used since it was
/// installed.
pub fn nothing_is_missing_and_nothing_unused() {
    let (calls, granted) = (calls(), granted());
    println!(
        "e2e: {} calls used {} rights of {}",
        calls.used.values().sum::<usize>(),
        calls.used.len(),
        granted.len()
    );
    assert!(
        calls.refused.is_empty(),
        "for lack of a right the API server refused: {:#?}",
        calls.refused
    );
    let missing: Vec<_> = calls.used.keys().filter(|right| !granted.contains_key(*right)).collect();
    assert!(missing.is_empty(), "used, and in no role of the chart: {missing:?}");
    let unused: Vec<_> =
        granted.iter().filter(|(right, _)| !calls.used.contains_key(*right)).collect();
    assert!(unused.is_empty(), "in a role of the chart, and never used: {unused:?}");
}
