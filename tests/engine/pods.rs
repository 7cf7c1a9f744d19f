//! What only Pods have: exit codes that are permanent, and troubles while they wait.

use saga_operator::{
    api::{
        Direction::{Action, Compensation},
        Outcome, SagaPhase, SagaSpec, StepPhase,
    },
    manifest::pod_template::check_template,
    model::{observation::PodTrouble, saga::Work},
};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, saga},
    script::{hands_on, says_no, seconds, succeeds, times},
    world::World,
};

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// Returns a Pod and a Pod that undoes it. Each has three attempts, and none after the exit codes 3
/// and 64.
fn picky() -> Value {
    let pod = json!({"image": "ship:1", "finalExitCodes": [3, 64]});
    let retry = json!({"maxAttempts": 3});
    json!({
        "onFailure": "Compensate",
        "steps": [{
            "name": "ship", "pod": pod, "retry": retry,
            "compensation": {"pod": pod, "retry": retry},
        }],
    })
}

#[test]
fn a_final_exit_code_is_not_tried_again_and_another_one_is() {
    let mut world =
        world(picky()).on("ship", vec![says_no().with_exit_code(1), says_no().with_exit_code(64)]);
    world.run_to_rest();
    let action = world.step("ship").action.unwrap();
    let outcomes: Vec<_> = action.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!((outcomes, action.failures), (vec![Outcome::Failed, Outcome::Failed], 1));
    assert_eq!(
        world.phase(),
        SagaPhase::Compensated,
        "a failed pod is undone: it may have done half its work"
    );
}

#[test]
fn a_final_exit_code_of_a_compensation_is_not_tried_again() {
    let mut world = world(picky())
        .on("ship", vec![says_no().with_exit_code(3)])
        .on_undo("ship", times(3, &says_no().with_exit_code(3)));
    world.run_to_rest();
    assert_eq!(
        (world.sent_at("ship", Action).len(), world.sent_at("ship", Compensation).len()),
        (1, 1)
    );
    assert!(
        world.is("ship", StepPhase::CompensationFailed)
            && world.phase() == SagaPhase::CompensationFailed
    );
}

#[test]
fn without_an_exit_code_nothing_is_final() {
    let mut world = world(picky()).on("ship", times(3, &says_no()));
    world.run_to_rest();
    assert_eq!(world.sent_at("ship", Action).len(), 3);
}

/// Creates a world with a Pod that runs for ten minutes, three seconds after the Pod began.
fn running() -> World {
    let mut world =
        World::with(saga().pod("ship")).on("ship", vec![succeeds().takes(seconds(600))]);
    world.run_until(|world| world.writes == 2);
    assert_eq!((world.writes, world.step("ship").message.as_deref()), (2, Some("it runs")));
    world
}

/// Sets the trouble of the Pod and its message. Returns how many writes followed.
fn says(world: &mut World, trouble: Option<PodTrouble>, talk: &str) -> usize {
    let before = world.writes;
    world.services.trouble = trouble;
    talk.clone_into(&mut world.services.talk);
    while world.look().unwrap() {}
    world.writes - before
}

#[test]
fn a_trouble_of_another_kind_is_written_once_and_shown_until_it_is_over() {
    let mut world = running();
    assert_eq!(says(&mut world, Some(PodTrouble::Image), "ErrImagePull: "), 1);
    assert_eq!(world.step("ship").message.as_deref(), Some("ErrImagePull: Image"));
    assert_eq!(world.message(), "step ship runs, attempt 1 of 1 (ErrImagePull: Image)");
    for talk in ["ImagePullBackOff: ", "ErrImagePull: ", "ImagePullBackOff: "] {
        assert_eq!(
            says(&mut world, Some(PodTrouble::Image), talk),
            0,
            "the same trouble in other words"
        );
    }
    assert_eq!(says(&mut world, Some(PodTrouble::Container), "CreateContainerConfigError: "), 1);
    assert_eq!(
        world.message(),
        "step ship runs, attempt 1 of 1 (CreateContainerConfigError: Container)"
    );
    assert_eq!(says(&mut world, None, ""), 1);
    assert_eq!(
        (world.step("ship").message.as_deref(), world.message().as_str()),
        (Some("it runs"), "step ship runs, attempt 1 of 1")
    );
    assert_eq!(
        says(&mut world, None, "faster, "),
        0,
        "what a pod says that goes on is not written again"
    );
}

#[test]
fn a_trouble_within_the_first_two_seconds_is_written_together_with_the_uid() {
    let mut world =
        World::with(saga().pod("ship")).on("ship", vec![succeeds().takes(seconds(600))]);
    world.services.trouble = Some(PodTrouble::Scheduling);
    world.run_until(|world| world.writes == 2);
    assert_eq!(
        (world.writes, world.message().as_str()),
        (2, "step ship runs, attempt 1 of 1 (Scheduling)")
    );
    let active = world.step("ship").action.unwrap().active.unwrap();
    assert_eq!(
        (active.child_uid.as_deref(), active.trouble.as_deref()),
        (Some("pod-1"), Some("Scheduling"))
    );
    world.run_to_rest();
    assert_eq!((world.phase(), world.writes), (SagaPhase::Completed, 3));
}

#[test]
fn a_template_takes_expressions_in_its_leaves_as_text_where_only_text_stands_and_else_as_they_are()
{
    let container = json!({
        "name": "step", "image": "ship:${params.version}",
        "args": ["${steps.reserve.outputs.left}"],
        "env": [
            {"name": "AMOUNT", "value": "${params.amount}"},
            {"name": "HOME_OF", "value": "$${HOME}"},
        ],
        "securityContext": {"runAsUser": "${params.user}"},
        "resources": {"requests": {"cpu": "${params.cpu}"}},
    });
    let template = json!({
        "metadata": {"labels": {"order": "${params.order}"}},
        "spec": {
            "terminationGracePeriodSeconds": "${params.grace}", "hostNetwork": "${params.host}",
            "containers": [container],
        },
    });
    let mut world = world(json!({
        "params": {
            "version": "1.4", "order": 1042, "amount": 49.9, "user": 1000, "cpu": 2, "grace": 7,
            "host": false,
        },
        "steps": [
            {"name": "reserve", "pod": {"image": "reserve:1"}},
            {
                "name": "ship", "dependsOn": ["reserve"],
                "pod": {"template": template, "finalExitCodes": [3]},
            },
        ],
    }))
    .on("reserve", vec![hands_on(json!({"left": 3}))]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
    let Work::Pod(sent) = &world.services.sent.last().unwrap().work else { panic!("a pod") };
    let expected = json!({
        "metadata": {"labels": {"order": "1042"}},
        "spec": {"terminationGracePeriodSeconds": 7, "hostNetwork": false, "containers": [{
            "name": "step", "image": "ship:1.4", "args": ["3"],
            "env": [{"name": "AMOUNT", "value": "49.9"}, {"name": "HOME_OF", "value": "${HOME}"}],
            "securityContext": {"runAsUser": 1000}, "resources": {"requests": {"cpu": 2}},
        }]},
    });
    assert_eq!(
        (sent.template.as_ref(), sent.final_exit_codes.as_deref()),
        (Some(&expected), Some(&[3][..]))
    );
    assert!(check_template(&expected).is_ok());
}
