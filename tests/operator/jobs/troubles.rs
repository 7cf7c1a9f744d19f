//! Tests of what prevents Jobs from running, and that no Job is created twice.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::wait::await_condition,
};
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase};
use serde_json::json;
use tokio::time::timeout;

use super::{all_of, job, job_of, job_with, jobs, one_step, words};
use crate::{
    pods::{IMAGE, SLEEP, ask, tells},
    stand::{
        PATIENCE, Stand, condition, message, names_its_child, outcomes, post, scope, step,
        still_in_effect,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_which_no_pod_started_fail_within_their_time_and_are_not_undone() {
    let mut stand = Stand::with_pods("job-unstarted").await;
    stand.start();
    let mut huge = job("true");
    huge["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "1000"}});
    let stories = [
        (
            "suspended",
            job_with("true", &json!({"suspend": true})),
            ["did not end within its time limit (is suspended)", "before a pod of it started"],
        ),
        (
            "no-node",
            huge,
            [
                "did not end within its time limit (is not scheduled: \
                Unschedulable",
                "Insufficient cpu",
            ],
        ),
    ];
    for (name, work, _) in &stories {
        stand.apply(name, &one_step(work, &json!({"timeout": "4s"}))).await;
    }
    for (name, _, said) in &stories {
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed], "{name}: {}", words(&saga));
        assert!(said.iter().all(|said| words(&saga).contains(said)), "{}", words(&saga));
        assert_eq!(step(&saga, "ship").compensation, None, "{name}");
        assert!(
            all_of(&stand, name).await.is_empty() && stand.pods_of(name).await.is_empty(),
            "{name}"
        );
    }
    assert!(stand.shop.entries(None).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_pod_of_a_job_from_starting_is_told_while_it_waits_and_a_cancel_ends_it() {
    let mut stand = Stand::with_pods("job-trouble").await;
    stand.start();
    let mut work = job("true");
    work["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("registry.invalid/no/such:1");
    let saga = stand.apply("order", &one_step(&work, &json!({}))).await;
    let told = stand
        .until("order", "told what is wrong", |saga| {
            tells(saga, &["ImagePull", "registry.invalid/no/such:1"])
        })
        .await;
    let active =
        step(&told, "ship").action.as_ref().and_then(|action| action.active.clone()).unwrap();
    assert_eq!(active.trouble.as_deref(), Some("Image"));
    let made = jobs(&stand).get(&job_of(&saga, "ship", Direction::Action, 1)).await.unwrap();
    assert_eq!(active.child_uid, made.metadata.uid, "the Job is the child, not its pod");
    stand.ask("order", "saga.dev/cancel=the wrong parcel");
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed], "{}", words(&saga));
    assert!(still_in_effect(&saga).is_empty());
    assert!(all_of(&stand, "order").await.is_empty() && stand.pods_of("order").await.is_empty());
}

/// The operator is killed as soon as the Job exists: the status names the attempt, but not its
/// child yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_when_its_job_was_just_created_finds_it_again() {
    let mut stand = Stand::with_pods("job-killed").await;
    for (round, work) in ["sleep 3", "true", "exit 3"].into_iter().enumerate() {
        stand.start();
        let name = format!("order-{round}");
        let work = job(&format!("{} && {work}", ask("/shipping/shipments")));
        let saga = stand.apply(&name, &one_step(&work, &json!({}))).await;
        let child = job_of(&saga, "ship", Direction::Action, 1);
        timeout(PATIENCE, await_condition(jobs(&stand), &child, |job: Option<&Job>| job.is_some()))
            .await
            .unwrap()
            .unwrap();
        stand.kill();
        stand.start();
        let ends = if round == 2 { SagaPhase::Compensated } else { SagaPhase::Completed };
        let saga = stand.reaches(&name, ends).await;
        let outcome = if round == 2 { Outcome::Failed } else { Outcome::Succeeded };
        assert_eq!(outcomes(&saga, "ship"), [outcome]);
        assert_eq!(all_of(&stand, &name).await.len(), 1);
        let summary = stand.shop.summary(&scope(&saga));
        assert!(summary.done_twice.is_empty() && summary.faults.is_empty(), "{summary:?}");
        stand.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_job_is_found_before_anything_runs() {
    let mut stand = Stand::with_pods("job-bad").await;
    stand.start();
    let mut oddly_named = job("true");
    oddly_named["spec"]["template"]["spec"]["containers"][0]["image"] = json!(" oddly named");
    let mut nobody = job("true");
    nobody["spec"]["template"]["spec"]["securityContext"] =
        json!({"supplementalGroupsPolicy": "Sometimes"});
    let table = [
        (
            job_with("true", &json!({"paralelism": 2})),
            "spec.steps[1].job.spec.paralelism: is no field that a Job has here",
            "InvalidSpec",
        ),
        (
            job_with("true", &json!({"ttlSecondsAfterFinished": 5})),
            "spec.steps[1].job.spec.ttlSecondsAfterFinished: must be at least 600",
            "InvalidSpec",
        ),
        (
            job_with("true", &json!({"completionMode": "Indexd"})),
            "spec.steps[1].job: Job.batch \"",
            "Refused",
        ),
        (job_with("true", &json!({"completionMode": "Indexd"})), "spec.completionMode", "Refused"),
        (nobody, "spec.steps[1].job: Job.batch \"", "Refused"),
    ];
    for (place, (work, says, reason)) in table.iter().enumerate() {
        let name = format!("order-{place}");
        let steps = json!([
            {"name": "reserve", "http": post("/stock/reservations")},
            {"name": "ship", "dependsOn": ["reserve"], "job": work},
        ]);
        stand.apply(&name, &json!({"steps": steps})).await;
        let refused = |saga: &Saga| condition(saga, "Accepted") == format!("False/{reason}");
        let saga = stand.until(&name, reason, refused).await;
        assert!(message(&saga).contains(says), "{says}: {}", message(&saga));
    }
    // This mistake shows only when the Job creates its pod. The Job controller would retry without
    // success and report that in its events only.
    let mut spec = one_step(&job("true"), &json!({}));
    spec["serviceAccountName"] = json!("nobody");
    stand.apply("order", &spec).await;
    let saga = stand
        .until("order", "refused", |saga| condition(saga, "Accepted") == "False/Refused")
        .await;
    assert!(message(&saga).contains("\"nobody\" not found"), "{}", message(&saga));
    assert!(
        stand.shop.entries(None).is_empty(),
        "nothing was reserved, so nothing had to be undone"
    );
    assert!(jobs(&stand).list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_pod_somebody_deletes_may_have_done_its_work_and_so_may_one_deleted_itself() {
    let mut stand = Stand::with_pods("job-deleted").await;
    stand.start();
    let work =
        job(&format!("{}; [ $SAGA_ATTEMPT = 3 ] || {{ {SLEEP}; }}", ask("/shipping/shipments")));
    let retry = json!({"retry": {"maxAttempts": 3, "backoff": {"initialDelay": "50ms"}}});
    let saga = stand.apply("order", &one_step(&work, &retry)).await;
    stand.shop_has_done(&saga, "ship").await;
    let [pod]: [Pod; 1] = stand.pods_of("order").await.try_into().unwrap();
    stand.pods().delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
    let second = |saga: &Saga| {
        step(saga, "ship").action.as_ref().is_some_and(|action| action.attempt == 2)
            && names_its_child(saga, "ship")
    };
    stand
        .until("order", "at its second attempt", |saga| {
            saga.status.as_ref().is_some_and(|status| !status.steps.is_empty()) && second(saga)
        })
        .await;
    jobs(&stand)
        .delete(&job_of(&saga, "ship", Direction::Action, 2), &DeleteParams::background())
        .await
        .unwrap();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Unknown, Outcome::Unknown, Outcome::Succeeded]);
    let keys: std::collections::BTreeSet<_> =
        stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), [format!("{}/ship/action/0", scope(&saga))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_job_of_the_same_name_is_left_alone_and_the_step_says_so() {
    let mut stand = Stand::with_pods("job-foreign").await;
    stand.start();
    let mut spec = one_step(&job("true"), &json!({}));
    spec["suspend"] = json!(true);
    let saga = stand.apply("order", &spec).await;
    stand.reaches("order", SagaPhase::Paused).await;
    let name = job_of(&saga, "ship", Direction::Action, 1);
    let template = json!({
        "spec": {"restartPolicy": "Never", "containers": [{"name": "step", "image": IMAGE}]},
    });
    let foreign = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"suspend": true, "template": template},
    });
    let planted = stand.put(&foreign).await;
    stand.patch("order", &json!({"spec": {"suspend": false}})).await.unwrap();
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert!(
        message(&saga).contains(&format!(
            "NameConflict: the Job {name} exists and does not belong to this \
                attempt"
        )),
        "{}",
        message(&saga)
    );
    assert!(stand.shop.entries(None).is_empty(), "nothing began: nothing is undone");
    let left = jobs(&stand).get(&name).await.unwrap();
    assert_eq!((left.metadata.uid, left.metadata.deletion_timestamp), (planted.metadata.uid, None));
}
