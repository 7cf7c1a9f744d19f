//! Suspending, deleting, the finalizer, and a process that dies.

use saga_operator::{
    api::{
        DeletionPolicy,
        Direction::{self, Compensation},
        Outcome, SagaPhase, StepPhase,
    },
    model::skew::Skew,
};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{never_ends, says_no, seconds, succeeds, times, unknown},
    world::World,
};

fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().timeout("1m").then_http("c").undo()
}

#[test]
fn a_saga_suspended_before_its_start_starts_nothing() {
    let mut world = World::with(order().suspended());
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len(), world.writes), (SagaPhase::Paused, 0, 1));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"));
    assert_eq!((world.condition("Reconciling"), world.finalizer), (None, false));
    world.unsuspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a", "b", "c"]));
}

#[test]
fn a_saga_suspended_in_the_middle_lets_what_runs_end_and_starts_nothing() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.suspend();
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), world.sent().len()),
        (SagaPhase::Paused, vec!["a", "b"], 2)
    );
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_saga_suspended_while_compensating_undoes_nothing_more_and_keeps_its_phase() {
    let mut world = World::with(order().compensating())
        .fails("c", 1)
        .on_undo("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Compensating));
    world.suspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensating, vec!["b"]));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"));
    assert_eq!(world.condition("Reconciling"), None);
    world.unsuspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn a_failure_in_a_suspended_saga_waits_with_its_compensation() {
    let mut world = World::with(order().compensating()).on("c", vec![says_no().takes(seconds(9))]);
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.suspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.undone(), ["b", "a"]);
}

#[test]
fn a_failed_saga_keeps_its_phase_when_it_is_suspended() {
    let mut world = World::with(order()).fails("c", 1);
    world.run_to_rest();
    world.suspend();
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/Paused"))
    );
}

#[test]
fn the_deadline_of_a_compensation_stands_still_while_suspended_also_where_a_deletion_ends_that() {
    for delete in [false, true] {
        let draft = saga()
            .http("a")
            .undo()
            .undo_retry(attempts(9).always("4s").deadline("11s"))
            .then_http("b")
            .compensating();
        let mut world = World::with(draft).fails("b", 1).undo_fails("a", 1);
        world.run_until(|world| {
            world.step("a").compensation.is_some_and(|record| record.sequence.is_some())
        });
        world.suspend();
        world.run_for(seconds(1000));
        assert_eq!(world.sent_at("a", Compensation).len(), 1);
        if delete {
            world.delete();
        } else {
            world.unsuspend();
        }
        world.run_to_rest();
        assert_eq!(world.undone(), ["a"], "delete: {delete}");
    }
}

#[test]
fn a_deadline_that_stood_still_goes_on_from_where_it_stood_after_a_deletion() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(9).always("4s").deadline("11s"))
        .then_http("b")
        .compensating();
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 2);
    world.run_until(|world| {
        world.step("a").compensation.is_some_and(|record| record.sequence.is_some())
    });
    world.suspend();
    world.run_for(seconds(1000));
    world.delete();
    world.run_to_rest();
    // One of eleven seconds was used: a third attempt at six seconds is within them.
    assert_eq!((world.undone(), world.sent_at("a", Compensation).len()), (vec!["a"], 3));
}

#[test]
fn deleting_a_saga_that_began_nothing_lets_it_go() {
    let mut world = World::with(order().suspended());
    world.run_to_rest();
    world.delete();
    assert!(world.gone);
    // Also where the finalizer was set and the process died before the first intent was written.
    let mut world = World::with(order()).crash_at(1, seconds(1));
    assert!(world.look().is_err() && world.finalizer && world.writes == 0);
    world.delete();
    world.run_to_rest();
    assert!(world.gone && world.sent().is_empty() && world.notices.is_empty());
}

#[test]
fn deleting_a_running_saga_lets_what_runs_settle_and_undoes_it_all() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(30))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_until(|world| world.message().contains("deleted"));
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Running, 0));
    world.run_to_rest();
    assert_eq!((world.gone, world.done(), world.undone()), (true, vec!["a", "b"], vec!["b", "a"]));
    assert_eq!(world.warnings(), Vec::<&str>::new());
}

#[test]
fn deleting_overrides_suspension() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(30))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.suspend();
    world.run_for(seconds(1));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn deleting_a_failed_saga_undoes_it() {
    let mut world = World::with(order()).fails("c", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed);
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn deleting_a_saga_whose_step_is_tried_again_makes_no_further_attempt() {
    let draft = saga().http("a").undo().then_http("b").undo().retry(attempts(5).always("10s"));
    let mut world = World::with(draft).on("b", vec![unknown()]);
    world.run_until(|world| world.is("b", StepPhase::Retrying));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
    assert_eq!(world.sent_at("b", Direction::Action).len(), 1);
}

#[test]
fn deleting_a_compensating_saga_lets_it_end() {
    let mut world = World::with(order().compensating())
        .fails("c", 1)
        .on_undo("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Compensating));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn deleting_a_saga_that_could_not_be_undone_waits_until_it_is_abandoned() {
    let draft = saga().http("a").undo().undo_retry(attempts(1)).then_http("b").compensating();
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
    world.delete();
    world.run_to_rest();
    assert!(!world.gone && world.finalizer);
    assert!(world.message().contains("set spec.deletionPolicy to Abandon"), "{}", world.message());
    world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    world.run_to_rest();
    assert!(world.gone);
    assert_eq!(
        world.notices.last().unwrap().message,
        "deletionPolicy is Abandon: the saga goes as it is; still in effect: a"
    );
}

#[test]
fn a_saga_that_cannot_be_undone_does_not_hold_up_the_deletion_of_its_namespace() {
    let draft = saga()
        .http("a")
        .undo()
        .then_http("b")
        .undo()
        .undo_retry(attempts(1))
        .then_http("c")
        .compensating();
    let mut world = World::with(draft).fails("c", 1).undo_fails("b", 1);
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.terminating = true;
    world.delete();
    world.run_to_rest();
    assert!(world.gone, "{}", world.message());
    let told = "its namespace is being deleted, where nothing more can be undone: the saga goes \
        as it is; still in effect: a, b";
    assert_eq!(world.notices.last().unwrap().message, told);
}

#[test]
fn what_can_be_undone_is_undone_in_a_namespace_that_is_being_deleted() {
    let mut world = World::with(order().compensating()).fails("c", 1);
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.terminating = true;
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn an_abandoned_saga_goes_at_once_in_every_phase() {
    let states: [fn(&World) -> bool; 3] = [
        |world| world.is("b", StepPhase::Running),
        |world| world.is("b", StepPhase::Retrying),
        |world| world.is("c", StepPhase::Failed),
    ];
    for state in states {
        let draft = saga()
            .http("a")
            .undo()
            .then_http("b")
            .retry(attempts(2))
            .then_http("c")
            .abandoned_when_deleted();
        let mut world = World::with(draft).fails("b", 1).fails("c", 1);
        world.run_until(state);
        let (writes, sent) = (world.writes, world.sent().len());
        world.delete();
        world.run_to_rest();
        assert!(world.gone && world.undone().is_empty());
        assert_eq!(
            (world.writes, world.sent().len(), world.warnings().last()),
            (writes, sent, Some(&"Abandoned"))
        );
    }
}

#[test]
fn a_completed_saga_goes_when_it_is_deleted() {
    let mut world = World::with(order());
    world.run_to_rest();
    world.delete();
    assert!(world.gone && world.undone().is_empty());
}

#[test]
fn the_finalizer_is_set_before_the_first_intent_and_taken_off_right_after_the_end() {
    let mut world = World::with(order()).crash_at(1, seconds(0));
    // The watcher of every effect asserts that the finalizer stands; here: it stands even before
    // the status does.
    assert!(world.look().is_err());
    assert!(world.finalizer && world.writes == 0);
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.now += jiff::SignedDuration::from_secs(1);
    world.look().unwrap();
    assert_eq!((world.phase(), world.finalizer), (SagaPhase::Completed, false));
}

#[test]
fn a_finalizer_that_someone_took_off_comes_back_with_the_next_intent() {
    let mut world = World::with(order());
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.finalizer = false;
    world.run_until(|world| world.is("c", StepPhase::Running));
    assert!(world.finalizer);
    world.run_to_rest();
}

#[test]
fn an_ended_saga_is_never_written_again_but_to_say_that_a_changed_spec_was_seen() {
    let mut world = World::with(order());
    world.run_to_rest();
    let (writes, before) = (world.writes, world.status());
    world.crash(seconds(1000));
    world.run_to_rest();
    assert_eq!(world.writes, writes);
    world.edit(|spec| spec.max_parallel = Some(7));
    world.crash(seconds(1000));
    world.run_to_rest();
    assert_eq!(world.writes, writes + 1);
    let mut after = world.status();
    let generations =
        after.conditions.iter_mut().map(|condition| condition.observed_generation.replace(1));
    assert!(
        generations
            .chain([after.observed_generation.replace(1)])
            .all(|generation| generation == Some(2))
    );
    assert_eq!(after, before, "nothing else changed");
}

#[test]
fn a_request_that_was_under_way_when_the_process_died_is_unknown() {
    let mut world = World::with(saga().http("a").retry(attempts(2)))
        .on("a", vec![succeeds().takes(seconds(20))]);
    world.run_until(|world| !world.sent().is_empty());
    world.crash(seconds(1));
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    assert!(world.step("a").action.unwrap().uncertain);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("a", Direction::Action)),
        (SagaPhase::Completed, vec!["0", "0"])
    );
}

#[test]
fn a_pod_outlives_the_process() {
    let mut world = World::with(saga().pod("a")).on("a", vec![succeeds().takes(seconds(100))]);
    world.run_until(|world| !world.sent().is_empty());
    world.crash(seconds(50));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 1));
}

#[test]
fn an_intent_whose_age_no_clock_tells_is_unknown_once_it_has_been_known_for_thirty_seconds() {
    for (ahead, settled_after) in [(0, 30), (10, 40), (40, 60)] {
        let mut world = World::with(saga().pod("a").timeout("1h")).crash_at(2, seconds(30));
        world.skew = Skew { ahead: seconds(ahead), ..Skew::default() };
        world.run_to_rest();
        let attempt = world.step("a").action.unwrap().attempts.pop().unwrap();
        let took = attempt.settled_at.0.duration_since(attempt.started_at.0).as_secs();
        assert_eq!(
            (attempt.outcome, took, world.sent().len()),
            (Outcome::Unknown, settled_after, 0),
            "{ahead} s ahead"
        );
    }
}

#[test]
fn an_intent_whose_pod_never_existed_is_begun_again_within_thirty_seconds_and_unknown_after() {
    let draft = saga().pod("a").timeout("1h");
    // Moves: the finalizer, the status, and then the process dies before the Pod is created.
    let mut world = World::with(draft.clone()).crash_at(2, seconds(29));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![29_000])
    );
    let mut world = World::with(draft.clone()).crash_at(2, seconds(30));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 0));
    assert!(
        world.message().contains("nobody can tell whether its Pod was created"),
        "{}",
        world.message()
    );
    // The same where the answers to the creation get lost one after the other.
    let mut world = World::with(draft.clone()).on("a", vec![succeeds().lost_first(28)]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    let mut world = World::with(draft).on("a", vec![succeeds().lost_first(40)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(30)));
}

#[test]
fn a_definite_refusal_of_the_api_server_costs_no_attempt_and_ends_with_the_attempts_time() {
    let mut world =
        World::with(saga().pod("a").timeout("5m")).on("a", vec![succeeds().refused_first(200)]);
    world.run_until(|world| world.elapsed() >= seconds(100));
    assert_eq!((world.step("a").message.as_deref(), world.writes), (Some("exceeded quota"), 2));
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").action.unwrap().attempt), (SagaPhase::Completed, 1));
    let mut world = World::with(saga().pod("a").undo().timeout("1m").compensating())
        .on("a", vec![succeeds().refused_first(200)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.undone().len()),
        (SagaPhase::Compensated, seconds(60), 0)
    );
}

#[test]
fn a_pod_noted_and_gone_is_unknown_after_a_restart() {
    let mut world =
        World::with(saga().pod("a")).on("a", vec![crate::script::vanishes().takes(seconds(10))]);
    world.run_until(|world| world.writes == 2);
    assert_eq!(world.elapsed(), seconds(2));
    world.crash(seconds(10));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 1));
    assert!(world.message().contains("its Pod vanished"), "{}", world.message());
}

#[test]
fn a_process_that_dies_all_the_time_gets_there_in_the_end() {
    for every in 2..9 {
        let mut world =
            World::with(order().compensating()).fails("c", 1).on_undo("b", times(2, &never_ends()));
        for moves in (every..200).step_by(every) {
            world = world.crash_at(moves, seconds(1));
        }
        world.run_to_rest();
        assert!(world.crashes > 0);
    }
}

#[test]
fn a_process_that_is_about_to_end_begins_nothing_and_records_what_ends() {
    let mut world = World::with(order().compensating())
        .fails("c", 1)
        .on("a", vec![succeeds().takes(seconds(5))]);
    world.run_until(|world| world.sent().len() == 1);
    world.draining = true;
    world.run_for(seconds(100));
    assert_eq!(
        (world.done(), world.sent().len(), world.phase()),
        (vec!["a"], 1, SagaPhase::Running)
    );
    world.crash(seconds(0));
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.draining = true;
    world.run_for(seconds(100));
    assert_eq!(
        (world.is("c", StepPhase::Failed), world.sent_at("b", Compensation).len()),
        (true, 0)
    );
    world.crash(seconds(0));
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn an_intent_that_never_left_is_left_to_the_next_process_while_this_one_ends() {
    let mut world = World::with(saga().pod("a")).on("a", vec![succeeds().lost_first(1)]);
    assert!(world.look().is_ok());
    world.draining = true;
    world.run_for(seconds(5));
    assert!(world.sent().is_empty());
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 1));
}

#[test]
fn a_clock_that_is_set_back_delays_and_breaks_nothing() {
    let draft = saga()
        .http("a")
        .undo()
        .retry(attempts(3).always("10s").deadline("10m"))
        .then_pod("b")
        .undo()
        .then_http("c")
        .compensating();
    let mut world =
        World::with(draft).fails("a", 1).fails("c", 1).on("b", vec![succeeds().takes(seconds(40))]);
    let back = |world: &mut World| world.now -= jiff::SignedDuration::from_mins(5);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    back(&mut world);
    world.run_until(|world| world.is("b", StepPhase::Running));
    back(&mut world);
    world.crash(seconds(0));
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    back(&mut world);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn a_clock_that_jumps_ahead_ends_what_is_overdue_and_nothing_else() {
    let draft =
        saga().http("a").undo().timeout("1m").then_pod("b").undo().timeout("1h").compensating();
    let mut world = World::with(draft).on("b", vec![succeeds().takes(seconds(900))]);
    world.run_until(|world| world.elapsed() >= seconds(10));
    world.now += jiff::SignedDuration::from_mins(5);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn what_settles_last_in_a_saga_that_is_deleted_is_undone_as_well() {
    let mut world = World::with(saga().http("a").undo().then_pod("b").undo());
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.done(), world.undone()), (true, vec!["a", "b"], vec!["b", "a"]));
    // Past its pivot nothing can be undone: then all that is done is as it should be.
    let mut world = World::with(saga().http("a").undo().then_pod("b").pivot());
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.phase(), world.undone().len()), (true, SagaPhase::Completed, 0));
}
