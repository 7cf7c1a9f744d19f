//! HTTP requests of other processes, and HTTP requests that wait for capacity.

use std::time::Duration;

use saga_operator::{
    api::{Direction, HttpMethod, Outcome, SagaPhase, StepPhase},
    coordination::executor_lease::TERM,
    engine::plan,
    model::{
        input::{CallCapacity, CallLimit},
        observation::Observations,
        plan::{Effect, StatusWrite},
    },
};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::succeeds,
    world::World,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn what_a_process_sent_that_died_is_unknown_after_the_term_of_its_lease_and_not_before() {
    let mut world = World::with(saga().http("a").retry(attempts(2)))
        .on("a", vec![succeeds().takes(seconds(20))]);
    world.run_until(|world| world.is("a", StepPhase::Running));
    world.crash(seconds(1));
    world.run_for(TERM.saturating_sub(seconds(1)));
    assert!(
        world.is("a", StepPhase::Running) && world.step("a").action.unwrap().active.is_some(),
        "its operator may live"
    );
    world.run_to_rest();
    let action = world.step("a").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempts[0].outcome),
        (SagaPhase::Completed, Outcome::Unknown)
    );
    assert_eq!(
        action.attempts[0].message.as_deref(),
        Some("the replica that sent the request is gone")
    );
    assert_eq!(world.keys("a", Direction::Action), ["0", "0"], "repeated under the same key");
}

#[test]
fn a_request_waits_before_its_intent_while_as_many_as_may_be_are_under_way_to_its_host() {
    let mut world = World::with(saga().http("a").then_http("b"));
    world.takes("b.shop.svc", 0);
    world.run_for(seconds(60));
    assert_eq!((world.done(), world.step("b").action), (vec!["a"], None));
    assert_eq!(
        world.message(),
        "step b waits: 32 calls to b.shop.svc from this namespace are in flight"
    );
    let writes = world.writes;
    world.run_for(seconds(600));
    assert_eq!(world.writes, writes, "waiting writes nothing");
    world.host_capacity.clear();
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("b").action.unwrap().attempt), (SagaPhase::Completed, 1));
}

#[test]
fn a_step_that_waits_names_the_limit_that_is_reached() {
    let long = format!("{}.svc", "a".repeat(1000));
    for (host, limit, sentence) in [
        ("a.shop.svc", CallLimit::Host(1), "1 call to a.shop.svc from this namespace is in flight"),
        ("a.shop.svc", CallLimit::Namespace(64), "64 calls of this namespace are in flight"),
        ("a.shop.svc", CallLimit::Process(1024), "1024 calls of this operator are in flight"),
        (
            "a.shop.svc",
            CallLimit::NamespaceLookups(8),
            "8 name look-ups of this namespace are in flight",
        ),
        (
            "a.shop.svc",
            CallLimit::ProcessLookups(32),
            "32 name look-ups of this operator are in flight",
        ),
        (&long, CallLimit::Host(32), "32 calls to aaaa"),
    ] {
        let mut draft = saga().http("a");
        for http in draft.0.steps.iter_mut().filter_map(|step| step.http.as_mut()) {
            http.url = format!("http://{host}/work");
        }
        let mut world = World::with(draft);
        world.host_capacity.insert(host.into(), CallCapacity { left: 0, limit });
        world.run_for(seconds(60));
        let message = world.message();
        assert!(message.starts_with(&format!("step a waits: {sentence}")), "{message}");
        assert!(message.len() < 500, "{message}");
        assert_eq!(world.step("a").action, None, "no attempt is used up");
    }
}

#[test]
fn the_port_of_a_url_makes_no_other_host() {
    let mut draft = saga().http("a").http("b").parallel(2);
    for (step, port) in draft.0.steps.iter_mut().zip([8080, 8443]) {
        step.http.as_mut().unwrap().url = format!("http://shop.svc:{port}/work");
    }
    let mut world = World::with(draft);
    world.takes("shop.svc", 0);
    world.run_for(seconds(60));
    assert!(world.sent().is_empty(), "{}", world.message());
}

#[test]
fn what_waits_for_room_keeps_its_turn_and_lets_others_use_what_is_left() {
    let mut world = World::with(saga().http("a").http("b").parallel(2));
    world.takes("a.shop.svc", 0);
    world.run_for(seconds(60));
    assert_eq!(world.done(), ["b"]);
    // A plain list is an order: no step begins before the steps in front of it.
    let mut world = World::with(saga().http("a").http("b"));
    world.takes("a.shop.svc", 0);
    world.run_for(seconds(60));
    assert!(world.sent().is_empty());
}

#[test]
fn side_by_side_the_step_that_waits_keeps_no_other_from_beginning_elsewhere() {
    let mut world = World::with(saga().http("a").http("b").pod("c").http("d").parallel(2));
    world.takes("a.shop.svc", 0);
    world.run_for(seconds(60));
    assert_eq!(
        ["b", "c", "d"].map(|name| world.sent_at(name, Direction::Action)),
        [[0], [0], [1000]]
    );
    assert!(
        world.is("a", StepPhase::Pending) && world.message().starts_with("step a waits"),
        "{}",
        world.message()
    );
    world.host_capacity.clear();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn what_room_there_is_goes_to_the_first_in_list_order() {
    let mut draft = saga().http("a").http("b").http("c").parallel(3);
    for http in draft.0.steps.iter_mut().filter_map(|step| step.http.as_mut()) {
        http.url = "http://shop.svc/work".into();
    }
    let mut world = World::with(draft);
    world.takes("shop.svc", 2);
    let nothing = Observations::new();
    let plan = plan(&world.saga, &world.seen(&nothing, "me"));
    let begun = plan.drafted_effects().iter().filter_map(|effect| match effect {
        Effect::Begin { identity, .. } => Some(identity.attempt.step.as_str()),
        _ => None,
    });
    assert_eq!(begun.collect::<Vec<_>>(), ["a", "b"]);
    let Some(StatusWrite::Whole(status)) = &plan.status else { panic!("nothing is written") };
    assert_eq!(
        status.message.as_deref(),
        Some(
            "step a runs, attempt 1 of 1; step b runs, attempt 1 of 1; step c waits: 32 calls to \
             shop.svc from this namespace are in flight"
        )
    );
}

#[test]
fn a_compensation_waits_for_room_as_well() {
    let mut world =
        World::with(saga().http("a").undo().then_http("b").compensating()).fails("b", 1);
    world.takes("undo-a.shop.svc", 0);
    world.run_for(seconds(60));
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    world.host_capacity.clear();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn a_process_without_a_lease_begins_nothing_and_does_not_say_more_than_it_knows() {
    let mut world = World::with(saga().http("a"));
    world.draining = true;
    world.run_for(seconds(10));
    assert!(world.sent().is_empty());
    assert!(world.message().contains("starts no step now"), "{}", world.message());
}

#[test]
fn a_process_that_begins_nothing_leaves_the_words_to_one_that_does() {
    let mut world = World::with(saga().http("a"));
    world.takes("a.shop.svc", 0);
    world.run_for(seconds(1));
    let (said, writes) = (world.message(), world.writes);
    world.draining = true;
    world.run_for(seconds(1));
    assert_eq!(
        (world.message(), world.writes),
        (said, writes),
        "the two would contradict each other for ever"
    );
}

/// Runs an HTTP request whose first `times` attempts are called off by the operator itself, after
/// they were sent.
fn called_off(draft: Draft, times: usize) -> World {
    let mut world = World::with(draft).on("a", vec![succeeds().takes(seconds(20)); times + 1]);
    for attempt in 1..=times {
        let sent = i64::try_from(attempt).unwrap();
        world.run_until(|world| {
            world
                .step("a")
                .action
                .is_some_and(|action| action.active.is_some() && action.attempt == sent)
        });
        world.call_off();
    }
    world.run_to_rest();
    world
}

#[test]
fn what_the_operator_itself_called_off_costs_nothing_where_it_may_be_repeated() {
    let world = called_off(saga().http("a").retry(attempts(2).always("1s")), 5);
    let action = world.step("a").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempt, action.budget_used, action.called_off),
        (SagaPhase::Completed, 6, 1, 5)
    );
    assert!(
        action.attempts[..4].iter().all(|attempt| attempt.outcome == Outcome::Unknown),
        "{action:?}"
    );
    assert_eq!(
        world.keys("a", Direction::Action),
        ["0"; 6],
        "nobody can tell what it did: the key stays"
    );
}

#[test]
fn what_the_operator_called_off_is_free_five_times_a_budget() {
    let mut world = called_off(saga().http("a").retry(attempts(2).always("1s")), 7);
    let action = world.step("a").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempt, action.budget_used, action.called_off),
        (SagaPhase::Failed, 7, 2, 5)
    );
    world.annotate("saga.dev/retry", "a");
    world.run_until(|world| {
        world.step("a").action.is_some_and(|action| action.attempt == 8 && action.active.is_some())
    });
    assert_eq!(world.step("a").action.unwrap().called_off, 0, "a fresh budget");
    world.call_off();
    world.run_to_rest();
    let action = world.step("a").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempt, action.budget_used, action.called_off),
        (SagaPhase::Completed, 9, 1, 1)
    );
}

#[test]
fn a_request_that_may_be_sent_once_is_not_sent_again_because_the_operator_called_it_off() {
    for method in [HttpMethod::Post, HttpMethod::Patch] {
        let world = called_off(with_method(method), 1);
        let action = world.step("a").action.unwrap();
        assert_eq!(
            (world.phase(), action.attempt, action.called_off, action.uncertain),
            (SagaPhase::Failed, 1, 0, true),
            "{method:?}"
        );
    }
    for method in [HttpMethod::Get, HttpMethod::Head, HttpMethod::Put, HttpMethod::Delete] {
        let world = called_off(with_method(method), 1);
        let action = world.step("a").action.unwrap();
        assert_eq!(
            (world.phase(), action.attempt, action.called_off),
            (SagaPhase::Completed, 2, 1),
            "{method:?}"
        );
    }
}

fn with_method(method: HttpMethod) -> Draft {
    let mut draft = saga().http("a");
    for http in draft.0.steps.iter_mut().filter_map(|step| step.http.as_mut()) {
        http.method = method;
    }
    draft
}
