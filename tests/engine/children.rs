//! Child sagas: what their phase means to the step that runs them, and the demands that they
//! receive.

use std::time::Duration;

use saga_operator::{
    api::{DeletionPolicy, Direction, Outcome, SagaPhase, StepPhase},
    model::{command::ChildCommand, observation::ChildSaga},
};
use serde_json::json;

use crate::{
    family::{Family, compensate, with_child},
    saga::{attempts, saga},
};

#[test]
fn a_step_is_done_when_its_child_is_and_hands_on_what_the_child_hands_on() {
    let mut family = Family::of(with_child(saga()));
    family.child.outputs = json!({"url": "https://a"}).as_object().cloned();
    family.child_is(SagaPhase::Running);
    assert!(family.parent.is("tenant", StepPhase::Running));
    family.child_is(SagaPhase::Completed);
    let step = family.parent.step("tenant");
    assert_eq!(
        (family.parent.phase(), json!(step.outputs)),
        (SagaPhase::Completed, json!({"url": "https://a"}))
    );
    assert_eq!(
        json!(step.child),
        json!({"name": "order-tenant-a1", "uid": "child", "phase": "Completed"})
    );
    assert_eq!(family.told(), []);
}

#[test]
fn a_child_that_ended_otherwise_failed_only_where_nothing_of_it_is_in_effect() {
    for (phase, left, outcome) in [
        (SagaPhase::Compensated, &[][..], Outcome::Failed),
        (SagaPhase::Compensated, &["mail"], Outcome::Unknown),
        (SagaPhase::Cancelled, &["mail"], Outcome::Unknown),
        (SagaPhase::Cancelled, &[], Outcome::Unknown),
    ] {
        let mut family = Family::of(with_child(saga()));
        family.child_ends(phase, left);
        assert_eq!(
            (family.outcome(Direction::Action), family.parent.phase()),
            (Some(outcome), SagaPhase::Failed),
            "{phase:?} {left:?}"
        );
        assert!(
            left.iter().all(|step| phase == SagaPhase::Cancelled || family.said().contains(step)),
            "{}",
            family.said()
        );
    }
}

#[test]
fn a_parent_waits_for_a_child_that_waits_for_a_person_and_says_so() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.child.message = "step a failed".into();
    family.child_is(SagaPhase::Failed);
    assert_eq!(
        family.said(),
        "waits for its child saga order-tenant-a1, which is Failed: step a failed"
    );
    family.child_is(SagaPhase::CompensationFailed);
    assert!(
        family.parent.is("tenant", StepPhase::Running)
            && family.said().contains("CompensationFailed"),
        "{}",
        family.said()
    );
    family.child.message.clear();
    family.child_is(SagaPhase::Running);
    assert!(family.said().ends_with("which is Running"), "{}", family.said());
}

#[test]
fn a_pause_a_resumption_and_a_change_of_the_deletion_policy_reach_the_child() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    let follow = |suspend, deletion_policy| vec![ChildCommand::Follow { suspend, deletion_policy }];
    family.parent.annotate("saga.dev/pause", "lunch");
    family.look();
    assert_eq!(family.told().last(), follow(true, DeletionPolicy::Compensate).last());
    family.child.suspended = true;
    family.look();
    assert_eq!(family.told(), [], "it was heard");
    family.parent.annotate("saga.dev/resume", "");
    family.parent.annotate("saga.dev/resume", "back");
    family.look();
    assert_eq!(family.told().last(), follow(false, DeletionPolicy::Compensate).last());
    family.child.suspended = false;
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.look();
    assert_eq!(family.told().last(), follow(false, DeletionPolicy::Abandon).last());
}

#[test]
fn a_cancelled_saga_cancels_its_child_and_ends_when_that_has_ended() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.annotate("saga.dev/cancel", "wrong customer");
    family.look();
    assert_eq!(family.told().last(), Some(&ChildCommand::Cancel));
    family.child.cancel_asked = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child_ends(SagaPhase::Cancelled, &["a"]);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_past_its_time_is_asked_to_undo_itself_and_settles_when_it_has() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.passes(3600);
    assert_eq!(family.told().last(), Some(&compensate("turn-back-1")));
    family.child.compensate_asked = Some("turn-back-1".into());
    family.child_is(SagaPhase::Compensating);
    family.passes(36_000);
    assert!(family.told().is_empty() && family.parent.is("tenant", StepPhase::Running));
    family.child_is(SagaPhase::Compensated);
    assert_eq!(family.outcome(Direction::Action), Some(Outcome::Failed));
}

#[test]
fn a_child_past_its_pivot_goes_on_whatever_its_time_limit_says() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.look();
    family.child.compensate_asked = Some("turn-back-1".into());
    family.child.refused = Some(("turn-back-1".into(), "the pivot a is passed".into()));
    family.passes(3600);
    assert!(
        family.told().is_empty()
            && family.said().ends_with("it cannot be undone: the pivot a is passed"),
        "{}",
        family.said()
    );
    family.child_is(SagaPhase::Completed);
    assert_eq!(family.parent.phase(), SagaPhase::Completed);
}

#[test]
fn a_child_that_was_never_accepted_is_cancelled_when_its_time_has_passed() {
    let mut family = Family::of(with_child(saga()));
    family.look();
    family.passes(3600);
    assert_eq!(family.told(), [], "no operator saw it: it takes no request");
    family.child_is(SagaPhase::Pending);
    assert_eq!(family.told().first(), Some(&ChildCommand::Cancel));
}

#[test]
fn a_child_that_undid_itself_says_nothing_of_the_one_before_it() {
    let mut draft = with_child(saga());
    draft.0.steps[0].retry = Some(attempts(2));
    let mut family = Family::of(draft);
    family.child_ends(SagaPhase::Cancelled, &["b"]);
    family.child =
        ChildSaga { name: "order-tenant-a2".into(), uid: "second".into(), ..ChildSaga::default() };
    family.passes(60);
    family.child_ends(SagaPhase::Compensated, &[]);
    assert_eq!(
        (family.parent.phase(), family.outcome(Direction::Action)),
        (SagaPhase::Failed, Some(Outcome::Unknown))
    );
    assert!(
        family.parent.step("tenant").action.unwrap().uncertain,
        "what the first one did may be in effect"
    );
}

#[test]
fn a_saga_that_was_refused_can_be_cancelled_since_nothing_of_it_ran() {
    let mut family = Family::of(with_child(saga()));
    family.parent.restore(json!({"phase": "Pending"}));
    family.parent.precheck.refused = vec![saga_operator::fault::Fault::new("spec.steps[0]", "no")];
    family.look();
    assert_eq!(family.parent.phase(), SagaPhase::Pending);
    family.parent.annotate("saga.dev/cancel", "cancelled for saga order, step tenant");
    family.look();
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(Vec::new()))
    );
}

#[test]
fn a_child_that_is_held_is_asked_to_cancel_when_a_person_has_mended_it() {
    let mut family = Family::of(with_child(saga()));
    (family.child.held, family.child.message) = (true, "restore the spec".into());
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.parent.annotate("saga.dev/cancel", "stop");
    family.look();
    assert_eq!((family.told(), family.parent.phase()), (vec![], SagaPhase::Running));
    assert!(family.said().contains("which is Running: restore the spec"), "{}", family.said());
    (family.child.held, family.child.message) = (false, String::new());
    family.look();
    assert_eq!(family.told().first(), Some(&ChildCommand::Cancel));
    // The child is held again before it reads the demand. The child refuses the demand, and the
    // parent asks again after the child is mended.
    family.child.held = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child.held = false;
    family.look();
    assert_eq!(family.told().first(), Some(&ChildCommand::Cancel));
    family.child.cancel_asked = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child_ends(SagaPhase::Cancelled, &[]);
    assert_eq!(family.parent.phase(), SagaPhase::Cancelled);
}

#[test]
fn a_child_that_is_held_is_not_asked_to_turn_back_before_it_is_mended() {
    let mut family = Family::of(with_child(saga()));
    family.child.held = true;
    family.child_is(SagaPhase::Running);
    family.parent.delete();
    family.look();
    assert_eq!(family.told(), []);
    family.child.held = false;
    family.look();
    assert_eq!(family.told(), [compensate("turn-back-1")]);
}
