//! Tests of requests that are refused, and of requests with values at their limits.

use kube::ResourceExt;
use saga_operator::api::{RequestResult, SagaPhase, StepPhase};
use serde_json::json;

use super::{RETRY, charges, decline, held, repair, taken_away};
use crate::stand::{Stand, checkout_with, records, step};

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
async fn values_of_any_size_and_shape_leave_the_saga_workable() {
    let stand = held("shapes").await;
    let (huge, wide) = ("x".repeat(200 * 1024), "é".repeat(5000));
    let values =
        [&huge, &wide, ",,,", "a\u{7}b", "{}[]\"'\\", "charge-card@", "@", "charge-card=1"];
    for (nth, value) in values.iter().enumerate() {
        stand.patch("order", &json!({"metadata": {"annotations": {RETRY: value}}})).await.unwrap();
        taken_away(&stand, &(nth + 1).to_string()).await;
    }
    repair(&stand);
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
    repair(&stand);
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=*"]);
    stand.reaches("order", SagaPhase::Completed).await;
}
