//! Tests that count the calls of the operator to the API server, by the audit log.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::stand::{PATIENCE, Stand, setting};

/// The user of the operator's kubeconfig.
const OPERATOR: &str = "system:serviceaccount:saga-system:saga-operator";

/// Returns the calls of the operator in a namespace: `verb resource[/subresource]` and the number
/// of calls. Watches are left out.
async fn calls(stand: &Stand) -> BTreeMap<String, usize> {
    // The API server writes the log before it sends the answer, except for large answers. So the
    // log is read until two readings agree.
    let agree = async {
        let mut before = BTreeMap::new();
        loop {
            let now = read(stand);
            if now == before {
                return now;
            }
            before = now;
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, agree).await.expect("the operator does not come to rest")
}

fn read(stand: &Stand) -> BTreeMap<String, usize> {
    let log = std::fs::read_to_string(setting("SAGA_TEST_AUDIT_LOG")).unwrap();
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
        let text = |pointer: &str| {
            entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        // The list and watch calls of the caches cover the whole namespace: they name no object.
        let of_cache = text("/verb") == "watch"
            || (text("/verb") == "list" && text("/requestURI").contains("limit="));
        if text("/user/username") != OPERATOR
            || text("/objectRef/namespace") != stand.namespace
            || of_cache
        {
            continue;
        }
        let subresource = text("/objectRef/subresource");
        let resource = text("/objectRef/resource")
            + if subresource.is_empty() { "" } else { "/" }
            + &subresource;
        let tried = if text("/requestURI").contains("dryRun=All") { "try to " } else { "" };
        *calls.entry(format!("{tried}{} {resource}", text("/verb"))).or_default() += 1;
    }
    calls
}

fn chain(steps: usize, work: &Value) -> Value {
    let steps: Vec<_> = (0..steps)
        .map(|nth| {
            let mut step = json!({"name": format!("step-{nth}")});
            step.as_object_mut().unwrap().extend(work.as_object().unwrap().clone());
            if nth > 0 {
                step["dependsOn"] = json!([format!("step-{}", nth - 1)]);
            }
            step
        })
        .collect();
    json!({"steps": steps})
}

/// Runs a saga until its finalizer is removed. Returns the saga and the calls that it caused.
async fn carry_through(stand: &Stand, name: &str, spec: &Value) -> (Saga, BTreeMap<String, usize>) {
    let before = calls(stand).await;
    stand.apply(name, spec).await;
    let ended = |saga: &Saga| {
        let completed =
            saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Completed);
        completed && saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
    };
    let saga = stand.until(name, "without its finalizer", ended).await;
    let mut spent = calls(stand).await;
    for (call, times) in before {
        *spent.get_mut(&call).unwrap() -= times;
    }
    spent.retain(|_, times| *times > 0);
    (saga, spent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_n_requests_costs_n_plus_one_status_writes_and_no_reads() {
    let mut stand = Stand::new("counts").await;
    stand.start();
    let work = json!({"http": {"method": "POST", "url": "SHOP/stock/reservations", "body": {}}});
    for steps in [1, 3, 7] {
        let (_, spent) =
            carry_through(&stand, &format!("chain-{steps}"), &chain(steps, &work)).await;
        // Besides the writes of the steps: the finalizer is added and removed, and one event
        // reports the end.
        let expected =
            [("create events", 1), ("patch sagas", 2), ("update sagas/status", steps + 1)];
        assert_eq!(
            spent,
            expected.map(|(call, times)| (call.to_owned(), times)).into(),
            "a chain of {steps}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_costs_one_create_and_one_more_write_only_if_it_lives_longer_than_two_seconds() {
    let mut stand = Stand::with_pods("pods").await;
    stand.start();
    for (name, command) in [("short", "true"), ("long", "sleep 4")] {
        let work = json!({
            "pod": {"image": "saga.dev/examples/busybox:1", "command": ["/bin/sh", "-c", command]},
        });
        let (saga, mut spent) = carry_through(&stand, name, &chain(2, &work)).await;
        // On a busy machine a short Pod can live long. The expected number of writes depends on how
        // long the Pod actually lived.
        let longer_than = |seconds: i64| {
            let attempts = saga
                .status
                .iter()
                .flat_map(|status| &status.steps)
                .flat_map(|step| &step.action)
                .flat_map(|action| &action.attempts);
            attempts
                .filter(|attempt| {
                    attempt.settled_at.0.duration_since(attempt.started_at.0).as_secs() >= seconds
                })
                .count()
        };
        let noted = spent.remove("update sagas/status").unwrap() - 3;
        assert!((longer_than(3)..=longer_than(2)).contains(&noted), "{name}: {noted} writes more");
        assert!(noted <= 2 && (name != "long" || noted == 2), "{name}: {noted} writes more");
        // Equal Pods share one dry run. The Pods of the second saga differ from the Pods of the
        // first saga.
        let expected = [
            ("create events", 1),
            ("create pods", 2),
            ("patch sagas", 2),
            ("try to create pods", 1),
        ];
        assert_eq!(spent, expected.map(|(call, times)| (call.to_owned(), times)).into(), "{name}");
    }
}
