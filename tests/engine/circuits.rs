//! Steps that wait for a circuit breaker. They wait without an attempt, keep their turn, and never
//! wait for ever.

use std::time::Duration;

use jiff::Timestamp;
use saga_operator::{
    api::{Direction, SagaPhase, StepPhase},
    clock::later,
    engine::plan,
    model::{
        input::BreakerAllowance,
        observation::Observations,
        origin::{Origin, origin},
        plan::{Effect, StatusWrite},
    },
};
use serde_json::json;

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{seconds, unknown},
    world::{DAWN, World},
};

/// Returns the instant this many seconds after the world began.
fn at(second: u64) -> Timestamp {
    later(Timestamp::from_second(DAWN).unwrap(), seconds(second))
}

fn of(host: &str) -> Origin {
    origin(&format!("http://{host}.shop.svc/")).unwrap()
}

impl World {
    /// Opens the circuit of a host until this many seconds after the world began.
    pub(crate) fn opens(&mut self, host: &str, until: u64) {
        self.circuits.insert(of(host), BreakerAllowance { left: 0, until: Some(at(until)) });
    }

    /// Makes the circuit of a host half-open. `left` is how many probes may begin: 0 while the
    /// probe is under way.
    pub(crate) fn half_opens(&mut self, host: &str, left: usize) {
        self.circuits.insert(of(host), BreakerAllowance { left, until: None });
    }

    pub(crate) fn closes(&mut self, host: &str) {
        self.circuits.remove(&of(host));
    }

    /// Runs until this second, at which the saga reconciles, and closes the circuit.
    fn closes_at(&mut self, host: &str, second: u64) {
        self.run_until(|world| world.now >= at(second));
        assert_eq!(
            self.now,
            at(second),
            "it asks for a look when its circuit is half-open, not sooner or later"
        );
        self.closes(host);
    }

    pub(crate) fn step_message(&self, step: &str) -> String {
        self.step(step).message.unwrap_or_default()
    }
}

/// Returns the message of a step whose circuit is open.
pub(crate) fn open(host: &str, until: &str) -> String {
    format!(
        "CircuitOpen: too many calls to http://{host}.shop.svc:80 ended unknown; tried again at \
         {until}"
    )
}

/// Sends all HTTP requests of a draft to one host, at most `most` at a time.
fn to_one_host(mut draft: Draft, most: i32) -> Draft {
    for http in draft.0.steps.iter_mut().filter_map(|step| step.http.as_mut()) {
        http.url = "http://one.shop.svc/work".into();
    }
    draft.parallel(most)
}

#[test]
fn a_step_waits_without_an_attempt_says_so_and_begins_when_its_circuit_closes() {
    let mut world = World::with(saga().http("a").then_http("b"));
    world.opens("b", 30);
    world.run_until(|world| !world.step_message("b").is_empty());
    assert_eq!(world.step_message("b"), open("b", "2026-01-01T00:00:30.000Z"));
    assert_eq!(world.message(), format!("step b waits: {}", world.step_message("b")));
    assert_eq!(
        (world.done(), world.step("b").action, world.is("b", StepPhase::Pending)),
        (vec!["a"], None, true)
    );
    let writes = world.writes;
    world.closes_at("b", 30);
    assert_eq!(world.writes, writes, "waiting writes nothing");
    world.run_to_rest();
    let step = world.step("b");
    assert_eq!(
        (world.phase(), step.action.unwrap().attempt, step.message),
        (SagaPhase::Completed, 1, None)
    );
    assert_eq!(world.sent_at("b", Direction::Action), [30_000]);
}

#[test]
fn another_host_is_another_matter_and_so_is_a_pod() {
    let mut world = World::with(saga().http("a").http("b").pod("c"));
    world.opens("other", 30);
    world.run_to_rest();
    assert_eq!(
        ["a", "b", "c"].map(|name| world.sent_at(name, Direction::Action)),
        [[0], [1000], [2000]]
    );
}

#[test]
fn what_waits_for_its_next_attempt_uses_none_up_and_keeps_the_words_of_the_last_one() {
    let draft = saga().http("a").retry(attempts(2).always("5s"));
    let mut world = World::with(draft).on("a", vec![unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    let failed = world.step_message("a");
    world.opens("a", 40);
    world.run_until(|world| world.now > at(6));
    assert_eq!(
        world.step_message("a"),
        format!("{}. Before: {failed}", open("a", "2026-01-01T00:00:40.000Z"))
    );
    assert_eq!(world.message(), format!("step a waits: {}", world.step_message("a")), "told once");
    assert_eq!(
        world.step("a").action.map(|action| (action.attempt, action.budget_used)),
        Some((1, 1))
    );
    world.closes_at("a", 40);
    world.run_until(|world| world.is("a", StepPhase::Running));
    assert_eq!(world.step_message("a"), failed);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![0, 40_000])
    );
}

#[test]
fn a_circuit_that_opens_again_is_waited_for_again() {
    let mut world = World::with(saga().http("a"));
    world.opens("a", 30);
    world.run_until(|world| world.now >= at(30));
    world.opens("a", 60);
    world.run_for(Duration::ZERO);
    assert_eq!(world.step_message("a"), open("a", "2026-01-01T00:01:00.000Z"));
    world.closes_at("a", 60);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![60_000])
    );
}

#[test]
fn half_open_one_request_goes_and_the_others_wait_for_it() {
    let draft = to_one_host(saga().http("a").http("b").http("c"), 3);
    let mut world = World::with(draft);
    world.half_opens("one", 1);
    let nothing = Observations::new();
    let plan = plan(&world.saga, &world.seen(&nothing, "me"));
    let begun = plan.drafted_effects().iter().filter_map(|effect| match effect {
        Effect::Begin { identity, .. } => Some(identity.attempt.step.as_str()),
        _ => None,
    });
    assert_eq!(begun.collect::<Vec<_>>(), ["a"], "the first in list order");
    world.half_opens("one", 0);
    world.run_for(seconds(60));
    let waits = "CircuitOpen: one call at a time finds out whether http://one.shop.svc:80 \
        answers; tried again when that one has ended";
    assert_eq!((world.step_message("a").as_str(), world.sent().len()), (waits, 0));
    world.closes("one");
    // No event enqueues the saga: the saga requeues itself.
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![60_000])
    );
}

#[test]
fn a_request_that_finds_no_room_leaves_the_probe_to_another() {
    let mut draft = to_one_host(saga().http("a").http("b"), 2);
    draft.0.steps[0].http.as_mut().unwrap().url = "https://two.shop.svc/work".into();
    let mut world = World::with(draft);
    world
        .circuits
        .insert(origin("https://two.shop.svc").unwrap(), BreakerAllowance { left: 1, until: None });
    world.takes("two.shop.svc", 0);
    world.run_for(seconds(10));
    assert_eq!(world.done(), ["b"]);
    assert!(world.message().contains("32 calls to two.shop.svc"), "{}", world.message());
}

#[test]
fn a_compensation_waits_as_well_and_its_step_keeps_saying_why_it_failed() {
    let draft = saga().http("a").undo().then_http("b").undo().compensating();
    let mut world = World::with(draft).on("b", vec![unknown()]);
    world.opens("undo-b", 30);
    world.run_until(|world| world.step_message("b").contains("CircuitOpen"));
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    let step = world.step("b");
    assert_eq!((step.phase, step.compensation.as_ref()), (StepPhase::Failed, None));
    let (why, waits) = (
        world.step_message("b").split_once(". Before: ").unwrap().1.to_owned(),
        world.step_message("b"),
    );
    assert_eq!(world.message(), format!("step b failed: {why}; step b waits: {waits}"));
    world.closes_at("undo-b", 30);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    assert_eq!(world.step("b").compensation.unwrap().attempt, 1);
}

#[test]
fn a_plain_list_keeps_its_turn_and_side_by_side_others_go_on() {
    let mut world = World::with(saga().http("a").http("b"));
    world.opens("a", 30);
    world.closes_at("a", 30);
    assert!(world.sent().is_empty(), "nothing goes before its turn");
    world.run_to_rest();
    assert_eq!(world.done(), ["a", "b"]);

    let mut world = World::with(saga().http("a").http("b").pod("c").parallel(2));
    world.opens("a", 30);
    world.closes_at("a", 30);
    assert_eq!(world.done(), ["b", "c"]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![30_000])
    );
}

#[test]
fn an_attempt_that_is_written_already_is_begun_whatever_its_circuit_says() {
    let mut world = World::with(saga().http("a"));
    let (nothing, executor) = (Observations::new(), world.executor());
    let written = plan(&world.saga, &world.seen(&nothing, &executor)).status;
    let Some(StatusWrite::Whole(status)) = written else { panic!("nothing is written") };
    // The status was written, but an error came before anything was sent.
    (world.finalizer, world.now) = (true, at(1));
    world.restore(json!(status));
    world.opens("a", 3600);
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").action.unwrap().attempt), (SagaPhase::Completed, 1));
    assert_eq!(world.sent_at("a", Direction::Action), [1000]);
}

#[test]
fn what_waits_for_room_says_so_when_the_time_of_its_circuit_has_come() {
    let mut world = World::with(saga().http("a"));
    world.opens("a", 30);
    world.closes_at("a", 30);
    world.takes("a.shop.svc", 0);
    world.run_for(Duration::ZERO);
    assert_eq!(
        world.message(),
        "step a waits: 32 calls to a.shop.svc from this namespace are in flight"
    );
    assert_eq!(world.step("a").message, None);
}
