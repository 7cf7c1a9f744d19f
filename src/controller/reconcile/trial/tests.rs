#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod stage;

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use self::stage::{ANSWERS, Stage, saga};
use super::*;
use crate::{
    api::limits::{FIRST_RECHECK, LAST_RECHECK, MAX_REFUSED_TRIALS, MAX_TRIALS},
    controller::reconcile::reconcile,
};

#[tokio::test(start_paused = true)]
async fn refused_sagas_are_tried_ever_less_often_each_with_few_calls_and_few_at_once() {
    let sagas: Vec<_> = (0..10)
        .map(|number| saga(&format!("order-{number}"), &format!("shop-{}", number % 5), 128))
        .collect();
    let mut stage = Stage::with(&sagas);
    stage.run(&sagas, Duration::from_secs(1000)).await;
    assert_eq!(stage.server.0.most_in_flight.load(Ordering::SeqCst), MAX_TRIALS);
    for saga in &sagas {
        let looks = stage.server.looks(saga["metadata"]["name"].as_str().unwrap());
        assert!(looks.iter().all(|(_, calls)| *calls == MAX_REFUSED_TRIALS), "{looks:?}");
        let waits: Vec<_> =
            looks.windows(2).map(|two| two[1].0.abs_diff(two[0].0).as_secs()).collect();
        // The first refusal is met again before it counts.
        assert_eq!(waits, [1, 5, 10, 20, 40, 80, 160, 300, 300], "{looks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_between_two_trials_costs_no_call_and_a_request_is_met_at_once() {
    let mut order = saga("order", "shop", 30);
    let mut stage = Stage::with(&[order.clone()]);
    for wait in [5, 10, 20] {
        let result = stage.ends(&order).await;
        assert_eq!((result.refused.len(), result.untried), (20, 10));
        assert_eq!(result.again, Some(Duration::from_secs(wait)));
        let looks = stage.server.looks("order");
        assert_eq!(stage.tried(&order), Ok(result));
        sleep(Duration::from_secs(wait).abs_diff(ANSWERS)).await;
        assert_eq!(stage.tried(&order).unwrap().again, Some(ANSWERS));
        assert_eq!(stage.server.looks("order"), looks);
        sleep(ANSWERS).await;
        let meanwhile = stage.tried(&order).unwrap();
        assert_eq!((meanwhile.refused.len(), meanwhile.again), (20, None));
        stage.enqueued.recv().await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let looks = stage.server.looks("order").len();
    order["metadata"]["annotations"] = json!({"saga.dev/retry": "*"});
    // The waits begin anew.
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.server.looks("order").len(), looks + 1, "one request is met once");
    order["metadata"]["annotations"]["saga.dev/handled"] = json!("1");
    assert_eq!(stage.tried(&order), Err(Action::await_change()), "this is the next request");
    order["metadata"]["annotations"] = json!({"saga.dev/cancel": "a mistake"});
    assert_eq!(stage.tried(&order), Ok(Precheck::default()), "a cancel waits for no trial");
}

#[tokio::test(start_paused = true)]
async fn another_spec_is_tried_at_once_and_a_trial_of_the_spec_before_it_is_called_off() {
    let mut order = saga("order", "shop", 1);
    let mut stage = Stage::with(&[order.clone()]);
    for wait in [5, 10] {
        assert_eq!(stage.ends(&order).await.again, Some(Duration::from_secs(wait)));
        sleep(Duration::from_secs(wait)).await;
        assert!(stage.tried(&order).is_ok());
        stage.enqueued.recv().await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let looks = stage.server.looks("order").len();
    order["metadata"]["generation"] = json!(2);
    order["spec"]["steps"][0]["pod"]["image"] = json!("order:other");
    stage.server.0.sagas.lock().unwrap().insert("order".into(), order.clone());
    assert_eq!(stage.tried(&order), Err(Action::await_change()));
    order["metadata"]["generation"] = json!(3);
    order["spec"]["steps"][0]["pod"]["image"] = json!("order:third");
    stage.server.0.sagas.lock().unwrap().insert("order".into(), order.clone());
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.server.looks("order").len(), looks + 2, "the second spec was not tried");
}

#[tokio::test(start_paused = true)]
async fn a_new_process_tries_a_saga_that_was_refused_long_ago_as_rarely_as_the_one_before() {
    let mut order = saga("order", "shop", 1);
    order["status"] = json!({"phase": "Pending", "conditions": [{
        "type": "Accepted", "status": "False", "reason": "Refused", "message": "",
        "observedGeneration": 1, "lastTransitionTime": "2026-03-01T12:00:00Z",
    }]});
    let mut stage = Stage::with(&[order.clone()]);
    assert_eq!(stage.ends(&order).await.again, Some(LAST_RECHECK));
}

#[tokio::test(start_paused = true)]
async fn no_reconcile_waits_for_a_trial_and_no_namespace_for_the_trials_of_another() {
    let mut sagas: Vec<_> =
        (0..20).map(|number| saga(&format!("slow-{number}"), "slow", 128)).collect();
    let fine = saga("fine", "fine", 20);
    sagas.push(fine.clone());
    let mut stage = Stage::with(&sagas);
    for slow in &sagas[..20] {
        let copy: Arc<StoredSaga> = Arc::new(serde_json::from_value(slow.clone()).unwrap());
        let reconciled = reconcile(copy, Arc::clone(&stage.context)).await.unwrap();
        assert_eq!(reconciled, Action::await_change());
    }
    let told = |stage: &Stage, line: &str| {
        let text = stage.context.metrics.text().unwrap();
        assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
    };
    sleep(ANSWERS).await;
    told(&stage, "saga_trials_in_flight 12");
    told(&stage, "saga_trials_waiting 16");
    assert_eq!(stage.server.0.begun.elapsed(), ANSWERS, "no reconcile took any time");
    assert_eq!(stage.ends(&fine).await, Precheck::default());
    assert_eq!(stage.server.0.begun.elapsed(), ANSWERS, "it waited for none of the others");
    // Each slow saga has its turns, and each of its operations is tried in one of them.
    let last = sagas[19].clone();
    let accepted = timeout(Duration::from_mins(25), async {
        loop {
            match stage.tried(&last) {
                Ok(result) => break result,
                Err(_) => _ = stage.enqueued.recv().await,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((accepted.refused.len(), accepted.unchecked.len()), (0, 128));
    assert!(stage.server.looks("slow-19")[0].0 < Duration::from_secs(100), "it had a turn soon");
    assert!(stage.server.0.most_in_flight.load(Ordering::SeqCst) <= MAX_TRIALS);
}

#[tokio::test(start_paused = true)]
async fn the_trials_of_a_saga_that_is_gone_end_and_free_their_places() {
    let (slow, other) = (saga("slow", "slow", 16), saga("order", "shop", 1));
    let mut stage = Stage::with(&[slow.clone(), other.clone()]);
    stage.tried(&slow).unwrap_err();
    sleep(ANSWERS).await;
    assert_eq!(stage.server.0.in_flight.load(Ordering::SeqCst), 4);
    stage.context.memory.trials.forget(|uid| uid != "uid of slow");
    sleep(ANSWERS).await;
    assert_eq!(stage.server.0.in_flight.load(Ordering::SeqCst), 0);
    assert!(stage.context.metrics.text().unwrap().contains("saga_trials_in_flight 0"));
    assert_eq!(stage.ends(&other).await.refused.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_panics_harms_its_saga_only_and_begins_again_later() {
    let (broken, other) = (saga("broken", "broken", 1), saga("order", "shop", 1));
    let mut stage = Stage::with(&[broken.clone(), other.clone()]);
    for wait in [5, 10] {
        stage.tried(&broken).unwrap_err();
        stage.enqueued.recv().await.unwrap();
        let wait = Duration::from_secs(wait);
        assert_eq!(stage.tried(&broken), Err(Action::requeue(wait)));
        sleep(wait).await;
    }
    assert_eq!(stage.ends(&other).await.refused.len(), 1);
    let text = stage.context.metrics.text().unwrap();
    assert!(text.contains("saga_controller_reconcile_total{result=\"panic\"} 2"), "{text}");
    assert!(text.contains("saga_trials_in_flight 0"), "{text}");
}
