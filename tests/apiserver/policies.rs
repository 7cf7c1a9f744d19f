//! Tests of each of the chart's policies, with a user who has the right and with a user who lacks
//! it, and of the message that the refused user reads.

mod accounts;
mod approvals;
mod children;
mod fields;
mod own_account;
mod requests;

use saga_operator::api::{RequestAction, names::FINALIZER};
use serde_json::{Value, json};

use crate::{
    admission::large,
    support::{Effect, eventually, fresh_namespace},
    town::{Deed, Town, text},
};

/// The verbs that everybody has here. So every refusal comes from a policy.
const BASE: [&str; 4] = ["create", "patch", "get", "delete"];
const ALL: [&str; 10] = [
    "requests",
    "workloads",
    "accounts",
    "pinned",
    "fields",
    "creator",
    "four-eyes",
    "namespaces",
    "children",
    "own-account",
];

fn saga(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": name}, "spec": spec,
    })
}

/// Returns a saga that creates nothing and names no account.
fn waits(name: &str) -> Value {
    saga(name, &json!({"steps": [{"name": "nap", "wait": {"for": "1h"}}]}))
}

fn with(mut saga: Value, pointer: &str, value: Value) -> Value {
    *saga.pointer_mut(pointer).unwrap() = value;
    saga
}

fn annotate(name: &'static str, request: &str, value: impl Into<Value>) -> Deed {
    Deed::Change(
        name,
        json!({"metadata": {"annotations": {format!("saga.dev/{request}"): value.into()}}}),
    )
}

fn set(name: &'static str, field: &str, value: impl Into<Value>) -> Deed {
    Deed::Change(name, json!({"spec": {field: value.into()}}))
}

/// Returns a change that no policy guards, whichever policies are installed besides those of a
/// test.
fn touch(name: &'static str) -> Deed {
    Deed::Change(name, json!({"metadata": {"labels": {"example.com/touched": "yes"}}}))
}

/// Returns the reference to a saga as an owner.
fn saga_owner(uid: &str, controller: bool) -> Value {
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": uid,
        "controller": controller,
    })
}

/// The marks of what the operator creates.
fn labels() -> Value {
    json!({
        "app.kubernetes.io/managed-by": "saga-operator", "saga.dev/saga": "order",
        "saga.dev/step": "scan", "saga.dev/direction": "action", "saga.dev/attempt": "1",
    })
}

/// Returns a Pod, or a Job, that never runs.
fn workload(kind: &str, labels: &Value, owners: &Value) -> Value {
    let pod = json!({
        "restartPolicy": "Never", "schedulingGates": [{"name": "tests.saga.dev/never"}],
        "containers": [{"name": "step", "image": "saga.dev/examples/busybox:1"}],
    });
    let (version, spec) = match kind {
        "Job" => ("batch/v1", json!({"suspend": true, "template": {"spec": pod}})),
        _ => ("v1", pod),
    };
    json!({
        "apiVersion": version, "kind": kind, "spec": spec,
        "metadata": {"name": "order-scan-a1", "labels": labels, "ownerReferences": owners},
    })
}

/// Returns the path of all Pods, or of all Jobs, of a namespace.
fn path_of(kind: &str, namespace: &str) -> String {
    match kind {
        "Job" => format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
        _ => format!("/api/v1/namespaces/{namespace}/pods"),
    }
}

fn verbs<'a>(more: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    BASE.into_iter().chain(more).collect()
}

/// Returns a saga with every request.
fn with_all_requests(name: &str) -> Value {
    let mut saga = waits(name);
    let asked = RequestAction::ALL.map(|action| (action.annotation().to_owned(), json!("nap")));
    saga["metadata"]["annotations"] = Value::Object(asked.into_iter().collect());
    saga
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_makes_pods_and_jobs_only_for_who_may_make_them() {
    let town = Town::with(&["workloads"], "").await;
    let (pod, job) = (
        json!({"image": "busybox"}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
    );
    let nap = json!({"for": "1s"});
    let child = |step: Value| json!({"name": "make", "saga": {"spec": {"steps": [step]}}});
    let neither = town.person("neither", &verbs([])).await;
    for (resource, group, field, action) in
        [("pods", "", "pod", &pod), ("jobs", "batch", "job", &job)]
    {
        let may = town.person(&format!("may-{resource}"), &verbs([])).await;
        town.give(&may.name, group, resource, &["create"]).await;
        let words = format!(
            "spec.steps[make]: {} may not create {resource} in namespace {}, nor let a saga do \
             it: ask for a Role with the verb create on {resource} there",
            neither.name,
            town.name()
        );
        for step in [
            json!({"name": "make", field: action}),
            json!({"name": "make", "wait": nap, "compensation": {field: action}}),
            child(json!({"name": "a", field: action})),
            child(json!({"name": "a", "wait": nap, "compensation": {field: action}})),
            json!({
                "name": "make", "wait": nap,
                "compensation": {"saga": {"spec": {"steps": [{"name": "a", field: action}]}}},
            }),
        ] {
            let spec = json!({"steps": [{"name": "nap", "wait": nap}, step]});
            let deed = Deed::Create(saga("new", &spec));
            assert_eq!(neither.is_refused(&deed).await, words, "{spec}");
            may.may(&deed).await;
        }
    }
    // The operator refuses a child spec that is not a saga. The policy does not.
    for odd in
        [json!({}), json!({"steps": 3}), json!({"steps": [1, {"compensation": 2}, {"saga": 3}]})]
    {
        neither
            .may(&Deed::Create(saga(
                "new",
                &json!({"steps": [{"name": "make", "saga": {"spec": odd}}]}),
            )))
            .await;
    }
    neither.may(&Deed::Create(waits("new"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_saga_is_where_the_operator_is() {
    let town = Town::with(&["operator-namespace"], "").await;
    let admin = town.stranger("admin").await;
    town.give(&admin.name, "*", "*", &["*"]).await;
    let words = format!(
        "metadata.namespace: {} is the namespace of the saga operator, where no sagas are \
         allowed: create the saga in the namespace of the application",
        town.name()
    );
    assert_eq!(admin.is_refused(&Deed::Create(waits("new"))).await, words);
    let elsewhere = fresh_namespace("elsewhere").await;
    elsewhere.create(&waits("new"), Effect::DryRun).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_saga_is_where_kubernetes_is_or_where_none_is_wanted() {
    let mut town = Town::with(&["namespaces"], ",admission.deniedNamespaces={TOWN}").await;
    let admin = town.stranger(&format!("admin.{}", town.name())).await;
    town.give_everywhere(&admin.name, "*", "*", &["*"]).await;
    let elsewhere = fresh_namespace("elsewhere").await;
    let deed = |namespace: &str| {
        let path = format!("/apis/saga.dev/v1alpha1/namespaces/{namespace}/sagas");
        Deed::Call("POST", path, waits("new"))
    };
    for namespace in ["kube-system", "kube-public", "kube-node-lease", town.name()] {
        assert_eq!(
            admin.is_refused(&deed(namespace)).await,
            format!(
                "metadata.namespace: no sagas are allowed in {namespace}: create the saga in the \
                 namespace of the application"
            )
        );
    }
    admin.may(&deed(&elsewhere.name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fixed_is_fixed_to_the_last_key() {
    let town = Town::with(&["pinned"], "").await;
    let limits = json!({"limits": {"cpu": "1"}});
    let steps = json!([{"name": "ship", "pod": {"image": "busybox", "resources": limits}}]);
    town.has(&saga(
        "order",
        &json!({"params": {"order": "1042"}, "outputs": {"sent": "1042"}, "steps": steps}),
    ))
    .await;
    let bob = town.person("bob", &verbs([])).await;
    // These are the changes that pass the rules of the definition. If the schema of an object names
    // no keys, the rules do not see its keys: they compare such objects by their sizes and by their
    // common keys. Here a key at the top level is renamed, and no remaining key has another value.
    for params in [json!({"order": null, "orders": "1042"}), json!({"order": null, "x": 1})] {
        let renamed = set("order", "params", params);
        assert_eq!(
            bob.is_refused(&renamed).await,
            "spec.params: params cannot be changed: create a new Saga"
        );
    }
    // Otherwise a user who may patch a child saga could pass any output to its parent.
    assert_eq!(
        bob.is_refused(&set("order", "outputs", json!({"sent": null, "paid": "yes"}))).await,
        "spec.outputs: outputs cannot be changed: create a new Saga"
    );
    let moved = json!([{
        "name": "ship", "pod": {"image": "busybox", "resources": {"requests": {"cpu": "1"}}},
    }]);
    assert_eq!(
        bob.is_refused(&set("order", "steps", moved)).await,
        "spec.steps: steps cannot be changed: create a new Saga"
    );
    // The rule of the definition detects this change, and its message comes first.
    let prefix =
        bob.act(&set("order", "idempotencyPrefix", "a"), Effect::DryRun).await.unwrap_err();
    assert!(prefix.message.contains("idempotencyPrefix cannot be changed"), "{prefix}");
    for deed in [
        set("order", "steps", steps),
        set("order", "params", json!({"order": "1042"})),
        touch("order"),
    ] {
        bob.may(&deed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_fit_the_definition_and_the_largest_saga_fits_into_what_they_may_cost() {
    let town = Town::with(&ALL, "").await;
    // The controller manager checks the types of every expression against the definition.
    let checked = eventually("the expressions are checked", || async {
        let policies = town.policies().await;
        let checked = |policy: &Value| {
            text(&policy["kind"]).starts_with("Mutating")
                || !policy["status"]["typeChecking"].is_null()
        };
        policies.iter().all(checked).then_some(policies)
    });
    for policy in checked.await {
        assert_eq!(
            policy["status"]["typeChecking"]["expressionWarnings"],
            Value::Null,
            "{}",
            policy["metadata"]["name"]
        );
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    }
    let bob = town.person("bob", &verbs(RequestAction::ALL.map(RequestAction::as_str))).await;
    town.give(&bob.name, "", "serviceaccounts", &["impersonate"]).await;
    let mut saga = large(128);
    saga["metadata"]["annotations"] = with_all_requests("")["metadata"]["annotations"].clone();
    saga["spec"]["serviceAccountName"] = json!("keeper");
    bob.may(&Deed::Create(saga.clone())).await;
    // The update combines everything that is expensive: a long list of child specs to inspect,
    // every request, another account, and another deletion policy.
    saga["metadata"].as_object_mut().unwrap().remove("annotations");
    let steps: Vec<_> = (0..128)
        .map(|nth| {
            json!({
                "name": format!("s{nth}"),
                "saga": {"spec": {"steps": vec![json!({"name": "a", "wait": {"for": "1s"}}); 64]}},
            })
        })
        .collect();
    saga["spec"]["steps"] = json!(steps);
    saga["metadata"]["finalizers"] = json!([FINALIZER]);
    town.has(&saga).await;
    let mut change = json!({
        "spec": {
            "serviceAccountName": "other", "suspend": true, "deletionPolicy": "Abandon",
            "maxParallel": 64, "maxRetryRequests": 1000,
        },
    });
    let more = json!({
        "onFailure": "Compensate", "timeout": "1h", "defaults": {"timeout": "1h"},
        "ttlSecondsAfterFinished": 60,
    });
    change["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change["metadata"]["annotations"] = with_all_requests("")["metadata"]["annotations"].clone();
    change["metadata"]["finalizers"] = json!([]);
    let owners: Vec<_> = (0..64)
        .map(|nth| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": format!("u-{nth}")})
        })
        .collect();
    change["metadata"]["ownerReferences"] = json!(owners);
    bob.may(&Deed::Change("large", change)).await;
    town.lets_go_of("large").await;
}
