//! Jobs as the engine treats them: the same as Pods, under another name.

use std::time::Duration;

use saga_operator::{
    api::{Direction::Action, Outcome, SagaPhase, SagaSpec, StepPhase},
    manifest::job_spec::check_spec,
    model::{
        observation::PodTrouble,
        saga::{SagaName, ValidSaga, Work},
    },
    validate::saga::validate,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{hands_on, says_no, seconds, succeeds, times},
    world::World,
};

fn check(spec: Value) -> Result<ValidSaga, Vec<String>> {
    let who = SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "0d1c".into() };
    validate(&who, &serde_json::from_value(spec).unwrap())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// Returns a Job of one container with these fields.
fn job(fields: &Value) -> Value {
    let mut container = json!({"name": "step", "image": "ship:1"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

fn one_step(job: Value) -> Value {
    json!({
        "onFailure": "Compensate",
        "steps": [{"name": "ship", "job": job, "compensation": {"job": self::job(&json!({}))}}],
    })
}

#[test]
fn a_job_has_an_hour_and_a_failed_one_is_undone() {
    let saga = check(one_step(job(&json!({})))).unwrap();
    let step = &saga.steps[0];
    assert_eq!(
        (step.action.timeout, step.compensate_failed, step.action.kind()),
        (Duration::from_hours(1), true, "job")
    );
    let mut world = world(one_step(job(&json!({})))).on("ship", vec![says_no()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("ship").phase),
        (SagaPhase::Compensated, StepPhase::Compensated)
    );
}

#[test]
fn an_exit_code_that_is_final_is_not_tried_again() {
    let mut picky = job(&json!({}));
    picky["finalExitCodes"] = json!([64]);
    let mut spec = one_step(picky);
    spec["steps"][0]["retry"] = json!({"maxAttempts": 5});
    let mut world =
        world(spec).on("ship", vec![says_no().with_exit_code(1), says_no().with_exit_code(64)]);
    world.run_to_rest();
    let outcomes: Vec<_> =
        world.step("ship").action.unwrap().attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed]);
}

#[test]
fn a_job_past_its_time_is_stopped_and_undone_since_it_may_have_done_its_work() {
    let mut spec = one_step(job(&json!({})));
    spec["steps"][0]["timeout"] = json!("5s");
    let mut world = world(spec).on("ship", times(1, &succeeds().takes(seconds(600))));
    world.services.trouble = Some(PodTrouble::Image);
    world.run_until(|world| {
        world
            .step("ship")
            .action
            .is_some_and(|action| action.active.is_some_and(|active| active.child_uid.is_some()))
    });
    assert!(
        world.message().starts_with("step ship runs, attempt 1 of 1 (Image"),
        "{}",
        world.message()
    );
    world.run_to_rest();
    let action = world.step("ship").action.unwrap();
    assert_eq!((action.attempts[0].outcome, action.uncertain), (Outcome::Unknown, true));
    assert_eq!((world.sent_at("ship", Action).len(), world.phase()), (1, SagaPhase::Compensated));
}

#[test]
fn an_expression_may_stand_for_a_number_and_reads_what_a_job_hands_on() {
    let mut second =
        job(&json!({"image": "ship:${params.version}", "args": ["${steps.count.outputs.parts}"]}));
    second["spec"]["completions"] = json!("${steps.count.outputs.parts}");
    second["metadata"] = json!({"labels": {"queue": "${params.queue}"}});
    let mut world = world(json!({
        "params": {"version": "1.4", "queue": 7},
        "steps": [
            {"name": "count", "job": job(&json!({}))},
            {"name": "ship", "dependsOn": ["count"], "job": second},
        ],
    }))
    .on("count", vec![hands_on(json!({"parts": 3}))]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
    let Work::Job(sent) = &world.services.sent.last().unwrap().work else { panic!("a job") };
    let container = json!({"name": "step", "image": "ship:1.4", "args": ["3"]});
    assert_eq!(
        sent.spec,
        json!({"completions": 3, "template": {"spec": {"containers": [container]}}})
    );
    assert_eq!(sent.metadata, Some(json!({"labels": {"queue": "7"}})));
    assert!(check_spec(&sent.spec).is_ok());
}

#[test]
fn each_fault_says_where_it_is_and_what_to_write_instead() {
    let with = |pointer: &str, value: Value| {
        let mut job = job(&json!({}));
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        job.pointer_mut(parent).unwrap()[name] = value;
        job
    };
    let cases = [
        (json!({"spec": "text"}), "spec.steps[0].job.spec: must be an object"),
        (
            with("/spec/paralelism", json!(3)),
            "spec.steps[0].job.spec.paralelism: is no field that a Job has here",
        ),
        (
            with("/spec/ttlSecondsAfterFinished", json!(0)),
            "spec.steps[0].job.spec.ttlSecondsAfterFinished: must be at least 600",
        ),
        (
            with("/spec/activeDeadlineSeconds", json!(5)),
            "spec.steps[0].job.spec.activeDeadlineSeconds: is set by the operator",
        ),
        (
            with("/finalExitCodes", json!([0])),
            "spec.steps[0].job.finalExitCodes[0]: must be 1 to 255",
        ),
        (
            with("/finalExitCodes", json!(vec![1; 33])),
            "spec.steps[0].job.finalExitCodes: has 33 entries: at most 32 are taken",
        ),
        (
            with("/metadata", json!({"name": "a"})),
            "spec.steps[0].job.metadata.name: is set by the operator",
        ),
        (
            with("/spec/template/spec/containers/0/image", json!("${outputs.image}")),
            "spec.steps[0].compensation.job.spec.template.spec.containers[0].image: \
             ${outputs.image} reads outputs, which is not known here",
        ),
        (
            with("/spec/template/spec/serviceAccountName", json!("admin")),
            "spec.steps[0].job.spec.template.spec.serviceAccountName: is admin, and the steps act \
             as the saga's ServiceAccount default",
        ),
        (
            with("/spec/template/spec/containers/0/args", json!(["${HOME}"])),
            "spec.steps[0].job.spec.template.spec.containers[0].args[0]: ",
        ),
    ];
    for (wrong, says) in cases {
        let mut spec = one_step(wrong.clone());
        if says.contains("compensation") {
            spec["steps"][0]["job"] = job(&json!({}));
            spec["steps"][0]["compensation"]["job"] = wrong;
        }
        let faults = check(spec).unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with(says)), "{says}: {faults:#?}");
    }
    let mut outputs = one_step(job(&json!({})));
    outputs["steps"][0]["outputs"] = json!({"a": "b"});
    assert!(check(outputs).unwrap_err()[0].contains("the outputs of a pod or a job"));
}
