//! The undo of a saga: its order, and what ends it.

use saga_operator::api::{Direction::Compensation, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::{not_reached, says_no, seconds, succeeds, turned_away, unknown_but_done},
    world::World,
};

#[test]
fn a_chain_is_undone_backwards() {
    let draft =
        saga().http("reserve").undo().then_http("charge").undo().then_http("ship").compensating();
    let mut world = World::with(draft).fails("ship", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone()),
        (SagaPhase::Compensated, vec!["charge", "reserve"])
    );
    assert_eq!(world.sent()[3..], ["charge/compensation/1", "reserve/compensation/1"]);
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Compensated"));
    assert_eq!(
        world.message(),
        "step ship failed: attempt 1 failed: no; everything that was done is undone"
    );
}

#[test]
fn a_step_is_undone_after_all_that_depend_on_it_and_siblings_side_by_side() {
    let draft =
        saga().http("top").undo().then_http("left").undo().http("right").after(&["top"]).undo();
    let draft = draft
        .http("bottom")
        .after(&["left", "right"])
        .undo()
        .then_http("end")
        .parallel(4)
        .compensating();
    let mut world =
        World::with(draft).fails("end", 1).on_undo("left", vec![succeeds().takes(seconds(9))]);
    world.run_to_rest();
    let begun = ["bottom", "left", "right", "top"].map(|name| world.sent_at(name, Compensation));
    assert_eq!(begun, [[4000], [5000], [5000], [14_000]]);
}

#[test]
fn a_dependant_without_compensation_holds_up_nothing_and_what_depends_through_it_does() {
    let draft = saga()
        .http("a")
        .undo()
        .then_http("b")
        .then_http("c")
        .undo()
        .then_http("d")
        .compensating()
        .parallel(4);
    let mut world = World::with(draft).fails("d", 1);
    world.run_to_rest();
    assert_eq!((world.undone(), world.still_in_effect()), (vec!["c", "a"], vec!["b".into()]));
}

#[test]
fn among_the_free_the_one_that_settled_last_goes_first() {
    let draft = saga()
        .http("a")
        .undo()
        .http("b")
        .undo()
        .http("c")
        .undo()
        .http("d")
        .after(&["a", "b", "c"])
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).fails("d", 1).on("a", vec![succeeds().takes(seconds(3))]);
    world = world
        .on("b", vec![succeeds().takes(seconds(7))])
        .on("c", vec![succeeds().takes(seconds(5))]);
    world.run_until(|world| world.is("d", StepPhase::Running));
    world.edit(|spec| spec.max_parallel = Some(1));
    world.run_to_rest();
    assert_eq!((world.done(), world.undone()), (vec!["a", "c", "b"], vec!["b", "c", "a"]));
}

#[test]
fn the_clock_says_nothing_about_the_order() {
    // The clock is set back by an hour between the settling of two steps.
    let draft = saga().http("a").undo().http("b").undo().http("c").compensating();
    let mut world = World::with(draft).fails("c", 1);
    world.run_until(|world| world.is("a", StepPhase::Completed));
    world.run_until(|world| world.is("b", StepPhase::Completed));
    let mut status = world.status();
    status.steps[1].completed_at.as_mut().unwrap().0 -= jiff::SignedDuration::from_hours(1);
    world.restore(serde_json::to_value(&status).unwrap());
    world.run_to_rest();
    assert_eq!(world.undone(), ["b", "a"]);
}

#[test]
fn what_settled_in_one_write_settled_in_list_order() {
    let draft = saga()
        .http("a")
        .undo()
        .http("b")
        .undo()
        .http("c")
        .undo()
        .http("d")
        .after(&["a", "b", "c"])
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).fails("d", 1);
    world.run_until(|world| world.is("d", StepPhase::Running));
    assert_eq!((world.writes, world.status().settled), (2, Some(3)));
    world.edit(|spec| spec.max_parallel = Some(1));
    world.run_to_rest();
    assert_eq!(world.undone(), ["c", "b", "a"]);
}

#[test]
fn active_steps_settle_before_anything_is_undone_and_nothing_new_starts() {
    let draft = saga()
        .http("a")
        .undo()
        .http("slow")
        .undo()
        .http("bad")
        .http("more")
        .after(&["a"])
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).fails("bad", 1).on("a", vec![succeeds().takes(seconds(5))]);
    world = world.on("slow", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("bad", StepPhase::Failed));
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Running, Some("Unknown/Running"))
    );
    assert!(
        world.message().contains("step bad failed") && world.message().contains("settle first"),
        "{}",
        world.message()
    );
    world.run_to_rest();
    assert_eq!((world.done(), world.undone()), (vec!["a", "slow"], vec!["a", "slow"]));
    assert_eq!(["a", "slow"].map(|name| world.sent_at(name, Compensation)), [[9000], [9000]]);
    assert!(world.is("more", StepPhase::Pending));
}

#[test]
fn a_retrying_sibling_keeps_its_phase_and_budget_where_a_failure_holds() {
    let draft = saga().http("a").retry(attempts(4).always("30s")).http("bad").parallel(2);
    let mut world = World::with(draft).fails("a", 1).on("bad", vec![says_no().takes(seconds(3))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(3)));
    let step = world.step("a");
    assert_eq!((step.phase, step.action.unwrap().budget_used), (StepPhase::Retrying, 1));
    assert!(step.next_attempt_at.is_some());
    assert_eq!(world.condition("Ready").as_deref(), Some("False/StepFailed"));
}

#[test]
fn a_retrying_sibling_fails_where_a_failure_compensates_and_is_undone_if_it_may_have_acted() {
    for (act, undone) in
        [(unknown_but_done(), vec!["a"]), (says_no(), vec![]), (not_reached(), vec![])]
    {
        let draft = saga()
            .http("a")
            .undo()
            .retry(attempts(4).always("30s"))
            .http("bad")
            .parallel(2)
            .compensating();
        let mut world =
            World::with(draft).on("a", vec![act]).on("bad", vec![says_no().takes(seconds(3))]);
        world.run_until(|world| {
            world.phase() == SagaPhase::Compensating || world.phase() == SagaPhase::Compensated
        });
        assert_eq!(world.step("a").next_attempt_at, None);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.undone(), world.sent_at("bad", Compensation).len()),
            (SagaPhase::Compensated, undone, 0)
        );
    }
}

#[test]
fn turning_from_hold_to_compensate_undoes_a_failed_saga() {
    let mut world = World::with(saga().http("a").undo().then_http("b")).fails("b", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed);
    assert_eq!(
        world.message(),
        "step b failed: attempt 1 failed: no. The saga waits for you. To try again: kubectl \
         annotate --overwrite saga/order-1042 saga.dev/retry=b -n shop. Or annotate \
         saga.dev/skip=b to go on without it, or saga.dev/compensate=REASON to undo what was done"
    );
    world.edit(|spec| spec.on_failure = Some(saga_operator::api::OnFailure::Compensate));
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn a_compensation_that_fails_for_good_waits_for_a_person_after_all_independent_ones_are_undone() {
    let draft = saga()
        .http("root")
        .undo()
        .then_http("bad")
        .undo()
        .undo_retry(attempts(2))
        .http("good")
        .after(&["root"])
        .undo();
    let draft =
        draft.http("other").undo().http("end").after(&["bad", "good", "other"]).compensating();
    let mut world = World::with(draft).fails("end", 1).undo_fails("bad", 2);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
    // The undo of `root` waits for `bad` for ever. Both are in effect.
    assert_eq!(world.still_in_effect(), ["root", "bad"]);
    assert_eq!(
        (world.undone(), world.status().progress.as_deref()),
        (vec!["other", "good"], Some("2/4"))
    );
    assert!(
        world.is("root", StepPhase::Completed) && world.is("bad", StepPhase::CompensationFailed)
    );
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/CompensationFailed"));
    let writes = world.writes;
    world.run_for(seconds(100_000));
    assert_eq!((world.writes, world.status().current_steps.as_deref()), (writes, Some("bad")));
}

#[test]
fn an_unknown_compensation_is_repeated_with_its_key() {
    let draft = saga().http("a").undo().then_http("b").compensating();
    let mut world =
        World::with(draft).fails("b", 1).on_undo("a", vec![unknown_but_done(), turned_away()]);
    world.run_to_rest();
    assert_eq!(world.keys("a", Compensation), ["0", "0", "0"]);
    assert_eq!(world.phase(), SagaPhase::Compensated);
}

#[test]
fn a_compensation_past_its_deadline_gives_its_slot_to_the_next() {
    let draft = saga().http("a").undo().http("b").undo().undo_timeout("1m").http("c").undo();
    let draft = draft
        .undo_retry(attempts(3).always("3s").deadline("5s"))
        .then_http("d")
        .parallel(2)
        .compensating();
    let mut world = World::with(draft)
        .fails("d", 1)
        .undo_fails("c", 1)
        .on_undo("b", vec![succeeds().takes(seconds(20))]);
    // A compensation keeps its slot while it waits. It finds no slot only if maxParallel is lowered
    // meanwhile.
    world.run_until(|world| {
        world.step("c").compensation.is_some_and(|record| record.active.is_none())
    });
    world.edit(|spec| spec.max_parallel = Some(1));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect()),
        (SagaPhase::CompensationFailed, vec!["b", "a"], vec!["c".into()])
    );
}

#[test]
fn nothing_done_is_compensated_at_once() {
    let mut world = World::with(saga().http("a").undo().compensating()).fails("a", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.writes, world.status().progress.as_deref()),
        (SagaPhase::Compensated, 2, Some("0/0"))
    );
}
