//! Tests of manifests that the API server refuses, with the message of each refusal, and of
//! manifests that it stores unchanged.

use std::path::{Path, PathBuf};

use futures::{StreamExt, future, stream};
use serde_json::{Value, json};

use crate::support::{Effect, FreshNamespace, fresh_namespace, read_yaml, same};

/// The text that the API server adds if a malformed field prevents the check of all rules.
const UNCHECKED: &str = "some validation rules were not checked";

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_manifest_is_refused_with_what_to_write_instead() {
    let namespace = fresh_namespace("bad").await;
    let manifests = manifests("bad");
    assert!(manifests.len() >= 100, "only {} bad manifests are left", manifests.len());
    let judged = stream::iter(manifests).map(|path| judge(&namespace, path)).buffer_unordered(8);
    let surprises: Vec<_> = judged.filter_map(future::ready).collect().await;
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// Returns what is wrong with the refusal of one manifest, or `None`. Each manifest breaks one rule
/// and gets one sentence. The exception is two steps of one name: the API server adds its own text
/// there.
async fn judge(namespace: &FreshNamespace, path: PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(&path).unwrap();
    let expected: Vec<_> = text.lines().map_while(|line| line.strip_prefix("# expect: ")).collect();
    if expected.is_empty() {
        return Some(format!(
            "{}: begins with no `# expect: <what the refusal says>`",
            path.display()
        ));
    }
    let Err(refusal) = namespace.create(&read_yaml(&path), Effect::DryRun).await else {
        return Some(format!("{}: is accepted", path.display()));
    };
    let most = if text.contains("same name") { 2 } else { 1 };
    let sentences = refusal.causes.iter().filter(|cause| !cause.contains(UNCHECKED)).count();
    let fits = (400..500).contains(&refusal.code)
        && sentences <= most
        && expected.iter().all(|part| refusal.message.contains(part));
    (!fits).then(|| {
        format!(
            "{}: is refused with other words, or more of them\n  {refusal}\n  \
        expected {expected:?}",
            path.display()
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_good_manifest_is_stored_as_it_is_written() {
    let namespace = fresh_namespace("good").await;
    let manifests = manifests("good");
    assert!(manifests.len() >= 7, "{} good manifests are left", manifests.len());
    for path in manifests {
        let written = read_yaml(&path);
        let created = namespace
            .create(&written, Effect::Real)
            .await
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", path.display()));
        let read = namespace.get(created["metadata"]["name"].as_str().unwrap()).await.unwrap();
        assert!(same(&read["spec"], &written["spec"]), "{}: {:#}", path.display(), read["spec"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_null_is_a_field_that_is_not_set() {
    let namespace = fresh_namespace("null").await;
    let step = json!({
        "name": "one", "timeout": null, "retry": null,
        "http": {"method": "GET", "url": "http://h", "body": null, "headers": null},
    });
    let stored = namespace
        .create(&saga(&json!({"onFailure": null, "params": null, "steps": [step]})), Effect::DryRun)
        .await
        .unwrap();
    assert_eq!(
        stored["spec"],
        json!({"steps": [{"name": "one", "http": {"method": "GET", "url": "http://h"}}]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_saga_fits_into_what_rules_may_cost() {
    let namespace = fresh_namespace("large").await;
    namespace.create(&large(128), Effect::Real).await.unwrap();
    let unchanged = json!([{"op": "add", "path": "/spec/maxParallel", "value": 64}]);
    namespace.patch("large", &unchanged, Effect::Real).await.unwrap();
    let refusal = namespace.create(&large(129), Effect::DryRun).await.unwrap_err();
    assert!(
        refusal.message.contains("spec.steps: Too many: 129: must have at most 128 items"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_name_is_found_in_the_largest_saga() {
    let namespace = fresh_namespace("wrong").await;
    let mut saga = large(128);
    saga["spec"]["steps"][127]["dependsOn"][15] = json!("unknown");
    let refusal = namespace.create(&saga, Effect::DryRun).await.unwrap_err();
    assert!(
        refusal.message.contains(&format!(
            "spec.steps: Invalid value: {} depends on unknown: dependsOn may name",
            name(127)
        )),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_faults_is_still_explained() {
    let namespace = fresh_namespace("upside-down").await;
    let steps: Vec<_> = (0..128)
        .map(|nth| {
            json!({"name": name(nth), "dependsOn": [name(nth + 1)], "pod": {"image": "busybox"}})
        })
        .collect();
    let refusal =
        namespace.create(&saga(&json!({"steps": steps})), Effect::DryRun).await.unwrap_err();
    assert!(
        refusal.message.contains("spec.steps: Invalid value: dependsOn may name only steps"),
        "{refusal}"
    );
}

/// Returns a saga with this many steps and the longest names. Each step depends on the 16 steps
/// before it, which is the most expensive case for rules that search. Each step sends an HTTP
/// request and has a compensation.
pub fn large(steps: usize) -> Value {
    let http = json!({
        "method": "POST",
        "url": format!("http://stock.shop.svc/{}", "x".repeat(200)),
        "headers": [
            {
                "name": "Authorization",
                "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}},
            },
            {"name": "Accept", "value": "application/json"},
        ],
        "body": {"order": "1042", "items": [{"sku": "a-1", "count": 2}]},
    });
    let steps: Vec<_> = (0..steps)
        .map(|nth| {
            let depends_on: Vec<_> = (nth.saturating_sub(16)..nth).map(name).collect();
            let retry = json!({
                "maxAttempts": 3, "deadline": "10m",
                "backoff": {"initialDelay": "1s", "maxDelay": "1m30s"},
            });
            json!({
                "name": name(nth),
                "dependsOn": depends_on,
                "timeout": "1m",
                "retry": retry,
                "http": http,
                "compensation": {"timeout": "1m", "retry": retry, "http": http},
            })
        })
        .collect();
    saga(&json!({"steps": steps}))
}

/// Returns a name of 63 characters that differs from other names only at its end.
fn name(nth: usize) -> String {
    format!("{nth:0>63}")
}

fn saga(spec: &Value) -> Value {
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "large"},
        "spec": spec,
    })
}

fn manifests(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apiserver/manifests").join(kind);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
