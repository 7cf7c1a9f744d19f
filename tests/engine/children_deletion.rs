//! Child sagas whose parent is deleted, and child sagas that are deleted themselves.

use std::time::Duration;

use saga_operator::{
    api::{DeletionPolicy, SagaPhase, status::active_attempts},
    model::{command::ChildCommand, observation::Undelivered},
};

use crate::{
    family::{Family, compensate, with_child},
    saga::saga,
    world::World,
};

#[test]
fn the_deletion_of_a_saga_turns_its_child_back() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.delete();
    family.look();
    assert_eq!(family.told().last(), Some(&compensate("turn-back-1")));
    family.child_is(SagaPhase::Compensated);
    assert!(!family.parent.finalizer, "nothing is in effect any more: {}", family.parent.raw);
}

/// Deletes the parent with the policy `Abandon`. The parent demands the same policy of its child,
/// and removes its own finalizer when the child has taken over the policy.
fn goes_once_its_child_was_told(family: &mut Family) {
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.parent.delete();
    family.look();
    let follow = ChildCommand::Follow { suspend: false, deletion_policy: DeletionPolicy::Abandon };
    assert_eq!((family.told(), family.parent.finalizer), (vec![follow], true));
    family.child.deletion_policy = DeletionPolicy::Abandon;
    family.look();
    assert_eq!((family.told(), family.parent.finalizer), (vec![], false));
}

#[test]
fn a_saga_that_is_abandoned_lets_its_child_go_as_it_is_before_it_goes() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    goes_once_its_child_was_told(&mut family);
}

#[test]
fn an_abandoned_saga_goes_without_a_child_it_may_not_tell_but_not_because_one_telling_failed() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.parent.delete();
    let follow = |deletion_policy| ChildCommand::Follow { suspend: false, deletion_policy };
    let undelivered =
        |demand, refused| vec![Undelivered { command: demand, why: "no".into(), refused }];
    for another in [
        undelivered(ChildCommand::Cancel, true),
        undelivered(follow(DeletionPolicy::Compensate), true),
        undelivered(follow(DeletionPolicy::Abandon), false),
    ] {
        family.child.undelivered = another;
        family.look();
        assert_eq!(
            (family.told().last(), family.parent.finalizer),
            (Some(&follow(DeletionPolicy::Abandon)), true)
        );
    }
    family.child.undelivered = undelivered(follow(DeletionPolicy::Abandon), true);
    family.look();
    assert_eq!((family.told(), family.parent.finalizer), (vec![], false));
}

#[test]
fn a_saga_that_is_abandoned_lets_a_child_go_whose_undo_was_given_up() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child_is(SagaPhase::CompensationFailed);
    while family.parent.phase() != SagaPhase::CompensationFailed {
        family.passes(3600);
    }
    assert_eq!(active_attempts(&family.parent.status()).count(), 0);
    family.told();
    goes_once_its_child_was_told(&mut family);
}

#[test]
fn a_child_that_is_deleted_after_it_completed_is_asked_to_undo_itself() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Completed);
    family.child.deleting = true;
    family.parent.annotate("saga.dev/compensate", "the customer called");
    family.look();
    assert_eq!(family.told().first(), Some(&compensate("undo-1")));
}

/// Returns a child saga that ended, as its own operator sees it.
fn ended_child() -> World {
    let mut child = World::with(saga().http("a").undo());
    child.parent_holds = true;
    child.run_to_rest();
    assert_eq!((child.phase(), child.finalizer), (SagaPhase::Completed, true));
    child
}

#[test]
fn a_child_that_ended_keeps_its_finalizer_as_long_as_its_parent_does() {
    let mut child = ended_child();
    child.parent_holds = false;
    child.run_to_rest();
    assert!(!child.finalizer, "the parent let go");
    // The parent is undone after its end, so the parent holds its child again.
    child.parent_holds = true;
    child.run_to_rest();
    assert!(child.finalizer, "the parent took hold again");
}

#[test]
fn a_child_that_is_deleted_after_its_end_stays_and_is_undone_with_its_parent() {
    let mut child = ended_child();
    child.delete();
    child.run_for(Duration::from_mins(2));
    assert!(!child.gone, "the parent may have to undo it");
    child.annotate("saga.dev/compensate", "@undo-1: undone for saga parent, step tenant");
    child.run_for(Duration::from_mins(2));
    assert_eq!(
        (child.phase(), child.undone(), child.gone),
        (SagaPhase::Compensated, vec!["a"], false)
    );
    // The parent has read the outcome of the child.
    child.parent_holds = false;
    child.run_to_rest();
    assert!(child.gone);
}

#[test]
fn a_child_whose_time_to_be_kept_is_over_stays_for_its_parent() {
    let mut child = World::with(saga().http("a").undo().ttl(60));
    child.parent_holds = true;
    child.run_for(Duration::from_mins(30));
    assert!(!child.gone && !child.deleting && child.finalizer);
    child.finalizer = false;
    child.run_for(Duration::from_mins(30));
    assert!(
        !child.gone && !child.deleting && child.finalizer,
        "it is not deleted by the write that has it kept"
    );
    child.parent_holds = false;
    child.run_until(|child| child.gone);
    assert!(child.gone);
}

#[test]
fn a_child_that_is_abandoned_is_kept_for_nobody() {
    let mut child = ended_child();
    child.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    child.delete();
    child.run_to_rest();
    assert!(child.gone);
}
