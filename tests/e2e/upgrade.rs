//! Acts with an upgrade while sagas run: new pods, and a definition with one more field.

use std::{collections::BTreeSet, path::Path, process::Command};

use futures::{StreamExt, stream};
use saga_operator::api::{Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    crash::judge,
    shop::Kind,
    stand::{Stand, checkout, scope},
    tools::{chart, install, kubectl, pods, run, until},
};

/// The number of sagas that run during the upgrade.
const SAGAS: usize = 50;
/// The field that the definition gains.
const FIELD: &str = "note";
/// A phase of a later version.
const PHASE: &str = "Dreaming";

/// Writes the chart as a later version might be, with another version number and more in the
/// definition. Returns its folder.
fn next_chart() -> String {
    let next = Path::new(env!("CARGO_TARGET_TMPDIR")).join("next-chart");
    let _ = std::fs::remove_dir_all(&next);
    run(Command::new("cp").args(["--recursive", &chart(), &next.to_string_lossy()]));
    let about = next.join("Chart.yaml");
    let newer =
        std::fs::read_to_string(&about).unwrap().replace("\nversion: 0.1.0", "\nversion: 0.1.1");
    assert!(newer.contains("0.1.1"), "{newer}");
    std::fs::write(&about, newer).unwrap();
    let definition = next.join("files/sagas.yaml");
    let mut with_more: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&definition).unwrap()).unwrap();
    let spec = with_more
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
        .unwrap();
    spec[FIELD] = json!({"type": "string", "maxLength": 64});
    // JSON is valid YAML, so Helm can read it.
    std::fs::write(&definition, with_more.to_string()).unwrap();
    next.to_string_lossy().into_owned()
}

fn has_field() -> bool {
    let path = format!(
        "jsonpath={{.spec.versions[0].schema.openAPIV3Schema\
         .properties.spec.properties.{FIELD}.type}}"
    );
    kubectl(&["get", "crd", "sagas.saga.dev", "--output", &path]) == "string"
}

/// Returns a checkout that takes a while and does not end before an approval. So the checkout is
/// still running at the end of the upgrade, however long the upgrade takes.
fn slow() -> Value {
    let mut spec = checkout();
    let steps = spec["steps"].as_array_mut().unwrap();
    steps[2]["dependsOn"] = json!(["sign-off"]);
    steps.insert(2, json!({"name": "nap", "dependsOn": ["charge-card"], "wait": {"for": "10s"}}));
    steps.insert(3, json!({"name": "sign-off", "dependsOn": ["nap"], "approval": {}}));
    spec
}

fn phase(saga: &Saga) -> Option<SagaPhase> {
    saga.status.as_ref().and_then(|status| status.phase)
}

pub async fn fifty_sagas_go_on_while_the_definition_gains_a_field() {
    let stand = Stand::with_pods("upgrade").await;
    // Each call takes a while, so that some calls are in flight at any moment.
    stand.shop.behave(&json!([{"match": {}, "then": [{"delay": "2s", "forever": true}]}])).unwrap();
    let names: Vec<_> = (0..SAGAS).map(|nth| format!("order-{nth}")).collect();
    stream::iter(&names)
        .for_each_concurrent(8, |name| async { drop(stand.apply(name, &slow()).await) })
        .await;
    stand
        .shop_sees("calls of all sagas", |entries| {
            scopes(entries.iter().map(|entry| entry.scope.clone())) == SAGAS
        })
        .await;
    let before = pods();
    install(&next_chart(), &["podAnnotations.rolled=once"]);
    let under_way = names.len() - count(&stand, SagaPhase::Completed).await;
    println!("e2e: {under_way} of {SAGAS} sagas were unfinished when the upgrade ended");
    assert_eq!(under_way, SAGAS);
    until("the old pods are gone", || pods().iter().all(|pod| !before.contains(pod)).then_some(()))
        .await;
    assert!(has_field());
    for name in &names {
        // An approval before the step asks for it is refused.
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
        stand.ask(name, "saga.dev/approve=sign-off");
    }
    for name in &names {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        judge_unharmed(&stand, &saga);
    }
    a_field_of_a_later_version_is_refused_until_it_is_taken_out(&stand).await;
    a_phase_of_a_later_version_is_left_alone(&stand).await;
    a_status_that_cannot_be_read_is_said_to_be_so_and_kept(&stand).await;
    install(&chart(), &[]);
    assert!(!has_field());
}

/// The new field can be written. The operator that does not know the field refuses the saga until
/// the field is removed.
async fn a_field_of_a_later_version_is_refused_until_it_is_taken_out(stand: &Stand) {
    stand
        .apply(
            "newer",
            &json!({FIELD: "from later", "steps": [{"name": "nap", "wait": {"for": "1s"}}]}),
        )
        .await;
    let path = "jsonpath={.status.conditions[?(@.type=='Accepted')].reason}";
    until("the saga is refused", || {
        (stand.kubectl(&["get", "saga/newer", "--output", path]) == "UnknownField").then_some(())
    })
    .await;
    let note = kubectl(&[
        "get",
        "saga",
        "newer",
        "--namespace",
        &stand.namespace,
        "--output",
        &format!("jsonpath={{.spec.{FIELD}}}"),
    ]);
    assert_eq!(note, "from later");
    stand.kubectl(&[
        "patch",
        "saga/newer",
        "--type",
        "json",
        "--patch",
        &format!(r#"[{{"op": "remove", "path": "/spec/{FIELD}"}}]"#),
    ]);
    stand.reaches("newer", SagaPhase::Completed).await;
}

/// This version cannot read what a later version wrote. The operator leaves the status as it is,
/// and continues when it can read the status.
async fn a_phase_of_a_later_version_is_left_alone(stand: &Stand) {
    stand.apply("later", &json!({"steps": [{"name": "sign-off", "approval": {}}]})).await;
    stand.reaches("later", SagaPhase::Running).await;
    let set_phase = |phase: &str| {
        let patch = json!({"status": {"phase": phase}}).to_string();
        stand.kubectl(&[
            "patch",
            "saga/later",
            "--subresource",
            "status",
            "--type",
            "merge",
            "--patch",
            &patch,
        ]);
    };
    set_phase(PHASE);
    let told = || {
        stand.kubectl(&[
            "get",
            "events.v1.events.k8s.io",
            "--output",
            "jsonpath={.items[*].reason}",
        ])
    };
    until("it is told", || told().contains("UnknownWord").then_some(())).await;
    assert_eq!(
        stand.kubectl(&["get", "saga/later", "--output", "jsonpath={.status.phase}"]),
        PHASE
    );
    set_phase("Running");
    stand.ask("later", "saga.dev/approve=sign-off");
    stand.reaches("later", SagaPhase::Completed).await;
}

fn scopes(scopes: impl Iterator<Item = String>) -> usize {
    scopes.collect::<BTreeSet<_>>().len()
}

async fn count(stand: &Stand, wanted: SagaPhase) -> usize {
    let sagas = stand.sagas().list(&kube::api::ListParams::default()).await.unwrap();
    sagas.iter().filter(|saga| phase(saga) == Some(wanted)).count()
}

/// The message of an HTTP request that was aborted because the operator's Lease lapsed. That
/// happens if the machine stands still for seconds.
const LAPSED: &str = "the operator lost its Lease";

/// Asserts that everything was done in order, and that nothing was called a second time except
/// after a lapsed Lease: the pods that were replaced lost no answer.
fn judge_unharmed(stand: &Stand, saga: &Saga) {
    let attempts =
        saga.status.iter().flat_map(|status| &status.steps).filter_map(|step| step.action.as_ref());
    let attempts = attempts.flat_map(|action| &action.attempts);
    let lapsed = attempts
        .filter(|attempt| attempt.message.as_ref().is_some_and(|message| message.contains(LAPSED)))
        .count();
    judge(stand, saga, false);
    let entries = stand.shop.entries(Some(&scope(saga)));
    let done = entries.iter().filter(|entry| entry.kind == Kind::Done).count();
    assert!(done == 3 && entries.len() <= done + lapsed, "{lapsed} Leases lapsed: {entries:?}");
}

/// A depth that exceeds the limit for reading a status.
const DEPTH: usize = 130;

/// No correct writer writes this status. The operator reports that in the condition Stalled, keeps
/// the content, and continues once the status is corrected.
async fn a_status_that_cannot_be_read_is_said_to_be_so_and_kept(stand: &Stand) {
    stand.apply("deep", &json!({"steps": [{"name": "sign-off", "approval": {}}]})).await;
    stand.reaches("deep", SagaPhase::Running).await;
    let set_outputs = |outputs: &Value| {
        let patch = json!({"status": {"outputs": outputs}}).to_string();
        stand.kubectl(&[
            "patch",
            "saga/deep",
            "--subresource",
            "status",
            "--type",
            "merge",
            "--patch",
            &patch,
        ]);
    };
    set_outputs(&json!({"well": (0..DEPTH).fold(json!(1), |inner, _| json!([inner]))}));
    let path = "jsonpath={.status.phase} {.status.conditions[?(@.type=='Stalled')].reason}";
    let held = || stand.kubectl(&["get", "saga/deep", "--output", path]) == "Running InvalidStatus";
    until("the saga is held", || held().then_some(())).await;
    let kept = stand.kubectl(&["get", "saga/deep", "--output", "jsonpath={.status.outputs.well}"]);
    assert_eq!(kept.matches('[').count(), DEPTH, "{kept}");
    set_outputs(&Value::Null);
    stand.ask("deep", "saga.dev/approve=sign-off");
    stand.reaches("deep", SagaPhase::Completed).await;
}
