//! Tests with a second manager beside the operator, as GitOps tools are: the tool removes
//! annotations, adds them again, and applies and replaces the whole object. Whatever the tool does,
//! each request is performed once.

use kube::{
    ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use saga_operator::api::{HANDLED, RequestResult, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    requests::{RETRY, annotation, answered, charges, decline, held, manifest, repair, taken_away},
    stand::{Stand, condition, outcomes, records, scope, step},
};

use RequestResult::{Accepted, Refused};

/// The field manager of a tool that uses server-side apply, such as Flux.
const TOOL: &str = "kustomize-controller";

/// Applies a manifest as Flux does: the tool first takes over the fields of managers whose names
/// begin with `kubectl`. So the apply removes what its manifest does not contain.
async fn sync(stand: &Stand, manifest: &Value) {
    let sagas = stand.api_of(manifest);
    loop {
        let live = sagas.get("order").await.unwrap();
        let patch = json!({
            "metadata": {
                "resourceVersion": live.resource_version(), "managedFields": taken_over(&live),
            },
        });
        match sagas.patch("order", &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(conflict)) if conflict.code == 409 => {}
            done => {
                done.unwrap();
                break;
            }
        }
    }
    sagas.patch("order", &PatchParams::apply(TOOL).force(), &Patch::Apply(manifest)).await.unwrap();
}

/// Returns the managed fields with one entry of the tool for all fields that the tool and kubectl
/// have set.
fn taken_over(live: &DynamicObject) -> Vec<Value> {
    let entries = serde_json::to_value(live.managed_fields()).unwrap();
    let (taken, mut others): (Vec<_>, Vec<_>) =
        entries.as_array().cloned().unwrap().into_iter().partition(|entry| {
            let manager = entry["manager"].as_str().unwrap_or_default();
            (manager == TOOL || manager.starts_with("kubectl"))
                && entry.get("subresource").is_none()
        });
    let mut fields = json!({});
    for entry in &taken {
        unite(&mut fields, &entry["fieldsV1"]);
    }
    if let Some(first) = taken.first() {
        let mut entry = first.clone();
        (entry["manager"], entry["operation"], entry["fieldsV1"]) =
            (json!(TOOL), json!("Apply"), fields);
        others.push(entry);
    }
    others
}

fn unite(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        unite(into.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({})), value);
    }
}

/// Replaces the whole object by a manifest, as Argo CD does with `Replace=true`.
async fn replace(stand: &Stand, manifest: &Value) {
    let mut object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    let sagas = stand.api_of(manifest);
    loop {
        object.metadata.resource_version = sagas.get("order").await.unwrap().resource_version();
        // A tool must not remove the finalizer, so the finalizer is copied from the live object.
        object.metadata.finalizers = sagas.get("order").await.unwrap().metadata.finalizers;
        match sagas
            .replace(
                "order",
                &PostParams { field_manager: Some(TOOL.into()), ..PostParams::default() },
                &object,
            )
            .await
        {
            Err(kube::Error::Api(conflict)) if conflict.code == 409 => {}
            done => return drop(done.unwrap()),
        }
    }
}

/// Waits until the operator has had time to do all that it would do, and returns the saga.
async fn settled(stand: &Stand) -> Saga {
    stand.meanwhile("between").await;
    stand.remove("between").await;
    stand.sagas().get("order").await.unwrap()
}

/// Starts the operator and lets the tool apply a saga. Returns when the saga has failed once.
async fn synced(name: &str) -> Stand {
    let mut stand = Stand::new(name).await;
    stand.start();
    decline(&stand);
    let bare = manifest(&stand, &json!({}));
    stand
        .api_of(&bare)
        .patch("order", &PatchParams::apply(TOOL).force(), &Patch::Apply(&bare))
        .await
        .unwrap();
    stand.reaches("order", SagaPhase::Failed).await;
    stand
}

fn results(saga: &Saga) -> Vec<RequestResult> {
    records(saga).iter().map(|record| record.result).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_operator_saw_is_carried_out_once_whatever_is_taken_away_after_it() {
    let stand = synced("strip-after").await;
    let bare = manifest(&stand, &json!({}));
    for times in 1..=2 {
        stand.kubectl(&["annotate", "--overwrite", "saga/order", "saga.dev/retry=charge-card"]);
        answered(&stand, times).await;
        for _ in 0..3 {
            sync(&stand, &bare).await;
        }
        let saga = taken_away(&stand, &times.to_string()).await;
        assert_eq!(annotation(&saga, RETRY), None);
        let saga = settled(&stand).await;
        let asked = usize::try_from(times).unwrap();
        assert_eq!((results(&saga), charges(&stand, &saga)), (vec![Accepted; asked], asked + 1));
    }
    repair(&stand);
    sync(&stand, &bare).await;
    stand.kubectl(&["annotate", "--overwrite", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_taken_away_before_anybody_saw_it_is_lost_but_for_one_under_our_own_manager() {
    let stand = synced("strip-before").await;
    let bare = manifest(&stand, &json!({}));
    stand.freeze();
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    sync(&stand, &bare).await;
    assert_eq!(
        annotation(&stand.sagas().get("order").await.unwrap(), RETRY),
        None,
        "the tool takes away what kubectl has set"
    );
    stand.thaw();
    // The events that the operator receives now are outdated. A write would have to name a resource
    // version that is no longer current.
    let saga = settled(&stand).await;
    assert_eq!((records(&saga).len(), charges(&stand, &saga)), (0, 1));
    stand.freeze();
    stand.kubectl(&[
        "annotate",
        "--overwrite",
        "--field-manager=saga-cli",
        "saga/order",
        "saga.dev/retry=*",
    ]);
    sync(&stand, &bare).await;
    assert_eq!(
        annotation(&stand.sagas().get("order").await.unwrap(), RETRY),
        Some("*"),
        "another manager's is not the tool's to take"
    );
    stand.thaw();
    taken_away(&stand, "1").await;
    sync(&stand, &bare).await;
    let saga = settled(&stand).await;
    assert_eq!((results(&saga), charges(&stand, &saga)), (vec![Accepted], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_git_is_acted_on_once_however_often_it_is_taken_away_and_put_back() {
    let stand = synced("token").await;
    let (bare, asking) =
        (manifest(&stand, &json!({})), manifest(&stand, &json!({RETRY: "charge-card@1"})));
    sync(&stand, &asking).await;
    answered(&stand, 1).await;
    for _ in 0..2 {
        // The manifest is applied again. Then a user removes the annotation and the tool adds it
        // again. Then the annotation is removed from Git and added again.
        sync(&stand, &asking).await;
        stand.kubectl(&["annotate", "saga/order", "saga.dev/retry-"]);
        settled(&stand).await;
        sync(&stand, &asking).await;
        sync(&stand, &bare).await;
        assert_eq!(annotation(&settled(&stand).await, RETRY), None);
        sync(&stand, &asking).await;
        let saga = settled(&stand).await;
        assert_eq!(
            (results(&saga), charges(&stand, &saga), annotation(&saga, RETRY)),
            (vec![Accepted], 2, Some("charge-card@1"))
        );
    }
    sync(&stand, &manifest(&stand, &json!({RETRY: "charge-card@2"}))).await;
    answered(&stand, 2).await;
    let saga = settled(&stand).await;
    assert_eq!((results(&saga), charges(&stand, &saga)), (vec![Accepted; 2], 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_value_in_git_is_refused_once_and_a_token_from_elsewhere_is_taken_over_it() {
    let stand = synced("plain").await;
    let asking = manifest(&stand, &json!({RETRY: "*"}));
    for _ in 0..3 {
        sync(&stand, &asking).await;
        let saga = settled(&stand).await;
        assert_eq!(
            (results(&saga), charges(&stand, &saga), annotation(&saga, RETRY)),
            (vec![Refused], 1, Some("*"))
        );
    }
    assert!(
        records(&answered(&stand, 1).await)[0]
            .message
            .contains(r#"write saga.dev/retry: "*@TOKEN" there"#)
    );
    // The value is written as a button of Argo CD writes it: a merge patch with its own token,
    // twice. In between, the tool restores the plain value.
    for (token, number) in [("20260101T002000Z.7", 2), ("20260101T002001Z.9", 3)] {
        stand
            .patch("order", &json!({"metadata": {"annotations": {RETRY: format!("*@{token}")}}}))
            .await
            .unwrap();
        answered(&stand, number).await;
        sync(&stand, &asking).await;
        let saga = settled(&stand).await;
        let asked = usize::try_from(number).unwrap();
        assert_eq!(
            (records(&saga).len(), charges(&stand, &saga), annotation(&saga, RETRY)),
            (asked, asked, Some("*"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_of_the_whole_object_repeats_no_request_and_loses_no_count() {
    let stand = held("replaced").await;
    let (bare, asking) =
        (manifest(&stand, &json!({})), manifest(&stand, &json!({RETRY: "charge-card@1"})));
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    taken_away(&stand, "1").await;
    settled(&stand).await;
    for known in [1, 2] {
        // A replacement without annotations also removes the number of handled requests. The
        // operator writes the number again.
        replace(&stand, &bare).await;
        let saga = taken_away(&stand, "1").await;
        assert_eq!(records(&saga).len(), known);
        replace(&stand, &asking).await;
        answered(&stand, 2).await;
        taken_away(&stand, "1").await;
        let saga = settled(&stand).await;
        assert_eq!(
            (results(&saga), charges(&stand, &saga), annotation(&saga, RETRY)),
            (vec![Accepted; 2], 3, Some("charge-card@1"))
        );
    }
    // A request that a user makes now is new.
    stand.kubectl(&["annotate", "--overwrite", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = taken_away(&stand, "3").await;
    assert_eq!((records(&saga).len(), annotation(&saga, HANDLED)), (3, Some("3")));
    let saga = settled(&stand).await;
    assert_eq!((results(&saga), charges(&stand, &saga)), (vec![Accepted; 3], 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_saga_that_is_edited_in_git_says_that_the_change_was_seen() {
    let mut stand = Stand::new("edited").await;
    stand.start();
    let mut manifest = manifest(&stand, &json!({}));
    stand.put(&manifest).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let (seen, done) = (saga.metadata.generation, charges(&stand, &saga));
    manifest["spec"]["maxParallel"] = json!(2);
    stand.put(&manifest).await;
    let observed = |saga: &Saga| saga.status.as_ref().and_then(|status| status.observed_generation);
    let saga = stand
        .until("order", "seen anew", |saga| {
            observed(saga) == saga.metadata.generation && saga.metadata.generation > seen
        })
        .await;
    assert_eq!(
        (condition(&saga, "Ready"), charges(&stand, &saga)),
        ("True/Completed".into(), done)
    );
    stand.kubectl(&["wait", "--for=condition=Ready", "saga/order", "--timeout=30s"]);
}

/// Tests that need a node.
mod pods {
    use kube::api::DeleteParams;
    use saga_operator::api::{Direction, Outcome};

    use super::{SagaPhase, Stand, json, outcomes, scope, step};
    use crate::pods::{SLEEP, ask, one_step, pod, pod_of};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_saga_that_is_deleted_in_the_foreground_while_its_pod_runs_is_undone() {
        let mut stand = Stand::with_pods("foreground").await;
        stand.start();
        let work = pod(&format!("{}; {SLEEP}", ask("/shipping/shipments")));
        let undo = json!({"compensation": {"pod": pod(&ask("/shipping/cancellations"))}});
        let saga = stand.apply("order", &one_step(&work, &undo)).await;
        stand.shop_has_done(&saga, "ship").await;
        stand.sagas().delete("order", &DeleteParams::foreground()).await.unwrap();
        // The garbage collector deletes the Pod only if it reads the Pod before it removes its own
        // finalizer from the saga: the Pod does not block the deletion of its owner. If the
        // collector comes too late, the test deletes the Pod, so that both orders are one story.
        let shipping = pod_of(&saga, "ship", Direction::Action, 1);
        let _ = stand.pods().delete(&shipping, &DeleteParams::default()).await;
        let undoing = stand
            .until("order", "being undone", |saga| step(saga, "ship").compensation.is_some())
            .await;
        assert_eq!(
            (outcomes(&undoing, "ship"), undoing.status.unwrap().phase),
            (vec![Outcome::Unknown], Some(SagaPhase::Compensating))
        );
        stand.gone("order").await;
        assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"]);
    }
}
