//! The way forward: order, slots, dependencies, and the number of writes.

use saga_operator::api::{Direction::Action, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::{millis, says_no, seconds, succeeds},
    world::World,
};

#[test]
fn steps_run_one_after_the_other_in_list_order() {
    let mut world = World::with(saga().http("a").http("b").pod("c"));
    world.run_to_rest();
    assert_eq!(world.sent(), ["a/action/1", "b/action/1", "c/action/1"]);
    assert_eq!((world.sent_at("b", Action), world.sent_at("c", Action)), (vec![1000], vec![2000]));
    assert_eq!(world.phase(), SagaPhase::Completed);
    assert_eq!(
        (world.done(), world.message().as_str()),
        (vec!["a", "b", "c"], "all 3 steps are done")
    );
    let b = world.step("b");
    let second = |at: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime>| {
        at.unwrap().0.as_second() - crate::world::DAWN
    };
    assert_eq!(
        (second(b.started_at), second(b.completed_at), second(world.status().completed_at)),
        (1, 2, 3)
    );
}

#[test]
fn at_most_max_parallel_steps_run_at_once() {
    let mut world = World::with(saga().http("a").http("b").http("c").http("d").parallel(2))
        .on("a", vec![succeeds().takes(seconds(5))])
        .on("b", vec![succeeds().takes(seconds(2))]);
    world.run_to_rest();
    // The next step in list order takes the slot that `b` frees.
    assert_eq!(
        ["a", "b", "c", "d"].map(|name| world.sent_at(name, Action)),
        [[0], [0], [2000], [3000]]
    );
}

#[test]
fn lowering_max_parallel_stops_nothing() {
    let mut world = World::with(saga().http("a").http("b").http("c").parallel(3))
        .on("a", vec![succeeds().takes(seconds(9))]);
    world = world
        .on("b", vec![succeeds().takes(seconds(4))])
        .on("c", vec![succeeds().takes(seconds(6)), succeeds()]);
    world.run_until(|world| world.writes == 1);
    world.edit(|spec| spec.max_parallel = Some(1));
    world.run_to_rest();
    assert_eq!(world.done(), ["b", "c", "a"]);
}

#[test]
fn a_diamond_waits_for_both_of_its_sides() {
    let draft = saga()
        .http("top")
        .then_http("left")
        .http("right")
        .after(&["top"])
        .http("bottom")
        .after(&["left", "right"])
        .parallel(4);
    let mut world = World::with(draft).on("right", vec![succeeds().takes(seconds(7))]);
    world.run_to_rest();
    assert_eq!(
        ["top", "left", "right", "bottom"].map(|name| world.sent_at(name, Action)),
        [[0], [1000], [1000], [8000]]
    );
}

#[test]
fn a_step_that_waits_for_its_next_attempt_keeps_its_slot() {
    let draft = || saga().http("a").retry(attempts(2).always("10s")).then_http("b").http("c");
    let mut world = World::with(draft()).fails("a", 1);
    world.run_to_rest();
    assert_eq!(world.sent(), ["a/action/1", "a/action/2", "b/action/1", "c/action/1"]);
    let mut wider = World::with(draft().parallel(2)).fails("a", 1);
    wider.run_to_rest();
    assert_eq!(wider.sent(), ["a/action/1", "c/action/1", "a/action/2", "b/action/1"]);
}

#[test]
fn a_chain_of_requests_costs_one_write_more_than_it_has_steps() {
    for steps in [1, 3, 10] {
        let mut draft = saga().http("s0");
        for place in 1..steps {
            draft = draft.then_http(&format!("s{place}"));
        }
        let mut world = World::with(draft);
        world.run_to_rest();
        assert_eq!((world.writes, world.services.sent.len()), (steps + 1, steps));
    }
}

#[test]
fn a_pod_costs_one_creation_and_one_write_more_only_where_it_lives_two_seconds() {
    let draft = saga().pod("a").then_pod("b").then_pod("c");
    let mut quick = World::with(draft.clone());
    quick = quick.on("b", vec![succeeds().takes(millis(1999))]);
    quick.run_to_rest();
    assert_eq!((quick.writes, quick.services.sent.len()), (4, 3));
    let mut slow = World::with(draft).on("b", vec![succeeds().takes(seconds(600))]);
    slow.run_until(|world| world.elapsed() >= seconds(3));
    let active = slow.step("b").action.unwrap().active.unwrap();
    assert_eq!(
        (active.child_uid.as_deref(), slow.step("b").message.as_deref()),
        (Some("pod-2"), Some("it runs"))
    );
    slow.run_to_rest();
    assert_eq!((slow.writes, slow.services.sent.len()), (5, 3));
}

#[test]
fn the_first_write_carries_acceptance_and_the_first_intents() {
    let mut world = World::with(saga().http("a").then_http("b"));
    world.run_until(|world| world.writes == 1);
    let status = world.status();
    assert_eq!(status.spec_hash, Some(world.stored.spec_hash.clone()));
    assert_eq!(status.phase, Some(SagaPhase::Running));
    assert!(
        status.started_at.is_some()
            && world.is("a", StepPhase::Running)
            && world.is("b", StepPhase::Pending)
    );
    assert_eq!(world.condition("Accepted").as_deref(), Some("True/Accepted"));
}

#[test]
fn progress_and_current_steps_say_how_far_it_is() {
    let mut world = World::with(
        saga()
            .http("a")
            .then_http("b")
            .undo()
            .then_http("c")
            .compensating()
            .defaults(crate::saga::no_retry()),
    )
    .on("c", vec![says_no()]);
    let mut seen = Vec::new();
    for writes in 1..=5 {
        world.run_until(|world| world.writes >= writes);
        let status = world.status();
        seen.push((
            status.phase.unwrap().as_str(),
            status.progress.unwrap(),
            status.current_steps.unwrap_or_default(),
        ));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(phase, progress, steps)| (*phase, progress.as_str(), steps.as_str()))
        .collect();
    let expected = [
        ("Running", "0/3", "a"),
        ("Running", "1/3", "b"),
        ("Running", "2/3", "c"),
        ("Compensating", "0/1", "b"),
        ("Compensated", "1/1", ""),
    ];
    assert_eq!(seen, expected);
    assert_eq!(world.still_in_effect(), ["a"]);
}

#[test]
fn the_pods_of_an_ended_saga_are_swept_after_ten_minutes() {
    let mut world = World::with(saga().pod("a"));
    world.run_until(|world| world.sweeps > 0);
    assert_eq!((world.elapsed(), world.writes), (seconds(601), 2));
    world.run_to_rest();
    assert_eq!((world.elapsed(), world.sweeps), (seconds(601), 1));
}

#[test]
fn the_pods_of_old_attempts_are_swept_while_the_saga_runs_and_nothing_is_written_for_it() {
    let draft = saga().pod("a").retry(attempts(2).always("1m"));
    let mut world = World::with(draft).fails("a", 1);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    let writes = world.writes;
    world.services.surplus = true;
    assert!(world.look().is_ok());
    assert_eq!((world.sweeps, world.writes), (1, writes));
    world.services.surplus = true;
    world.run_until(|world| world.phase() == SagaPhase::Completed);
    assert_eq!(world.sweeps, 2);
    // The Pods that succeeded stay for ten minutes.
    let ended = world.elapsed();
    world.run_to_rest();
    assert_eq!((world.sweeps, world.elapsed()), (3, ended + seconds(600)));
}
