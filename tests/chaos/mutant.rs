//! Mutants: the operator with one guard switched off. Each mutant has a plan that the whole
//! operator passes and the mutant fails. The plan shows that the guard is necessary, and that these
//! tests notice its loss.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::PostParams};
use saga_operator::{
    api::{
        Direction, Outcome, Saga, SagaPhase, StepPhase,
        names::{AttemptId, child_name},
    },
    coordination::executor_lease::HOLDS_FOR,
    mutants::Mutant,
};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    fault::Traced,
    process::{POLL, Process},
    report::one_line,
    shop::Kind,
    stand::{Stand, checkout, outcomes, post, post_by_gate, scope, step},
};

/// The name of the saga in every plan.
const NAME: &str = "order";
const IMAGE: &str = "saga.dev/examples/busybox:1";
/// A duration longer than a tenure holds without a renewal.
const LAPSED: Duration = HOLDS_FOR.saturating_add(Duration::from_secs(1));
/// The number of reads of a Lease, two seconds apart, that together take longer than the term of
/// the Lease.
const LOOKS: usize = 6;

/// Runs the plan of every mutant, on the whole operator and on the mutant. Returns the number of
/// killed mutants: those whose plan the whole operator passes and the mutant fails.
pub async fn all() -> usize {
    let runs = Mutant::GUARDS.map(|mutant| tokio::spawn(one(mutant)));
    let mut killed = 0;
    for (mutant, run) in Mutant::GUARDS.into_iter().zip(runs) {
        match run.await.map_err(|panic| panic.to_string()).and_then(|result| result) {
            Ok(caught) => {
                println!("mutant {}: {caught}", mutant.as_str());
                killed += 1;
            }
            Err(why) => println!(
                "FAILED mutant {}: {}; again: SAGA_CHAOS_MUTANTS=only make chaos",
                mutant.as_str(),
                one_line(&why)
            ),
        }
    }
    killed
}

/// Returns the error that exposed the mutant.
async fn one(mutant: Mutant) -> Result<String, String> {
    // The two runs are sequential, and each has its own namespace.
    plan(mutant, None).await.map_err(|why| format!("the whole operator fails its plan: {why}"))?;
    plan(mutant, Some(mutant)).await.err().ok_or_else(|| {
        "the mutant also passes the plan: the plan does not need the guard".to_owned()
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only the guards come here")]
async fn plan(of: Mutant, off: Option<Mutant>) -> Result<(), String> {
    let stand = Stand::with_pods("mutant").await;
    match of {
        Mutant::TwoSeconds => late_effect(&stand, off).await,
        Mutant::OwnWrites => old_copies(&stand, off).await,
        Mutant::Adopt => foreign_pod(&stand, off).await,
        Mutant::Executor => request_of_another(&stand, off).await,
        Mutant::Key => lost_answer(&stand, off).await,
        Mutant::Tenure => late_request(&stand, off).await,
        // The other mutants break rules of the engine. The model tests cover these rules.
        other => Err(format!("{} has no plan", other.as_str())),
    }
}

/// Starts an operator. If `off` is a guard, the guard is switched off. If `fault` is given, the
/// fault strikes.
async fn start(stand: &Stand, name: &str, off: Option<Mutant>, fault: Option<&str>) -> Process {
    let mutant = off.map(|mutant| ("SAGA_MUTANT", mutant.as_str().to_owned()));
    let fault = fault.map(|fault| ("SAGA_FAULT", fault.to_owned()));
    let variables: Vec<_> = mutant.into_iter().chain(fault).collect();
    let mut process = Process::start(stand, name, &variables);
    process.watches().await;
    process
}

/// The shop charges the card, and the answer is lost. The key of the second request must be the
/// same, so that the shop recognises the same charge.
async fn lost_answer(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    let _operator = start(stand, NAME, off, None).await;
    stand
        .shop
        .behave(&json!([{"match": {"service": "payments"}, "then": [{"closeAfterWork": true}]}]))
        .unwrap();
    stand.apply(NAME, &checkout()).await;
    let saga = stand.reaches(NAME, SagaPhase::Completed).await;
    let twice = stand.shop.summary(&scope(&saga)).done_twice;
    check(twice.is_empty(), || format!("{twice:?} was done twice"))
}

/// A foreign Pod has the name that the Pod of the step needs.
async fn foreign_pod(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    let _operator = start(stand, NAME, off, None).await;
    let work = json!({"image": IMAGE, "command": ["true"]});
    stand.apply(NAME, &json!({"suspend": true, "steps": [{"name": "ship", "pod": work}]})).await;
    let saga = stand.reaches(NAME, SagaPhase::Paused).await;
    let container = json!({"name": "other", "image": IMAGE, "command": ["true"]});
    let pod = json!({
        "metadata": {"name": pod_of(&saga)},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    });
    stand
        .pods()
        .create(&PostParams::default(), &serde_json::from_value::<Pod>(pod).unwrap())
        .await
        .unwrap();
    stand.patch(NAME, &json!({"spec": {"suspend": false}})).await.unwrap();
    let taken = |saga: &Saga| {
        let ship = saga.status.as_ref().and_then(|status| status.steps.first());
        let noted = ship
            .and_then(|ship| ship.action.as_ref()?.active.as_ref()?.child_uid.as_ref())
            .is_some();
        noted
            || ship
                .is_some_and(|ship| matches!(ship.phase, StepPhase::Failed | StepPhase::Completed))
    };
    let saga = stand.until(NAME, "decided about the Pod", taken).await;
    let ship = step(&saga, "ship");
    let refused = ship.phase == StepPhase::Failed
        && ship.message.as_ref().is_some_and(|message| message.contains("NameConflict"));
    check(refused, || {
        format!("somebody else's Pod counts as the step's own: it is {}", ship.phase.as_str())
    })
}

/// After each of its writes, the operator receives the previous copy once more.
async fn old_copies(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    for nth in 2..=4 {
        let name = format!("{NAME}-{nth}");
        let operator = start(stand, &name, off, Some(&format!("stale@call:{nth}"))).await;
        stand.apply(&name, &checkout()).await;
        stand
            .until(&name, "ended", |saga| {
                saga.metadata.finalizers.as_ref().is_some_and(Vec::is_empty) || is_done(saga)
            })
            .await;
        operator
            .until("tell of the end", |trace| trace.iter().any(|call| call.class == "POST events"))
            .await;
        let refused = operator.trace().iter().filter(|call| call.status == Some(409)).count();
        check(refused == 0, || {
            format!("{refused} writes were decided from an old copy and refused")
        })?;
    }
    Ok(())
}

fn is_done(saga: &Saga) -> bool {
    let completed =
        saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Completed);
    completed && saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
}

/// The first of two operators is frozen between its intent and the create of the Pod. The second
/// one creates the Pod, ends it when its time limit passes without a node for it, and settles the
/// attempt. After that, the effect of the first operator is too late.
async fn late_effect(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    // The first call is the finalizer, and the second call is the intent.
    let first = start(stand, "first", off, Some("freeze@call:2")).await;
    let work =
        json!({"image": IMAGE, "command": ["true"], "resources": {"requests": {"cpu": "1000"}}});
    let ship = json!({
        "name": "ship", "pod": work, "timeout": "5s", "retry": {"maxAttempts": 1},
        "precheck": "Skip",
    });
    stand.apply(NAME, &json!({"steps": [ship]})).await;
    frozen(&first).await;
    let _second = start(stand, "second", off, None).await;
    stand.reaches(NAME, SagaPhase::Failed).await;
    let before = first.trace().len();
    first.resume();
    let acts = |call: &Traced| matches!(call.class.as_str(), "GET sagas" | "POST pods");
    first.until("go on", |trace| trace[before..].iter().any(acts)).await;
    let created = first.trace().iter().filter(|call| call.class == "POST pods").count();
    check(created == 0, || "a Pod was created for an attempt that had ended".into())
}

async fn frozen(process: &Process) {
    while !process.stands_still() {
        sleep(POLL).await;
    }
}

/// The first of two operators waits for an answer that is held back for longer than the term of any
/// Lease. The second operator watches during that time.
async fn request_of_another(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    // Only the second operator is a mutant. Two mutants would take the HTTP request from each other
    // until no attempt is left. On a slow machine, the mutant takes the HTTP request several times
    // before the gate opens.
    let _first = start(stand, "first", None, None).await;
    let retry = json!({"maxAttempts": 100, "backoff": {"type": "None", "initialDelay": "50ms"}});
    let charge = post_by_gate("/payments/charges");
    let steps = json!([{"name": "charge-card", "http": charge, "retry": retry}]);
    let saga = stand.apply(NAME, &json!({"steps": steps})).await;
    stand.shop_has_done(&saga, "charge-card").await;
    let second = start(stand, "second", off, None).await;
    // The whole operator reads the Lease of the first operator repeatedly. The mutant sends the
    // HTTP request itself.
    let looks = |trace: &[Traced]| trace.iter().filter(|call| call.class == "GET leases").count();
    let called = || stand.shop.entries(Some(&scope(&saga))).len();
    while looks(&second.trace()) < LOOKS && called() < 2 {
        sleep(POLL).await;
    }
    stand.gate.open();
    let saga = stand.reaches(NAME, SagaPhase::Completed).await;
    check(outcomes(&saga, "charge-card") == [Outcome::Succeeded], || {
        let entries = stand.shop.entries(Some(&scope(&saga)));
        let repeats = entries.iter().filter(|entry| entry.kind == Kind::Repeat).count();
        format!(
            "the request was under way and was sent again: {:?}, {repeats} repeats",
            outcomes(&saga, "charge-card")
        )
    })
}

/// A single operator is frozen between its intent and the HTTP request, for longer than its tenure
/// holds. During that time, another replica could decide that the operator is gone. The operator
/// must not send the HTTP request under the executor that the intent names.
async fn late_request(stand: &Stand, off: Option<Mutant>) -> Result<(), String> {
    // The first call is the finalizer, and the second call is the intent.
    let operator = start(stand, NAME, off, Some("freeze@call:2")).await;
    let saga = stand
        .apply(
            NAME,
            &json!({
                "steps": [{
                    "name": "charge-card", "http": post("/payments/charges"),
                    "retry": {"maxAttempts": 2},
                }],
            }),
        )
        .await;
    frozen(&operator).await;
    // The length of the freeze is the fault itself. The sleep does not wait for a condition.
    sleep(LAPSED).await;
    operator.resume();
    let ended = stand.reaches(NAME, SagaPhase::Completed).await;
    let attempts = &step(&ended, "charge-card").action.as_ref().unwrap().attempts;
    let told: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.outcome, attempt.message.as_deref().unwrap_or_default()))
        .collect();
    let expected = [
        (Outcome::Failed, "the request was called off before anything of it was sent"),
        (Outcome::Succeeded, ""),
    ];
    check(told == expected, || {
        format!("the attempts ended {told:?}: a request left under an id whose Lease had lapsed")
    })?;
    let sent = stand.shop.entries(Some(&scope(&saga))).len();
    check(sent == 1, || format!("{sent} requests left"))
}

/// Returns the name of the first Pod of the step `ship`.
fn pod_of(saga: &Saga) -> String {
    child_name(
        &saga.name_any(),
        &saga.uid().unwrap(),
        &AttemptId { step: "ship".into(), direction: Direction::Action, number: 1 },
    )
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
