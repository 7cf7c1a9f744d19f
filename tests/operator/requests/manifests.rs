//! Tests of requests in manifests that are applied, replaced, and edited, as users and Git do it.

use std::{io::Write, process::Stdio};

use saga_operator::api::{RequestResult, SagaPhase, StepPhase};
use serde_json::{Value, json};

use super::{RETRY, annotation, answered, charges, decline, held, manifest, taken_away};
use crate::stand::{Stand, records, step};

/// Pipes a manifest into kubectl. Returns whether kubectl succeeded, and what it printed.
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
    // The annotation is removed from the manifest: kubectl removes it from the saga, and nothing
    // happens.
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
    // The manager gives up the annotation. What the operator wrote remains, and a command of a user
    // works beside it. The first time, the operator cannot tell whether the value is the one that
    // was left over, so its message says to ask again.
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
    // The same replacement removes the number that distinguishes old requests from new ones: the
    // request counts as the old one.
    piped(&stand, &["replace"], &asking);
    stand.meanwhile("between").await;
    let saga = taken_away(&stand, "1").await;
    assert_eq!(
        (records(&saga).len(), annotation(&saga, RETRY), charges(&stand, &saga)),
        (1, None, 2)
    );
    // A replacement without a request also removes the number. The operator writes the number
    // again, and a command of a user is a new request.
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
