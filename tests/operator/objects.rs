//! Tests of objects that steps apply, delete and wait for. Each step acts as the ServiceAccount of
//! the saga, with no rights but those of the account.

mod whose;

use saga_operator::api::{Outcome, RequestAction, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    keeper,
    stand::{Stand, message, names_its_child, outcomes, step, still_in_effect},
};

/// The verbs that the account of a test has.
const ALL: [&str; 3] = ["get", "patch", "delete"];

/// Starts a stand whose operator may impersonate the account `keeper`. The account has these verbs
/// for ConfigMaps.
async fn stand_with(name: &str, verbs: &[&str]) -> Stand {
    keeper::stand_with(name, ("", "configmaps"), verbs).await
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn reference(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name})
}

/// Returns a saga of these steps. The precheck is skipped: each step is checked when it runs.
fn spec(steps: &Value) -> Value {
    let mut steps = steps.clone();
    for step in steps.as_array_mut().unwrap() {
        step["precheck"] = json!("Skip");
    }
    json!({"serviceAccountName": "keeper", "params": {"colour": "blue"}, "steps": steps})
}

/// Returns the object as it is, or `None` if it does not exist.
async fn read(stand: &Stand, name: &str) -> Option<Value> {
    let object = stand.api_of(&config_map(name, &json!({}))).get_opt(name).await.unwrap()?;
    Some(serde_json::to_value(object).unwrap())
}

fn said(saga: &Saga, name: &str) -> String {
    step(saga, name).message.clone().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_applied_waited_for_and_deleted_and_hands_its_values_on() {
    let stand = stand_with("objects", &ALL).await;
    stand.put(&config_map("old", &json!({"colour": "green"}))).await;
    let steps = json!([
        {
            "name": "switch",
            "apply": {
                "manifest": config_map("live", &json!({"colour": "${params.colour}"})),
                "until": "has(object.data.colour)",
            },
            "outputs": {"colour": "${object.data.colour}", "uid": "${object.metadata.uid}"},
        },
        {"name": "look", "dependsOn": ["switch"], "wait": {"until": "object.data.colour == \
            'blue'", "object": reference("live")}},
        {"name": "clear", "dependsOn": ["look"], "delete": reference("${'o' + 'ld'}")},
        {
            "name": "tell", "dependsOn": ["clear"],
            "apply": {
                "manifest": config_map("told", &json!({"was": "${steps.switch.outputs.colour}"})),
            },
        },
    ]);
    stand.apply("release", &spec(&steps)).await;
    let saga = stand.reaches("release", SagaPhase::Completed).await;
    let live = read(&stand, "live").await.unwrap();
    assert_eq!(live["data"], json!({"colour": "blue"}));
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "saga.dev");
    assert_eq!(live["metadata"]["ownerReferences"], Value::Null, "it outlives the saga");
    assert_eq!(
        json!(step(&saga, "switch").outputs),
        json!({"colour": "blue", "uid": live["metadata"]["uid"]})
    );
    assert_eq!(read(&stand, "old").await, None);
    assert_eq!(read(&stand, "told").await.unwrap()["data"], json!({"was": "blue"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_is_undone_by_deleting_it_again() {
    let stand = stand_with("objects-undo", &ALL).await;
    let steps = json!([
        {
            "name": "make", "apply": {"manifest": config_map("made", &json!({}))},
            "compensation": {"delete": reference("made")},
        },
        {"name": "gone", "dependsOn": ["make"], "delete": reference("never-there")},
        {
            "name": "break", "dependsOn": ["gone"],
            "apply": {
                "manifest": {
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odd"}, "dat": {},
                },
            },
        },
    ]);
    let mut spec = spec(&steps);
    spec["onFailure"] = json!("Compensate");
    stand.apply("release", &spec).await;
    let saga = stand.reaches("release", SagaPhase::Compensated).await;
    assert_eq!((read(&stand, "made").await, read(&stand, "odd").await), (None, None));
    let broken = said(&saga, "break");
    assert!(broken.contains(".dat") && outcomes(&saga, "break") == [Outcome::Failed], "{broken}");
    // There was nothing to delete, and nothing undoes the deletion.
    assert_eq!(still_in_effect(&saga), ["gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_the_account_lacks_is_named_and_nothing_is_done_as_the_operator() {
    let apply = json!({"apply": {"manifest": config_map("made", &json!({}))}});
    let delete = json!({"delete": reference("there")});
    let wait = json!({"wait": {"until": "true", "object": reference("there")}});
    let table =
        [("patch", &apply), ("get", &apply), ("delete", &delete), ("get", &delete), ("get", &wait)];
    for (place, (missing, action)) in table.into_iter().enumerate() {
        let has: Vec<_> = ALL.into_iter().filter(|verb| *verb != missing).collect();
        let stand = stand_with(&format!("objects-rbac-{place}"), &has).await;
        stand.put(&config_map("there", &json!({}))).await;
        let mut one = action.clone();
        one["name"] = json!("one");
        stand.apply("release", &spec(&json!([one]))).await;
        let saga = stand.reaches("release", SagaPhase::Failed).await;
        let wanted =
            format!("system:serviceaccount:{}:keeper may not {missing} ConfigMap", stand.namespace);
        assert!(said(&saga, "one").contains(&wanted), "{missing} {action}: {}", said(&saga, "one"));
        assert!(read(&stand, "there").await.is_some(), "{missing} {action}");
        // If the account may not get the object, it cannot see that the apply succeeded.
        assert_eq!(
            read(&stand, "made").await.is_some(),
            missing == "get" && one["apply"].is_object() && was_applied(&saga),
            "{missing}"
        );
    }
}

fn was_applied(saga: &Saga) -> bool {
    outcomes(saga, "one") == [Outcome::Unknown]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_saga_borrows_power_that_its_account_does_not_have() {
    let stand = stand_with("objects-power", &ALL).await;
    let name = format!("power-{}", stand.namespace);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "keeper", "namespace": stand.namespace}],
    });
    let other = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "made", "namespace": "default"},
    });
    for (saga, manifest) in [("rise", &binding), ("stray", &other)] {
        stand.apply(saga, &spec(&json!([{"name": "one", "apply": {"manifest": manifest}}]))).await;
        let seen = stand.reaches(saga, SagaPhase::Failed).await;
        assert!(said(&seen, "one").contains(":keeper may not "), "{}", said(&seen, "one"));
    }
    let found = stand.kubectl(&["get", "clusterrolebindings", "--ignore-not-found", &name]);
    assert_eq!(found, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_another_manager_are_taken_over_only_by_force() {
    let stand = stand_with("objects-force", &ALL).await;
    stand.put(&config_map("shared", &json!({"colour": "green"}))).await;
    let with = |force: bool| {
        json!([{
            "name": "one",
            "apply": {"manifest": config_map("shared", &json!({"colour": "blue"})), "force": force},
        }])
    };
    stand.apply("polite", &spec(&with(false))).await;
    let saga = stand.reaches("polite", SagaPhase::Failed).await;
    assert!(
        said(&saga, "one").contains("fields belong to another manager"),
        "{}",
        said(&saga, "one")
    );
    assert_eq!(read(&stand, "shared").await.unwrap()["data"]["colour"], "green");
    stand.apply("rude", &spec(&with(true))).await;
    stand.reaches("rude", SagaPhase::Completed).await;
    assert_eq!(read(&stand, "shared").await.unwrap()["data"]["colour"], "blue");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_dies_is_followed_by_one_that_goes_on_waiting() {
    let mut stand = stand_with("objects-crash", &ALL).await;
    let until = "has(object.data.ready) && object.data.ready == 'yes'";
    let steps = json!([{
        "name": "one",
        "apply": {"manifest": config_map("slow", &json!({"colour": "blue"})), "until": until},
    }]);
    stand.apply("release", &spec(&steps)).await;
    stand.until("release", "the UID of its object", |saga| names_its_child(saga, "one")).await;

    let saga = stand.step_reaches("release", "one", StepPhase::Running).await;
    assert!(said(&saga, "one").contains("waits: until"), "{}", said(&saga, "one"));
    stand.kill();
    stand.start();
    stand.meanwhile("other").await;
    stand.kubectl(&[
        "patch",
        "configmap",
        "slow",
        "--type",
        "merge",
        "--patch",
        r#"{"data": {"ready": "yes"}}"#,
    ]);
    let saga = stand.reaches("release", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "one"), [Outcome::Succeeded], "one attempt, whoever looked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_in_time_may_be_in_effect_and_what_was_only_waited_for_is_not() {
    let stand = stand_with("objects-late", &ALL).await;
    stand.put(&config_map("there", &json!({}))).await;
    let late = |action: Value| {
        let mut step = json!({"name": "one", "timeout": "3s"});
        step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        spec(&json!([step]))
    };
    stand
        .apply(
            "applied",
            &late(json!({
                "apply": {
                    "manifest": config_map("made", &json!({})), "until": "object.data.x == 'y'",
                },
            })),
        )
        .await;
    stand
        .apply("waited", &late(json!({"wait": {"until": "false", "object": reference("there")}})))
        .await;
    let applied = stand.reaches("applied", SagaPhase::Failed).await;
    let waited = stand.reaches("waited", SagaPhase::Failed).await;
    assert_eq!(
        (outcomes(&applied, "one"), outcomes(&waited, "one")),
        (vec![Outcome::Unknown], vec![Outcome::Failed])
    );
    assert!(
        message(&applied).contains(
            "not within its time limit: until it holds: ${object.data.x == \
            'y'}"
        ),
        "{}",
        message(&applied)
    );
    for name in ["applied", "waited"] {
        stand.ask(name, &format!("{}=enough", RequestAction::Cancel.annotation()));
    }
    let (applied, waited) = (
        stand.reaches("applied", SagaPhase::Cancelled).await,
        stand.reaches("waited", SagaPhase::Cancelled).await,
    );
    assert_eq!((still_in_effect(&applied), still_in_effect(&waited)), (vec!["one"], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_kind_that_nobody_knows_is_gone_and_none_is_applied() {
    let stand = stand_with("objects-kind", &ALL).await;
    let unknown = json!({"apiVersion": "not-there.example/v1", "kind": "Widget", "name": "w"});
    stand.apply("clear", &spec(&json!([{"name": "one", "delete": unknown}]))).await;
    stand.reaches("clear", SagaPhase::Completed).await;
    let manifest =
        json!({"apiVersion": "not-there.example/v1", "kind": "Widget", "metadata": {"name": "w"}});
    stand
        .apply(
            "make",
            &spec(&json!([{
                "name": "one", "timeout": "4s", "pivot": true, "apply": {"manifest": manifest},
            }])),
        )
        .await;
    let saga = stand.reaches("make", SagaPhase::Failed).await;
    assert_eq!(outcomes(&saga, "one"), [Outcome::Failed], "{}", message(&saga));
    assert!(said(&saga, "one").contains("no kind Widget"), "{}", said(&saga, "one"));
    stand.ask("make", &format!("{}=enough", RequestAction::Compensate.annotation()));
    assert_eq!(still_in_effect(&stand.reaches("make", SagaPhase::Compensated).await), [""; 0]);
}
