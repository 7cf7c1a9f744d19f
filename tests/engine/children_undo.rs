//! Child sagas during an undo: a step is undone by undoing its child.

use std::time::Duration;

use saga_operator::{
    api::{SagaPhase, status::active_attempts},
    engine::plan,
    model::{command::ChildCommand, observation::ChildState, plan::StatusWrite},
};

use crate::{
    family::{Family, compensate, with_child},
    saga::saga,
};

#[test]
fn a_step_is_undone_by_undoing_its_child() {
    let mut family = Family::that_turns_back();
    assert_eq!(
        (family.parent.phase(), family.told()),
        (SagaPhase::Compensating, vec![compensate("undo-1")])
    );
    family.child.compensate_asked = Some("undo-1".into());
    family.look();
    assert_eq!(family.told(), []);
    family.child_is(SagaPhase::Compensating);
    family.child_is(SagaPhase::Compensated);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Compensated, Some(Vec::new()))
    );
}

#[test]
fn what_stays_in_effect_of_a_child_is_never_called_undone() {
    let mut family = Family::that_turns_back();
    family.child_ends(SagaPhase::Compensated, &["mail"]);
    assert_eq!(family.parent.phase(), SagaPhase::CompensationFailed);
    assert!(
        family
            .said()
            .contains("stay in effect: mail; undo them by hand, then skip this compensation"),
        "{}",
        family.said()
    );
    family.parent.annotate("saga.dev/skip", "tenant");
    family.look();
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Compensated, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_that_refuses_to_be_undone_holds_its_parent_until_a_person_asks_again() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child.refused = Some(("undo-1".into(), "the pivot a is passed".into()));
    family.look();
    assert!(
        family.parent.phase() == SagaPhase::CompensationFailed
            && family.said().contains("the pivot a is passed"),
        "{}",
        family.said()
    );
    family.told();
    family.parent.annotate("saga.dev/retry", "tenant");
    family.look();
    assert_eq!(family.told().last(), Some(&compensate("undo-2")), "under a token of its own");
}

#[test]
fn a_cancelled_undo_cancels_the_child_and_waits_for_its_end() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child_is(SagaPhase::Compensating);
    family.told();
    family.parent.annotate("saga.dev/cancel", "the refunds are wrong");
    family.look();
    assert_eq!(
        (family.told().last(), family.parent.phase()),
        (Some(&ChildCommand::Cancel), SagaPhase::Compensating)
    );
    family.child.cancel_asked = true;
    family.child_ends(SagaPhase::Cancelled, &["a"]);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_that_is_gone_cannot_be_undone() {
    let family = Family::that_turns_back();
    let absence = saga_operator::model::observation::Absence {
        seen: true,
        refused: false,
        known_for: Duration::ZERO,
    };
    let children = active_attempts(&family.parent.status())
        .map(|(id, _)| (id, ChildState::Absent(absence)))
        .collect();
    let plan = plan(&family.parent.saga, &family.parent.seen(&children, "me"));
    let Some(StatusWrite::Whole(status)) = plan.status else { panic!("nothing is written") };
    assert_eq!(status.phase, Some(SagaPhase::CompensationFailed));
}

#[test]
fn a_child_may_be_undone_by_an_action_of_its_own() {
    let draft = with_child(saga()).undo();
    let family = Family::of(draft);
    let saga = family.parent.saga.unwrap();
    assert_eq!(saga.steps[0].compensation.as_ref().unwrap().kind(), "http");
}
