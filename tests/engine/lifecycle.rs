//! Deletion, abandonment, and the finalizer.

use saga_operator::api::{DeletionPolicy, Direction, SagaPhase, StepPhase};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{seconds, succeeds, unknown},
    world::World,
};

pub(crate) fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().timeout("1m").then_http("c").undo()
}

#[test]
fn deleting_a_saga_that_began_nothing_lets_it_go() {
    let mut world = World::with(order().suspended());
    world.run_to_rest();
    world.delete();
    assert!(world.gone);
    // The saga is deleted also if the finalizer was set and the process died before the first
    // intent was written.
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
        "deletionPolicy is Abandon: the saga is deleted without an undo; still in effect: a"
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
    let told = "its namespace is being deleted, where nothing more can be undone: the saga is \
        deleted without an undo; still in effect: a, b";
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
    // The watcher of every effect asserts that the finalizer is set. This test asserts that the
    // finalizer is set even before the status is written.
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
fn what_settles_last_in_a_saga_that_is_deleted_is_undone_as_well() {
    let mut world = World::with(saga().http("a").undo().then_pod("b").undo());
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.done(), world.undone()), (true, vec!["a", "b"], vec!["b", "a"]));
    // After its pivot nothing can be undone. The saga then ends as Completed.
    let mut world = World::with(saga().http("a").undo().then_pod("b").pivot());
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.phase(), world.undone().len()), (true, SagaPhase::Completed, 0));
}
