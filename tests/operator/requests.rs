//! Requests by annotation, as people and Git make them: with kubectl, on a real API server.

use std::{io::Write, process::Stdio};

use kube::ResourceExt;
use saga_operator::api::{HANDLED, RequestResult, Saga, SagaPhase, StepPhase, json::as_stored};
use serde_json::{Value, json};

use crate::stand::{
    Stand, checkout, checkout_with, message, records, scope, step, still_in_effect,
};

pub const RETRY: &str = "saga.dev/retry";

/// A checkout that stands still because the shop refuses its cards, with the operator running.
pub async fn held(name: &str) -> Stand {
    let mut stand = Stand::new(name).await;
    stand.start();
    decline(&stand);
    stand.apply("order", &checkout()).await;
    stand.reaches("order", SagaPhase::Failed).await;
    stand
}

pub fn decline(stand: &Stand) {
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments"}, "then": [{"answer": 402, "forever": true}],
        }]))
        .unwrap();
}

pub fn mend(stand: &Stand) {
    stand.shop.behave(&json!([])).unwrap();
}

pub fn annotation<'a>(saga: &'a Saga, key: &str) -> Option<&'a str> {
    saga.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Waits until so many requests are answered and nothing of them is left to be taken away; returns
/// the saga.
pub async fn answered(stand: &Stand, count: i64) -> Saga {
    let newest = |saga: &Saga| records(saga).last().map(|record| record.number);
    stand
        .until("order", &format!("at request {count}"), move |saga| newest(saga) == Some(count))
        .await
}

/// Waits until the number up to which plain requests are taken away is this one.
pub async fn taken_away(stand: &Stand, handled: &str) -> Saga {
    stand
        .until("order", &format!("handled up to {handled}"), |saga| {
            annotation(saga, HANDLED) == Some(handled)
        })
        .await
}

/// The manifest of the checkout with these annotations, as it would stand in Git.
pub fn manifest(stand: &Stand, annotations: &Value) -> Value {
    let text = checkout().to_string().replace("SHOP", &format!("http://{}", stand.shop_address));
    let metadata =
        json!({"name": "order", "namespace": stand.namespace, "annotations": annotations});
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": metadata,
        "spec": serde_json::from_str::<Value>(&text).unwrap(),
    })
}

/// Pipes a manifest into kubectl; what it prints, and whether it succeeded.
fn pipe(stand: &Stand, arguments: &[&str], manifest: &Value) -> (bool, String) {
    let mut kubectl = stand
        .kubectl_command(arguments)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    kubectl.stdin.take().unwrap().write_all(manifest.to_string().as_bytes()).unwrap();
    let output = kubectl.wait_with_output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

fn piped(stand: &Stand, arguments: &[&str], manifest: &Value) {
    let (done, text) = pipe(stand, arguments, manifest);
    assert!(done, "{text}");
}

/// How often the card was asked for.
pub fn charges(stand: &Stand, saga: &Saga) -> usize {
    stand
        .shop
        .entries(Some(&scope(saga)))
        .iter()
        .filter(|entry| entry.step == "charge-card")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_mends_the_shop_and_retries_with_kubectl_alone() {
    let stand = held("retry").await;
    mend(&stand);
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    taken_away(&stand, "1").await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
    assert_eq!(step(&saga, "charge-card").action.as_ref().unwrap().attempt, 2);
    let [record] = records(&saga) else { panic!("{:?}", records(&saga)) };
    assert_eq!(
        (record.number, record.result, record.value.as_str()),
        (1, RequestResult::Accepted, "charge-card")
    );
    let event = stand.event("order", "RequestAccepted").await;
    assert_eq!(
        event.note.unwrap(),
        "saga.dev/retry=charge-card: step charge-card is tried again now, with a fresh budget"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_given_again_is_carried_out_again() {
    let stand = held("again").await;
    for times in 1..=3 {
        stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
        let saga = taken_away(&stand, &times.to_string()).await;
        assert_eq!(annotation(&saga, RETRY), None);
        let failed = |saga: &Saga| {
            step(saga, "charge-card")
                .action
                .as_ref()
                .is_some_and(|action| action.attempts.len() == times + 1)
        };
        let saga = stand.until("order", "failed again", failed).await;
        assert_eq!((records(&saga).len(), charges(&stand, &saga)), (times, times + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_skipped_lets_the_saga_go_on() {
    let stand = held("skip").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/skip=charge-card"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(step(&saga, "charge-card").phase, StepPhase::Skipped);
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_skipped_with_the_outputs_it_would_have_had() {
    let stand = held("outputs").await;
    let most = "n".repeat(5000);
    for (number, value, says) in [
        (1, r#"charge-card={"charge":"#, "the outputs are no JSON"),
        (
            2,
            "charge-card=[7]",
            "the outputs are no JSON object: write one step and its outputs as a JSON object, \
             such as saga.dev/skip=ship=",
        ),
        (3, r#"charge-card,ship={"charge":7}"#, "outputs are given for one step at a time"),
        (
            4,
            &format!(r#"charge-card={{"charge":"{most}"}}"#),
            "the outputs of a step may have at most 4096 bytes",
        ),
    ] {
        stand.ask("order", &format!("saga.dev/skip={value}"));
        let refusal = stand.answer("order", number).await;
        assert!(
            refusal.result == RequestResult::Refused && refusal.message.starts_with(says),
            "{refusal:?}"
        );
    }
    let outputs = json!({
        "charge": "C-1", "cents": 4990.0, "void": null, "of": [{"a=b,c@d": 1e300}], "none": {},
    });
    stand.ask("order", &format!("saga.dev/skip=charge-card={outputs}"));
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let skipped = step(&saga, "charge-card");
    // As they were taken, which is as the API server gives them back.
    let stored = as_stored(outputs);
    assert_eq!(stored["cents"].to_string(), "4990");
    assert_eq!(
        (skipped.phase, serde_json::to_value(&skipped.outputs).unwrap()),
        (StepPhase::Skipped, stored)
    );
    assert!(
        skipped
            .message
            .as_deref()
            .unwrap()
            .starts_with("skipped by request, after attempt 1 failed: the other side answered 402")
    );
    assert_eq!(
        stand.kubectl(&["get", "saga/order", "-o", "jsonpath={.status.steps[1].outputs.charge}"]),
        "C-1"
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_failed_is_tried_again_after_the_shop_is_mended_or_left_in_effect() {
    let mut stand = Stand::new("undo-again").await;
    stand.start();
    let no = |service, direction| {
        json!({
            "match": {"service": service, "direction": direction},
            "then": [{"answer": 422, "forever": true}],
        })
    };
    stand.shop.behave(&json!([no("shipping", "action"), no("payments", "compensation")])).unwrap();
    for name in ["order", "left"] {
        stand.apply(name, &checkout_with(&json!({"onFailure": "Compensate"}))).await;
        let stuck = stand.reaches(name, SagaPhase::CompensationFailed).await;
        assert_eq!(still_in_effect(&stuck), ["reserve-stock", "charge-card"]);
        assert!(
            message(&stuck).contains(&format!(
                "To try again: kubectl annotate --overwrite saga/{name} saga.dev/retry=charge-card"
            )),
            "{stuck:?}"
        );
    }
    // Not mended yet: it fails again, under the next number.
    stand.ask("order", "saga.dev/retry=charge-card");
    stand.answer("order", 1).await;
    let again = |saga: &Saga| {
        step(saga, "charge-card")
            .compensation
            .as_ref()
            .is_some_and(|record| record.attempts.len() == 2)
    };
    stand.until("order", "refused again", again).await;
    stand.reaches("order", SagaPhase::CompensationFailed).await;
    mend(&stand);
    stand.ask("order", "saga.dev/retry=*");
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(
        (still_in_effect(&saga), step(&saga, "charge-card").compensation.as_ref().unwrap().attempt),
        (vec![], 3)
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["charge-card", "reserve-stock"]);
    stand.is_let_go("order").await;
    stand.ask("left", "saga.dev/skip=charge-card");
    let saga = stand.reaches("left", SagaPhase::Compensated).await;
    assert_eq!(
        (still_in_effect(&saga), step(&saga, "charge-card").phase),
        (vec!["charge-card"], StepPhase::CompensationSkipped)
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve-stock"]);
    stand.is_let_go("left").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_saga_and_a_completed_one_are_undone_on_request() {
    let stand = held("undo").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/compensate=the customer called"]);
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve-stock"]);
    assert!(
        message(&saga).contains("the undo was asked for: the customer called"),
        "{}",
        message(&saga)
    );
    mend(&stand);
    stand.apply("second", &checkout()).await;
    let unguarded = |saga: &Saga| saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
    stand.reaches("second", SagaPhase::Completed).await;
    stand.until("second", "without its finalizer", unguarded).await;
    stand.kubectl(&["annotate", "saga/second", "saga.dev/compensate=returned"]);
    let saga = stand.reaches("second", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship", "charge-card", "reserve-stock"]);
    stand.until("second", "without its finalizer", unguarded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_is_allowed_and_touches_nothing() {
    let stand = held("refusal").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=ship"]);
    let saga = taken_away(&stand, "1").await;
    let event = stand.event("order", "RequestRefused").await;
    let says = "step ship is Pending; retry is allowed for steps that are Retrying and Failed: \
        now charge-card";
    assert_eq!(
        (event.type_.as_deref(), event.note.unwrap()),
        (Some("Warning"), format!("saga.dev/retry=ship: {says}"))
    );
    assert_eq!(
        (records(&saga)[0].message.as_str(), step(&saga, "ship").phase, charges(&stand, &saga)),
        (says, StepPhase::Pending, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_request_in_an_applied_manifest_is_refused_once_and_a_token_is_taken_once() {
    let mut stand = Stand::new("apply").await;
    stand.start();
    decline(&stand);
    piped(&stand, &["apply"], &manifest(&stand, &json!({})));
    stand.reaches("order", SagaPhase::Failed).await;
    for _ in 0..3 {
        piped(&stand, &["apply"], &manifest(&stand, &json!({RETRY: "charge-card"})));
        stand.meanwhile("between").await;
        stand.remove("between").await;
    }
    let saga = answered(&stand, 1).await;
    assert!(
        records(&saga)[0].message.contains(r#"write saga.dev/retry: "charge-card@TOKEN" there"#),
        "{:?}",
        records(&saga)
    );
    assert_eq!((annotation(&saga, RETRY), charges(&stand, &saga)), (Some("charge-card"), 1));
    for (token, number) in [("charge-card@1", 2), ("charge-card@2", 3)] {
        for _ in 0..3 {
            piped(&stand, &["apply"], &manifest(&stand, &json!({RETRY: token})));
            let saga = answered(&stand, number).await;
            assert_eq!(annotation(&saga, RETRY), Some(token));
            stand.meanwhile("between").await;
            stand.remove("between").await;
        }
    }
    // Taken out of Git: kubectl takes it away, and nothing happens.
    piped(&stand, &["apply"], &manifest(&stand, &json!({})));
    stand.meanwhile("after").await;
    let saga = stand.sagas().get("order").await.unwrap();
    let results: Vec<_> = records(&saga).iter().map(|record| record.result).collect();
    assert_eq!(results, [RequestResult::Refused, RequestResult::Accepted, RequestResult::Accepted]);
    assert_eq!((annotation(&saga, RETRY), charges(&stand, &saga)), (None, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_manager_that_applies_from_the_servers_side_owns_its_request() {
    let stand = held("server-side").await;
    let apply = ["apply", "--server-side", "--field-manager", "second", "--force-conflicts"];
    piped(&stand, &apply, &manifest(&stand, &json!({RETRY: "charge-card"})));
    let saga = answered(&stand, 1).await;
    assert_eq!(
        (records(&saga)[0].result, annotation(&saga, RETRY)),
        (RequestResult::Refused, Some("charge-card"))
    );
    for _ in 0..3 {
        piped(&stand, &apply, &manifest(&stand, &json!({RETRY: "charge-card@1"})));
        answered(&stand, 2).await;
        stand.meanwhile("between").await;
        stand.remove("between").await;
    }
    // It lets go of the annotation: what the operator wrote stays, and a person's command works
    // beside it; the first time the operator cannot tell whether it is what was left, and says to
    // ask again.
    piped(&stand, &apply, &manifest(&stand, &json!({})));
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = taken_away(&stand, "3").await;
    assert!(
        records(&saga)[2]
            .message
            .contains("ask again by kubectl annotate saga.dev/retry=charge-card"),
        "{saga:?}"
    );
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = answered(&stand, 4).await;
    let results: Vec<_> = records(&saga).iter().map(|record| record.result).collect();
    assert_eq!(
        results,
        [
            RequestResult::Refused,
            RequestResult::Accepted,
            RequestResult::Refused,
            RequestResult::Accepted
        ]
    );
    piped(&stand, &apply, &manifest(&stand, &json!({})));
    let saga = taken_away(&stand, "4").await;
    assert_eq!(annotation(&saga, RETRY), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_neither_repeats_a_request_nor_loses_the_next_one() {
    let stand = held("replace").await;
    let asking = manifest(&stand, &json!({RETRY: "charge-card"}));
    piped(&stand, &["replace"], &asking);
    let saga = taken_away(&stand, "1").await;
    assert_eq!(
        (records(&saga)[0].result, annotation(&saga, RETRY)),
        (RequestResult::Accepted, None)
    );
    stand.reaches("order", SagaPhase::Failed).await;
    // The same once more takes away the number that tells old from new: it counts as the old one.
    piped(&stand, &["replace"], &asking);
    stand.meanwhile("between").await;
    let saga = taken_away(&stand, "1").await;
    assert_eq!(
        (records(&saga).len(), annotation(&saga, RETRY), charges(&stand, &saga)),
        (1, None, 2)
    );
    // A replacement that asks for nothing takes the number away, too; it comes back, and a person's
    // command is a new one.
    piped(&stand, &["replace"], &manifest(&stand, &json!({})));
    taken_away(&stand, "1").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = taken_away(&stand, "2").await;
    assert_eq!(records(&saga).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_edited_in_git_is_refused_by_kubectl_and_the_saga_stays_as_it_is() {
    let stand = held("edited").await;
    let mut edited = manifest(&stand, &json!({RETRY: "charge-card@1"}));
    edited["spec"]["steps"][1]["http"]["body"] = json!({"order": "8"});
    for arguments in
        [&["apply"] as &[_], &["replace"], &["apply", "--server-side", "--force-conflicts"]]
    {
        let (done, text) = pipe(&stand, arguments, &edited);
        assert!(
            !done && text.contains("steps cannot be changed: create a new Saga"),
            "{arguments:?}: {text}"
        );
    }
    let saga = stand.sagas().get("order").await.unwrap();
    assert_eq!(
        (records(&saga).len(), annotation(&saga, RETRY), charges(&stand, &saga)),
        (0, None, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_comes_with_a_request_takes_a_command_and_ignores_a_token() {
    let mut stand = Stand::new("new").await;
    stand.start();
    piped(&stand, &["create"], &manifest(&stand, &json!({"saga.dev/skip": "charge-card"})));
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(step(&saga, "charge-card").phase, StepPhase::Skipped);
    stand.remove("order").await;
    piped(&stand, &["create"], &manifest(&stand, &json!({"saga.dev/skip": "charge-card@1"})));
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(
        (step(&saga, "charge-card").phase, records(&saga)[0].result),
        (StepPhase::Completed, RequestResult::Ignored)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_any_size_and_shape_leave_the_saga_workable() {
    let stand = held("shapes").await;
    let (huge, wide) = ("x".repeat(200 * 1024), "é".repeat(5000));
    let values =
        [&huge, &wide, ",,,", "a\u{7}b", "{}[]\"'\\", "charge-card@", "@", "charge-card=1"];
    for (nth, value) in values.iter().enumerate() {
        stand.patch("order", &json!({"metadata": {"annotations": {RETRY: value}}})).await.unwrap();
        taken_away(&stand, &(nth + 1).to_string()).await;
    }
    mend(&stand);
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=*"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let refused =
        records(&saga).iter().filter(|record| record.result == RequestResult::Refused).count();
    assert_eq!(refused, values.len());
    assert!(
        saga.name_any() == "order" && records(&saga).iter().all(|record| record.value.len() <= 128)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_may_be_retried_no_more_says_what_to_raise() {
    let mut stand = Stand::new("counted").await;
    stand.start();
    decline(&stand);
    stand.apply("order", &checkout_with(&json!({"maxRetryRequests": 1}))).await;
    stand.reaches("order", SagaPhase::Failed).await;
    for number in ["1", "2"] {
        stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=*"]);
        taken_away(&stand, number).await;
        stand.reaches("order", SagaPhase::Failed).await;
    }
    let saga = stand.sagas().get("order").await.unwrap();
    assert_eq!(
        records(&saga)[1].message,
        "1 retry requests were accepted, as many as spec.maxRetryRequests allows: raise it first"
    );
    stand.patch("order", &json!({"spec": {"maxRetryRequests": 2}})).await.unwrap();
    mend(&stand);
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=*"]);
    stand.reaches("order", SagaPhase::Completed).await;
}
